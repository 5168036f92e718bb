#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "numerics/digest.h"
#include "numerics/functions.h"
#include "numerics/integer_matrix.h"
#include "numerics/philox.h"
#include "numerics/q16.h"
#include "numerics/sampling.h"

namespace lockstep::numerics {
namespace {

TEST(Float32, FmaWithoutTheInstructionIsRoundedOnce) {
  // (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24 exactly; a product rounded first loses the 2^-24.
  const float x = 1.0f + 0x1p-12f;
  EXPECT_EQ(fma32(x, x, -1.0f), 0x1p-11f + 0x1p-24f);
  // A tie of the binary64 sum that the product's tail breaks: 2^24 + 1 + tiny rounds up.
  EXPECT_EQ(fma32(1.0f + 0x1p-23f, 0x1p24f, 0x1p-30f), 16777218.0f);
  uint32_t state = 1;
  auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int i = 0; i < 100000; ++i) {
    const float a = from_bits((next() & 0x807fffffu) | ((next() % 40 + 107) << 23));
    const float b = from_bits((next() & 0x807fffffu) | ((next() % 40 + 107) << 23));
    const float c = from_bits((next() & 0x807fffffu) | ((next() % 80 + 87) << 23));
    ASSERT_EQ(bits_of(fma32(a, b, c)), bits_of(__builtin_fmaf(a, b, c))) << a << " " << b << " " << c;
  }
}

TEST(Float32, RintTiesToEvenAndKeepsTheSign) {
  EXPECT_EQ(rint32(0.5f), 0.0f);
  EXPECT_EQ(rint32(1.5f), 2.0f);
  EXPECT_EQ(rint32(-2.5f), -2.0f);
  EXPECT_EQ(bits_of(rint32(-0.25f)), 0x80000000u);
  EXPECT_EQ(rint32(16777217.0f), 16777216.0f);
  EXPECT_EQ(rint64(-2.5), -2.0);
  EXPECT_EQ(rint64(0x1p52 + 1), 0x1p52 + 1);
}

TEST(Q16, BoundsOfTheContract) {
  std::array<int16_t, 3> a;
  float s = -1;
  EXPECT_TRUE(quantise(std::array{1.0f, -2.0f, 0.5f}, kQ16Levels, a, s));
  EXPECT_EQ(a[1], -32512);
  EXPECT_EQ(a[0], 16256);
  EXPECT_EQ(s, 2.0f / 32512.0f);
  EXPECT_TRUE(quantise(std::array{0x1.fffffep-65f, 0.0f, 0.0f}, kQ16Levels, a, s));
  EXPECT_EQ(s, 0.0f);
  EXPECT_EQ(a[0], 0);
  EXPECT_TRUE(quantise(std::array{0x1p-64f, 0.0f, 0.0f}, kQ16Levels, a, s));
  EXPECT_EQ(a[0], 32512);
  EXPECT_TRUE(quantise(std::array{0x1.fffffep31f, 0.0f, 0.0f}, kQ16Levels, a, s));
  EXPECT_FALSE(quantise(std::array{0x1p32f, 0.0f, 0.0f}, kQ16Levels, a, s));
  EXPECT_FALSE(quantise(std::array{0.0f, from_bits(0x7fc00000u), 0.0f}, kQ16Levels, a, s));
}

TEST(Q16, UnitLengthIsOneRoundingAfterAnother) {
  std::array<float, 3> unit;
  unit_length(std::array<int16_t, 3>{3, 0, -4}, unit);
  EXPECT_EQ(unit, (std::array<float, 3>{3 * 0.2f, 0, -4 * 0.2f}));
  unit_length(std::array<int16_t, 3>{0, 0, 0}, unit);
  EXPECT_EQ(unit, (std::array<float, 3>{}));
  // 4097^2 + 2 = 2^24 + 8195, of which sums in binary32 lose the 3.
  unit_length(std::array<int16_t, 3>{4097, 1, 1}, unit);
  EXPECT_EQ(unit[0], 4097.0f * (1.0f / sqrt32(16785412.0f)));
  // The largest and longest: 65536 elements of 32512.
  const std::vector<int16_t> longest(65536, 32512);
  std::vector<float> out(longest.size());
  unit_length(longest, out);
  EXPECT_EQ(out.back(), 0x1p-8f);
}

TEST(Q16, PlanesAreBalancedAndExact) {
  for (int32_t a = -32512; a <= 32512; ++a) {
    const int32_t hi = plane_hi(a), lo = plane_lo(a);
    ASSERT_EQ(255 * hi + lo, a);
    ASSERT_TRUE(hi >= -127 && hi <= 127 && lo >= -127 && lo <= 127) << a;
  }
}

TEST(Philox, KnownAnswers) {
  // The three known-answer vectors of philox4x32-10 in the Random123 distribution.
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Dither, IsBalancedOverItsPeriod) {
  float sum = 0;
  for (uint32_t t = 0; t < 256; ++t) sum += dither(t);
  EXPECT_EQ(sum, 0.0f);
  EXPECT_EQ(dither(0), 0.5f / 256 - 0.5f);
  EXPECT_EQ(dither(1), 128.5f / 256 - 0.5f);
  EXPECT_EQ(dither(256), dither(0));
}

TEST(Import, RowsKeepTheContractsBounds) {
  // 4096 columns of one value: the L1 norm, not the largest element, decides the scale.
  std::vector<float> values(4096, 1.0f);
  Tensor tensor{"t", TensorType::F32, {4096, 1}, std::as_bytes(std::span(values))};
  const IntegerMatrix matrix = import_matrix(tensor, WeightVariant::Faithful);
  int64_t norm = 0;
  for (int16_t w : matrix.plain) norm += w;
  EXPECT_LE(norm, kRowNormMax);
  EXPECT_GT(norm, kRowNormMax - 8192);
  EXPECT_EQ(import_matrix(tensor, WeightVariant::Int8).plain[0], 127);

  values.assign(4096, 1e-20f);
  const IntegerMatrix zero = import_matrix(tensor, WeightVariant::Faithful);
  EXPECT_EQ(zero.row_scales[0], 0.0f);
  EXPECT_EQ(zero.plain[7], 0);

  values[5] = from_bits(0x7f800000u);
  EXPECT_THROW(import_matrix(tensor, WeightVariant::Faithful), Error);
}

TEST(Sampler, GreedyTakesTheLowestOfEqualLogits) {
  std::vector<float> logits = {1.0f, 3.0f, 3.0f, 2.0f};
  EXPECT_EQ(Sampler().sample(logits, {}, {}, 0, 0), 1);
  EXPECT_EQ(argmax(std::array{-3.0f, -0.0f, 0.0f, -1.0f}), 1);
  EXPECT_EQ(argmax(std::array{-3.0f, -2.0f, -2.5f}), 1);
}

TEST(Sampler, FollowsTheDistribution) {
  SamplingParameters parameters;
  parameters.temperature = 1.0f;
  parameters.seed = 42;
  Sampler sampler;
  int ones = 0;
  for (uint32_t position = 0; position < 20000; ++position) {
    std::vector<float> logits = {0.0f, 1.0986123f, -40.0f};  // 1 : 3 : nothing
    const int32_t token = sampler.sample(logits, parameters, {}, position, 0);
    ASSERT_NE(token, 2);
    ones += token;
  }
  EXPECT_NEAR(ones, 15000, 300);  // five standard deviations
}

TEST(Sampler, CutsByRankMassAndRatio) {
  SamplingParameters parameters;
  parameters.temperature = 1.0f;
  Sampler sampler;
  auto seen = [&](SamplingParameters p) {
    std::array<bool, 4> found{};
    for (uint32_t position = 0; position < 400; ++position) {
      std::vector<float> logits = {0.0f, 0.1f, 0.2f, 0.1f};
      found[static_cast<size_t>(sampler.sample(logits, p, {}, position, 0))] = true;
    }
    return found;
  };
  EXPECT_EQ(seen(parameters), (std::array{true, true, true, true}));
  parameters.top_k = 2;
  EXPECT_EQ(seen(parameters), (std::array{false, true, true, false}));  // ties go to the lower id
  parameters.top_k = 0;
  parameters.top_p = 0.3f;
  EXPECT_EQ(seen(parameters), (std::array{false, true, true, false}));
  parameters.top_p = 0.0f;
  EXPECT_EQ(seen(parameters), (std::array{false, false, true, false}));  // one at least
  parameters.top_p = 1.0f;
  parameters.min_p = 0.85f;
  EXPECT_EQ(seen(parameters), (std::array{false, true, true, true}));
}

TEST(Sampler, PenaltiesAndBias) {
  SamplingParameters parameters;
  TokenCounts counts;
  counts.seen[1] = 1;
  counts.generated[1] = 1;
  std::vector<float> logits = {1.0f, 2.0f};
  parameters.repetition_penalty = 2.5f;
  EXPECT_EQ(Sampler().sample(logits, parameters, counts, 0, 0), 0);
  EXPECT_EQ(logits[1], 2.0f / 2.5f);
  parameters = {};
  parameters.presence_penalty = 0.5f;
  parameters.frequency_penalty = 1.0f;
  logits = {1.0f, 2.0f};
  EXPECT_EQ(Sampler().sample(logits, parameters, counts, 0, 0), 0);
  EXPECT_EQ(logits[1], 0.5f);
  parameters = {};
  parameters.logit_bias = {{0, 5.0f}, {77, 1.0f}};
  logits = {1.0f, 2.0f};
  EXPECT_EQ(Sampler().sample(logits, parameters, counts, 0, 0), 0);
}

TEST(LogProbabilities, SumToOne) {
  std::vector<float> logits = {0.0f, 1.0f, 2.0f, 3.0f}, out(4);
  log_probabilities(logits, out);
  double sum = 0;
  for (float l : out) sum += std::exp(l);
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST(Digest, DependsOnOrderAndKind) {
  Digest a, b, c;
  a.token(1);
  a.token(2);
  b.token(2);
  b.token(1);
  EXPECT_NE(a.text(), b.text());
  const float one = std::bit_cast<float>(1);
  c.token(1);
  c.logits(std::span(&one, 1));
  EXPECT_NE(c.text(), a.text());
  EXPECT_EQ(c.text().size(), 5u + 32u);
}

}  // namespace
}  // namespace lockstep::numerics
