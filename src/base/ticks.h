// The processor's own clock: some 10 ns to read, so that single instructions of a step can be timed.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#else
#include <chrono>
#endif

namespace lockstep {

// Ticks of a constant rate since some start, the same on all cores.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  uint64_t value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// Seconds of one tick, measured once against the system's clock (20 ms on the first call). THREAD: any.
double tick_s();

}  // namespace lockstep
