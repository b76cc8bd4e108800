# Distribution packages first. Where a distribution's version is too old, tools/setup.sh brings a newer one into
# .deps/, and what is found there goes first.
set(KVASIR_DEPS ${PROJECT_SOURCE_DIR}/.deps)

find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Vulkan REQUIRED)

# The shader compiler. Not a cache variable in .deps/, so that it is taken up as soon as it is there.
if(EXISTS ${KVASIR_DEPS}/glslang/bin/glslang)
    set(KVASIR_GLSLANG ${KVASIR_DEPS}/glslang/bin/glslang)
else()
    find_program(KVASIR_GLSLANG NAMES glslang glslangValidator REQUIRED)
endif()

# The loader is the system's; headers may be newer ones.
add_library(kvasir_vulkan INTERFACE)
if(EXISTS ${KVASIR_DEPS}/vulkan-headers/include)
    target_include_directories(kvasir_vulkan SYSTEM INTERFACE ${KVASIR_DEPS}/vulkan-headers/include)
endif()
target_link_libraries(kvasir_vulkan INTERFACE Vulkan::Vulkan)

# PCRE2, utf8proc and stb have no CMake package in the distributions.
find_path(PCRE2_INCLUDE_DIR pcre2.h REQUIRED)
find_library(PCRE2_LIBRARY pcre2-8 REQUIRED)
add_library(kvasir_pcre2 INTERFACE)
target_include_directories(kvasir_pcre2 SYSTEM INTERFACE ${PCRE2_INCLUDE_DIR})
target_compile_definitions(kvasir_pcre2 INTERFACE PCRE2_CODE_UNIT_WIDTH=8)
target_link_libraries(kvasir_pcre2 INTERFACE ${PCRE2_LIBRARY})

find_path(UTF8PROC_INCLUDE_DIR utf8proc.h REQUIRED)
find_library(UTF8PROC_LIBRARY utf8proc REQUIRED)
add_library(kvasir_utf8proc INTERFACE)
target_include_directories(kvasir_utf8proc SYSTEM INTERFACE ${UTF8PROC_INCLUDE_DIR})
target_link_libraries(kvasir_utf8proc INTERFACE ${UTF8PROC_LIBRARY})

find_path(STB_INCLUDE_DIR stb_image_write.h PATH_SUFFIXES stb REQUIRED)
add_library(kvasir_stb INTERFACE)
target_include_directories(kvasir_stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})
