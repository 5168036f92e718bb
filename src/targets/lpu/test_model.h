// For tests: a program that takes tokens, made by hand. The logit of token t is (token + position) + t / 4,
// and a large token leaves the contract's range.
#pragma once

#include <bit>
#include <tuple>

#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {

inline constexpr int32_t kTestVocabulary = 30;
inline constexpr int32_t kTestFaultFrom = 16;  // tokens

class TestModel {
 public:
  // A machine with 20 slices in groups of 4 and 32 lanes.
  explicit TestModel(const machine::Machine& machine) : machine_(machine), schedule_(machine) {
    const machine::Latency& latency = machine.latency;
    constexpr uint64_t kEntered = 40;  // the cycle of the first operation
    const uint64_t sum = kEntered + latency.vxm_operation, shifted = sum + latency.vxm_operation;
    const uint64_t logits = shifted + latency.vxm_operation + machine.mem_hop(8);
    const auto at_vxm = [&](uint32_t slice, uint64_t operation) {
      return operation - latency.vxm_entry - machine.mem_hop(slice) - latency.mem_read;
    };
    cycles_ = logits + latency.mem_write + 1;
    for (uint32_t b = 0; b < 4; ++b) {
      const auto slice = [&](uint32_t first) { return "mem.e." + std::to_string(first + b); };
      schedule_.at(slice(0), at_vxm(0, kEntered), LpuOp::Read, {0, west(b), 0});       // token
      schedule_.at(slice(4), at_vxm(4, kEntered), LpuOp::Read, {0, west(4 + b), 0});   // position
      schedule_.at(slice(16), at_vxm(16, shifted), LpuOp::Read, {0, west(8 + b), 0});  // t / 4
      schedule_.at(slice(8), logits, LpuOp::Write, {5, east(b), 0});
      schedule_.at(slice(12), shifted + machine.mem_hop(12), LpuOp::Write, {6, east(8 + b), 0});  // fault
      for (int32_t token = 0; token < kTestVocabulary; ++token) {
        schedule_.row(slice(16), 0)[static_cast<size_t>(lane_of(token))] =
            static_cast<std::byte>(std::bit_cast<uint32_t>(0.25f * static_cast<float>(token)) >> (8 * b));
      }
    }
    const auto vxm = [&](int alu, uint64_t cycle, LpuOp op, uint64_t a, uint64_t b, uint64_t out) {
      schedule_.at("vxm." + std::to_string(alu), cycle, op,
                   {a, b, none(), std::bit_cast<uint32_t>(0x1p28f), out, kNo, out == kNo ? 0u : 4u});
    };
    const uint64_t token = on(OperandKind::Word, west(0)), position = on(OperandKind::Word, west(4));
    vxm(0, kEntered, LpuOp::IntegerAdd, token, position, kNo);
    vxm(1, sum, LpuOp::Int32ToFloat, result(0), none(), kNo);
    vxm(2, shifted, LpuOp::Add, result(1), on(OperandKind::Word, west(8)), east(0));
    vxm(3, kEntered, LpuOp::Int32ToFloat, token, none(), kNo);
    vxm(4, sum, LpuOp::Multiply, result(3), immediate(), east(8));
    std::vector<std::byte> ids(machine.geometry.lanes() * sizeof(int32_t), std::byte{255});
    for (int32_t id = 0; id < kTestVocabulary; ++id) {
      std::memcpy(&ids[static_cast<size_t>(lane_of(id)) * sizeof(id)], &id, sizeof(id));
    }
    schedule_.file("logit_ids", ids);
  }

  // What a row takes.
  uint64_t cycles() const { return cycles_; }

  // With the entries step.8 and step.4, which are alike. Views what the model owns.
  program::Program build() {
    program::Program program = schedule_.build();
    program.vocabulary = kTestVocabulary;
    program.context_max = 8;
    program.entries[0].name = "step.8";
    program.entries.push_back(program.entries[0]);
    program.entries[1].name = "step.4";
    program.parameters = {{"step.8.cycles", cycles_, cycles_}, {"step.4.cycles", cycles_, cycles_}};
    program.entries[0].parameters = {0};
    program.entries[1].parameters = {1};
    const uint32_t lanes = machine_.geometry.lanes();
    for (const auto& [name, first, row] :
         {std::tuple("token", 0, 0), std::tuple("position", 4, 0), std::tuple("logits", 8, 5),
          std::tuple("fault.blk.1.square", 12, 6)}) {
      const uint32_t memory = memory_of(program, "c0.mem.e." + std::to_string(first));
      program.regions.push_back({name, memory, static_cast<uint64_t>(row) * lanes, program::Element::I32,
                                 lanes, 4 * lanes, program::RowCount::One});
    }
    program.source_map = {{0, 0, "blk.1.square", 1, program::kNone}};
    return program;
  }

  static uint32_t memory_of(const program::Program& program, const std::string& unit) {
    for (const program::Queue& queue : program.queues) {
      if (queue.unit == unit) return queue.memory;
    }
    return program::kNone;
  }

 private:
  // The lane of the logits that a token has.
  static constexpr int32_t lane_of(int32_t token) { return kTestVocabulary - 1 - token; }

  const machine::Machine machine_;
  Schedule schedule_;
  uint64_t cycles_ = 0;
};

}  // namespace lockstep::targets::lpu
