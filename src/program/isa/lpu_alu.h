// One lane of the VXM: what each operation gives for 32-bit operands. NUMERICS.md section 1: binary32, to
// nearest even, subnormals kept, one rounding an operation.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "program/isa/lpu.h"

namespace lockstep::program::isa {

// 1 / sqrt(x) to `bits` significant bits, to nearest even, for normal x > 0; an infinity for other x. The
// quotient and the root are IEEE binary64 operations, so that every host gives the same.
inline float rsqrt_rounded(float x, uint32_t bits) {
  if (!(x >= 0x1p-126f) || std::isinf(x)) return HUGE_VALF;
  const double exact = 1.0 / std::sqrt(static_cast<double>(x));
  const uint32_t dropped = 53 - bits;
  uint64_t word = std::bit_cast<uint64_t>(exact);
  word += ((uint64_t{1} << (dropped - 1)) - 1) + (word >> dropped & 1);
  word = word >> dropped << dropped;
  return static_cast<float>(std::bit_cast<double>(word));
}

inline int32_t float_to_int32(float x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p31f) return INT32_MAX;
  if (x <= -0x1p31f) return INT32_MIN;
  return static_cast<int32_t>(std::nearbyint(x));
}

inline uint32_t alu(LpuOp op, uint32_t a, uint32_t b, uint32_t c, uint32_t rsqrt_bits) {
  const float fa = std::bit_cast<float>(a), fb = std::bit_cast<float>(b), fc = std::bit_cast<float>(c);
  const int32_t ia = static_cast<int32_t>(a), ib = static_cast<int32_t>(b);
  const auto bits = [](float x) { return std::bit_cast<uint32_t>(x); };
  switch (op) {
    case LpuOp::Add:
      return bits(fa + fb);
    case LpuOp::Subtract:
      return bits(fa - fb);
    case LpuOp::Multiply:
      return bits(fa * fb);
    case LpuOp::Fma:
      return bits(std::fma(fa, fb, fc));
    case LpuOp::Maximum:
      return fa < fb ? b : a;
    case LpuOp::Less:
      return fa < fb ? ~0u : 0;
    case LpuOp::Rint:
      return bits(std::nearbyint(fa));
    case LpuOp::RSqrt:
      return bits(rsqrt_rounded(fa, rsqrt_bits));
    case LpuOp::Select:
      return a != 0 ? b : c;
    case LpuOp::Move:
      return a;
    case LpuOp::IntegerAdd:
      return a + b;
    case LpuOp::IntegerSubtract:
      return a - b;
    case LpuOp::IntegerMultiply:
      return a * b;
    case LpuOp::IntegerMultiplyAdd:
      return a * b + c;
    case LpuOp::IntegerMaximum:
      return ia < ib ? b : a;
    case LpuOp::IntegerLess:
      return ia < ib ? ~0u : 0;
    case LpuOp::IntegerEqual:
      return a == b ? ~0u : 0;
    case LpuOp::And:
      return a & b;
    case LpuOp::Or:
      return a | b;
    case LpuOp::Xor:
      return a ^ b;
    case LpuOp::ShiftLeft:
      return a << (b & 31);
    case LpuOp::ShiftRight:
      return static_cast<uint32_t>(ia >> (b & 31));
    case LpuOp::Int32ToFloat:
      return bits(static_cast<float>(ia));
    case LpuOp::FloatToInt32:
      return static_cast<uint32_t>(float_to_int32(fa));
    default:
      return 0;
  }
}

}  // namespace lockstep::program::isa
