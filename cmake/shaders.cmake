# Shaders into the binary: kvasir_shader() names one SPIR-V module, kvasir_embed_shaders() makes the library of them.
# The compiler writes each module as hexadecimal words, and one generated source file includes them all, so that no
# tool beyond glslang and CMake is needed.

# kvasir_shader(NAME STEM [DEFINES ...])
# Embeds shaders/STEM.comp, compiled with the macros given (A or A=value), under NAME.
function(kvasir_shader name stem)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "DEFINES")
    if(arg_UNPARSED_ARGUMENTS OR NOT name MATCHES "^[a-z][a-z0-9_]*$")
        message(FATAL_ERROR "kvasir_shader(${name} ${stem}): a name of small letters, a stem, then DEFINES; got ${ARGN}")
    endif()
    get_property(names GLOBAL PROPERTY KVASIR_SHADERS)
    if(name IN_LIST names)
        message(FATAL_ERROR "kvasir_shader(${name}): the name is taken; names are unique")
    endif()
    set_property(GLOBAL APPEND PROPERTY KVASIR_SHADERS ${name})
    set_property(GLOBAL APPEND PROPERTY KVASIR_SHADER_STEMS ${stem})

    set(source ${PROJECT_SOURCE_DIR}/shaders/${stem}.comp)
    set(words ${PROJECT_BINARY_DIR}/shaders/${name}.inc)
    list(TRANSFORM arg_DEFINES PREPEND "-D")
    add_custom_command(
        OUTPUT ${words}
        COMMAND ${CMAKE_COMMAND} -DOUTPUT=${words} -P ${PROJECT_SOURCE_DIR}/cmake/compile_shader.cmake --
                ${KVASIR_GLSLANG} -V --target-env vulkan1.2 -S comp -I${PROJECT_SOURCE_DIR}/shaders
                -I${PROJECT_SOURCE_DIR} ${arg_DEFINES} --depfile ${words}.d -x -o ${words} ${source}
        DEPENDS ${source} ${KVASIR_GLSLANG} ${PROJECT_SOURCE_DIR}/cmake/compile_shader.cmake
        DEPFILE ${words}.d
        COMMENT "Compiling shader ${name}"
        VERBATIM)
endfunction()

# The library kvasir_shaders: every module named so far, behind shaders/embedded.hpp.
function(kvasir_embed_shaders)
    get_property(names GLOBAL PROPERTY KVASIR_SHADERS)
    set(arrays "")
    set(rows "")
    set(outputs "")
    foreach(name IN LISTS names)
        string(APPEND arrays "constexpr uint32_t ${name}[] = {\n#include \"${name}.inc\"\n};\n")
        string(APPEND rows "    EmbeddedShader{\"${name}\", ${name}},\n")
        list(APPEND outputs ${PROJECT_BINARY_DIR}/shaders/${name}.inc)
    endforeach()
    list(LENGTH names count)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/embedded.cpp.in ${PROJECT_BINARY_DIR}/shaders/embedded.cpp @ONLY)

    add_library(kvasir_shaders STATIC ${PROJECT_BINARY_DIR}/shaders/embedded.cpp)
    set_source_files_properties(${PROJECT_BINARY_DIR}/shaders/embedded.cpp PROPERTIES OBJECT_DEPENDS "${outputs}")
    target_sources(kvasir_shaders PRIVATE ${outputs})
    target_include_directories(kvasir_shaders PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(kvasir_shaders PRIVATE kvasir_warnings)
endfunction()
