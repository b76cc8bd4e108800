#include "app/built_in.hpp"
#include "app/commands.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "app/worker.hpp"
#include "runtime/error.hpp"
#include "runtime/png.hpp"
#include "ui/canvas.hpp"
#include "ui/fonts.hpp"
#include "ui/script.hpp"
#include "ui/ui.hpp"

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_vulkan.h>
#include <imgui_internal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int trailing_frames =
    3; ///< after the last change: ImGui lays out in one frame what it draws in the next
constexpr double drawing_share = 0.05; ///< of the time, while a software device generates and draws
constexpr double least_interval = 0.1, longest_interval = 1; ///< seconds between frames then
constexpr double input_patience = 0.01;                      ///< seconds that input may wait then
constexpr double script_patience = 600;                      ///< seconds that a script waits for the model

fs::path user_folder(const char* variable, const char* below_home) {
    if (const char* folder = std::getenv(variable); folder && *folder) return folder;
    if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home) / below_home;
    if (const char* local = std::getenv("LOCALAPPDATA"); local && *local) return local;
    return fs::current_path();
}

ui::Places places() {
    ui::Places p;
    p.conversations = user_folder("XDG_DATA_HOME", ".local/share") / "kvasir" / "conversations";
    p.settings = user_folder("XDG_CONFIG_HOME", ".config") / "kvasir" / "settings.json";
    p.documents = user_folder("XDG_DOCUMENTS_DIR", "");
    for (const std::string_view name : built_in_models()) {
        try {
            built_in_path(name);
            p.built_in.emplace_back(name);
        } catch (const Error&) { // it is not installed
        }
    }
    return p;
}

/// ImGui's context, with the fonts, for as long as it lives.
struct Context {
    Context() {
        IMGUI_CHECKVERSION();
        ImGui::CreateContext();
        ImGuiIO& io = ImGui::GetIO();
        io.IniFilename = nullptr; // settings.json has what is kept
        io.ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
        io.ConfigInputTextCursorBlink = false; // a blink is a frame
        ui::load_fonts();
    }
    ~Context() { ImGui::DestroyContext(); }
};

/// What wakes the thread that draws.
struct Bell {
    std::mutex mutex;
    std::condition_variable rang;
    bool ringing = false;
    void ring() {
        {
            const std::lock_guard lock(mutex);
            ringing = true;
        }
        rang.notify_one();
    }
    void wait(double seconds) {
        std::unique_lock lock(mutex);
        rang.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ringing; });
        ringing = false;
    }
};

/// Events to the window, requests to the worker. Whether anything happened.
bool exchange(ui::Ui& ui, Worker& worker) {
    auto events = worker.take();
    for (ui::Event& event : events) ui.apply(std::move(event));
    auto requests = ui.take();
    for (ui::Request& request : requests) worker.post(std::move(request));
    return !events.empty() || !requests.empty();
}

/// Takes from ImGui's queue what begins with the release of a modifier after a key was pressed: within one
/// frame ImGui would see the key pressed and the modifier gone, and a quick Ctrl+A would be an A.
std::vector<ImGuiInputEvent> take_for_next_frame() {
    ImVector<ImGuiInputEvent>& queue = ImGui::GetCurrentContext()->InputEventsQueue;
    bool pressed = false;
    for (int i = 0; i < queue.Size; ++i) {
        const ImGuiInputEvent& event = queue[i];
        if (event.Type != ImGuiInputEventType_Key) continue;
        const ImGuiKey key = event.Key.Key;
        const bool modifier = (key & ImGuiMod_Mask_) != 0 || ImGui::IsLRModKey(key);
        pressed |= event.Key.Down && !modifier;
        if (!pressed || event.Key.Down || !modifier) continue;
        std::vector<ImGuiInputEvent> later(queue.begin() + i, queue.end());
        queue.resize(i);
        return later;
    }
    return {};
}

void draw_frame(ui::Ui& ui, ui::Canvas& canvas, int width, int height) {
    const auto start = Clock::now();
    const auto later = take_for_next_frame();
    ImGui::NewFrame();
    for (const ImGuiInputEvent& event : later) ImGui::GetCurrentContext()->InputEventsQueue.push_back(event);
    ui.draw();
    ImGui::Render();
    canvas.draw(width, height);
    ui.frame_took(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
}

void write_png(const std::string& path, const ui::Canvas::Image& image) {
    OutputFile file(path);
    file.write(
        to_png(image.rgba, static_cast<uint32_t>(image.width), static_cast<uint32_t>(image.height), 4));
    file.commit();
}

/// Plays a script on a picture of the window; needs no display.
int play(const WindowOptions& options) {
    std::ifstream file(options.script);
    if (!file)
        throw Error("reading the script " + options.script, "there is no such file", "the path of one");
    std::stringstream text;
    text << file.rdbuf();
    ui::Script script = ui::Script::parse(text.str(), options.script);

    Bell bell;
    const Context context;
    ui::Canvas canvas(nullptr);
    ImGuiIO& io = ImGui::GetIO();
    io.DisplaySize = {static_cast<float>(options.width), static_cast<float>(options.height)};
    auto ui = std::make_unique<ui::Ui>(places(), options.model.model, options.model.device);
    ui->set_scale(options.scale);
    Worker worker([&bell] { bell.ring(); });
    const ui::Script::Program program{
        .shoot = [&](const std::string& path) { write_png(path, canvas.read()); },
        .say = [](const std::string& line) { print(line + "\n"); }};
    for (auto began = Clock::now();;) {
        exchange(*ui, worker);
        const bool more = script.advance(*ui, program);
        if (script.waiting()) {
            bell.wait(0.2);
            if (std::chrono::duration<double>(Clock::now() - began).count() > script_patience)
                throw Error("playing " + options.script, "what it waits for did not happen in ten minutes",
                            "a shorter answer");
        } else
            began = Clock::now();
        throw_if_interrupted();
        io.DeltaTime = 1.0f / 60;
        ImGui_ImplVulkan_NewFrame();
        draw_frame(*ui, canvas, options.width, options.height);
        if (!more) break;
    }
    if (!options.shot.empty()) program.shoot(options.shot);
    return 0;
}

/// A GLFW window, for as long as it lives.
struct Glfw {
    GLFWwindow* window = nullptr;
    Glfw(int width, int height) {
        glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
        window = glfwCreateWindow(width, height, "Kvasir", nullptr, nullptr);
    }
    ~Glfw() {
        if (window) glfwDestroyWindow(window);
        glfwTerminate();
    }
};

/// The window until it is closed. It draws when something happened and sleeps otherwise.
int show(const WindowOptions& options) {
    ui::Places where = places();
    std::string ignored;
    const ui::Settings before = ui::Settings::read(where.settings, ignored);
    const Glfw glfw(before.width, before.height);
    if (!glfw.window)
        throw Error("opening the window", "this display gives none",
                    "`kvasir chat`, the same in the terminal");
    const Context context;
    ImGui_ImplGlfw_InitForVulkan(glfw.window, true);
    {
        ui::Canvas canvas(glfw.window);
        ui::Ui ui(std::move(where), options.model.model, options.model.device);
        glfwSetWindowUserPointer(glfw.window, &ui);
        glfwSetDropCallback(glfw.window, [](GLFWwindow* window, int n, const char** paths) {
            if (n > 0) static_cast<ui::Ui*>(glfwGetWindowUserPointer(window))->open_model(paths[0]);
        });
        Bell bell;
        std::atomic<bool> listening =
            false; // to the bell: what GLFW posts goes by the X server, for each token
        Worker worker([&] { listening ? bell.ring() : glfwPostEmptyEvent(); });
        std::string title;
        int frames = trailing_frames;
        auto drawn = Clock::now() - std::chrono::seconds(1);
        while (!glfwWindowShouldClose(glfw.window) && interrupts() == 0) {
            const double since = std::chrono::duration<double>(Clock::now() - drawn).count();
            const bool slow = canvas.software() && ui.snapshot().generating && !ui.snapshot().paused;
            const double interval =
                std::clamp(ui.snapshot().frame_ms / 1000 / drawing_share, least_interval, longest_interval);
            listening = slow;
            if (slow && since < interval) bell.wait(std::min(interval - since, input_patience));
            if (slow || frames > 0)
                glfwPollEvents();
            else
                glfwWaitEvents();
            const bool input = ImGui::GetCurrentContext()->InputEventsQueue.Size > 0;
            const bool news = exchange(ui, worker);
            if (input || news || ui.wants_frame()) frames = trailing_frames;
            const double waited = std::chrono::duration<double>(Clock::now() - drawn).count();
            if (slow && !input && waited < interval) continue; // the model gets the processor
            if (frames == 0) frames = 1;                       // exposed, resized
            float scale = 1, other = 1;
            glfwGetWindowContentScale(glfw.window, &scale, &other);
            ui.set_scale(scale);
            if (const std::string now = ui.title(); now != title)
                glfwSetWindowTitle(glfw.window, (title = now).c_str());
            int width = 0, height = 0;
            glfwGetFramebufferSize(glfw.window, &width, &height);
            if (width == 0 || height == 0) { // minimised
                frames = 0, drawn = Clock::now();
                continue;
            }
            drawn = Clock::now();
            ImGui_ImplVulkan_NewFrame();
            ImGui_ImplGlfw_NewFrame();
            draw_frame(ui, canvas, width, height);
            --frames;
        }
        glfwGetWindowSize(glfw.window, &ui.settings().width, &ui.settings().height);
        ui.close();
    }
    ImGui_ImplGlfw_Shutdown();
    return 0;
}

} // namespace

int run(const WindowOptions& options) {
    if (!options.script.empty()) return play(options);
    glfwSetErrorCallback([](int, const char*) {}); // what fails is told below
    if (glfwInit() && glfwVulkanSupported()) return show(options);
    notice("kvasir: there is no display for the window; this is the chat in the terminal");
    return run(ChatOptions{.model = options.model, .answer = options.answer});
}

} // namespace kvasir
