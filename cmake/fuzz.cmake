# One libFuzzer program a file of fuzz_files, tests/fuzz_NAME.cpp. As a test each makes a bounded number of runs from a
# fixed seed, beginning with the inputs in tests/corpus/NAME, if any.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "KVASIR_FUZZ: libFuzzer needs clang, and the compiler is ${CMAKE_CXX_COMPILER_ID}; try cmake --preset fuzz")
endif()
add_custom_target(kvasir_fuzz) # all of them, and nothing they do not link
foreach(file IN LISTS fuzz_files)
    string(REGEX REPLACE "^tests/fuzz_(.*)\\.cpp$" "\\1" name ${file})
    add_executable(fuzz_${name} ${file})
    target_link_libraries(fuzz_${name} PRIVATE kvasir_runtime kvasir_warnings nlohmann_json::nlohmann_json)
    add_dependencies(kvasir_fuzz fuzz_${name})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(corpus ${PROJECT_SOURCE_DIR}/tests/corpus/${name})
    if(NOT EXISTS ${corpus})
        set(corpus "")
    endif()
    set(found ${PROJECT_BINARY_DIR}/corpus/${name}) # what a run adds goes first, so that it stays out of the repository
    file(MAKE_DIRECTORY ${found})
    add_test(NAME fuzz.${name}
        COMMAND fuzz_${name} -runs=200000 -seed=1 -max_len=65536 -timeout=10 -rss_limit_mb=2048 ${found} ${corpus})
endforeach()
