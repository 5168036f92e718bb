#include "compiler/lpu/plan.h"

#include <gtest/gtest.h>

#include "program/isa/lpu.h"

namespace lockstep::compiler::lpu {

namespace {

using graph::Op;
using program::Instruction;
using program::isa::LpuOp;

constexpr uint64_t kRowBytes = 32;  // an lpu-mini has 32 lanes

machine::Machine chip() {
  machine::Machine mini = machine::find_machine("lpu-mini");
  EXPECT_EQ(mini.geometry.lanes(), kRowBytes);
  return mini;
}

Instruction make(LpuOp op, std::vector<uint64_t> words) {
  return {static_cast<uint16_t>(op), std::move(words)};
}

// Nodes "up", "attn", "head" and programs over slices with queues of their own.
struct Made {
  Made() {
    for (const auto& [op, name] :
         {std::pair(Op::MatMul, "up"), {Op::Attention, "attn"}, {Op::MatMul, "head"}})
      graph.nodes.push_back({.op = op, .name = name, .inputs = {}});
    program.context_max = 32;
    entry("step.32", 1000);
  }
  void entry(const std::string& name, uint64_t cycles) {
    program.entries.push_back({name, {}, {}});
    program.parameters.push_back({name + ".cycles", cycles, cycles});
  }
  // A slice of `rows` image rows whose queue does this, each instruction for a node; "": as the one before.
  void slice(const std::string& unit, uint32_t rows,
             const std::vector<std::pair<std::string, Instruction>>& instructions) {
    program.memories.push_back({unit, program::MemoryKind::File, rows * kRowBytes});
    const auto index = static_cast<uint32_t>(program.queues.size());
    program::Queue queue{unit, static_cast<uint32_t>(program.memories.size() - 1), {}};
    for (const auto& [node, instruction] : instructions) {
      if (!node.empty())
        program.source_map.push_back(
            {index, static_cast<uint32_t>(queue.instructions.size()), node, -1, program::kNone});
      queue.instructions.push_back(instruction);
    }
    program.entries.back().queues.push_back(index);
    program.queues.push_back(std::move(queue));
  }
  Plan plan() const { return plan_of(program, graph, chip()); }

  graph::Graph graph;
  program::Program program;
};

TEST(Plan, CountsRowsForWhatReadsThem) {
  Made made;
  made.slice("c0.mem.w.0", 8,
             {{"up", make(LpuOp::Read, {0, 0, 0})},
              {"attn", make(LpuOp::Read, {1, 0, 2})},
              {"", make(LpuOp::Repeat, {2, 1})},       // rows 3 and 5
              {"head", make(LpuOp::Read, {5, 0, 0})},  // read for two nodes
              {"", make(LpuOp::Write, {2, 0, 0})},     // in the image
              {"", make(LpuOp::Write, {20, 0, 10})},   // beyond it
              {"", make(LpuOp::Nop, {3})},
              {"", make(LpuOp::Write, {40, 0, 10})},
              {"", make(LpuOp::Repeat, {1, 1})}});  // row 50
  const machine::Machine machine = chip();
  const Plan plan = made.plan();
  ASSERT_EQ(plan.chips.size(), 1u);
  EXPECT_EQ(plan.context, 32u);
  const SlicesPlan total = plan.chips[0].total();
  EXPECT_EQ(total.weight_bytes, 1 * kRowBytes);
  EXPECT_EQ(total.kv_bytes, 2 * kRowBytes);
  EXPECT_EQ(total.constant_bytes, 5 * kRowBytes);
  EXPECT_EQ(total.scratch_bytes, 3 * kRowBytes);
  EXPECT_EQ(total.free_bytes, (machine.geometry.slice_rows - 11) * kRowBytes);
  EXPECT_EQ(total.fullest_rows, 11u);
  for (const SlicesPlan& slices : plan.chips[0].slices) {
    const bool has_it = slices.hemisphere == 1 && slices.first == 0;
    EXPECT_EQ(slices.weight_bytes, has_it ? kRowBytes : 0);
  }
}

TEST(Plan, GivesAGatherTheRowsThatNobodyElseReads) {
  Made made;
  made.slice("c0.mem.e.0", 6,
             {{"up", make(LpuOp::Gather, {2, 0, 4})}, {"attn", make(LpuOp::Read, {4, 0, 0})}});
  const SlicesPlan total = made.plan().chips[0].total();
  EXPECT_EQ(total.weight_bytes, 3 * kRowBytes);
  EXPECT_EQ(total.kv_bytes, 1 * kRowBytes);
  EXPECT_EQ(total.constant_bytes, 2 * kRowBytes);
}

TEST(Plan, KeepsChipsAndRangesApart) {
  Made made;
  const uint32_t last = chip().geometry.slices - 1;
  made.slice("c0.mem.e." + std::to_string(last), 1, {{"up", make(LpuOp::Read, {0, 0, 0})}});
  made.slice("c1.mem.w.0", 2,
             {{"attn", make(LpuOp::Read, {0, 0, 0})}, {"head", make(LpuOp::Read, {1, 0, 0})}});
  made.program.memories.push_back({"permutations", program::MemoryKind::File, 64});
  const Plan plan = made.plan();
  ASSERT_EQ(plan.chips.size(), 2u);
  EXPECT_EQ(plan.chips[0].first_node, "up");
  EXPECT_EQ(plan.chips[0].last_node, "up");
  EXPECT_EQ(plan.chips[0].nodes, 1u);
  EXPECT_EQ(plan.chips[1].first_node, "attn");
  EXPECT_EQ(plan.chips[1].last_node, "head");
  EXPECT_EQ(plan.chips[1].nodes, 2u);
  for (const ChipPlan& chip : plan.chips) {
    // Each slice of a hemisphere is in one range.
    uint32_t end = 0;
    for (const SlicesPlan& slices : chip.slices) {
      EXPECT_EQ(slices.first, slices.first == 0 ? 0 : end);
      end = slices.end;
    }
    EXPECT_EQ(end, last + 1);
  }
  uint64_t tiles = 0;
  for (const SlicesPlan& slices : plan.chips[0].slices)
    if (slices.end == last + 1 && slices.hemisphere == 0) tiles += slices.weight_bytes;
  EXPECT_EQ(tiles, kRowBytes);
}

TEST(Plan, TellsTheEntriesApart) {
  Made made;
  made.slice("c0.mem.e.0", 1, {{"up", make(LpuOp::Read, {0, 0, 0})}, {"", make(LpuOp::Read, {0, 0, 0})}});
  made.entry("rows8.32", 3000);
  made.program.queues.push_back({"c0.vxm.3", program::kNone, {make(LpuOp::Nop, {7})}});
  made.program.entries.back().queues = {1};
  const Plan plan = made.plan();
  ASSERT_EQ(plan.entries.size(), 2u);
  EXPECT_EQ(plan.entries[0].rows, 1u);
  EXPECT_EQ(plan.entries[0].cycles, 1000u);
  ASSERT_EQ(plan.entries[0].queues.size(), 1u);
  EXPECT_EQ(plan.entries[0].queues[0].unit, "mem");
  EXPECT_EQ(plan.entries[0].queues[0].instructions, 2u);
  EXPECT_GT(plan.entries[0].queues[0].text_bytes, 2u);
  EXPECT_EQ(plan.entries[1].rows, 8u);
  EXPECT_EQ(plan.entries[1].cycles, 3000u);
  ASSERT_EQ(plan.entries[1].queues.size(), 1u);
  EXPECT_EQ(plan.entries[1].queues[0].unit, "vxm");
  EXPECT_EQ(plan.entries[1].queues[0].queues, 1u);
}

}  // namespace

}  // namespace lockstep::compiler::lpu
