// Exact integers on 32-bit lanes: planes and digits that the matrix unit can sum, and the sums back to one
// binary32 with a single rounding. NUMERICS.md sections 2, 4, 5 and 8. Where several
// sequences exist, the shortest that the caller's bounds allow is taken; vector_math_test.cpp has the depths.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"
#include "compiler/lpu/vector_builder.h"

namespace lockstep::compiler::vector_math {

// Two balanced planes of a quantised element, a = 255*hi + lo. The planes are the low bytes of the words, as
// int8 in [-127, 127]; what is above them is not meant.
template <class Term>
struct Planes {
  Term hi, lo;
};

// Of an int32 a, |a| <= 32512. With t = a*257 + 32768, t >> 16 is the contract's hi; a + hi has the low byte
// of lo, and 65793 = 65536 + 257.
template <class Ops>
Planes<typename Ops::Term> planes(Ops& ops, const typename Ops::Term& a) {
  using enum program::isa::LpuOp;
  const auto half = constant(ops, 32768);
  const auto hi = ops.op(IntegerMultiplyAdd, a, immediate(257), half);
  const auto lo = ops.op(IntegerMultiplyAdd, a, immediate(65793), half);
  return {ops.op(ShiftRight, hi, immediate(16)), ops.op(ShiftRight, lo, immediate(16))};
}

// Of a float that is an integer, |a| <= 32512. At 1.5 * 2^23 a binary32 has no fraction bits, so the addition
// rounds a/255 and a*256/255 = a + a/255 to integers and leaves them in the low bits; neither is ever half
// way between two integers.
template <class Ops>
Planes<typename Ops::Term> planes_of_float(Ops& ops, const typename Ops::Term& a) {
  using enum program::isa::LpuOp;
  const auto whole = constant(ops, 0x1.8p23f);
  return {ops.op(Fma, a, immediate(1.0f / 255.0f), whole), ops.op(Fma, a, immediate(256.0f / 255.0f), whole)};
}

// a_i = rint(x_i * r): as int32, and as planes.
template <class Ops>
typename Ops::Term quantise(Ops& ops, const typename Ops::Term& x, const typename Ops::Term& r) {
  using enum program::isa::LpuOp;
  return ops.op(FloatToInt32, ops.op(Multiply, x, r));
}
template <class Ops>
Planes<typename Ops::Term> quantise_planes(Ops& ops, const typename Ops::Term& x,
                                           const typename Ops::Term& r) {
  using enum program::isa::LpuOp;
  return planes_of_float(ops, ops.op(Rint, ops.op(Multiply, x, r)));
}

// ca_t = rint(w_t * r + j_t) of attention, as planes; |ca_t| <= 32512.
template <class Ops>
Planes<typename Ops::Term> quantise_planes_dithered(Ops& ops, const typename Ops::Term& x,
                                                    const typename Ops::Term& r,
                                                    const typename Ops::Term& dither) {
  using enum program::isa::LpuOp;
  return planes_of_float(ops, ops.op(Rint, ops.op(Add, ops.op(Multiply, x, r), dither)));
}

// f32(S) of S = 255*h + l, where no |h| or |l| is above `bound`. Up to 2^24 both are exact as binary32 (a row
// of an L1 norm up to 132,104 in int8 weights). Any int32 is split: with A = 255*(h >> 16) + (l >> 16) and
// B = 255*(h & 65535) + (l & 65535), S = 65536*A + B, |A| <= 2^23 and 0 <= B < 2^24.
template <class Ops>
typename Ops::Term float_of_plane_sums(Ops& ops, const typename Ops::Term& h, const typename Ops::Term& l,
                                       uint64_t bound) {
  using enum program::isa::LpuOp;
  if (bound <= 1u << 24) {
    return ops.op(Fma, ops.op(Int32ToFloat, h), immediate(255.0f), ops.op(Int32ToFloat, l));
  }
  const auto high = ops.op(IntegerMultiplyAdd, ops.op(ShiftRight, h, immediate(16)), immediate(255),
                           ops.op(ShiftRight, l, immediate(16)));
  const auto low = ops.op(IntegerMultiplyAdd, ops.op(And, h, immediate(65535)), immediate(255),
                          ops.op(And, l, immediate(65535)));
  return ops.op(Fma, ops.op(Int32ToFloat, high), immediate(65536.0f), ops.op(Int32ToFloat, low));
}

// Bounds of the sums of four plane products, S = 65025*hh + 255*middle + ll with middle = hl + lh.
struct PlaneBounds {
  uint64_t hh = 0, middle = 0, ll = 0;
  uint64_t h = 0;      // of 255*hh + middle
  uint64_t total = 0;  // of S

  // Of `terms` products of two quantised elements.
  static constexpr PlaneBounds of_terms(uint64_t terms) {
    const uint64_t one = terms * 127 * 127;
    return {one, 2 * one, one, terms * 127 * 32512, terms * 32512 * 32512};
  }
};

// f32(S), with one rounding. Each way takes an A near S / M, so that B = S - M*A, computed modulo 2^32, is
// exact as binary32 as A is, and ends in fma(A, M, B):
//   M = 65025, A = hh + (middle >> 8), B = 255*((middle >> 8) + (middle & 255)) + ll      to 345 terms
//   M = 65025, A = hh + (middle >> 8) + (middle >> 16) + (ll >> 16)                       to 1032 terms
//   h = 255*hh + middle in int32, S = 255*h + ll                                          rows of weights
//   M = 2^22, A from shifted parts, within 4 of S / M                                     to 66,572 terms
template <class Ops>
typename Ops::Term float_of_plane_sums(Ops& ops, const typename Ops::Term& hh,
                                       const typename Ops::Term& middle, const typename Ops::Term& ll,
                                       const PlaneBounds& bounds) {
  using enum program::isa::LpuOp;
  using Term = typename Ops::Term;
  constexpr uint64_t kExact = 1u << 24, kInt32 = (uint64_t{1} << 31) - 1;
  LOCKSTEP_CHECK(bounds.hh <= kInt32 && bounds.middle <= kInt32 && bounds.ll <= kInt32);
  const auto shifted = [&](const Term& x, int32_t count) { return ops.op(ShiftRight, x, immediate(count)); };
  const auto plus = [&](const Term& x, const Term& y) { return ops.op(IntegerAdd, x, y); };
  // fma(a, m, rest - m*part)
  const auto join = [&](const Term& a, int32_t m, const Term& rest, const Term& part) {
    const Term low = ops.op(IntegerMultiplyAdd, part, immediate(-m), rest);
    return ops.op(Fma, ops.op(Int32ToFloat, a), immediate(static_cast<float>(m)), ops.op(Int32ToFloat, low));
  };
  const uint64_t quotient = bounds.hh + bounds.middle / 256 + 1;
  const bool near = bounds.middle + 255 * 256 + bounds.ll <= kExact;
  const bool below_2_30 = std::max(bounds.middle, bounds.ll) <= 1u << 30;
  if (quotient + bounds.middle / 65536 + bounds.ll / 65536 + 2 <= kExact && (near || below_2_30)) {
    Term carry = shifted(middle, 8);
    if (!near) carry = plus(plus(carry, shifted(middle, 16)), shifted(ll, 16));
    return join(plus(hh, carry), 65025, ops.op(IntegerMultiplyAdd, middle, immediate(255), ll), carry);
  }
  if (bounds.h <= kInt32) {
    const Term h = ops.op(IntegerMultiplyAdd, hh, immediate(255), middle);
    return float_of_plane_sums(ops, h, ll, std::max(bounds.h, bounds.ll));
  }
  // S / 2^22 = hh/64 - hh*511/2^22 + middle*255/2^22 + ll/2^22 in six parts rounded down, two of them taken
  // away: less than 4 from it.
  LOCKSTEP_CHECK(bounds.total <= (uint64_t{1} << 46) - (1 << 24));
  const Term up = plus(plus(shifted(hh, 6), shifted(hh, 22)), plus(shifted(middle, 14), shifted(ll, 22)));
  const Term a = ops.op(IntegerSubtract, up, plus(shifted(hh, 13), shifted(middle, 22)));
  const Term rest = ops.op(IntegerMultiplyAdd, middle, immediate(255), ll);
  return join(a, 1 << 22, ops.op(IntegerMultiplyAdd, hh, immediate(65025), rest), a);
}

// Four signed byte digits of an int32 v, 0 <= v <= 0x7f7f7f7f: byte i of the word, as int8, is the digit of
// 256^i. The matrix unit sums each over lanes.
template <class Ops>
typename Ops::Term digits(Ops& ops, const typename Ops::Term& v) {
  using enum program::isa::LpuOp;
  return ops.op(Xor, ops.op(IntegerAdd, v, immediate(0x80808080u)), immediate(0x80808080u));
}
// The digits of a*a, |a| <= 32512.
template <class Ops>
typename Ops::Term square_digits(Ops& ops, const typename Ops::Term& a) {
  using enum program::isa::LpuOp;
  return ops.op(Xor, ops.op(IntegerMultiplyAdd, a, a, immediate(0x80808080u)), immediate(0x80808080u));
}

// Sums of digits over lanes, D0 to D3.
template <class Term>
using DigitSums = std::array<Term, 4>;

struct DigitBounds {
  uint64_t terms = 0;  // summed in each D
  uint64_t total = 0;  // of T = D0 + 256*D1 + 65536*D2 + 2^24*D3, which is never negative

  // With U = D0 + 256*D1 and V = D2 + 256*D3, T = 65536*V + U: are both exact as binary32?
  constexpr bool halves_exact() const {
    const uint64_t low = terms * 128 * 257;
    return low <= 1u << 24 && (total + low) >> 16 < 1u << 24;
  }
};

// f32(T) with one rounding, from exact sums: T = 65536*V + U; or with D1's upper part in V; or at 2^23.
template <class Ops>
typename Ops::Term float_of_digit_sums(Ops& ops, const DigitSums<typename Ops::Term>& d,
                                       const DigitBounds& bounds) {
  using enum program::isa::LpuOp;
  using Term = typename Ops::Term;
  const auto to_float = [&](const Term& x) { return ops.op(Int32ToFloat, x); };
  if (bounds.halves_exact()) {
    const Term high = ops.op(Fma, to_float(d[3]), immediate(256.0f), to_float(d[2]));
    const Term low = ops.op(Fma, to_float(d[1]), immediate(256.0f), to_float(d[0]));
    return ops.op(Fma, high, immediate(65536.0f), low);
  }
  LOCKSTEP_CHECK(bounds.terms <= 65000 && bounds.total < (uint64_t{1} << 47) - (1 << 24));
  if (bounds.total < (uint64_t{1} << 40) - (1 << 24)) {
    const Term high = ops.op(IntegerAdd, ops.op(IntegerMultiplyAdd, d[3], immediate(256), d[2]),
                             ops.op(ShiftRight, d[1], immediate(8)));
    const Term low = ops.op(IntegerMultiplyAdd, ops.op(And, d[1], immediate(255)), immediate(256), d[0]);
    return ops.op(Fma, to_float(high), immediate(65536.0f), to_float(low));
  }
  const Term middle = ops.op(IntegerMultiplyAdd, d[2], immediate(256), d[1]);
  const Term high = ops.op(IntegerMultiplyAdd, d[3], immediate(2), ops.op(ShiftRight, middle, immediate(15)));
  const Term low = ops.op(IntegerMultiplyAdd, ops.op(And, middle, immediate(32767)), immediate(256), d[0]);
  return ops.op(Fma, to_float(high), immediate(0x1p23f), to_float(low));
}

}  // namespace lockstep::compiler::vector_math
