# cmake -DOUTPUT=FILE -P compile_shader.cmake -- COMMAND...
# Runs the shader compiler; a warning is an error, which glslang itself cannot be told. What a failed run wrote is
# removed, so that the next build tries again.
foreach(i RANGE 1 ${CMAKE_ARGC})
    if(in_command AND i LESS CMAKE_ARGC)
        list(APPEND command "${CMAKE_ARGV${i}}")
    elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
        set(in_command TRUE)
    endif()
endforeach()
execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(NOT status EQUAL 0 OR text MATCHES "(^|\n)(WARNING|ERROR):")
    file(REMOVE ${OUTPUT})
    message("${text}")
    message(FATAL_ERROR "${OUTPUT} is not made")
endif()
