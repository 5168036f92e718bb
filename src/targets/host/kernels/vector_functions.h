// The contract's functions (NUMERICS.md section 6) on vectors, once for every instruction set: V is one of
// the structs of vector_*.h. Lane by lane they give the bits of numerics/functions.h.
#pragma once

#include <cstdint>

#include "targets/host/kernels/force_inline.h"

namespace lockstep::targets::host {

template <class V, class... Rest>
LOCKSTEP_FORCE_INLINE typename V::Floats polynomial(typename V::Floats f, uint32_t first, Rest... rest) {
  typename V::Floats p = V::from_bits(first);
  ((p = V::fma(p, f, V::from_bits(static_cast<uint32_t>(rest)))), ...);
  return p;
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats vector_exp2(typename V::Floats x) {
  const typename V::Floats bounded = V::min(V::set(126.0f), x);
  const typename V::Floats n = V::rint(bounded);
  const typename V::Floats p = polynomial<V>(V::sub(bounded, n), 0x3aad9039u, 0x3c1e75d7u, 0x3d635c62u,
                                             0x3e75fcdbu, 0x3f317214u, 0x3f800000u);
  const typename V::Floats power =
      V::from_bits(V::template shift_left<23>(V::add(V::to_ints(n), V::set(int32_t{127}))));
  return V::select(V::less(x, V::set(-64.0f)), V::set(0.0f), V::mul(power, p));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats vector_silu(typename V::Floats x) {
  const typename V::Floats power = vector_exp2<V>(V::mul(x, V::from_bits(0xbfb8aa3bu)));
  return V::div(x, V::add(V::set(1.0f), power));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats ln_from_parts(typename V::Ints e, typename V::Floats f) {
  const typename V::Floats q = polynomial<V>(f, 0x3db584f7u, 0xbe134915u, 0x3e18a4eau, 0xbe299117u,
                                             0x3e4c68d9u, 0xbe8002e1u, 0x3eaaab80u, 0xbefffffcu);
  return V::fma(V::to_floats(e), V::from_bits(0x3f317218u), V::add(f, V::mul(q, V::mul(f, f))));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Ints ln_exponent(typename V::Floats y) {
  return V::template shift_right<23>(V::sub(V::bits(y), V::set(int32_t{0x3f3504f3})));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats ln_fraction(typename V::Floats y, typename V::Ints e) {
  const typename V::Floats scaled = V::from_bits(V::sub(V::bits(y), V::template shift_left<23>(e)));
  return V::sub(scaled, V::set(1.0f));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats vector_ln(typename V::Floats y) {
  const typename V::Ints e = ln_exponent<V>(y);
  return ln_from_parts<V>(e, ln_fraction<V>(y, e));
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats vector_ln1m(typename V::Floats v) {
  const typename V::Floats y = V::sub(V::set(1.0f), v);
  const typename V::Ints e = ln_exponent<V>(y);
  const typename V::Floats minus_v = V::from_bits(V::bit_xor(V::bits(v), V::set(INT32_MIN)));
  const typename V::Floats f = V::select(V::equal(e, V::set(int32_t{0})), minus_v, ln_fraction<V>(y, e));
  return ln_from_parts<V>(e, f);
}

template <class V>
LOCKSTEP_FORCE_INLINE void vector_cos_sin(typename V::Ints h, typename V::Floats& cos,
                                          typename V::Floats& sin) {
  const typename V::Ints k = V::template shift_right<30>(V::add(h, V::set(int32_t{0x20000000})));
  const typename V::Ints rest = V::sub(h, V::template shift_left<30>(k));
  const typename V::Floats z = V::mul(V::to_floats(rest), V::from_bits(0x30c90fdbu));
  const typename V::Floats g = V::mul(z, z);
  const typename V::Floats s =
      V::add(z, V::mul(polynomial<V>(g, 0xb94ca75fu, 0x3c0883b7u, 0xbe2aaaa3u), V::mul(z, g)));
  const typename V::Floats c =
      polynomial<V>(g, 0x37cdb8ecu, 0xbab6092bu, 0x3d2aaaabu, 0xbf000000u, 0x3f800000u);
  const typename V::Ints one = V::set(int32_t{1}), two = V::set(int32_t{2});
  const auto crossed = V::equal(V::bit_and(k, one), one);
  const typename V::Ints sin_sign = V::template shift_left<30>(V::bit_and(k, two));
  const typename V::Ints cos_sign = V::template shift_left<30>(V::bit_and(V::add(k, one), two));
  cos = V::from_bits(V::bit_xor(V::bits(V::select(crossed, s, c)), cos_sign));
  sin = V::from_bits(V::bit_xor(V::bits(V::select(crossed, c, s)), sin_sign));
}

// Calls step(i, lanes) for every vector of an array of n elements; `lanes` masks the last one.
template <class V, class Step>
LOCKSTEP_FORCE_INLINE void for_each_vector(uint64_t n, const Step& step) {
  for (uint64_t i = 0; i < n; i += V::kLanes) step(i, V::first(n - i));
}

template <class V>
void exp2_array(const float* x, float* y, uint64_t n) {
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    V::store(y + i, vector_exp2<V>(V::load(x + i, lanes)), lanes);
  });
}

template <class V>
void ln_array(const float* x, float* y, uint64_t n) {
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    V::store(y + i, vector_ln<V>(V::load(x + i, lanes)), lanes);
  });
}

template <class V>
void ln1m_array(const float* x, float* y, uint64_t n) {
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    V::store(y + i, vector_ln1m<V>(V::load(x + i, lanes)), lanes);
  });
}

template <class V>
void cos_sin_array(const int32_t* h, float* cos, float* sin, uint64_t n) {
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    typename V::Floats c, s;
    vector_cos_sin<V>(V::load(h + i, lanes), c, s);
    V::store(cos + i, c, lanes);
    V::store(sin + i, s, lanes);
  });
}

}  // namespace lockstep::targets::host
