// Every input of the functions of vector_math.h. Compiled for AVX2 where there is one: two minutes on two
// cores.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/cpu_features.h"
#include "compiler/lpu/vector_math_testing.h"

namespace lockstep::compiler::vector_math {
namespace {

using namespace testing_support;

class VectorMath : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__AVX2__)
    if (!cpu_features().avx2) GTEST_SKIP() << "compiled for AVX2, which this CPU has not";
#endif
  }
};

// The sum of part(0) to part(parts - 1), on all cores.
template <class Part>
size_t over_parts(uint32_t parts, const Part& part) {
  std::atomic<uint32_t> next = 0;
  std::atomic<size_t> sum = 0;
  std::vector<std::jthread> threads;
  for (uint32_t i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (uint32_t taken = next++; taken < parts; taken = next++) sum += part(taken);
    });
  }
  threads.clear();
  return sum;
}

// All words of both signs with |x| < 2^32, in 159 parts of one exponent.
template <class Vector, class Scalar>
size_t wrong_of_all(const Vector& vector, const Scalar& scalar) {
  return over_parts(159, [&](uint32_t exponent) {
    const uint32_t first = exponent << 23;
    return wrong_values(first, first | kMantissaBits, 1, vector, scalar);
  });
}

template <uint32_t bits>
size_t wrong_over_mantissas() {
  constexpr uint32_t first = 0x3f800000u, last = 0x407fffffu;
  using Ops = Evaluator<bits>;
  return wrong_scales<Ops, numerics::kQ16Levels>(first, last, 1) +
         wrong_scales<Ops, numerics::kQ8Levels>(first, last, 1) + wrong_inverse_roots<Ops>(first, last, 1) +
         wrong_inverse_roots<Ops>(first, last, 1, 8) +
         wrong_hardest_divisions<Ops>((1u << 23) + 1, (1u << 24) - 1, 2);
}

TEST_F(VectorMath, ScaleInverseRootAndDivisionOnAllMachines) {
  constexpr std::array tables{wrong_over_mantissas<12>, wrong_over_mantissas<13>, wrong_over_mantissas<14>,
                              wrong_over_mantissas<15>, wrong_over_mantissas<16>, wrong_over_mantissas<17>,
                              wrong_over_mantissas<18>, wrong_over_mantissas<19>, wrong_over_mantissas<20>,
                              wrong_over_mantissas<21>, wrong_over_mantissas<22>, wrong_over_mantissas<23>,
                              wrong_over_mantissas<24>};
  EXPECT_EQ(over_parts(tables.size(), [&](uint32_t i) { return tables[i](); }), 0u);
}

// NAME(x) of vector_math beside the scalar one.
#define LOCKSTEP_EXPECT_RIGHT(bits, name)                   \
  EXPECT_EQ(wrong_of_all(                                   \
                [](const Evaluator<bits>::Term& x) {        \
                  Evaluator<bits> ops;                      \
                  return vector_math::name(ops, x);         \
                },                                          \
                [](float x) { return numerics::name(x); }), \
            0u)

TEST_F(VectorMath, Exp2) {
  LOCKSTEP_EXPECT_RIGHT(14, exp2);
}
TEST_F(VectorMath, Silu) {
  LOCKSTEP_EXPECT_RIGHT(12, silu);
  LOCKSTEP_EXPECT_RIGHT(14, silu);
}
TEST_F(VectorMath, Sigmoid) {
  LOCKSTEP_EXPECT_RIGHT(14, sigmoid);
}
TEST_F(VectorMath, Tanh) {
  LOCKSTEP_EXPECT_RIGHT(14, tanh);
}
TEST_F(VectorMath, GeluTanh) {
  LOCKSTEP_EXPECT_RIGHT(14, gelu_tanh);
}
TEST_F(VectorMath, GeluErf) {
  LOCKSTEP_EXPECT_RIGHT(14, gelu_erf);
}

}  // namespace
}  // namespace lockstep::compiler::vector_math
