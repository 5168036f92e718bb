// The floating-point control register of a thread.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace lockstep {

// To nearest even, subnormals kept, for this thread: a loaded library may have changed it. NUMERICS.md
// section 1.
inline void set_floating_point_control() {
#if defined(__x86_64__)
  _mm_setcsr(0x1f80);
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
#endif
}

}  // namespace lockstep
