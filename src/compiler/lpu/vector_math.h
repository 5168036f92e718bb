// The real functions of the numerics contract as sequences of the vector unit's operations, bit for bit:
// NUMERICS.md sections 1, 2, 5, 6 and 8. Written for the shortest chain of dependent operations; the depth
// of each stands in vector_math_test.cpp. The sign of a zero is not kept, which no result depends on.
//
// The unit has neither a division nor a square root. Both start from RSqrt, become nearly right by a step of
// the series of 1/(1-e), and are rounded by one fma(remainder, reciprocal, quotient), whose remainder is
// exact: P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", IBM J.
// Res. Dev. 34 (1990). That the short forms are right is shown by trying every input, or the hardest ones.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "compiler/lpu/vector_builder.h"
#include "compiler/lpu/vector_integers.h"
#include "numerics/float32.h"
#include "numerics/q16.h"
#include "program/isa/lpu_alu.h"

namespace lockstep::compiler::vector_math {

template <class Ops>
typename Ops::Term negative(Ops& ops, const typename Ops::Term& x) {
  return ops.op(program::isa::LpuOp::Xor, x, immediate(kSignBit));
}

// What a division by y needs: z near 1/y, its error e = y*z - 1, and z/(1 + e) nearly rounded, as
// z + z*e*(e - 1).
template <class Term>
struct Reciprocal {
  Term minus_y, z, e, e_minus_1, rounded;
};

// y > 0 normal, up to 2^126. `near_y` is y itself or something within 2^-20 of it that is known earlier. The
// 1 of `e_minus_1` is a unit too large: just below y = 2, where an RSqrt that rounds down gives e < 0 and 1/y
// is little above the middle between two binary32, that moves `rounded` the right way.
template <class Ops>
Reciprocal<typename Ops::Term> reciprocal_parts(Ops& ops, const typename Ops::Term& y,
                                                const typename Ops::Term& near_y) {
  using enum program::isa::LpuOp;
  const auto root = ops.op(RSqrt, near_y);
  const auto z = ops.op(Multiply, root, root);
  const auto e = ops.op(Fma, y, z, immediate(-1.0f));
  const auto e_minus_1 = ops.op(Add, e, immediate(-0x1.000002p0f));
  const auto rounded = ops.op(Fma, ops.op(Multiply, z, e), e_minus_1, z);
  return {negative(ops, y), z, e, e_minus_1, rounded};
}

// x / y from parts of 1/y, within a unit or two of the last place: q - q*e, and + q*e*e for a coarse RSqrt.
template <class Ops>
typename Ops::Term near_quotient(Ops& ops, const typename Ops::Term& x,
                                 const Reciprocal<typename Ops::Term>& parts) {
  using enum program::isa::LpuOp;
  const auto q = ops.op(Multiply, x, parts.z);
  if (ops.rsqrt_bits() >= 14) {
    return ops.op(Fma, ops.op(Multiply, negative(ops, x), parts.z), parts.e, q);
  }
  return ops.op(Fma, q, ops.op(Multiply, parts.e, parts.e_minus_1), q);
}

// q + (x - q*y) * (1/y).
template <class Ops>
typename Ops::Term corrected(Ops& ops, const typename Ops::Term& q, const typename Ops::Term& x,
                             const typename Ops::Term& minus_y, const typename Ops::Term& reciprocal) {
  using enum program::isa::LpuOp;
  return ops.op(Fma, ops.op(Fma, minus_y, q, x), reciprocal, q);
}

// x / y, correctly rounded: y positive and normal, up to 2^126, x zero or of any sign, and neither the
// quotient nor the remainder, 2^-24 of x, subnormal. The remainder is taken twice: the second quotient is
// within half a unit and very little of the exact one, and with a reciprocal within half a unit the third is
// right. 1/(2 - 2^-23) would round to 1/2, which is too far; the bit of its neighbour moves it up.
template <class Ops>
typename Ops::Term divide(Ops& ops, const typename Ops::Term& x, const typename Ops::Term& y) {
  using enum program::isa::LpuOp;
  const auto parts = reciprocal_parts(ops, y, y);
  const auto second = corrected(ops, near_quotient(ops, x, parts), x, parts.minus_y, parts.rounded);
  const auto mantissa = ops.op(And, y, immediate(kMantissaBits));
  const auto all_ones = ops.op(IntegerEqual, mantissa, immediate(kMantissaBits));
  const auto moved_up = ops.op(Or, parts.rounded, ops.op(And, all_ones, immediate(1)));
  const auto rest = ops.op(Fma, parts.minus_y, parts.rounded, immediate(1.0f));
  return corrected(ops, second, x, parts.minus_y, ops.op(Fma, moved_up, rest, parts.rounded));
}

// The constant 1/n as the sum of two binary32.
struct InverseParts {
  float high, low;
};
constexpr InverseParts inverse_parts(uint32_t n) {
  const double exact = 1.0 / n;
  const float high = static_cast<float>(exact);
  return {high, static_cast<float>(exact - static_cast<double>(high))};
}

// x / n, correctly rounded: 2^-64 <= x < 2^64 or zero, 1 <= n <= 2^24 with an odd part below 2^18. x*high +
// x*low is within 2^-23 of a unit of x / n, which is at least 1/(2*odd part) away from where the rounding
// changes. `near_x`, x itself or something within 2^-20 of it that is known earlier, serves for x*low.
template <class Ops>
typename Ops::Term divide_by_constant(Ops& ops, const typename Ops::Term& x, uint32_t n,
                                      const typename Ops::Term& near_x) {
  using enum program::isa::LpuOp;
  LOCKSTEP_CHECK(n >= 1 && n <= 1u << 24 && n >> std::countr_zero(n) < 1u << 18);
  const auto [high, low] = inverse_parts(n);
  return ops.op(Fma, x, immediate(high), ops.op(Multiply, near_x, immediate(low)));
}
template <class Ops>
typename Ops::Term divide_by_constant(Ops& ops, const typename Ops::Term& x, uint32_t n) {
  return divide_by_constant(ops, x, n, x);
}

template <class Term>
struct Q16Scale {
  Term s, r;  // m / levels and levels / m
};

// The scale of Q16 for 2^-65 <= m < 2^32; both are zero where m < 2^-64. `levels` is kQ16Levels or
// kQ8Levels; with these the first correction is enough, and from 21 bits of RSqrt on none is needed before
// it.
template <int32_t levels, class Ops>
Q16Scale<typename Ops::Term> reciprocal_scale(Ops& ops, const typename Ops::Term& m) {
  using enum program::isa::LpuOp;
  const auto nonzero = ops.op(Less, immediate(numerics::kQ16ZeroBits - 1), m);
  const auto top = ops.op(And, nonzero, immediate(static_cast<float>(levels)));
  const auto s = ops.op(And, divide_by_constant(ops, m, levels), nonzero);
  const auto parts = reciprocal_parts(ops, m, m);
  const auto q = ops.op(Multiply, top, parts.z);
  if (ops.rsqrt_bits() >= 21) {
    const auto minus_e = ops.op(Fma, parts.minus_y, parts.z, immediate(1.0f));
    return {s, corrected(ops, q, top, parts.minus_y, ops.op(Fma, parts.z, minus_e, parts.z))};
  }
  const auto minus_top = ops.op(And, nonzero, immediate(-static_cast<float>(levels)));
  const auto near = ops.op(Fma, ops.op(Multiply, minus_top, parts.z), parts.e, q);
  return {s, corrected(ops, near, top, parts.minus_y, parts.rounded)};
}

// 1 / sqrt(x), both roundings, 2^-60 <= x <= 2^100. `near_x` is x itself or something within 2^-20 of it that
// is known earlier. There is no negation: -1 or -0.5 in the constants gives each sign that is needed.
template <class Ops>
typename Ops::Term inverse_root(Ops& ops, const typename Ops::Term& x, const typename Ops::Term& near_x) {
  using enum program::isa::LpuOp;
  const auto y = ops.op(RSqrt, near_x);
  const auto half = ops.op(Multiply, y, immediate(0.5f));
  const auto minus_half = ops.op(Multiply, y, immediate(-0.5f));
  const auto minus_y = ops.op(Multiply, y, immediate(-1.0f));
  const auto e = ops.op(Fma, x, ops.op(Multiply, y, y), immediate(-1.0f));
  const auto nearer = ops.op(Fma, minus_half, e, y);
  const auto minus_nearer = ops.op(Fma, half, e, minus_y);
  // sqrt(x), rounded.
  const auto near_root = ops.op(Fma, ops.op(Multiply, x, minus_half), e, ops.op(Multiply, x, y));
  const auto minus_near_root = ops.op(Fma, ops.op(Multiply, x, half), e, ops.op(Multiply, x, minus_y));
  const auto remainder = ops.op(Fma, minus_near_root, near_root, x);
  const auto root = ops.op(Fma, remainder, ops.op(Multiply, nearer, immediate(0.5f)), near_root);
  // Its reciprocal; of the mantissa 2 - 2^-23 it does not come out by itself, where 1/2 (say) is moved up.
  const auto power = ops.op(IntegerEqual, ops.op(And, nearer, immediate(kMantissaBits)), immediate(0));
  const auto reciprocal = ops.op(IntegerSubtract, nearer, power);
  return ops.op(Fma, reciprocal, ops.op(Fma, root, minus_nearer, immediate(1.0f)), nearer);
}
template <class Ops>
typename Ops::Term inverse_root(Ops& ops, const typename Ops::Term& x) {
  return inverse_root(ops, x, x);
}

// The norm's 1 / sqrt(v + eps), v = ((f32(T) / f32(n)) * s) * s, from the digit sums of T = sum a_i^2. T is 0
// or at least 2^24, as some |a_i| is 32512. The root's estimate starts from T*s*s/n + eps while v is rounded
// as the contract says.
template <class Ops>
typename Ops::Term inverse_root_mean_square(Ops& ops, const DigitSums<typename Ops::Term>& sums,
                                            const DigitBounds& bounds, const typename Ops::Term& s,
                                            uint32_t n, float eps) {
  using enum program::isa::LpuOp;
  using Term = typename Ops::Term;
  const Term total = float_of_digit_sums(ops, sums, bounds);
  const auto pair = [&](const Term& high, const Term& low) {
    return ops.op(Fma, ops.op(Int32ToFloat, high), immediate(256.0f), ops.op(Int32ToFloat, low));
  };
  const Term near_total = ops.op(Fma, pair(sums[3], sums[2]), immediate(65536.0f), pair(sums[1], sums[0]));
  const Term factor = ops.op(Multiply, ops.op(Multiply, s, s), immediate(inverse_parts(n).high));
  const Term near_variance = ops.op(Fma, near_total, factor, immediate(eps));
  const Term mean = divide_by_constant(ops, total, n, near_total);
  const Term variance = ops.op(Multiply, ops.op(Multiply, mean, s), s);
  return inverse_root(ops, ops.op(Add, variance, immediate(eps)), near_variance);
}

// P(f; c0, c1, ...) of section 6 from its first step, fma(c0, f, c1), on.
template <class Ops, class... Rest>
typename Ops::Term polynomial(Ops& ops, typename Ops::Term p, const typename Ops::Term& f, Rest... rest) {
  ((p = ops.op(program::isa::LpuOp::Fma, p, f, immediate(rest))), ...);
  return p;
}

// a*f + b
template <class Ops>
typename Ops::Term linear(Ops& ops, const typename Ops::Term& f, uint32_t a, uint32_t b) {
  return ops.op(program::isa::LpuOp::Fma, f, immediate(a), constant(ops, b));
}

// The coefficients of exp2, as bits.
inline constexpr std::array<uint32_t, 6> kExp2{0x3aad9039u, 0x3c1e75d7u, 0x3d635c62u,
                                               0x3e75fcdbu, 0x3f317214u, 0x3f800000u};

// exp2(x) as 2^n * fraction with n = rint(x), two factors whose product is exact; the scale is 0 where the
// mask `zero` says so, and the fraction is P(f) with f = x - n and `first` its first step.
template <class Term>
struct Exp2Parts {
  Term scale, fraction, f, first;
};
template <class Ops>
Exp2Parts<typename Ops::Term> exp2_parts_except(Ops& ops, const typename Ops::Term& x,
                                                const typename Ops::Term& zero) {
  using enum program::isa::LpuOp;
  const auto power =
      ops.op(IntegerMultiplyAdd, ops.op(FloatToInt32, x), immediate(1 << 23), constant(ops, 1.0f));
  const auto f = ops.op(Subtract, x, ops.op(Rint, x));
  const auto first = linear(ops, f, kExp2[0], kExp2[1]);
  const auto fraction = polynomial(ops, first, f, kExp2[2], kExp2[3], kExp2[4], kExp2[5]);
  return {ops.op(Select, zero, immediate(0), power), fraction, f, first};
}
// Of x <= 126; and of any finite x, where the mask `capped` is x > 126 and gives a scale of 0.
template <class Ops>
Exp2Parts<typename Ops::Term> exp2_parts(Ops& ops, const typename Ops::Term& x) {
  return exp2_parts_except(ops, x, ops.op(program::isa::LpuOp::Less, x, immediate(-64.0f)));
}
template <class Ops>
Exp2Parts<typename Ops::Term> exp2_parts(Ops& ops, const typename Ops::Term& x,
                                         const typename Ops::Term& capped) {
  using enum program::isa::LpuOp;
  return exp2_parts_except(ops, x, ops.op(Or, capped, ops.op(Less, x, immediate(-64.0f))));
}

// exp2(x) of x <= 126, and of any finite x.
template <class Ops>
typename Ops::Term exp2_at_most_126(Ops& ops, const typename Ops::Term& x) {
  const auto parts = exp2_parts(ops, x);
  return ops.op(program::isa::LpuOp::Multiply, parts.scale, parts.fraction);
}
template <class Ops>
typename Ops::Term exp2(Ops& ops, const typename Ops::Term& x) {
  using enum program::isa::LpuOp;
  const auto capped = ops.op(Less, immediate(126.0f), x);
  const auto parts = exp2_parts(ops, x, capped);
  return ops.op(Fma, parts.scale, parts.fraction, ops.op(And, capped, immediate(0x1p126f)));
}

// Attention's weight rint(exp2(x) * 2^24 + j) as an int32, and exp2(x) * factor, from exp2_parts(x). Both
// fold the product of the parts into their own rounding. The second, factor 0 or from 2^-79 to 2^32, is exact
// where it is at least 2^-66; below, its last bits may differ, which no rounded value of 2^-64 and more
// shows.
template <class Ops>
typename Ops::Term weight_of_exp2(Ops& ops, const Exp2Parts<typename Ops::Term>& parts,
                                  const typename Ops::Term& dither) {
  using enum program::isa::LpuOp;
  const auto scale = ops.op(Multiply, parts.scale, immediate(0x1p24f));
  return ops.op(FloatToInt32, ops.op(Fma, scale, parts.fraction, dither));
}
template <class Ops>
typename Ops::Term exp2_times(Ops& ops, const Exp2Parts<typename Ops::Term>& parts,
                              const typename Ops::Term& factor) {
  using enum program::isa::LpuOp;
  return ops.op(Multiply, ops.op(Multiply, parts.scale, factor), parts.fraction);
}

// Does RSqrt give more than 1/sqrt(2) for 2, so that reciprocal_parts' e is positive just below y = 2?
inline bool rounds_root_of_half_up(uint32_t rsqrt_bits) {
  const double root = program::isa::rsqrt_rounded(2.0f, rsqrt_bits);
  return root * root > 0.5;
}

// x / (1 + exp2(t)), t finite, where the quotient is normal or t near 0. The sum is rounded once, as scale *
// fraction is exact. The reciprocal's estimate starts from the same polynomial evaluated in pairs, (a +
// b*f*f)*(2^n*f*f) + (1 + 2^n*c) with a, b and c linear in f, nine cycles before the sum is there; a little
// above where that makes e negative. Shown right for each input of the functions that use it; of other x and
// t one in many millions would not be. Not for an RSqrt of 13 bits, whose e is too coarse there.
template <class Ops>
typename Ops::Term divide_by_one_plus_exp2(Ops& ops, const typename Ops::Term& x,
                                           const typename Ops::Term& t) {
  using enum program::isa::LpuOp;
  const auto capped = ops.op(Less, immediate(126.0f), t);
  const auto [scale, fraction, f, first] = exp2_parts(ops, t, capped);
  const auto one = ops.op(Select, capped, immediate(0x1p126f), constant(ops, 1.0f));
  const auto y = ops.op(Fma, scale, fraction, one);
  const auto square = ops.op(Multiply, f, f);
  const auto upper = ops.op(Fma, first, square, linear(ops, f, kExp2[2], kExp2[3]));
  const uint32_t bits = ops.rsqrt_bits();
  LOCKSTEP_CHECK(bits == 12 || bits >= 14);
  const float above = rounds_root_of_half_up(bits) ? 1 + std::ldexp(4.0f, -static_cast<int>(bits)) : 1;
  const auto near_one = above == 1 ? one : ops.op(Select, capped, immediate(0x1p126f), constant(ops, above));
  const auto lower = ops.op(Fma, scale, linear(ops, f, kExp2[4], std::bit_cast<uint32_t>(above)), near_one);
  const auto near_y = ops.op(Fma, upper, ops.op(Multiply, scale, square), lower);
  const auto parts = reciprocal_parts(ops, y, near_y);
  return corrected(ops, near_quotient(ops, x, parts), x, parts.minus_y, parts.rounded);
}

template <class Ops>
typename Ops::Term silu(Ops& ops, const typename Ops::Term& x) {
  const auto t = ops.op(program::isa::LpuOp::Multiply, x, immediate(-numerics::kLog2E));
  return divide_by_one_plus_exp2(ops, x, t);
}
// act(g) * u of the feed-forward part.
template <class Ops>
typename Ops::Term silu_gate(Ops& ops, const typename Ops::Term& g, const typename Ops::Term& u) {
  return ops.op(program::isa::LpuOp::Multiply, silu(ops, g), u);
}

template <class Ops>
typename Ops::Term sigmoid(Ops& ops, const typename Ops::Term& x) {
  const auto t = ops.op(program::isa::LpuOp::Multiply, x, immediate(-numerics::kLog2E));
  return divide_by_one_plus_exp2(ops, constant(ops, 1.0f), t);
}

template <class Ops>
typename Ops::Term tanh(Ops& ops, const typename Ops::Term& x) {
  using enum program::isa::LpuOp;
  const auto t = ops.op(Multiply, x, immediate(0x4038aa3bu));
  return ops.op(Subtract, immediate(1.0f), divide_by_one_plus_exp2(ops, constant(ops, 2.0f), t));
}

template <class Ops>
typename Ops::Term gelu_tanh(Ops& ops, const typename Ops::Term& x) {
  using enum program::isa::LpuOp;
  const auto cubic = ops.op(Fma, ops.op(Multiply, x, x), immediate(0x3dd2d3e8u), constant(ops, 0x40135761u));
  return divide_by_one_plus_exp2(ops, x, ops.op(Multiply, negative(ops, x), cubic));
}

template <class Ops>
typename Ops::Term gelu_erf(Ops& ops, const typename Ops::Term& x) {
  using enum program::isa::LpuOp;
  const auto z = ops.op(Multiply, ops.op(And, x, immediate(~kSignBit)), immediate(0x3f3504f3u));
  const auto t = divide(ops, constant(ops, 1.0f), linear(ops, z, 0x3ea7ba05u, 0x3f800000u));
  const auto p =
      polynomial(ops, linear(ops, t, 0x3f87dc22u, 0xbfba00e3u), t, 0x3fb5f0e3u, 0xbe91a98eu, 0x3e827906u);
  const auto power =
      exp2_at_most_126(ops, ops.op(Multiply, ops.op(Multiply, z, z), immediate(-numerics::kLog2E)));
  const auto q = ops.op(Multiply, ops.op(Multiply, ops.op(Multiply, p, t), power), immediate(0.5f));
  const auto negative_x = ops.op(Less, x, immediate(0.0f));
  return ops.op(Multiply, x, ops.op(Select, negative_x, q, ops.op(Subtract, immediate(1.0f), q)));
}

// Attention's score f32(S) * (qs_c * ks), S from the sums of plane products (vector_integers.h).
template <class Ops>
typename Ops::Term score(Ops& ops, const typename Ops::Term& hh, const typename Ops::Term& middle,
                         const typename Ops::Term& ll, const PlaneBounds& bounds,
                         const typename Ops::Term& qs_c, const typename Ops::Term& ks) {
  using enum program::isa::LpuOp;
  return ops.op(Multiply, float_of_plane_sums(ops, hh, middle, ll, bounds), ops.op(Multiply, qs_c, ks));
}

}  // namespace lockstep::compiler::vector_math
