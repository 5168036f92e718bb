// How many rows of a slice the compiler hands out.
#include "compiler/lpu/slice_memory.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "machine/machine.h"

namespace lockstep::compiler::lpu {

namespace {

class SliceMemoryTest : public testing::Test {
 protected:
  std::string refusal(Hemisphere hemisphere, uint32_t slice, uint32_t count) {
    const uint32_t before = memory.rows_taken(hemisphere, slice);
    try {
      memory.take_rows(hemisphere, slice, count);
    } catch (const Error& refused) {
      EXPECT_EQ(refused.kind(), ErrorKind::User);
      EXPECT_EQ(memory.rows_taken(hemisphere, slice), before);
      return refused.what();
    }
    return "";
  }

  const machine::Machine machine = machine::find_machine("lpu-v1");
  SliceMemory memory{machine, SchedulerOptions(), "a model", true};
};

TEST_F(SliceMemoryTest, LeavesTheSchedulersRowsOfAScratchSlice) {
  EXPECT_EQ(memory.take_rows(kWest, 7, 5000), 0);
  EXPECT_EQ(memory.rows_free(kWest, 7), 120u);
  EXPECT_EQ(
      refusal(kWest, 7, 121),
      "a model: tables and constants take 5121 rows of slice w.7 on a chip of lpu-v1, which has 5120 for "
      "them; a smaller --context takes fewer");
  EXPECT_EQ(memory.take_rows(kWest, 7, 120), 5000);
  EXPECT_NE(refusal(kWest, 7, 1), "");
  EXPECT_EQ(memory.rows_free(kEast, 7), 5120u);
}

TEST_F(SliceMemoryTest, GivesWeightsTheWholeSlice) {
  EXPECT_EQ(memory.take_rows(kEast, 8, 8192), 0);
  EXPECT_EQ(
      refusal(kEast, 8, 1),
      "a model: weights and the KV cache take 8193 rows of slice e.8 on a chip of lpu-v1, which has 8192 "
      "for them; more --chips or a smaller --context take fewer");
}

}  // namespace

}  // namespace lockstep::compiler::lpu
