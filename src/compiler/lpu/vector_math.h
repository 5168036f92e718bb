#pragma once
#include <array>
#include <utility>
#include "program/isa/lpu.h"
#include "compiler/lpu/chip_scheduler.h"
namespace lockstep::compiler::lpu {
template <class Ops, class T = typename Ops::Term>
std::pair<T, T> reciprocal_scale(Ops& o, const T& m) {
  auto f = [](float x) { return immediate(x); };
  T zero = o.op(LpuOp::Less, m, f(0x1p-64f));
  T y = o.op(LpuOp::RSqrt, m);
  T y0 = o.op(LpuOp::Multiply, y, y);
  T neg = o.op(LpuOp::Multiply, m, f(-1.0f));
  T e = o.op(LpuOp::Fma, neg, y0, f(1.0f));
  T mask = o.op(LpuOp::Xor, zero, immediate(~0u));
  T K = o.op(LpuOp::And, mask, immediate(std::bit_cast<uint32_t>(32512.0f)));
  T y1 = o.op(LpuOp::Fma, e, y0, y0);
  T q = o.op(LpuOp::Multiply, y1, K);
  T rem = o.op(LpuOp::Fma, q, neg, K);
  T r = o.op(LpuOp::Fma, rem, y1, q);
  T s0 = o.op(LpuOp::Multiply, m, f(1.0f / 32512.0f));
  T sn = o.op(LpuOp::Multiply, s0, f(-32512.0f));
  T srem = o.op(LpuOp::Fma, s0, f(-32512.0f), m); (void)sn;
  T s1 = o.op(LpuOp::Fma, srem, f(1.0f / 32512.0f), s0);
  T s = o.op(LpuOp::And, s1, mask);
  return {s, r};
}
template <class Ops, class A, class B>
auto quantise(Ops& o, const A& x, const B& r) { return o.op(LpuOp::FloatToInt32, o.op(LpuOp::Multiply, x, r)); }
template <class Ops, class T = typename Ops::Term>
std::pair<T, T> planes(Ops& o, const T& a) {
  T s8 = o.op(LpuOp::ShiftRight, a, immediate(8u));
  T a128 = o.op(LpuOp::IntegerAdd, a, immediate(128u));
  T hi = o.op(LpuOp::ShiftRight, o.op(LpuOp::IntegerAdd, s8, a128), immediate(8u));
  T lo = o.op(LpuOp::IntegerMultiplyAdd, hi, immediate(static_cast<uint32_t>(-255)), a);
  return {hi, lo};
}
template <class Ops, class T = typename Ops::Term>
T to_float_wide(Ops& o, const T& h, const T& l) {
  T h1 = o.op(LpuOp::ShiftRight, h, immediate(16u)), h2 = o.op(LpuOp::And, h, immediate(65535u));
  T l1 = o.op(LpuOp::ShiftRight, l, immediate(16u)), l2 = o.op(LpuOp::And, l, immediate(65535u));
  T A = o.op(LpuOp::Int32ToFloat, o.op(LpuOp::IntegerMultiplyAdd, h1, immediate(255u), l1));
  T B = o.op(LpuOp::Int32ToFloat, o.op(LpuOp::IntegerMultiplyAdd, h2, immediate(255u), l2));
  return o.op(LpuOp::Fma, A, immediate(65536.0f), B);
}
template <class Ops, class T = typename Ops::Term>
T digits(Ops& o, const T& v) { return o.op(LpuOp::Xor, o.op(LpuOp::IntegerAdd, v, immediate(0x80808080u)), immediate(0x80808080u)); }
template <class Ops, class T = typename Ops::Term>
T square_digits(Ops& o, const T& a) { return digits(o, o.op(LpuOp::IntegerMultiply, a, a)); }
template <class Ops, class T = typename Ops::Term>
T float_of_digit_sums(Ops& o, const T& d0, const T& d1, const T& d2, const T& d3) {
  T a = o.op(LpuOp::IntegerMultiplyAdd, d3, immediate(256u), d2);
  T b = o.op(LpuOp::IntegerMultiplyAdd, d1, immediate(256u), d0);
  T hi = o.op(LpuOp::IntegerAdd, a, o.op(LpuOp::ShiftRight, b, immediate(16u)));
  T lo = o.op(LpuOp::And, b, immediate(65535u));
  return o.op(LpuOp::Fma, o.op(LpuOp::Int32ToFloat, hi), immediate(65536.0f), o.op(LpuOp::Int32ToFloat, lo));
}
template <class Ops, class T = typename Ops::Term>
T divide_by_constant(Ops& o, const T& x, uint32_t n) {
  float fn = static_cast<float>(n);
  T q = o.op(LpuOp::Multiply, x, immediate(1.0f / fn));
  T rem = o.op(LpuOp::Fma, q, immediate(-fn), x);
  return o.op(LpuOp::Fma, rem, immediate(1.0f / fn), q);
}
template <class Ops, class T = typename Ops::Term>
T inverse_root(Ops& o, const T& x) {
  T y = o.op(LpuOp::RSqrt, x);
  T g = o.op(LpuOp::Multiply, x, y), h = o.op(LpuOp::Multiply, y, immediate(0.5f)), hn = o.op(LpuOp::Multiply, y, immediate(-0.5f));
  T e = o.op(LpuOp::Fma, g, hn, immediate(0.5f));
  T g1 = o.op(LpuOp::Fma, g, e, g), h1 = o.op(LpuOp::Fma, h, e, h);
  T gn = o.op(LpuOp::Multiply, g1, immediate(-1.0f));
  T d = o.op(LpuOp::Fma, gn, g1, x);
  T g2 = o.op(LpuOp::Fma, d, h1, g1);
  T y1 = o.op(LpuOp::Multiply, h1, immediate(2.0f));
  T g2n = o.op(LpuOp::Multiply, g2, immediate(-1.0f));
  T e2 = o.op(LpuOp::Fma, g2n, y1, immediate(1.0f));
  T y2 = o.op(LpuOp::Fma, e2, y1, y1);
  T e3 = o.op(LpuOp::Fma, g2n, y2, immediate(1.0f));
  return o.op(LpuOp::Fma, e3, y2, y2);
}
template <class Ops, class T = typename Ops::Term>
T exp2_tail(Ops& o, const T& x, const T& small) {
  T n = o.op(LpuOp::Rint, x);
  T f = o.op(LpuOp::Subtract, x, n);
  T sh = o.op(LpuOp::ShiftLeft, o.op(LpuOp::FloatToInt32, n), immediate(23u));
  const uint32_t c[] = {0x3c1e75d7, 0x3d635c62, 0x3e75fcdb, 0x3f317214, 0x3f800000};
  T c0 = o.op(LpuOp::Move, immediate(0x3aad9039u)); T p = o.op(LpuOp::Fma, c0, f, immediate(c[0]));
  for (int i = 1; i < 5; ++i) p = o.op(LpuOp::Fma, p, f, immediate(c[i]));
  T r = o.op(LpuOp::IntegerAdd, p, sh);
  return o.op(LpuOp::And, r, o.op(LpuOp::Xor, small, immediate(~0u)));
}
template <class Ops, class T = typename Ops::Term>
T exp2_negative(Ops& o, const T& x0) {
  T small = o.op(LpuOp::Less, x0, immediate(-64.0f));
  T x = o.op(LpuOp::Maximum, x0, immediate(-100.0f));
  return exp2_tail(o, x, small);
}
template <class Ops, class T = typename Ops::Term>
T exp2(Ops& o, const T& x0) {
  T small = o.op(LpuOp::Less, x0, immediate(-64.0f));
  T gt = o.op(LpuOp::Less, x0, immediate(126.0f));
  T x = o.op(LpuOp::Select, gt, x0, immediate(126.0f));
  x = o.op(LpuOp::Maximum, x, immediate(-100.0f));
  return exp2_tail(o, x, small);
}
template <class Ops, class T = typename Ops::Term>
T divide(Ops& o, const T& x, const T& d) {
  T y = o.op(LpuOp::RSqrt, d);
  T y0 = o.op(LpuOp::Multiply, y, y);
  T dn = o.op(LpuOp::Multiply, d, immediate(-1.0f));
  T e = o.op(LpuOp::Fma, dn, y0, immediate(1.0f));
  T y1 = o.op(LpuOp::Fma, e, y0, y0);
  T q = o.op(LpuOp::Multiply, x, y1);
  T rem = o.op(LpuOp::Fma, q, dn, x);
  return o.op(LpuOp::Fma, rem, y1, q);
}
template <class Ops, class T = typename Ops::Term>
T silu(Ops& o, const T& x) {
  T d = o.op(LpuOp::Add, exp2(o, o.op(LpuOp::Multiply, x, immediate(std::bit_cast<float>(0xbfb8aa3bu)))), immediate(1.0f));
  return divide(o, x, d);
}
template <class Ops, class T = typename Ops::Term>
T score(Ops& o, const T& hh, const T& hl, const T& lh, const T& ll, const T& qs, const T& ks) {
  T h = o.op(LpuOp::IntegerMultiplyAdd, hh, immediate(255u), o.op(LpuOp::IntegerAdd, hl, lh));
  return o.op(LpuOp::Multiply, to_float_wide(o, h, ll), o.op(LpuOp::Multiply, qs, ks));
}
template <class Ops, class T = typename Ops::Term>
T value_sum(Ops& o, const T& hh, const T& hl, const T& lh, const T& ll) {
  T h = o.op(LpuOp::IntegerMultiplyAdd, hh, immediate(255u), o.op(LpuOp::IntegerAdd, hl, lh));
  return to_float_wide(o, h, ll);
}
}
