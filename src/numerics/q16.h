// Q16, the quantised vector, and its two balanced 8-bit planes. NUMERICS.md section 2.
#pragma once

#include <cstdint>
#include <span>

namespace lockstep::numerics {

// The largest magnitude of a quantised element: 16-bit vectors, and the 8-bit form of the KV cache.
inline constexpr int32_t kQ16Levels = 32512;
inline constexpr int32_t kQ8Levels = 127;

// Bounds of m = max |x| as binary32 bits: from 2^32 on an error, below 2^-64 a zero vector.
inline constexpr uint32_t kQ16ErrorBits = 0x4f800000u;
inline constexpr uint32_t kQ16ZeroBits = 0x1f800000u;

// Quantises x into a (the same length) and the scale s, so that x_i is about a_i * s. Returns false, with
// a = 0 and s = 0, when some |x_i| is 2^32 or more or a NaN: the caller names operator, layer and position.
[[nodiscard]] bool quantise(std::span<const float> x, int32_t levels, std::span<int16_t> a, float& s);

// The vector of length 1 in the direction of a Q16 vector; zeros where that has none. `out` has its length.
// NUMERICS.md section 5. REQUIRES: |a_i| <= kQ16Levels and at most 2^23 of them.
void unit_length(std::span<const int16_t> a, std::span<float> out);

// The planes of one element, a = 255*hi + lo, both in [-127, 127].
inline int32_t plane_hi(int32_t a) {
  return (a + (a >> 8) + 128) >> 8;
}
inline int32_t plane_lo(int32_t a) {
  return a - 255 * plane_hi(a);
}

}  // namespace lockstep::numerics
