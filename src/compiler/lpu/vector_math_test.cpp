#include "compiler/lpu/vector_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "compiler/lpu/vector_math_testing.h"
#include "numerics/functions.h"
#include "numerics/q16.h"

namespace lockstep::compiler::vector_math {
namespace {

using namespace testing_support;
using numerics::bits_of;
using numerics::from_bits;

// Machines: the small one for tests, lpu-v1, one that rounds 1/sqrt(2) up, one good enough for the short Q16,
// a perfect one.
using Bits12 = Evaluator<12>;
using Bits14 = Evaluator<14>;
using Bits16 = Evaluator<16>;
using Bits21 = Evaluator<21>;
using Bits24 = Evaluator<24>;

template <class Ops>
class Machines : public testing::Test {};
using AllMachines = testing::Types<Bits12, Bits14, Bits16, Bits21, Bits24>;
TYPED_TEST_SUITE(Machines, AllMachines);

// Two exponents show all mantissas, as the reciprocal square root repeats every second one. All of them on
// lpu-v1; all machines in vector_math_long_test.cpp.
constexpr uint32_t kMantissas = 0x3f800000u, kMantissasEnd = 0x407fffffu;
template <class Ops>
constexpr uint32_t kStep = Ops::rsqrt_bits() == 14 ? 1 : 13;

TYPED_TEST(Machines, ScaleOfQ16OverMantissas) {
  constexpr uint32_t step = kStep<TypeParam>;
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ16Levels>(kMantissas, kMantissasEnd, step)), 0u);
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ8Levels>(kMantissas, kMantissasEnd, step)), 0u);
}

TYPED_TEST(Machines, ScaleOfQ16OverAllExponents) {
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ16Levels>(0x1f000000u, 0x4f7fffffu, 997)), 0u);
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ8Levels>(0x1f000000u, 0x4f7fffffu, 997)), 0u);
  // About 2^-64, below which all is zero, and 2^32, from which on it is an error.
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ16Levels>(0x1f7fff00u, 0x1f8000ffu, 1)), 0u);
  EXPECT_EQ((wrong_scales<TypeParam, numerics::kQ16Levels>(0x4f7fff00u, 0x4f7fffffu, 1)), 0u);
}

TYPED_TEST(Machines, InverseRoot) {
  EXPECT_EQ(wrong_inverse_roots<TypeParam>(kMantissas, kMantissasEnd, kStep<TypeParam>), 0u);
  EXPECT_EQ(wrong_inverse_roots<TypeParam>(bits_of(0x1p-60f), bits_of(0x1p100f), 997), 0u);
}

TYPED_TEST(Machines, InverseRootFromAnEstimate) {
  EXPECT_EQ(wrong_inverse_roots<TypeParam>(kMantissas, kMantissasEnd, kStep<TypeParam>, 8), 0u);
}

TYPED_TEST(Machines, DivisionOfTheHardestPairs) {
  EXPECT_EQ(wrong_hardest_divisions<TypeParam>((1u << 23) + 1, 0xffff01u, 26), 0u);
  EXPECT_EQ(wrong_hardest_divisions<TypeParam>(0xffff01u, 0xffffffu, 2), 0u);
}

TYPED_TEST(Machines, DivisionOfRandomAndSpecialPairs) {
  std::mt19937_64 random(1);
  size_t wrong = 0;
  const std::array<uint32_t, 6> mantissas{0, 1, 2, 0x400000, 0x7ffffe, 0x7fffff};
  for (int round = 0; round < 100000; ++round) {
    std::array<uint32_t, 16> x, y;
    for (size_t i = 0; i < x.size(); ++i) {
      const uint64_t word = random();
      x[i] = (47 + word % 112) << 23 | (word >> 10 & kMantissaBits);
      y[i] = (126 + (word >> 40) % 26) << 23 | (word >> 41 & kMantissaBits);
      if (word >> 62 == 0) x[i] = (x[i] & ~kMantissaBits) | mantissas[random() % 6];
      if ((word >> 60 & 3) == 0) y[i] = (y[i] & ~kMantissaBits) | mantissas[random() % 6];
      if ((word >> 54 & 63) == 0) x[i] = 0;
    }
    TypeParam ops;
    const auto got = divide(ops, x, y);
    for (size_t i = 0; i < x.size(); ++i) wrong += got[i] != bits_of(from_bits(x[i]) / from_bits(y[i]));
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(DivideByConstant, SizesOfModels) {
  std::mt19937_64 random(2);
  std::vector<uint32_t> sizes{1, 2, 3, 7, 32, 64, 96, 128, 127, 262143, 90000, 1u << 24, 262143u << 6};
  for (uint32_t n = 32; n <= 16384; n += 16) sizes.push_back(n);
  size_t wrong = 0;
  for (uint32_t n : sizes) {
    for (int round = 0; round < 40; ++round) {
      std::array<uint32_t, 16> x;
      for (uint32_t& word : x) word = bits_of(static_cast<float>(random() >> random() % 60));
      // Beside the middle between two quotients, where the rounding is hardest to get right.
      if (round % 2 == 0) {
        for (uint32_t& word : x) {
          const double middle = static_cast<double>(from_bits(word) / static_cast<float>(n)) * (1 + 0x1p-24);
          word = bits_of(static_cast<float>(middle * n));
        }
      }
      Bits14 ops;
      wrong +=
          differences(x, divide_by_constant(ops, x, n), [&](float v) { return v / static_cast<float>(n); });
    }
  }
  EXPECT_EQ(wrong, 0u);
}

TYPED_TEST(Machines, FunctionsOverASampleOfAllWords) {
  TypeParam ops;
  using Term = typename TypeParam::Term;
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return exp2(ops, x); }, numerics::exp2<>),
            0u);
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return silu(ops, x); }, numerics::silu),
            0u);
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return sigmoid(ops, x); }, numerics::sigmoid),
            0u);
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return tanh(ops, x); }, numerics::tanh),
            0u);
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return gelu_tanh(ops, x); }, numerics::gelu_tanh),
            0u);
  EXPECT_EQ(wrong_values(
                0, 0x4f7fffffu, 4099, [&](const Term& x) { return gelu_erf(ops, x); }, numerics::gelu_erf),
            0u);
}

TEST(Exp2, OfTheSoftmax) {
  Bits14 ops;
  size_t wrong = 0;
  over_words(bits_of(-0.0f), bits_of(-70.0f), 1021, [&](const std::array<uint32_t, 16>& x) {
    wrong += differences(x, exp2_at_most_126(ops, x), numerics::exp2<>);
    const auto parts = exp2_parts(ops, x);
    for (uint32_t position : {0u, 1u, 77u, 255u}) {
      const float j = numerics::dither(position), factor = 0x1.6a09e6p-20f * static_cast<float>(position + 1);
      std::array<uint32_t, 16> dither, factors;
      dither.fill(bits_of(j));
      factors.fill(bits_of(factor));
      const auto weights = weight_of_exp2(ops, parts, dither);
      for (size_t i = 0; i < x.size(); ++i) {
        const float e = numerics::exp2(from_bits(x[i]));
        wrong += static_cast<int32_t>(weights[i]) != static_cast<int32_t>(numerics::rint32(e * 0x1p24f + j));
      }
      wrong += differences(x, exp2_times(ops, parts, factors),
                           [&](float v) { return numerics::exp2(v) * factor; });
    }
  });
  EXPECT_EQ(wrong, 0u);
}

TEST(Integers, PlanesOfAllElements) {
  Bits14 ops;
  for (int32_t a = -32512; a <= 32512; ++a) {
    Bits14::Term words, floats;
    words.fill(static_cast<uint32_t>(a));
    floats.fill(bits_of(static_cast<float>(a)));
    const auto of_words = planes(ops, words), of_floats = planes_of_float(ops, floats);
    ASSERT_EQ(static_cast<int8_t>(of_words.hi[0]), numerics::plane_hi(a)) << a;
    ASSERT_EQ(static_cast<int8_t>(of_words.lo[0]), numerics::plane_lo(a)) << a;
    ASSERT_EQ(static_cast<int8_t>(of_floats.hi[0]), numerics::plane_hi(a)) << a;
    ASSERT_EQ(static_cast<int8_t>(of_floats.lo[0]), numerics::plane_lo(a)) << a;
    // The digits of the square.
    const uint32_t square = square_digits(ops, words)[0];
    int64_t sum = 0;
    for (int i = 3; i >= 0; --i) sum = sum * 256 + static_cast<int8_t>(square >> 8 * i);
    ASSERT_EQ(sum, int64_t{a} * a);
  }
}

TEST(Integers, Quantisation) {
  std::mt19937_64 random(3);
  Bits14 ops;
  for (int round = 0; round < 20000; ++round) {
    const float m = from_bits(static_cast<uint32_t>(0x1f800000u + random() % 0x30000000u));
    std::array<float, 16> x;
    for (float& value : x) value = m * (static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f);
    x[0] = m;
    x[1] = -m;
    for (size_t i = 2; i < 6; ++i)
      x[i] = m / 32512.0f * (static_cast<float>(random() % 32000) + 0.5f);  // ties
    std::array<int16_t, 16> expected;
    float s;
    ASSERT_TRUE(numerics::quantise(x, numerics::kQ16Levels, expected, s));
    Bits14::Term words, largest;
    for (size_t i = 0; i < x.size(); ++i) words[i] = bits_of(x[i]);
    largest.fill(words[0]);
    const auto scale = reciprocal_scale<numerics::kQ16Levels>(ops, largest);
    const auto a = quantise(ops, words, scale.r);
    const auto both = quantise_planes(ops, words, scale.r);
    const float j = numerics::dither(static_cast<uint32_t>(round));
    Bits14::Term dither;
    dither.fill(bits_of(j));
    const auto dithered = quantise_planes_dithered(ops, words, scale.r, dither);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(static_cast<int32_t>(a[i]), expected[i]) << x[i];
      ASSERT_EQ(static_cast<int8_t>(both.hi[i]), numerics::plane_hi(expected[i]));
      ASSERT_EQ(static_cast<int8_t>(both.lo[i]), numerics::plane_lo(expected[i]));
      const auto c = static_cast<int32_t>(numerics::rint32(x[i] * from_bits(scale.r[i]) + j));
      ASSERT_EQ(static_cast<int8_t>(dithered.hi[i]), numerics::plane_hi(c));
      ASSERT_EQ(static_cast<int8_t>(dithered.lo[i]), numerics::plane_lo(c));
    }
  }
}

// Numbers up to `bound` in magnitude, of all sizes, some at the bound itself.
class Samples {
 public:
  int32_t below(uint64_t bound) {
    const uint64_t word = random_();
    if ((word & 7) == 0) return static_cast<int32_t>(word & 8 ? bound : -static_cast<int64_t>(bound));
    const auto value = static_cast<int64_t>((random_() >> (word >> 4) % 32) % (bound + 1));
    return static_cast<int32_t>(word & 8 ? value : -value);
  }
  std::array<uint32_t, 16> lanes(uint64_t bound) {
    std::array<uint32_t, 16> result;
    for (uint32_t& word : result) word = static_cast<uint32_t>(below(bound));
    return result;
  }

 private:
  std::mt19937_64 random_{4};
};

int64_t as_int(uint32_t word) {
  return static_cast<int32_t>(word);
}

TEST(Integers, SumsOfTwoPlanes) {
  Samples samples;
  Bits14 ops;
  for (uint64_t bound :
       {uint64_t{1000}, uint64_t{1} << 24, (uint64_t{1} << 24) + 1, (uint64_t{1} << 31) - 1}) {
    for (int round = 0; round < 50000; ++round) {
      const auto h = samples.lanes(bound), l = samples.lanes(bound);
      const auto got = float_of_plane_sums(ops, h, l, bound);
      for (size_t i = 0; i < h.size(); ++i) {
        ASSERT_EQ(from_bits(got[i]), numerics::f32(255 * as_int(h[i]) + as_int(l[i]))) << as_int(h[i]);
      }
    }
  }
}

TEST(Integers, SumsOfFourPlanes) {
  Samples samples;
  Bits14 ops;
  std::vector<PlaneBounds> cases;
  for (uint64_t terms : {64, 128, 256, 345, 346, 1032, 1033, 4096, 66572})
    cases.push_back(PlaneBounds::of_terms(terms));
  cases.push_back({1u << 24, 0x7fffffffu, 0x7fffffffu, 0x7fffffffu, (uint64_t{1} << 24) * 32512});  // weights
  cases.push_back(
      {1u << 20, (1u << 23) - 1, 1u << 23, uint64_t{1} << 32, uint64_t{1} << 38});  // B just above 2^24
  cases.push_back({1u << 23, 1u << 30, 1u << 30, uint64_t{1} << 32, uint64_t{1} << 45});
  for (const PlaneBounds& bounds : cases) {
    for (int round = 0; round < 20000; ++round) {
      auto hh = samples.lanes(bounds.hh);
      const auto middle = samples.lanes(bounds.middle), ll = samples.lanes(bounds.ll);
      for (size_t i = 0; i < hh.size(); ++i) {
        // What the joint bounds exclude becomes something smaller.
        const auto outside = [&] {
          const int64_t h = 255 * as_int(hh[i]) + as_int(middle[i]), s = 255 * h + as_int(ll[i]);
          return std::abs(h) > static_cast<int64_t>(bounds.h) ||
                 std::abs(s) > static_cast<int64_t>(bounds.total);
        };
        while (hh[i] != 0 && outside()) hh[i] = static_cast<uint32_t>(as_int(hh[i]) / 2);
      }
      const auto got = float_of_plane_sums(ops, hh, middle, ll, bounds);
      for (size_t i = 0; i < hh.size(); ++i) {
        const int64_t h = 255 * as_int(hh[i]) + as_int(middle[i]);
        if (std::abs(h) > static_cast<int64_t>(bounds.h)) continue;
        ASSERT_EQ(from_bits(got[i]), numerics::f32(255 * h + as_int(ll[i]))) << bounds.hh;
      }
    }
  }
}

TEST(Integers, Scores) {
  Samples samples;
  Bits14 ops;
  const auto bounds = PlaneBounds::of_terms(64);
  for (int round = 0; round < 20000; ++round) {
    const auto hh = samples.lanes(bounds.hh), middle = samples.lanes(bounds.middle),
               ll = samples.lanes(bounds.ll);
    Bits14::Term qs_c, ks;
    qs_c.fill(bits_of(static_cast<float>(round + 1) * 0x1.3p-20f));
    ks.fill(bits_of(static_cast<float>(round + 1) * 0x1.7p-22f));
    const auto got = score(ops, hh, middle, ll, bounds, qs_c, ks);
    for (size_t i = 0; i < hh.size(); ++i) {
      const int64_t sum = 255 * (255 * as_int(hh[i]) + as_int(middle[i])) + as_int(ll[i]);
      ASSERT_EQ(from_bits(got[i]), numerics::f32(sum) * (from_bits(qs_c[i]) * from_bits(ks[i])));
    }
  }
}

TEST(Integers, Digits) {
  Samples samples;
  Bits14 ops;
  for (int round = 0; round < 100000; ++round) {
    Bits14::Term v = samples.lanes(0x7f7f7f7f);
    for (uint32_t& word : v) word = static_cast<uint32_t>(std::abs(as_int(word)));
    const auto word = digits(ops, v);
    for (size_t i = 0; i < v.size(); ++i) {
      int64_t sum = 0;
      for (int k = 3; k >= 0; --k) sum = sum * 256 + static_cast<int8_t>(word[i] >> 8 * k);
      ASSERT_EQ(sum, as_int(v[i]));
    }
  }
}

TEST(Integers, SumsOfDigits) {
  Samples samples;
  Bits14 ops;
  for (const DigitBounds& bounds :
       {DigitBounds{64, 64ull * 32512 * 32512}, DigitBounds{508, 508ull << 24},
        DigitBounds{576, 576ull * 32512 * 32512}, DigitBounds{1040, 1040ull * 32512 * 32512},
        DigitBounds{20000, 20000ull * 0x7f7f7f7f}, DigitBounds{65000, 65000ull * 0x7f7f7f7f}}) {
    for (int round = 0; round < 50000; ++round) {
      std::array<Bits14::Term, 4> sums;
      std::array<int64_t, 16> totals;
      for (size_t i = 0; i < 16; ++i) {
        // Any sums within the bounds: the digits of lanes are free.
        const auto most = static_cast<int64_t>(bounds.terms * 128);
        std::array<int64_t, 4> d;
        for (int64_t& digit : d) digit = samples.below(static_cast<uint64_t>(most));
        const int64_t rest = d[0] + 256 * (d[1] + 256 * d[2]);
        const int64_t lowest = (-rest + 0xffffff) >> 24;
        const int64_t highest = std::min(most, (static_cast<int64_t>(bounds.total) - rest) >> 24);
        ASSERT_LE(lowest, highest);
        d[3] = std::clamp(d[3], lowest, highest);
        totals[i] = rest + (d[3] << 24);
        for (size_t k = 0; k < 4; ++k) sums[k][i] = static_cast<uint32_t>(d[k]);
      }
      const auto got = float_of_digit_sums(ops, sums, bounds);
      for (size_t i = 0; i < 16; ++i) ASSERT_EQ(from_bits(got[i]), numerics::f32(totals[i])) << bounds.terms;
    }
  }
}

TYPED_TEST(Machines, InverseRootMeanSquare) {
  std::mt19937_64 random(6);
  TypeParam ops;
  for (const uint32_t n : {64u, 576u, 960u, 2048u, 5120u}) {
    for (int round = 0; round < 200; ++round) {
      std::array<typename TypeParam::Term, 4> sums{};
      typename TypeParam::Term s;
      std::array<float, 16> expected;
      const float eps = round % 2 == 0 ? 1e-5f : 0x1p-60f;
      for (size_t lane = 0; lane < 16; ++lane) {
        int64_t total = 0;
        std::array<int32_t, 4> d{};
        for (uint32_t i = 0; i < n; ++i) {
          int32_t a = static_cast<int32_t>(random() % 65025) - 32512;
          if (round % 3 == 1) a /= 1 + static_cast<int32_t>(random() % 4000);
          if (i == 0) a = 32512;
          if (lane == 0) a = 0;
          if (lane == 1) a = 32512;
          total += int64_t{a} * a;
          const uint32_t word = (static_cast<uint32_t>(a * a) + 0x80808080u) ^ 0x80808080u;
          for (int k = 0; k < 4; ++k) d[static_cast<size_t>(k)] += static_cast<int8_t>(word >> 8 * k);
        }
        for (size_t k = 0; k < 4; ++k) sums[k][lane] = static_cast<uint32_t>(d[k]);
        const float scale = from_bits(static_cast<uint32_t>(0x18000000u + random() % 0x30000000u));
        s[lane] = lane == 0 ? 0 : bits_of(scale);
        const float v =
            numerics::f32(total) / static_cast<float>(n) * from_bits(s[lane]) * from_bits(s[lane]);
        expected[lane] = 1.0f / numerics::sqrt32(v + eps);
      }
      const DigitBounds bounds{n, uint64_t{n} * 32512 * 32512};
      const auto got = inverse_root_mean_square(ops, sums, bounds, s, n, eps);
      for (size_t lane = 0; lane < 16; ++lane)
        ASSERT_EQ(from_bits(got[lane]), expected[lane]) << n << " " << lane;
    }
  }
}

// Cycles from an input at 0 to the result, operations, and constants beside the operations' immediates.
struct Cost {
  int cycles, operations;
  size_t constants;
  bool operator==(const Cost&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Cost& cost) {
  return out << cost.cycles << " cycles, " << cost.operations << " operations, " << cost.constants
             << " constants";
}
template <class Function>
Cost cost(uint32_t bits, const Function& function) {
  DepthCounter ops;
  ops.bits = bits;
  const DepthCounter::Term result = function(ops, DepthCounter::Term{0});
  return {result.cycles.value_or(0), ops.operations, ops.constants.size()};
}

TEST(Depth, OfEachFunction) {
  using Ops = DepthCounter;
  using Term = DepthCounter::Term;
  constexpr auto kLevels = numerics::kQ16Levels;
  const auto r = [](Ops& ops, const Term& m) { return reciprocal_scale<kLevels>(ops, m).r; };
  const auto s = [](Ops& ops, const Term& m) { return reciprocal_scale<kLevels>(ops, m).s; };
  EXPECT_EQ(cost(14, r), (Cost{21, 18, 0}));
  EXPECT_EQ(cost(22, r), (Cost{18, 17, 0}));
  EXPECT_EQ(cost(14, s), (Cost{9, 18, 0}));
  const auto simple = [](const auto& function) { return cost(14, function); };
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return inverse_root(o, x); }), (Cost{27, 22, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return inverse_root(o, x, Term{}); }), (Cost{18, 22, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return divide(o, x, x); }), (Cost{27, 21, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return divide(o, x, Term{}); }), (Cost{21, 21, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return divide_by_constant(o, x, 576); }), (Cost{6, 2, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return exp2(o, x); }), (Cost{24, 15, 2}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return exp2_at_most_126(o, x); }), (Cost{24, 12, 2}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return weight_of_exp2(o, exp2_parts(o, x), x); }),
            (Cost{27, 14, 2}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return exp2_times(o, exp2_parts(o, x), x); }),
            (Cost{24, 13, 2}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return silu(o, x); }), (Cost{39, 36, 3}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return silu_gate(o, x, x); }), (Cost{42, 37, 3}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return sigmoid(o, x); }), (Cost{39, 36, 3}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return tanh(o, x); }), (Cost{42, 37, 4}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return gelu_tanh(o, x); }), (Cost{45, 39, 4}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return gelu_erf(o, x); }), (Cost{66, 49, 3}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return planes(o, x).lo; }), (Cost{6, 4, 1}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return planes_of_float(o, x).lo; }), (Cost{3, 2, 1}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return quantise(o, x, x); }), (Cost{6, 2, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return quantise_planes(o, x, x).lo; }), (Cost{9, 4, 1}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return quantise_planes_dithered(o, x, x, x).lo; }),
            (Cost{12, 5, 1}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return digits(o, x); }), (Cost{6, 2, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return square_digits(o, x); }), (Cost{6, 2, 0}));
  const auto two = [&](uint64_t bound) {
    return simple([=](Ops& o, const Term& x) { return float_of_plane_sums(o, x, x, bound); });
  };
  EXPECT_EQ(two(1 << 24), (Cost{6, 3, 0}));
  EXPECT_EQ(two(1 << 30), (Cost{12, 9, 0}));
  const auto four = [&](uint64_t terms) {
    return simple(
        [=](Ops& o, const Term& x) { return float_of_plane_sums(o, x, x, x, PlaneBounds::of_terms(terms)); });
  };
  EXPECT_EQ(four(345), (Cost{12, 7, 0}));
  EXPECT_EQ(four(1032), (Cost{18, 11, 0}));
  EXPECT_EQ(four(66572), (Cost{21, 17, 0}));
  const auto four_of_weights = [](Ops& o, const Term& x) {
    return float_of_plane_sums(o, x, x, x,
                               {1u << 24, 0x7fffffffu, 0x7fffffffu, 0x7fffffffu, uint64_t{1} << 39});
  };
  EXPECT_EQ(simple(four_of_weights), (Cost{15, 10, 0}));
  EXPECT_EQ(simple([](Ops& o, const Term& x) { return score(o, x, x, x, PlaneBounds::of_terms(64), x, x); }),
            (Cost{15, 9, 0}));
  const auto sums = [&](uint64_t terms, uint64_t total) {
    return simple([=](Ops& o, const Term& x) {
      return float_of_digit_sums(o, {x, x, x, x}, {terms, total});
    });
  };
  EXPECT_EQ(sums(320, 320ull << 24), (Cost{9, 7, 0}));
  EXPECT_EQ(sums(576, 576ull * 32512 * 32512), (Cost{12, 8, 0}));
  EXPECT_EQ(sums(5120, 5120ull * 32512 * 32512), (Cost{15, 8, 0}));
  EXPECT_EQ(
      simple([](Ops& o, const Term& x) {
        return inverse_root_mean_square(o, {x, x, x, x}, {576, 576ull * 32512 * 32512}, Term{}, 576, 1e-5f);
      }),
      (Cost{42, 45, 0}));
}

}  // namespace
}  // namespace lockstep::compiler::vector_math
