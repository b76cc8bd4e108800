# Dear ImGui from the sources in .deps/imgui, built only when something links it.
# imgui: the library alone, all that panels need to run without a display. imgui_window: with GLFW and Vulkan.
set(imgui_dir ${KVASIR_DEPS}/imgui)
find_package(glfw3 3.3 QUIET)
if(EXISTS ${imgui_dir}/imgui.h)
    add_library(imgui STATIC EXCLUDE_FROM_ALL
        ${imgui_dir}/imgui.cpp
        ${imgui_dir}/imgui_draw.cpp
        ${imgui_dir}/imgui_tables.cpp
        ${imgui_dir}/imgui_widgets.cpp
    )
    target_include_directories(imgui SYSTEM PUBLIC ${imgui_dir})
    target_compile_features(imgui PUBLIC cxx_std_20)
    if(glfw3_FOUND)
        add_library(imgui_window STATIC EXCLUDE_FROM_ALL
            ${imgui_dir}/backends/imgui_impl_glfw.cpp
            ${imgui_dir}/backends/imgui_impl_vulkan.cpp
        )
        target_include_directories(imgui_window SYSTEM PUBLIC ${imgui_dir}/backends)
        target_link_libraries(imgui_window PUBLIC imgui kvasir_vulkan glfw)
    endif()
endif()
