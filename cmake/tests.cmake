# The tests of `ctest`: kvasir_tests on each driver, every header alone, and the layers.
find_package(doctest 2.4 REQUIRED)

add_executable(kvasir_tests ${tests_files})
target_link_libraries(kvasir_tests
    PRIVATE kvasir_runtime kvasir_warnings kvasir_vulkan doctest::doctest nlohmann_json::nlohmann_json)
target_compile_definitions(kvasir_tests PRIVATE KVASIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
add_test(NAME unit COMMAND kvasir_tests)

# Each header compiles alone: it includes what it uses. Built by its test, not by a plain build.
set(header_sources "")
foreach(header IN LISTS runtime_files app_files tests_files)
    if(header MATCHES "\\.hpp$")
        set(source ${PROJECT_BINARY_DIR}/headers/${header}.cpp)
        file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
        list(APPEND header_sources ${source})
    endif()
endforeach()
add_library(kvasir_headers OBJECT EXCLUDE_FROM_ALL ${header_sources})
target_link_libraries(kvasir_headers PRIVATE kvasir_runtime kvasir_warnings kvasir_vulkan)
add_test(NAME headers COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target kvasir_headers)
