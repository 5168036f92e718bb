// More of lpu_model_test than a quick test has time for.
#include "lpu_model.h"

namespace lockstep::tests {

namespace {

TEST(LpuModelLong, OneBlockAfterAnother) {
  LpuCase tried{"", kSmall};
  tried.shape.context = 640;
  tried.context = 640;
  tried.tokens = 325;
  expect_bits_and_cycles(tried);
}

TEST(LpuModelLong, OneBlockAfterAnotherOnTwoChips) {
  LpuCase tried{"", heads(64, 4, 2)};
  tried.shape.context = 640;
  tried.context = 640;
  tried.tokens = 325;
  tried.chips = 2;
  tried.weights = numerics::WeightVariant::Faithful;
  expect_bits_and_cycles(tried);
}

TEST(LpuModelLong, EveryHeadWidthWithEveryGroup) {
  for (const uint32_t width : {32u, 64u, 128u, 256u}) {
    for (const uint32_t kv_heads : {1u, 2u, 5u, 11u}) {
      for (const uint32_t group : {1u, 2u, 3u, 8u}) {
        SCOPED_TRACE(std::to_string(width) + " " + std::to_string(kv_heads) + " " + std::to_string(group));
        LpuCase tried{"", heads(width, kv_heads * group, kv_heads)};
        tried.shape.seed = width + kv_heads + group;
        tried.shape.layers = 1;
        tried.shape.biases = group == 3;
        EXPECT_NO_THROW(expect_bits_and_cycles(tried));
      }
    }
  }
}

TEST(LpuModelLong, MovedInstructionsAreNoticed) {
  const Verdicts verdicts = move_instructions(OnChips({"", kSmall}), 2000);
  verdicts.record();
  EXPECT_GT(verdicts.stopped, verdicts.all() / 2);
  EXPECT_LT(verdicts.harmless, verdicts.all() / 10);
}

}  // namespace

}  // namespace lockstep::tests
