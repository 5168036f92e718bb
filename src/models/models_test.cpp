#include <gtest/gtest.h>

#include "models/rope_table.h"

namespace lockstep::models {
namespace {

TEST(RopeTurns, FirstPairTurnsOneRadianAPosition) {
  // 2^64 / (2 pi) = 2935890503282001226.0687...
  const auto turns = rope_turns(10000.0, 64, 1.0, {});
  ASSERT_EQ(turns.size(), 32u);
  EXPECT_EQ(turns[0], 2935890503282001226u);
  // base^(-32/64) = 1/100 exactly for base 10000 and i = 16.
  EXPECT_EQ(turns[16], 29358905032820012u);
}

TEST(RopeTurns, FactorsDivide) {
  const std::vector<float> factors(32, 4.0f);
  EXPECT_EQ(rope_turns(10000.0, 64, 4.0, {}), rope_turns(10000.0, 64, 1.0, factors));
  EXPECT_EQ(rope_turns(10000.0, 64, 2.0, {})[0], 1467945251641000613u);
}

}  // namespace
}  // namespace lockstep::models
