# The tests of ctest. One a source file, so that a failure names it; those of gpu_tests_files once a driver. Names begin
# with the build's (release, sanitize), because tests/run shows several builds in one summary.
find_package(doctest 2.4 REQUIRED)
get_filename_component(build ${PROJECT_BINARY_DIR} NAME)

# Vulkan drivers on the CPU: they give every machine the same devices. A real GPU is `kvasir conform`'s matter.
set(KVASIR_LAVAPIPE_ICD "" CACHE FILEPATH "Lavapipe's Vulkan driver manifest; empty: the system's")
set(KVASIR_SWIFTSHADER_ICD "" CACHE FILEPATH "SwiftShader's Vulkan driver manifest; empty: the one in .deps/, if any")
if(NOT KVASIR_LAVAPIPE_ICD)
    file(GLOB found /usr/share/vulkan/icd.d/lvp_icd*.json)
    list(APPEND found "")
    list(GET found 0 KVASIR_LAVAPIPE_ICD)
endif()
if(NOT KVASIR_SWIFTSHADER_ICD AND EXISTS ${KVASIR_DEPS}/swiftshader/vk_swiftshader_icd.json)
    set(KVASIR_SWIFTSHADER_ICD ${KVASIR_DEPS}/swiftshader/vk_swiftshader_icd.json)
endif()

# GCC with sanitizers takes a std::function inside std::regex for uninitialised (GCC bug 105562).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_source_files_properties(tests/hf_folder.cpp tests/readme_test.cpp tests/what_runs.cpp tests/words_test.cpp
        PROPERTIES COMPILE_OPTIONS -Wno-maybe-uninitialized)
endif()
add_executable(kvasir_tests ${tests_files} ${gpu_tests_files} ${tests_support_files})
target_link_libraries(kvasir_tests
    PRIVATE kvasir_commands kvasir_warnings kvasir_vulkan doctest::doctest nlohmann_json::nlohmann_json)
target_compile_definitions(kvasir_tests PRIVATE
    KVASIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    KVASIR_LAVAPIPE_ICD="${KVASIR_LAVAPIPE_ICD}"
    KVASIR_SWIFTSHADER_ICD="${KVASIR_SWIFTSHADER_ICD}")
add_dependencies(kvasir_tests kvasir_app)
target_compile_definitions(kvasir_tests PRIVATE KVASIR_BINARY="$<TARGET_FILE:kvasir_app>")

# Seeded random models, for benchmarks beside other programs.
add_executable(make_model tests/make_model.cpp tests/gguf_writer.cpp tests/random_model.cpp)
target_link_libraries(make_model PRIVATE kvasir_runtime kvasir_warnings CLI11::CLI11)

set(leaks "LSAN_OPTIONS=suppressions='${PROJECT_SOURCE_DIR}/tests/leaks.txt'") # of those that are not ours

# add_file_test(FILE DRIVER [MANIFEST]): the cases of one source file, on the Vulkan driver of that manifest.
function(add_file_test file driver)
    string(REGEX REPLACE "^tests/|_test|\\.cpp$" "" stem ${file})
    set(name ${build}.${driver}.${stem})
    add_test(NAME ${name} COMMAND kvasir_tests --source-file=*/${file})
    # Compiled pipelines, the driver's own included, are kept beside the builds, which share them (a driver takes minutes for
    # all of them), and leave the user's cache alone.
    set(environment ${leaks} "XDG_CACHE_HOME=${PROJECT_BINARY_DIR}/../cache")
    if(ARGC GREATER 2)
        list(APPEND environment "VK_DRIVER_FILES=${ARGV2}" "VK_ICD_FILENAMES=${ARGV2}")
    endif()
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "${environment}" LABELS ${driver})
endfunction()

foreach(file IN LISTS tests_files)
    add_file_test(${file} host)
endforeach()
foreach(file IN LISTS gpu_tests_files)
    foreach(driver lavapipe swiftshader)
        string(TOUPPER KVASIR_${driver}_ICD manifest)
        if(${manifest})
            add_file_test(${file} ${driver} ${${manifest}})
        endif()
    endforeach()
endforeach()

# The tutor and its held-out questions. The script needs Python alone; without it there is no such test.
find_program(KVASIR_PYTHON python3)
if(KVASIR_PYTHON AND KVASIR_LAVAPIPE_ICD AND NOT KVASIR_SANITIZE)
    add_test(NAME ${build}.lavapipe.tutor
             COMMAND ${KVASIR_PYTHON} ${PROJECT_SOURCE_DIR}/tests/tutor/score.py --kvasir $<TARGET_FILE:kvasir_app>)
    set_tests_properties(${build}.lavapipe.tutor PROPERTIES LABELS lavapipe ENVIRONMENT
        "PYTHONDONTWRITEBYTECODE=1;XDG_CACHE_HOME=${PROJECT_BINARY_DIR}/../cache;VK_DRIVER_FILES=${KVASIR_LAVAPIPE_ICD};VK_ICD_FILENAMES=${KVASIR_LAVAPIPE_ICD}")
endif()

# The window on a display of its own, which its script opens; without Xvfb, xdotool or Python there is no such test.
find_program(KVASIR_XVFB Xvfb)
find_program(KVASIR_XDOTOOL xdotool)
if(KVASIR_WINDOW AND KVASIR_PYTHON AND KVASIR_XVFB AND KVASIR_XDOTOOL AND KVASIR_LAVAPIPE_ICD)
    add_library(lose_device MODULE tests/lose_device.cpp)
    target_link_libraries(lose_device PRIVATE kvasir_warnings kvasir_vulkan ${CMAKE_DL_LIBS})
    set(drivers ${KVASIR_LAVAPIPE_ICD})
    if(KVASIR_SWIFTSHADER_ICD) # devices to switch between
        string(APPEND drivers ":${KVASIR_SWIFTSHADER_ICD}")
    endif()
    add_test(NAME ${build}.display.window
             COMMAND ${KVASIR_PYTHON} ${PROJECT_SOURCE_DIR}/tests/window_x11.py --kvasir $<TARGET_FILE:kvasir_app>
                     --lose-device $<TARGET_FILE:lose_device>)
    set(environment "PYTHONDONTWRITEBYTECODE=1" "XDG_CACHE_HOME=${PROJECT_BINARY_DIR}/../cache"
        "VK_DRIVER_FILES=${drivers}" "VK_ICD_FILENAMES=${drivers}")
    if(KVASIR_SANITIZE) # the preloaded library comes before the sanitizer's
        list(APPEND environment ${leaks} "ASAN_OPTIONS=verify_asan_link_order=0")
    endif()
    set_tests_properties(${build}.display.window PROPERTIES LABELS display ENVIRONMENT "${environment}")
endif()

if(KVASIR_WINDOW)
    add_executable(kvasir_ui_tests ${ui_tests_files})
    target_link_libraries(kvasir_ui_tests PRIVATE kvasir_ui imgui_window kvasir_warnings doctest::doctest)
    target_compile_definitions(kvasir_ui_tests PRIVATE KVASIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    foreach(file IN LISTS ui_tests_files)
        if(file MATCHES "_test\\.cpp$")
            string(REGEX REPLACE "^tests/|_test\\.cpp$" "" stem ${file})
            add_test(NAME ${build}.ui.${stem} COMMAND kvasir_ui_tests --source-file=*/${file})
        endif()
    endforeach()
endif()

# What does not depend on how the code is compiled is checked once.
if(NOT KVASIR_SANITIZE)
    # Each header compiles alone: it includes what it uses. Built by its test, not by a plain build.
    set(header_sources "")
    foreach(header IN LISTS runtime_files app_files tests_support_files)
        if(header MATCHES "\\.hpp$")
            set(source ${PROJECT_BINARY_DIR}/headers/${header}.cpp)
            file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
            list(APPEND header_sources ${source})
        endif()
    endforeach()
    add_library(kvasir_headers OBJECT EXCLUDE_FROM_ALL ${header_sources})
    target_link_libraries(kvasir_headers PRIVATE $<TARGET_PROPERTY:kvasir_tests,LINK_LIBRARIES>)
    target_compile_definitions(kvasir_headers PRIVATE $<TARGET_PROPERTY:kvasir_tests,COMPILE_DEFINITIONS>)
    add_test(NAME ${build}.headers COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target kvasir_headers)
    get_property(stems GLOBAL PROPERTY KVASIR_SHADER_STEMS)
    list(JOIN stems "," stems)
    add_test(NAME ${build}.layers COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DSTEMS=${stems}
             -DSCRATCH=${PROJECT_BINARY_DIR}/layers -P ${PROJECT_SOURCE_DIR}/tests/layers_test.cmake)
endif()

if(KVASIR_SANITIZE)
    foreach(program kvasir_app kvasir_tests kvasir_ui_tests)
        if(TARGET ${program})
            target_sources(${program} PRIVATE tests/keep_libraries.cpp)
        endif()
    endforeach()
endif()
