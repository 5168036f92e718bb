#include "compiler/lpu/queues.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "base/error.h"
#include "program/instruction_code.h"

namespace lockstep::compiler::lpu {

namespace {

using program::Instruction;

machine::Machine chip() {
  return machine::find_machine("lpu-v1");
}

Issue read(Cycle cycle, uint32_t row, uint32_t stream = 0) {
  return {cycle, LpuOp::Read, {row, stream, 0}, static_cast<int32_t>(cycle)};
}

std::vector<Instruction> instructions_of(std::vector<Issue> issues, const machine::Machine& machine = chip(),
                                         bool notifies = false) {
  std::vector<int32_t> sources;
  std::vector<Instruction> text = queue_instructions(issues, notifies, machine, sources);
  EXPECT_EQ(sources.size(), text.size());
  return text;
}

// "sync, nop 3, read 5 0 0": names and words.
std::string text_of(const std::vector<Instruction>& instructions) {
  std::string text;
  for (const Instruction& instruction : instructions) {
    text += (text.empty() ? "" : ", ") + std::string(program::isa::lpu().find(instruction.opcode)->name);
    for (uint64_t word : instruction.words) text += " " + std::to_string(word);
  }
  return text;
}

// Walks a queue as docs/lpu.md says: what issues when, without what the ICU does itself. Fails where text is
// not there in its cycle or comes into a full buffer. REQUIRES: Repeats of memory operations alone.
std::vector<Issue> issues_of(const std::vector<Instruction>& text, const machine::Machine& machine) {
  uint64_t all_bytes = 0;
  for (const Instruction& instruction : text) all_bytes += program::instruction_bytes(instruction);
  uint64_t buffered = std::min<uint64_t>(all_bytes, machine.geometry.queue_bytes);
  uint64_t unrequested = all_bytes - buffered;
  std::deque<std::pair<Cycle, uint64_t>> arrivals;
  std::vector<Issue> issues;
  Cycle now = -1;  // of the Sync
  const auto take = [&](const Instruction& instruction, Cycle cycle) {
    for (; !arrivals.empty() && arrivals.front().first <= cycle; arrivals.pop_front()) {
      buffered += arrivals.front().second;
      EXPECT_LE(buffered, machine.geometry.queue_bytes) << "a full buffer in cycle " << cycle;
    }
    const uint64_t bytes = program::instruction_bytes(instruction);
    EXPECT_LE(bytes, buffered) << "no text in cycle " << cycle;
    buffered -= bytes;
  };
  for (const Instruction& instruction : text) {
    take(instruction, now);
    const auto op = static_cast<LpuOp>(instruction.opcode);
    if (op == LpuOp::Nop) {
      now += static_cast<Cycle>(instruction.words[0]);
    } else if (op == LpuOp::Repeat) {
      const Issue first = issues.back();
      for (uint64_t i = 1; i <= instruction.words[0]; ++i) {
        issues.push_back(first);
        issues.back().cycle += static_cast<Cycle>(i * instruction.words[1]);
        issues.back().words[0] += static_cast<uint32_t>(i) * first.words[2];
      }
      now = issues.back().cycle + 1;
    } else {
      if (op == LpuOp::Ifetch) {
        const uint64_t bytes = std::min<uint64_t>(machine.geometry.instruction_bytes, unrequested);
        unrequested -= bytes;
        arrivals.push_back({now + static_cast<Cycle>(machine.latency.instruction_fetch), bytes});
      } else if (op != LpuOp::Sync && op != LpuOp::Notify) {
        Issue issue{now, op, {}, -1};
        for (size_t w = 0; w < instruction.words.size(); ++w)
          issue.words[w] = static_cast<uint32_t>(instruction.words[w]);
        issues.push_back(issue);
      }
      ++now;
    }
  }
  return issues;
}

TEST(Queues, WaitsWithNop) {
  EXPECT_EQ(text_of(instructions_of({read(3, 5), read(4, 9), read(6, 1)})),
            "sync, nop 3, read 5 0 0, read 9 0 0, nop 1, read 1 0 0");
  EXPECT_EQ(text_of(instructions_of({read(0, 5)}, chip(), true)), "notify, read 5 0 0");
}

TEST(Queues, WaitsLongerThanANopCan) {
  EXPECT_EQ(text_of(instructions_of({read(65536 + 2, 5)})), "sync, nop 65535, nop 3, read 5 0 0");
}

TEST(Queues, RepeatsEqualSteps) {
  EXPECT_EQ(text_of(instructions_of({read(2, 10), read(5, 13), read(8, 16), read(11, 19), read(12, 0)})),
            "sync, nop 2, read 10 0 3, repeat 3 3, read 0 0 0");
  // Two of a kind are shorter written out, and so are rows that go down.
  EXPECT_EQ(text_of(instructions_of({read(0, 1), read(1, 2)})), "sync, read 1 0 0, read 2 0 0");
  EXPECT_EQ(text_of(instructions_of({read(0, 3), read(1, 2), read(2, 1)})),
            "sync, read 3 0 0, read 2 0 0, read 1 0 0");
  // Another stream, or another step, ends a run.
  EXPECT_EQ(text_of(instructions_of({read(0, 1), read(1, 2), read(2, 3), read(3, 4, 7)})),
            "sync, read 1 0 1, repeat 2 1, read 4 7 0");
}

TEST(Queues, StepsTheFieldsThatTheUnitMovesOn) {
  std::vector<Issue> weights, sums, products;
  for (uint32_t i = 0; i < 4; ++i) {
    weights.push_back({i, LpuOp::LoadWeights, {16, i}, -1});
    sums.push_back({2 * i, LpuOp::Accumulate, {2 * i, 0, 0}, -1});
    products.push_back({i, LpuOp::ActivationControl, {3, i, 1, 0}, -1});
  }
  EXPECT_EQ(text_of(instructions_of(weights)), "sync, lw 16 0, repeat 3 1");
  EXPECT_EQ(text_of(instructions_of(sums)), "sync, acc 0 0 2, repeat 3 2");
  EXPECT_EQ(text_of(instructions_of(products)), "sync, abc 3 0 1 1, repeat 3 1");
  // A group moves on by one and no more.
  for (Issue& issue : weights) issue.words[1] *= 2;
  EXPECT_EQ(text_of(instructions_of(weights)), "sync, lw 16 0, lw 16 2, lw 16 4, lw 16 6");
}

// Streams that an operation of the VXM does not have are none, and then it puts out no bytes.
TEST(Queues, OperationsWithoutAStreamGiveNoBytes) {
  const std::vector<Instruction> text =
      instructions_of({{0, LpuOp::IntegerAdd, {1, 2, 0, 7, ~0u, ~0u, 4}, -1},
                       {1, LpuOp::IntegerAdd, {1, 2, 0, 7, ~0u, 36, 4}, -1}});
  EXPECT_EQ(text[1].words[6], 0u);
  EXPECT_EQ(text[2].words[4], uint64_t{program::kNone});
  EXPECT_EQ(text[2].words[6], 4u);
}

TEST(Queues, SourcesBelongToTheirInstructions) {
  std::vector<int32_t> sources;
  const std::vector<Issue> issues{read(0, 1), read(4, 9)};
  queue_instructions(issues, true, chip(), sources);
  EXPECT_EQ(sources, (std::vector<int32_t>{-1, 0, 4, 4}));  // notify, read, nop, read
}

// Random issues come back from the text as they went in, with a buffer that holds a small part of it.
TEST(Queues, FetchesTextBeforeItIsWanted) {
  machine::Machine small = chip();
  small.geometry.queue_bytes = 256;
  small.geometry.instruction_bytes = 64;
  small.latency.instruction_fetch = 20;
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<Issue> issues;
    Cycle cycle = 0;
    uint32_t row = 0;
    for (int i = 0; i < 400; ++i) {
      const bool again = random() % 3 == 0;
      cycle += again ? 1 : 8 + static_cast<Cycle>(random() % 30);
      row = again ? row + 1 : static_cast<uint32_t>(random() % 4000);
      issues.push_back(read(cycle, row));
    }
    const std::vector<Instruction> text = instructions_of(issues, small);
    const std::vector<Issue> back = issues_of(text, small);
    ASSERT_EQ(back.size(), issues.size());
    for (size_t i = 0; i < issues.size(); ++i) {
      ASSERT_EQ(back[i].cycle, issues[i].cycle);
      ASSERT_EQ(back[i].words[0], issues[i].words[0]);
    }
  }
}

TEST(Queues, NoCycleForAFetchIsTold) {
  machine::Machine small = chip();
  small.geometry.queue_bytes = 64;
  std::vector<Issue> issues;
  for (uint32_t i = 0; i < 100; ++i) issues.push_back(read(i, 7 * (i % 2)));
  EXPECT_THROW(instructions_of(issues, small), TextLate);
}

}  // namespace

}  // namespace lockstep::compiler::lpu
