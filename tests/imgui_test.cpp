// Built by ./tests/run --all: the Dear ImGui that was found draws without a display, and its back ends link.
#include <doctest/doctest.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_vulkan.h>

TEST_CASE("Dear ImGui is new enough and draws a frame with no back end") {
    CHECK(IMGUI_VERSION_NUM >= 19000);
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {640, 480};
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    io.Fonts->GetTexDataAsRGBA32(&pixels, &width, &height);
    REQUIRE(width * height > 0);
    int vertices = 0;
    for (int frame = 0; frame < 2; ++frame) { // a window is laid out in its first frame, shown in its second
        ImGui::NewFrame();
        ImGui::Begin("Kvasir");
        ImGui::TextUnformatted("text");
        ImGui::End();
        ImGui::Render();
        vertices = ImGui::GetDrawData()->TotalVtxCount;
    }
    CHECK(vertices > 4 * 4); // more than the four letters' quads: the window around them too
    ImGui::DestroyContext();
}

TEST_CASE("the GLFW and Vulkan back ends of Dear ImGui link") {
    bool (*volatile glfw)(GLFWwindow*, bool) = ImGui_ImplGlfw_InitForVulkan;
    void (*volatile vulkan)() = ImGui_ImplVulkan_Shutdown;
    CHECK(glfw != nullptr);
    CHECK(vulkan != nullptr);
}
