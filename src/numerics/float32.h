// binary32 as the contract uses it: bits, a fused multiply-add and a rounding that do not depend on libm.
// NUMERICS.md section 1.
#pragma once

#include <bit>
#include <cstdint>

namespace lockstep::numerics {

inline uint32_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value);
}
inline float from_bits(uint32_t bits) {
  return std::bit_cast<float>(bits);
}

inline constexpr float kLog2E = std::bit_cast<float>(0x3fb8aa3bu);
inline constexpr float kLn2 = std::bit_cast<float>(0x3f317218u);

// a*b + c, rounded once. Without an FMA instruction the sum is formed in binary64, where the product is
// exact, rounded to odd and then to binary32; correct because 53 >= 2*24 + 2 (Boldo and Melquiond,
// "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
inline float fma32(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(a, b, c);
#else
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = c;
  double sum = product + addend;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (error != 0 && (bits & 1) == 0) {
    bits += ((error > 0) == (sum > 0)) ? 1 : ~uint64_t{0};
    sum = std::bit_cast<double>(bits);
  }
  return static_cast<float>(sum);
#endif
}

// To the nearest integer, ties to even; keeps the sign of zero. In the default rounding mode adding 2^23
// leaves no fraction bits.
inline float rint32(float x) {
  const float magnitude = from_bits(bits_of(x) & 0x7fffffffu);
  if (!(magnitude < 8388608.0f)) return x;
  const float rounded = (magnitude + 8388608.0f) - 8388608.0f;
  return from_bits(bits_of(rounded) | (bits_of(x) & 0x80000000u));
}

// The same in binary64.
inline double rint64(double x) {
  const double magnitude = x < 0 ? -x : x;
  if (!(magnitude < 4503599627370496.0)) return x;
  const double rounded = (magnitude + 4503599627370496.0) - 4503599627370496.0;
  return x < 0 ? -rounded : rounded;
}

inline float sqrt32(float x) {
  return __builtin_sqrtf(x);
}

// f32 of an integer: one rounding, to nearest even.
inline float f32(int64_t value) {
  return static_cast<float>(value);
}

}  // namespace lockstep::numerics
