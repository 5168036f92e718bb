// A hand-made program behind the Target interface: logits of a token at a position, a fault for large tokens.
#include "targets/lpu/lpu_target.h"

#include <numeric>

#include "program/verify.h"
#include "targets/lpu/test_chip.h"
#include "targets/sole_sequence.h"

namespace lockstep::targets::lpu {
namespace {

constexpr int32_t kVocabulary = 30;
constexpr uint32_t kFaultFrom = 16;  // tokens

// What lane of the logits a token has, and its offset there.
constexpr int32_t lane_of(int32_t token) {
  return kVocabulary - 1 - token;
}
constexpr float offset_of(int32_t token) {
  return 0.25f * static_cast<float>(token);
}

// logit = token + position + the offset of its lane; fault.square = token * 2^28.
class LpuTargetTest : public testing::Test {
 protected:
  LpuTargetTest() : schedule_(machine) {
    for (uint32_t b = 0; b < 4; ++b) {
      const auto slice = [&](uint32_t first) { return "mem.e." + std::to_string(first + b); };
      schedule_.at(slice(0), 10, LpuOp::Read, {0, west(b), 0});        // token
      schedule_.at(slice(4), 9, LpuOp::Read, {0, west(4 + b), 0});     // position
      schedule_.at(slice(16), 12, LpuOp::Read, {0, west(8 + b), 0});   // offsets
      schedule_.at(slice(8), 32, LpuOp::Write, {5, east(b), 0});       // logits
      schedule_.at(slice(12), 30, LpuOp::Write, {6, east(8 + b), 0});  // fault
      for (int32_t token = 0; token < kVocabulary; ++token) {
        schedule_.row(slice(16), 0)[static_cast<size_t>(lane_of(token))] =
            static_cast<std::byte>(std::bit_cast<uint32_t>(offset_of(token)) >> (8 * b));
      }
    }
    const auto vxm = [&](int alu, uint64_t cycle, LpuOp op, uint64_t a, uint64_t b, uint64_t out) {
      schedule_.at("vxm." + std::to_string(alu), cycle, op,
                   {a, b, none(), std::bit_cast<uint32_t>(0x1p28f), out, kNo, out == kNo ? 0u : 4u});
    };
    const uint64_t token = on(OperandKind::Word, west(0)), position = on(OperandKind::Word, west(4));
    vxm(0, 20, LpuOp::IntegerAdd, token, position, kNo);
    vxm(1, 23, LpuOp::Int32ToFloat, result(0), none(), kNo);
    vxm(2, 26, LpuOp::Add, result(1), on(OperandKind::Word, west(8)), east(0));
    vxm(3, 20, LpuOp::Int32ToFloat, token, none(), kNo);
    vxm(4, 23, LpuOp::Multiply, result(3), immediate(), east(8));
    std::vector<std::byte> ids(machine.geometry.lanes() * sizeof(int32_t), std::byte{255});
    for (int32_t id = 0; id < kVocabulary; ++id) {
      std::memcpy(&ids[static_cast<size_t>(lane_of(id)) * sizeof(id)], &id, sizeof(id));
    }
    schedule_.file("logit_ids", ids);
    program = schedule_.build();
    program.vocabulary = kVocabulary;
    program.context_max = 8;
    program.entries[0].name = "step.8";
    program.entries.push_back(program.entries[0]);
    program.entries[1].name = "step.4";
    program.parameters = {{"step.8.cycles", kCycles, kCycles}, {"step.4.cycles", kCycles, kCycles}};
    program.entries[0].parameters = {0};
    program.entries[1].parameters = {1};
    for (const auto& [name, first, row] :
         {std::tuple("token", 0, 0), std::tuple("position", 4, 0), std::tuple("logits", 8, 5),
          std::tuple("fault.blk.1.square", 12, 6)}) {
      const uint32_t lanes = machine.geometry.lanes();
      program.regions.push_back({name, memory_of("c0.mem.e." + std::to_string(first)),
                                 static_cast<uint64_t>(row) * lanes, program::Element::I32, lanes, 4 * lanes,
                                 program::RowCount::One});
    }
    program.source_map = {{0, 0, "blk.1.square", 1, program::kNone}};
  }

  uint32_t memory_of(const std::string& unit) const {
    for (const program::Queue& queue : program.queues) {
      if (queue.unit == unit) return queue.memory;
    }
    return program::kNone;
  }
  program::Region& region(const std::string& name) {
    return *std::find_if(program.regions.begin(), program.regions.end(),
                         [&](const program::Region& region) { return region.name == name; });
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
    ASSERT_EQ(logits.size(), size_t{kVocabulary});
    for (int32_t id = 0; id < kVocabulary; ++id) {
      ASSERT_EQ(logits[static_cast<size_t>(id)],
                static_cast<float>(token) + static_cast<float>(position) + offset_of(id));
    }
  }

  static constexpr uint64_t kCycles = 36;  // the last write in 32, to be read from 35 on
  const machine::Machine machine = small_machine();
  program::Program program;

 private:
  Schedule schedule_;
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
  EXPECT_EQ(target->cycles(), 12 * kCycles);
  EXPECT_EQ(target->last_run().cycles, kCycles);
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
  const std::vector<int32_t> tokens = {3, kFaultFrom - 1, kFaultFrom, 2}, wanted = {0, 1, 2, 3};
  const StepSequence sequence = {tokens, 4, pages, wanted};
  target->step(std::span(&sequence, 1));
  EXPECT_EQ(target->refused_row(0), 2u);
  EXPECT_STREQ(target->refusal(0).what(),
               "test: blk.1.square (layer 1) leaves the range of the numerics at position 6: a magnitude of "
               "2^32 or more");
  expect_logits(*target, 0, 3, 4);
  expect_logits(*target, 1, kFaultFrom - 1, 5);
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
  refuses([&] { region("position").memory = memory_of("c0.mem.e.19"); },
          "the region position is not in four");
  refuses([&] { region("fault.blk.1.square").offset = 64 * machine.geometry.lanes(); },
          "region fault.blk.1.square");
}

TEST_F(LpuTargetTest, AnotherLengthThanPredictedStops) {
  program.parameters[1] = {"step.4.cycles", kCycles + 1, kCycles + 1};
  const std::unique_ptr<LpuTarget> target = load(program, machine, {});
  SoleSequence sequence(*target);
  const std::vector<int32_t> token = {1};
  sequence.step(token, 4, {});
  try {
    sequence.step(token, 3, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_NE(std::string(error.what()).find("step.4 took 36 cycles and the program predicts 37"),
              std::string::npos)
        << error.what();
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
