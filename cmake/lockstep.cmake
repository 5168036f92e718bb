# Flags and the three kinds of target that every folder declares:
#   lockstep_library(NAME SOURCES ... LINKS ...)      a folder's library, target lockstep_NAME
#   lockstep_test(NAME SOURCES ... LINKS ...)         a GoogleTest program, registered with CTest
#   lockstep_fuzzer(NAME SOURCES ... LINKS ...)       a libFuzzer harness, only with LOCKSTEP_FUZZ

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

find_program(LOCKSTEP_CCACHE ccache)
if(LOCKSTEP_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${LOCKSTEP_CCACHE}")
endif()

# The contract needs one IEEE operation at a time: contraction off, no fast-math. The two -fno- flags
# give up errno and floating-point traps only; they change no value.
add_compile_options(-ffp-contract=off -fno-math-errno -fno-trapping-math
                    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fpch-preprocess)  # ccache's wish where headers are precompiled
endif()
if(LOCKSTEP_SANITIZE)
  add_compile_options(-fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${LOCKSTEP_SANITIZE})
  add_compile_definitions(LOCKSTEP_SANITIZED)
endif()
if(CMAKE_CROSSCOMPILING_EMULATOR)
  add_compile_definitions(LOCKSTEP_EMULATED)
endif()
if(LOCKSTEP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
if(LOCKSTEP_TESTS)
  find_package(GTest REQUIRED)
endif()

function(lockstep_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(lockstep_${name} STATIC ${ARG_SOURCES})
  target_include_directories(lockstep_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/include")
  target_link_libraries(lockstep_${name} PUBLIC ${ARG_LINKS})
endfunction()

# With LOCKSTEP_UNITY the sources of each subfolder are compiled as one unit: less than half the time where all
# begin with the same heavy headers. Names in unnamed namespaces must then differ within a subfolder.
function(lockstep_unity target)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(GET folder FILENAME name)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP "folder_${name}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD "${LOCKSTEP_UNITY}" UNITY_BUILD_MODE GROUP)
endfunction()

# Sets `result` to the files' contents as C++: for each of them `entry`, a line in which @text@ stands for the
# content as a string, @name@ for the file's name and @stem@ for that without its ending.
function(lockstep_embed result entry)
  set(lines "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    cmake_path(GET file FILENAME name)
    cmake_path(GET file STEM stem)
    file(READ "${file}" text)
    set(text "R\"text(${text})text\"")
    string(CONFIGURE "${entry}" line @ONLY)
    string(APPEND lines "${line}\n")
  endforeach()
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

function(lockstep_test name)
  if(LOCKSTEP_TESTS)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;LABELS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name})
    if(ARG_LABELS)
      set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
    endif()
  endif()
endfunction()

function(lockstep_fuzzer name)
  if(LOCKSTEP_FUZZ)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LINKS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
