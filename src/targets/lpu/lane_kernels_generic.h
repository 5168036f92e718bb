// The kernels as plain loops, for files that are compiled for one kind of CPU each: everything is inlined
// there, so that no such code is linked into what every CPU runs.
#pragma once

#include <cstring>

#include "program/isa/lpu_alu.h"
#include "targets/lpu/lane_kernels.h"

namespace lockstep::targets::lpu {
namespace {

using program::isa::LpuOp;
using program::isa::OperandKind;

template <LpuOp kOp>
[[gnu::flatten]] void alu_lanes(const Words& a, const Words& b, const Words& c, uint32_t rsqrt_bits,
                                Words& result) {
  for (uint32_t i = 0; i < kLanes; ++i) {
    result.lanes[i] = program::isa::alu(kOp, a.lanes[i], b.lanes[i], c.lanes[i], rsqrt_bits);
  }
}

void alu(LpuOp op, const Words& a, const Words& b, const Words& c, uint32_t rsqrt_bits, Words& result) {
  switch (op) {
#define LOCKSTEP_ALU_CASE(name) \
  case LpuOp::name:             \
    return alu_lanes<LpuOp::name>(a, b, c, rsqrt_bits, result);
    LOCKSTEP_ALU_CASE(Add)
    LOCKSTEP_ALU_CASE(Subtract)
    LOCKSTEP_ALU_CASE(Multiply)
    LOCKSTEP_ALU_CASE(Fma)
    LOCKSTEP_ALU_CASE(Maximum)
    LOCKSTEP_ALU_CASE(Less)
    LOCKSTEP_ALU_CASE(Rint)
    LOCKSTEP_ALU_CASE(RSqrt)
    LOCKSTEP_ALU_CASE(Select)
    LOCKSTEP_ALU_CASE(Move)
    LOCKSTEP_ALU_CASE(IntegerAdd)
    LOCKSTEP_ALU_CASE(IntegerSubtract)
    LOCKSTEP_ALU_CASE(IntegerMultiply)
    LOCKSTEP_ALU_CASE(IntegerMultiplyAdd)
    LOCKSTEP_ALU_CASE(IntegerMaximum)
    LOCKSTEP_ALU_CASE(IntegerLess)
    LOCKSTEP_ALU_CASE(IntegerEqual)
    LOCKSTEP_ALU_CASE(And)
    LOCKSTEP_ALU_CASE(Or)
    LOCKSTEP_ALU_CASE(Xor)
    LOCKSTEP_ALU_CASE(ShiftLeft)
    LOCKSTEP_ALU_CASE(ShiftRight)
    LOCKSTEP_ALU_CASE(Int32ToFloat)
    LOCKSTEP_ALU_CASE(FloatToInt32)
#undef LOCKSTEP_ALU_CASE
    default:
      return alu_lanes<LpuOp::Nop>(a, b, c, rsqrt_bits, result);
  }
}

void join(OperandKind kind, const Vector* const* streams, Words& words) {
  const auto byte = [&](uint32_t stream, uint32_t lane) {
    return static_cast<uint32_t>(streams[stream]->lanes[lane]);
  };
  switch (kind) {
    case OperandKind::Word:
      for (uint32_t i = 0; i < kLanes; ++i) {
        words.lanes[i] = byte(0, i) | byte(1, i) << 8 | byte(2, i) << 16 | byte(3, i) << 24;
      }
      return;
    case OperandKind::Int16:
      for (uint32_t i = 0; i < kLanes; ++i) {
        words.lanes[i] =
            static_cast<uint32_t>(static_cast<int32_t>(byte(0, i) << 16 | byte(1, i) << 24) >> 16);
      }
      return;
    case OperandKind::Int8:
      for (uint32_t i = 0; i < kLanes; ++i) {
        words.lanes[i] = static_cast<uint32_t>(static_cast<int32_t>(byte(0, i) << 24) >> 24);
      }
      return;
    default:
      for (uint32_t i = 0; i < kLanes; ++i) words.lanes[i] = byte(0, i);
  }
}

void split(const Words& words, uint32_t bytes, Vector* const* streams) {
  for (uint32_t b = 0; b < bytes; ++b) {
    Vector& out = *streams[b];
    for (uint32_t i = 0; i < kLanes; ++i) out.lanes[i] = static_cast<std::byte>(words.lanes[i] >> (8 * b));
  }
}

void load_weights(const Vector* const* rows, uint32_t count, uint32_t first_output, WeightArray& array) {
  for (uint32_t g = 0; g < kLanes / WeightArray::kInputGroup; ++g) {
    for (uint32_t k = 0; k < count; ++k) {
      uint32_t four;
      std::memcpy(&four, &rows[k]->lanes[g * WeightArray::kInputGroup], sizeof(four));
      four ^= 0x80808080u;  // + 128 in every byte
      std::memcpy(array.weights[g][first_output + k], &four, sizeof(four));
    }
  }
}

// What the products count too much because each weight is 128 more: 128 times the sum of the activations.
int32_t surplus(const Vector& activations) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < kLanes; ++i) sum += static_cast<int8_t>(activations.lanes[i]);
  return sum * kZeroWeight;
}

void start_sums(const Vector& activations, bool add, Words& sums) {
  const uint32_t minus = 0u - static_cast<uint32_t>(surplus(activations));
  for (uint32_t i = 0; i < kLanes; ++i) sums.lanes[i] = (add ? sums.lanes[i] : 0) + minus;
}

[[maybe_unused]] void product(const WeightArray& array, const Vector& activations, bool add, Words& sums) {
  start_sums(activations, add, sums);
  for (uint32_t g = 0; g < kLanes / WeightArray::kInputGroup; ++g) {
    int32_t a[WeightArray::kInputGroup];
    for (uint32_t i = 0; i < WeightArray::kInputGroup; ++i) {
      a[i] = static_cast<int8_t>(activations.lanes[g * WeightArray::kInputGroup + i]);
    }
    for (uint32_t r = 0; r < kLanes; ++r) {
      const uint8_t(&w)[WeightArray::kInputGroup] = array.weights[g][r];
      sums.lanes[r] += static_cast<uint32_t>(a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3]);
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::lpu
