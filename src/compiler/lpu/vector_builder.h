// How the functions of vector_math.h and vector_integers.h are written down: as operations handed to a
// builder, which emits instructions, evaluates them, or measures their depth.
//
// A builder Ops has
//   Ops::Term         a value of 32 bits in every lane: the result of an operation;
//   Ops::Operand      made implicitly from a Term and from an Immediate;
//   ops.op(LpuOp, a), ops.op(LpuOp, a, b), ops.op(LpuOp, a, b, c)   with Operands a, b, c, giving a Term;
//   ops.rsqrt_bits()  significant bits of RSqrt (program/isa/lpu_alu.h): 12, or 14 to 24.
// An instruction has one immediate, so an operation names one at the most; a second constant is a Move of
// its own, a Term that depends on no input and can be computed at any earlier time.
#pragma once

#include <bit>
#include <cstdint>

#include "program/isa/lpu.h"

namespace lockstep::compiler::vector_math {

struct Immediate {
  uint32_t bits = 0;
};
constexpr Immediate immediate(float value) {
  return {std::bit_cast<uint32_t>(value)};
}
constexpr Immediate immediate(uint32_t bits) {
  return {bits};
}
constexpr Immediate immediate(int32_t value) {
  return {static_cast<uint32_t>(value)};
}

// The constant as a Term, for an operation that has its immediate already.
template <class Ops, class Value>
typename Ops::Term constant(Ops& ops, Value value) {
  return ops.op(program::isa::LpuOp::Move, immediate(value));
}

inline constexpr uint32_t kSignBit = 0x80000000u;
inline constexpr uint32_t kMantissaBits = 0x007fffffu;

}  // namespace lockstep::compiler::vector_math
