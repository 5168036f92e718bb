# Fails where an object file compiled for one CPU holds a weak function that is not its own: the linker could
# give that copy to code meant for every CPU. Run as: cmake -DNM=nm -DOBJECTS=a.o;b.o -P check_symbols.cmake
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND "${NM}" -C "${object}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* W [^\n]*" weak "${symbols}")
  if(NOT symbols MATCHES "Avx2|Avx512|Amx|Neon")
    message(FATAL_ERROR "${object}: nothing of one CPU found, this check reads the wrong file")
  endif()
  foreach(symbol IN LISTS weak)
    if(NOT symbol MATCHES "Avx2|Avx512|Amx|Neon")
      message(FATAL_ERROR "${object}: a shared inline function was compiled for one CPU: ${symbol}")
    endif()
  endforeach()
endforeach()
