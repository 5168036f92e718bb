#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {
namespace {

TEST(SimulatorTest, ReadsAndWritesAcrossTheChip) {
  Schedule schedule(small_machine());
  schedule.fill("mem.e.0", 3, 1);
  schedule.at("mem.e.0", 0, LpuOp::Read, {3, east(5), 0});
  schedule.at("mem.e.17", 9, LpuOp::Write, {7, east(5), 0});  // 5 to the stream, 4 hops
  Outcome outcome(schedule);
  EXPECT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.row(0, 17, 7).size(), 32u);
  EXPECT_EQ(outcome.row(0, 17, 7)[31], 32);
  EXPECT_EQ(outcome.run.cycles, 13u);
}

}  // namespace
}  // namespace lockstep::targets::lpu
