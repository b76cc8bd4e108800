# Dear ImGui: from the sources in .deps/imgui, else the distribution's library.
# imgui: the library alone, all that panels need to run without a display. imgui_window: with GLFW and Vulkan.
find_package(glfw3 3.3 REQUIRED)
set(imgui_dir ${KVASIR_DEPS}/imgui)
if(EXISTS ${imgui_dir}/imgui.h)
    add_library(imgui STATIC
        ${imgui_dir}/imgui.cpp
        ${imgui_dir}/imgui_draw.cpp
        ${imgui_dir}/imgui_tables.cpp
        ${imgui_dir}/imgui_widgets.cpp
    )
    target_include_directories(imgui SYSTEM PUBLIC ${imgui_dir} ${imgui_dir}/backends)
    add_library(imgui_window STATIC
        ${imgui_dir}/backends/imgui_impl_glfw.cpp
        ${imgui_dir}/backends/imgui_impl_vulkan.cpp
    )
    target_link_libraries(imgui_window PUBLIC imgui kvasir_vulkan glfw)
else()
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(IMGUI REQUIRED IMPORTED_TARGET imgui>=1.90)
    add_library(imgui INTERFACE)
    target_include_directories(imgui SYSTEM INTERFACE ${IMGUI_INCLUDEDIR}/backends)
    target_link_libraries(imgui INTERFACE PkgConfig::IMGUI)
    add_library(imgui_window INTERFACE)
    target_link_libraries(imgui_window INTERFACE imgui kvasir_vulkan glfw)
endif()
