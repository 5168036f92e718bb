# Cross-build for aarch64 with Debian's g++-aarch64-linux-gnu and the libraries that tests/tools/aarch64_sysroot
# unpacked: cmake -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DLOCKSTEP_SYSROOT=/absolute/sysroot ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LOCKSTEP_SYSROOT)

# The C library is the compiler's own; the sysroot holds the others.
set(triplet aarch64-linux-gnu)
set(library_folder "${LOCKSTEP_SYSROOT}/usr/lib/${triplet}")
set(CMAKE_LIBRARY_ARCHITECTURE ${triplet})
set(CMAKE_FIND_ROOT_PATH "${LOCKSTEP_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CXX_FLAGS_INIT "-isystem ${LOCKSTEP_SYSROOT}/usr/include -isystem ${LOCKSTEP_SYSROOT}/usr/include/${triplet}")
foreach(kind IN ITEMS EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT
      "-L${library_folder} -Wl,-rpath-link,${library_folder}:${LOCKSTEP_SYSROOT}/lib/${triplet}")
endforeach()

# Runs what was built; ctest uses it too.
set(CMAKE_CROSSCOMPILING_EMULATOR
    "qemu-aarch64;-L;/usr/${triplet};-E;LD_LIBRARY_PATH=${library_folder}:${LOCKSTEP_SYSROOT}/lib/${triplet}")
