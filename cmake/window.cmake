# What the window is made of. imgui: the library alone, all that panels need to run without a display. imgui_window: with
# GLFW and Vulkan. Dear ImGui comes from the sources in .deps/imgui, else from the distribution.
find_package(glfw3 3.3 REQUIRED)
find_package(PkgConfig REQUIRED)
set(imgui_dir ${KVASIR_DEPS}/imgui)
if(EXISTS ${imgui_dir}/imgui.h)
    add_library(imgui STATIC
        ${imgui_dir}/imgui.cpp
        ${imgui_dir}/imgui_draw.cpp
        ${imgui_dir}/imgui_tables.cpp
        ${imgui_dir}/imgui_widgets.cpp
    )
    target_include_directories(imgui SYSTEM PUBLIC ${imgui_dir} ${imgui_dir}/backends)
    target_compile_definitions(imgui PUBLIC IMGUI_USE_WCHAR32) # emoji and rare Chinese characters lie beyond 16 bits
    add_library(imgui_window STATIC
        ${imgui_dir}/backends/imgui_impl_glfw.cpp
        ${imgui_dir}/backends/imgui_impl_vulkan.cpp
    )
    target_link_libraries(imgui_window PUBLIC imgui kvasir_vulkan glfw)
else()
    pkg_check_modules(IMGUI REQUIRED IMPORTED_TARGET imgui>=1.92)
    add_library(imgui INTERFACE)
    target_include_directories(imgui SYSTEM INTERFACE ${IMGUI_INCLUDEDIR}/backends)
    target_link_libraries(imgui INTERFACE PkgConfig::IMGUI)
    add_library(imgui_window INTERFACE)
    target_link_libraries(imgui_window INTERFACE imgui kvasir_vulkan glfw)
endif()

pkg_check_modules(MD4C REQUIRED IMPORTED_TARGET md4c)
pkg_check_modules(FONTCONFIG REQUIRED IMPORTED_TARGET fontconfig)
add_library(kvasir_md4c INTERFACE)
target_link_libraries(kvasir_md4c INTERFACE PkgConfig::MD4C PkgConfig::FONTCONFIG)
