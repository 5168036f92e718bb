#include "api/tuning.h"

#include <gtest/gtest.h>

namespace lockstep::api {
namespace {

Tuning example() {
  return {2, {{1, 0.003}, {4, 0.006}, {16, 0.012}, {64, 0.045}, {128, 0.080}, {256, 0.160}, {512, 0.330}}};
}

TEST(Tuning, ChoosesRowsByCost) {
  EXPECT_EQ(example().prefill_rows(), 128u);
  EXPECT_EQ(example().mixed_rows(), 16u);
  EXPECT_EQ(Tuning().prefill_rows(), targets::kPrefillRows);
  // A measurement that ended early says nothing about long chunks.
  const Tuning slow = {2, {{1, 0.5}, {2, 0.6}, {3, 0.7}}};
  EXPECT_EQ(slow.prefill_rows(), targets::kPrefillRows);
  EXPECT_EQ(slow.mixed_rows(), 3u);
}

TEST(Tuning, SurvivesItsByteForm) {
  const auto read = decode_tuning(encode_tuning(example()));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->workers, 2u);
  ASSERT_EQ(read->steps.size(), 7u);
  EXPECT_EQ(read->steps[3].rows, 64u);
  EXPECT_EQ(read->steps[3].seconds, 0.045);
}

TEST(Tuning, IgnoresBytesThatAreNone) {
  for (const char* text : {"", "{", "[]", "{}", R"({"workers":2})", R"({"workers":0,"steps":[[1,1.0]]})",
                           R"({"workers":2,"steps":[]})", R"({"workers":2,"steps":[[4,1.0],[1,1.0]]})",
                           R"({"workers":2,"steps":[[1,-1.0]]})", R"({"workers":2,"steps":[["1",1.0]]})",
                           R"({"workers":-2,"steps":[[1,1.0]]})"}) {
    EXPECT_FALSE(decode_tuning(lockstep::as_bytes(std::string(text))).has_value()) << text;
  }
}

}  // namespace
}  // namespace lockstep::api
