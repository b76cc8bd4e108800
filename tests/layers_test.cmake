cmake_minimum_required(VERSION 3.25)

# cmake -DROOT=REPOSITORY -DSTEMS=SHADER,... -DSCRATCH=FOLDER -P layers_test.cmake
# shaders <- runtime <- ui <- app: a file includes only its own layer and those before it, and libraries of the window stay
# out of what comes before the window. And every source file is in CMakeLists.txt, so that none is forgotten.
set(shaders_may "^shaders/")
set(runtime_may "^(shaders|runtime)/")
set(ui_may "^(shaders|runtime|ui)/")
set(app_may "^(shaders|runtime|ui|app)/")
set(tests_may "^(shaders|runtime|ui|app|tests)/")
set(shaders_not "^(vulkan|GLFW|CLI|imgui|stb|doctest)")
set(runtime_not "^(GLFW|CLI|imgui|stb|doctest)")
set(ui_not "^(CLI|doctest)|^runtime/(ops|forward|weights|gpu/(commands|pipeline))\\.hpp$") # a panel draws; it computes nothing on the GPU
set(app_not "^doctest")
set(tests_not "^$")

# check(ROOT STEMS FAULTS): sets FAULTS to one line for each broken rule; STEMS are the shaders that are compiled.
function(check root stems faults)
    set(found "")
    file(READ ${root}/CMakeLists.txt lists)
    foreach(layer shaders runtime ui app tests)
        file(GLOB_RECURSE files RELATIVE ${root} ${root}/${layer}/*.cpp ${root}/${layer}/*.hpp ${root}/${layer}/*.h)
        foreach(file IN LISTS files)
            file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
            foreach(line IN LISTS includes)
                string(REGEX MATCH "([<\"])([^>\"]*)" name "${line}")
                set(name "${CMAKE_MATCH_2}")
                if((CMAKE_MATCH_1 STREQUAL "\"" AND NOT name MATCHES "${${layer}_may}") OR name MATCHES "${${layer}_not}")
                    list(APPEND found "${file} includes ${name}")
                endif()
            endforeach()
            if(NOT layer STREQUAL "shaders" AND NOT lists MATCHES "[ \n]${file}[ \n)]")
                list(APPEND found "${file} is not in CMakeLists.txt")
            endif()
        endforeach()
    endforeach()
    file(GLOB files RELATIVE ${root}/shaders ${root}/shaders/*.comp)
    foreach(file IN LISTS files)
        string(REPLACE ".comp" "" stem ${file})
        if(NOT stem IN_LIST stems)
            list(APPEND found "shaders/${file} is in no kvasir_shader() of CMakeLists.txt")
        endif()
    endforeach()
    set(${faults} "${found}" PARENT_SCOPE)
endfunction()

# The check itself is checked: it finds each fault planted here, and nothing else.
file(REMOVE_RECURSE ${SCRATCH})
file(WRITE ${SCRATCH}/CMakeLists.txt "\n runtime/a.cpp\n ui/b.cpp)\n")
file(WRITE ${SCRATCH}/shaders/one.comp "")
file(WRITE ${SCRATCH}/shaders/two.comp "")
file(WRITE ${SCRATCH}/runtime/a.cpp "#include <vector>\n#include \"runtime/a.hpp\"\n  # include <GLFW/glfw3.h>\n#include \"ui/theme.hpp\"\n")
file(WRITE ${SCRATCH}/runtime/lost.cpp "#include \"../ui/b.hpp\"\n")
file(WRITE ${SCRATCH}/ui/b.cpp "#include <GLFW/glfw3.h>\n#include \"runtime/session.hpp\"\n#include \"runtime/gpu/commands.hpp\"\n")
check(${SCRATCH} "one" faults)
set(planted
    "runtime/a.cpp includes GLFW/glfw3.h" "runtime/a.cpp includes ui/theme.hpp" "runtime/lost.cpp includes ../ui/b.hpp"
    "runtime/lost.cpp is not in CMakeLists.txt" "ui/b.cpp includes runtime/gpu/commands.hpp"
    "shaders/two.comp is in no kvasir_shader() of CMakeLists.txt")
if(NOT faults STREQUAL planted)
    message(FATAL_ERROR "the check of the layers is itself wrong; planted:\n${planted}\nfound:\n${faults}")
endif()

string(REPLACE "," ";" STEMS "${STEMS}")
check(${ROOT} "${STEMS}" faults)
if(faults)
    list(JOIN faults "\n  " faults)
    message(FATAL_ERROR "broken layers:\n  ${faults}")
endif()
