// The contract's functions, one value at a time. NUMERICS.md section 6.
#pragma once

#include "numerics/float32.h"

namespace lockstep::numerics {

// P(f; c0, c1, ...): p = c0, then p = fma(p, f, c) for each next c; coefficients are binary32 bits.
template <float (*fma)(float, float, float) = fma32, class... Rest>
[[gnu::always_inline]] inline float polynomial(float f, uint32_t first, Rest... rest) {
  float p = from_bits(first);
  ((p = fma(p, f, from_bits(rest))), ...);
  return p;
}

// `fma` may be the CPU's instruction where the caller is compiled for it.
template <float (*fma)(float, float, float) = fma32>
[[gnu::always_inline]] inline float exp2(float x) {
  if (x != x) return x;  // the contract keeps NaNs out; only a refused vector gets here
  if (x < -64.0f) return 0.0f;
  if (x > 126.0f) x = 126.0f;
  const float n = rint32(x);
  const float p =
      polynomial<fma>(x - n, 0x3aad9039u, 0x3c1e75d7u, 0x3d635c62u, 0x3e75fcdbu, 0x3f317214u, 0x3f800000u);
  return from_bits(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23) * p;
}

// The end of ln and ln1m: e*LN2 + ln(1 + f).
inline float ln_from_parts(int32_t e, float f) {
  const float q = polynomial(f, 0x3db584f7u, 0xbe134915u, 0x3e18a4eau, 0xbe299117u, 0x3e4c68d9u, 0xbe8002e1u,
                             0x3eaaab80u, 0xbefffffcu);
  return fma32(static_cast<float>(e), kLn2, f + q * (f * f));
}

inline int32_t ln_exponent(float y) {
  return static_cast<int32_t>(bits_of(y) - 0x3f3504f3u) >> 23;
}

// y scaled by 2^-e into [sqrt(1/2), sqrt(2)); exact for a normal y.
inline float ln_scaled(float y, int32_t e) {
  return from_bits(bits_of(y) - (static_cast<uint32_t>(e) << 23));
}

// The natural logarithm of a positive normal y.
inline float ln(float y) {
  const int32_t e = ln_exponent(y);
  return ln_from_parts(e, ln_scaled(y, e) - 1.0f);
}

// ln(1 - v) for 0 <= v <= 1 - 2^-24.
inline float ln1m(float v) {
  const float y = 1.0f - v;
  const int32_t e = ln_exponent(y);
  return ln_from_parts(e, e == 0 ? -v : ln_scaled(y, e) - 1.0f);
}

struct CosSin {
  float cos;
  float sin;
};

// cos and sin of h * 2^-32 turns.
inline CosSin cos_sin(int32_t h) {
  const int32_t k = static_cast<int32_t>(static_cast<uint32_t>(h) + 0x20000000u) >> 30;
  const int32_t rest = static_cast<int32_t>(static_cast<uint32_t>(h) - (static_cast<uint32_t>(k) << 30));
  const float z = static_cast<float>(rest) * from_bits(0x30c90fdbu);
  const float g = z * z;
  const float s = z + polynomial(g, 0xb94ca75fu, 0x3c0883b7u, 0xbe2aaaa3u) * (z * g);
  const float c = polynomial(g, 0x37cdb8ecu, 0xbab6092bu, 0x3d2aaaabu, 0xbf000000u, 0x3f800000u);
  switch (k & 3) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

inline float sigmoid(float x) {
  return 1.0f / (1.0f + exp2(x * -kLog2E));
}
inline float silu(float x) {
  return x / (1.0f + exp2(x * -kLog2E));
}
inline float tanh(float x) {
  return 1.0f - 2.0f / (1.0f + exp2(x * from_bits(0x4038aa3bu)));
}
inline float gelu_tanh(float x) {
  return x / (1.0f + exp2(-(x * fma32(x * x, from_bits(0x3dd2d3e8u), from_bits(0x40135761u)))));
}
inline float gelu_erf(float x) {
  const float z = from_bits(bits_of(x) & 0x7fffffffu) * from_bits(0x3f3504f3u);
  const float t = 1.0f / fma32(z, from_bits(0x3ea7ba05u), 1.0f);
  const float p = polynomial(t, 0x3f87dc22u, 0xbfba00e3u, 0x3fb5f0e3u, 0xbe91a98eu, 0x3e827906u);
  const float q = 0.5f * ((p * t) * exp2((z * z) * -kLog2E));
  return x * (x < 0 ? q : 1.0f - q);
}

// The fixed dither of attention at position t. NUMERICS.md section 8.
inline float dither(uint32_t t) {
  uint32_t b = t & 255;
  b = ((b & 0xf0) >> 4) | ((b & 0x0f) << 4);
  b = ((b & 0xcc) >> 2) | ((b & 0x33) << 2);
  b = ((b & 0xaa) >> 1) | ((b & 0x55) << 1);
  return (static_cast<float>(b) + 0.5f) / 256.0f - 0.5f;
}

}  // namespace lockstep::numerics
