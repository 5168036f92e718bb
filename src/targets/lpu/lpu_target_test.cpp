// A hand-made program behind the Target interface: logits of a token at a position, a fault for large tokens.
#include "targets/lpu/lpu_target.h"

#include "program/verify.h"
#include "targets/lpu/test_model.h"
#include "targets/sole_sequence.h"

namespace lockstep::targets::lpu {
namespace {

class LpuTargetTest : public testing::Test {
 protected:
  program::Region& region(const std::string& name) {
    return *std::find_if(program.regions.begin(), program.regions.end(),
                         [&](const program::Region& candidate) { return candidate.name == name; });
  }
  std::string load_error(const LpuOptions& options = {}) const {
    try {
      load(program, machine, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      return error.what();
    }
    return "";
  }
  static void expect_logits(const Target& target, uint32_t i, int32_t token, uint32_t position) {
    const std::span<const float> logits = target.logits(i);
    ASSERT_EQ(logits.size(), size_t{kTestVocabulary});
    for (int32_t id = 0; id < kTestVocabulary; ++id) {
      ASSERT_EQ(logits[static_cast<size_t>(id)],
                static_cast<float>(token) + static_cast<float>(position) + 0.25f * static_cast<float>(id));
    }
  }

  const machine::Machine machine = small_machine();
  TestModel model{machine};
  program::Program program = model.build();
};

TEST_F(LpuTargetTest, RunsRowsOfASequence) {
  program::verify_structure(program, "test");
  const std::unique_ptr<LpuTarget> target = load(program, machine, {});
  EXPECT_EQ(target->context(), 8u);
  EXPECT_EQ(target->pages(), 1u);
  EXPECT_EQ(target->page_positions(), 8u);
  SoleSequence sequence(*target);
  const std::vector<int32_t> tokens = {3, 9, 1, 0, 12, 5};
  const std::vector<int32_t> wanted = {1, 5};
  sequence.step(tokens, 0, wanted);
  expect_logits(*target, 0, 9, 1);
  expect_logits(*target, 1, 5, 5);
  sequence.prefill(tokens, 2, 2);
  expect_logits(*target, 0, 5, 7);
  EXPECT_EQ(target->counters().steps, 4u);
  EXPECT_EQ(target->counters().rows, 12u);
  EXPECT_EQ(target->cycles(), 12 * model.cycles());
  EXPECT_EQ(target->last_run().cycles, model.cycles());
}

TEST_F(LpuTargetTest, PositionsChooseTheEntry) {
  // The smaller entry lacks an ALU, whose value a slice then waits for in vain.
  program.entries[1].queues.pop_back();
  program.entries[1].parameters.clear();
  const std::unique_ptr<LpuTarget> target = load(program, machine, {});
  SoleSequence sequence(*target);
  const std::vector<int32_t> token = {1};
  sequence.step(token, 4, {});
  EXPECT_EQ(target->last_run().queues.size(), program.queues.size());
  sequence.step(token, 7, {});
  EXPECT_EQ(target->last_run().queues.size(), program.queues.size());
  EXPECT_THROW(sequence.step(token, 3, {}), Error);
}

TEST_F(LpuTargetTest, RefusesARowBeyondTheRange) {
  const std::unique_ptr<LpuTarget> target = load(program, machine, {});
  const std::vector<uint32_t> pages = {0};
  const std::vector<int32_t> tokens = {3, kTestFaultFrom - 1, kTestFaultFrom, 2}, wanted = {0, 1, 2, 3};
  const StepSequence sequence = {tokens, 4, pages, wanted};
  target->step(std::span(&sequence, 1));
  EXPECT_EQ(target->refused_row(0), 2u);
  EXPECT_STREQ(target->refusal(0).what(),
               "test: blk.1.square (layer 1) leaves the range of the numerics at position 6: a magnitude of "
               "2^32 or more");
  expect_logits(*target, 0, 3, 4);
  expect_logits(*target, 1, kTestFaultFrom - 1, 5);
  SoleSequence again(*target);
  const std::vector<int32_t> good = {2};
  again.step(good, 6, {});
  EXPECT_EQ(target->refused_row(0), program::kNone);
}

TEST_F(LpuTargetTest, RefusesProgramsThatCannotBeStepped) {
  EXPECT_EQ(load_error(), "");
  const program::Program whole = program;
  const auto refuses = [&](auto change, const std::string& why) {
    program = whole;
    change();
    const std::string error = load_error();
    EXPECT_NE(error.find(why), std::string::npos) << error;
  };
  refuses([&] { program.machine = "lpu-v1"; }, "was compiled for the machine lpu-v1, not for small");
  refuses([&] { program.entries.clear(); }, "has no entry step.<positions>");
  refuses([&] { program.entries[1].name = "step.x"; }, "step.x says no number");
  refuses([&] { region("token").name = "tokens"; }, "has no region token");
  refuses([&] { region("position").name = "where"; }, "has no region position");
  refuses([&] { region("logits").name = "scores"; }, "has no region logits");
  refuses([&] { region("logits").width *= 2; }, "needs a token for each of 64 lanes, 256 bytes");
  refuses([&] { program.vocabulary = 29; }, "names token 29, which is none of");
  refuses([&] { program.vocabulary = 31; }, "gives no logit for token 30");
  refuses([&] { region("token").memory = 0; }, "the region token is not in four slices side by side");
  refuses([&] { region("position").memory = TestModel::memory_of(program, "c0.mem.e.19"); },
          "the region position is not in four");
  refuses([&] { region("fault.blk.1.square").offset = 64 * machine.geometry.lanes(); },
          "region fault.blk.1.square");
}

TEST_F(LpuTargetTest, AnotherLengthThanPredictedStops) {
  program.parameters[1] = {"step.4.cycles", model.cycles() + 1, model.cycles() + 1};
  const std::unique_ptr<LpuTarget> target = load(program, machine, {});
  SoleSequence sequence(*target);
  const std::vector<int32_t> token = {1};
  sequence.step(token, 4, {});
  try {
    sequence.step(token, 3, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    const std::string expected =
        fmt::format("step.4 took {} cycles and the program predicts {}", model.cycles(), model.cycles() + 1);
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST_F(LpuTargetTest, ContextIsTheLeastThatIsAskedForAndThere) {
  EXPECT_EQ(load(program, machine, {.context = 3})->context(), 3u);
  EXPECT_EQ(load(program, machine, {.context = 300})->context(), 8u);
  program.context_max = 6;
  EXPECT_EQ(load(program, machine, {})->context(), 6u);
}

}  // namespace
}  // namespace lockstep::targets::lpu
