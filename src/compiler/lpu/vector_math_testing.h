// For the tests of vector_math.h: a builder that computes, one that measures, and loops over inputs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>

#include "base/error.h"
#include "compiler/lpu/vector_math.h"
#include "numerics/functions.h"
#include "program/isa/lpu_alu.h"

namespace lockstep::compiler::vector_math::testing_support {

// Computes 16 lanes at a time: with a constant operation the loop is as good as a vector instruction.
template <uint32_t bits>
struct Evaluator {
  static constexpr size_t kLanes = 16;
  using Term = std::array<uint32_t, kLanes>;

  static constexpr uint32_t rsqrt_bits() { return bits; }
  template <class A, class B, class C>
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const A& a, const B& b, const C& c) {
    Term result;
    for (size_t i = 0; i < kLanes; ++i) {
      result[i] = program::isa::alu(op, lane(a, i), lane(b, i), lane(c, i), bits);
    }
    return result;
  }
  template <class A>
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const A& a) {
    return this->op(op, a, a, a);
  }
  template <class A, class B>
  [[gnu::always_inline]] Term op(program::isa::LpuOp op, const A& a, const B& b) {
    return this->op(op, a, b, b);
  }

 private:
  static uint32_t lane(const Term& term, size_t i) { return term[i]; }
  static uint32_t lane(Immediate value, size_t) { return value.bits; }
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

// Calls check(input lanes) for all words from `first` to `last` in steps, 16 at a time.
template <class Check>
void over_words(uint32_t first, uint32_t last, uint32_t step, const Check& check) {
  std::array<uint32_t, 16> lanes;
  size_t filled = 0;
  for (uint64_t word = first; word <= last; word += step) {
    lanes[filled++] = static_cast<uint32_t>(word);
    if (filled < lanes.size()) continue;
    check(lanes);
    filled = 0;
  }
  if (filled == 0) return;
  for (; filled < lanes.size(); ++filled) lanes[filled] = last;
  check(lanes);
}

// How many lanes differ from the expected function of the input; a zero may have either sign.
template <class Expected>
size_t differences(const std::array<uint32_t, 16>& input, const std::array<uint32_t, 16>& got,
                   const Expected& expected) {
  size_t count = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    const uint32_t want = numerics::bits_of(expected(numerics::from_bits(input[i])));
    count += got[i] != want && ((got[i] | want) & ~kSignBit) != 0;
  }
  return count;
}

// How many of the words from `first` to `last` give a wrong scale of Q16.
template <class Ops, int32_t levels>
size_t wrong_scales(uint32_t first, uint32_t last, uint32_t step) {
  size_t wrong = 0;
  over_words(first, last, step, [&](const std::array<uint32_t, 16>& m) {
    Ops ops;
    const auto scale = reciprocal_scale<levels>(ops, m);
    const auto top = static_cast<float>(levels);
    wrong += differences(m, scale.s, [&](float x) { return x < 0x1p-64f ? 0 : x / top; });
    wrong += differences(m, scale.r, [&](float x) { return x < 0x1p-64f ? 0 : top / x; });
  });
  return wrong;
}

// The same of inverse_root, from an estimate up to `blur` units of the last place beside the input.
template <class Ops>
size_t wrong_inverse_roots(uint32_t first, uint32_t last, uint32_t step, uint32_t blur = 0) {
  size_t wrong = 0;
  uint32_t moved = 0;
  over_words(first, last, step, [&](const std::array<uint32_t, 16>& x) {
    Ops ops;
    auto near_x = x;
    for (uint32_t& word : near_x) word += (moved += 5) % (2 * blur + 1) - blur;
    wrong += differences(x, inverse_root(ops, x, near_x), [](float v) { return 1.0f / numerics::sqrt32(v); });
  });
  return wrong;
}

// 2^-count modulo an odd m.
inline uint64_t inverse_power(uint64_t m, int count) {
  uint64_t result = 1;
  for (int i = 0; i < count; ++i) result = result % 2 == 0 ? result / 2 : (result + m) / 2;
  return result % m;
}

// How many of the hardest divisions come out wrong: those whose x / y lies c/(2*y) of a unit beside the
// middle between two binary32, c = 1 and 3 on both sides. With x and y as integers of 24 bits, y odd, that is
// x * 2^25 = c (or x * 2^24, where x >= y) modulo y. For every step-th y from `first` to `last`, both odd.
template <class Ops>
size_t wrong_hardest_divisions(uint32_t first, uint32_t last, uint32_t step) {
  size_t wrong = 0;
  for (uint64_t y = first; y <= last; y += step) {
    std::array<uint32_t, 16> xs{}, ys;
    size_t filled = 0;
    for (int shift = 24; shift <= 25; ++shift) {
      const uint64_t inverse = inverse_power(y, shift);
      for (uint64_t c : {uint64_t{1}, uint64_t{3}, y - 1, y - 3}) {
        uint64_t x = c * inverse % y;
        if (shift == 24 && x + y < 1u << 24) x += y;
        if (x < 1u << 23) continue;
        for (float scale : {0x1p-23f, 0x1p-22f}) {  // the reciprocal square root knows two exponents
          xs[filled] = numerics::bits_of(static_cast<float>(x));
          ys[filled++] = numerics::bits_of(static_cast<float>(y) * scale);
        }
      }
    }
    for (size_t i = filled; i < ys.size(); ++i) ys[i] = numerics::bits_of(1.0f);
    Ops ops;
    const auto got = divide(ops, xs, ys);
    for (size_t i = 0; i < filled; ++i) {
      wrong += got[i] != numerics::bits_of(numerics::from_bits(xs[i]) / numerics::from_bits(ys[i]));
    }
  }
  return wrong;
}

// How many of the words from `first` to `last` in steps, and of the same with the sign bit, a function of one
// operand maps to something other than the scalar function does.
template <class Vector, class Scalar>
size_t wrong_values(uint32_t first, uint32_t last, uint32_t step, const Vector& vector,
                    const Scalar& scalar) {
  size_t wrong = 0;
  for (uint32_t sign : {0u, kSignBit}) {
    over_words(sign | first, sign | last, step,
               [&](const std::array<uint32_t, 16>& x) { wrong += differences(x, vector(x), scalar); });
  }
  return wrong;
}

}  // namespace lockstep::compiler::vector_math::testing_support
