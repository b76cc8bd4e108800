# One libFuzzer program a file of fuzz_files, tests/fuzz_NAME.cpp. As a test each makes a bounded number of runs from a
# fixed seed, beginning with small valid inputs that fuzz_seeds writes.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "KVASIR_FUZZ: libFuzzer needs clang, and the compiler is ${CMAKE_CXX_COMPILER_ID}; try cmake --preset fuzz")
endif()
add_executable(fuzz_seeds tests/fuzz_seeds.cpp tests/gguf_writer.cpp tests/random_model.cpp)
target_link_libraries(fuzz_seeds PRIVATE kvasir_runtime kvasir_warnings nlohmann_json::nlohmann_json)
add_test(NAME fuzz.seeds COMMAND fuzz_seeds ${PROJECT_BINARY_DIR}/seeds)
set_tests_properties(fuzz.seeds PROPERTIES FIXTURES_SETUP seeds)
add_custom_target(kvasir_fuzz) # all of them, and nothing they do not link
foreach(file IN LISTS fuzz_files)
    string(REGEX REPLACE "^tests/fuzz_(.*)\\.cpp$" "\\1" name ${file})
    add_executable(fuzz_${name} ${file})
    target_link_libraries(fuzz_${name} PRIVATE kvasir_runtime kvasir_warnings nlohmann_json::nlohmann_json)
    add_dependencies(kvasir_fuzz fuzz_${name} fuzz_seeds)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(corpus ${PROJECT_BINARY_DIR}/seeds/${name})
    set(found ${PROJECT_BINARY_DIR}/corpus/${name}) # what a run adds goes first, so that it stays out of the repository
    file(MAKE_DIRECTORY ${found} ${corpus})
    add_test(NAME fuzz.${name}
        COMMAND fuzz_${name} -runs=200000 -seed=1 -max_len=65536 -timeout=10 -rss_limit_mb=2048 ${found} ${corpus})
    set_tests_properties(fuzz.${name} PROPERTIES FIXTURES_REQUIRED seeds)
endforeach()
