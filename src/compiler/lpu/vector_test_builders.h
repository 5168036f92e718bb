// Builders for the tests of vector_math.h: one computes, one measures.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>

#include "base/error.h"
#include "compiler/lpu/vector_builder.h"
#include "program/isa/lpu_alu.h"

namespace lockstep::compiler::vector_math {

// Computes 16 lanes at a time: with a constant operation the loop is as good as a vector instruction.
template <uint32_t bits>
struct Evaluator {
  static constexpr size_t kLanes = 16;
  using Term = std::array<uint32_t, kLanes>;
  struct Operand {
    Operand(const Term& term) : lanes(term) {}
    Operand(Immediate value) { lanes.fill(value.bits); }
    Term lanes;
  };

  static constexpr uint32_t rsqrt_bits() { return bits; }
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const Operand& a) { return apply(op, a, a, a); }
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const Operand& a, const Operand& b) {
    return apply(op, a, b, b);
  }
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const Operand& a, const Operand& b,
                                 const Operand& c) {
    return apply(op, a, b, c);
  }
  [[gnu::always_inline]] static Term apply(program::isa::LpuOp op, const Operand& a, const Operand& b,
                                           const Operand& c) {
    Term result;
    for (size_t i = 0; i < kLanes; ++i) {
      result[i] = program::isa::alu(op, a.lanes[i], b.lanes[i], c.lanes[i], bits);
    }
    return result;
  }
};

// Counts the cycles of the longest chain from an input, 3 an operation and 6 an RSqrt, the operations and the
// distinct constants that stand beside them, which depend on no input and take no time. Checks operand counts
// and that an operation has one immediate.
struct DepthCounter {
  struct Term {
    std::optional<int> cycles;  // nothing for what depends on no input
  };
  struct Operand {
    Operand(const Term& value) : term(value) {}
    Operand(Immediate value) : bits(value.bits) {}
    Term term;
    std::optional<uint32_t> bits;
  };

  uint32_t bits = 14;
  int operations = 0;
  std::set<uint32_t> constants;

  uint32_t rsqrt_bits() const { return bits; }
  template <class... Operands>
  Term op(program::isa::LpuOp op, const Operands&... operands) {
    return count(op, {Operand(operands)...});
  }
  Term count(program::isa::LpuOp op, std::initializer_list<Operand> operands) {
    LOCKSTEP_CHECK(operands.size() == program::isa::vxm_operands(op));
    std::optional<uint32_t> value;
    Term result;
    for (const Operand& operand : operands) {
      if (operand.bits) {
        LOCKSTEP_CHECK(!value || *value == *operand.bits);
        value = operand.bits;
      } else if (operand.term.cycles) {
        result.cycles = std::max(result.cycles.value_or(0), *operand.term.cycles);
      }
    }
    if (op == program::isa::LpuOp::Move && value) {
      constants.insert(*value);
      return result;
    }
    ++operations;
    if (result.cycles) *result.cycles += op == program::isa::LpuOp::RSqrt ? 6 : 3;
    return result;
  }
};

}  // namespace lockstep::compiler::vector_math
