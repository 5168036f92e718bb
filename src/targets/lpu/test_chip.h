// For tests: a small machine, and programs put together instruction by instruction at cycles of a schedule.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "targets/lpu/simulator.h"

namespace lockstep::targets::lpu {

using program::isa::encode_operand;
using program::isa::LpuOp;
using program::isa::LpuUnit;
using program::isa::OperandKind;

inline machine::Machine small_machine() {
  machine::Machine machine;
  machine.name = "small";
  machine.clock_hz = 1e9;
  machine.link_bytes_per_second = 40e9;
  machine.packet_bytes = 48;
  machine.rsqrt_bits = 12;
  machine.geometry = {.superlanes = 2,
                      .superlane_lanes = 16,
                      .streams = 32,
                      .slices = 20,
                      .group_slices = 4,
                      .slice_rows = 64,
                      .slice_banks = 2,
                      .planes = 2,
                      .load_streams = 16,
                      .accumulators = 8,
                      .alus = 16,
                      .links = 4,
                      .instruction_bytes = 640,
                      .queue_bytes = 1 << 20,
                      .node_chips = 2};
  machine.hops = {.mem_first = 1, .sxm = 7, .mxm = 9, .c2c = 8};
  machine.latency = {.mem_read = 5,
                     .mem_gather = 6,
                     .mem_write = 3,
                     .vxm_entry = 4,
                     .vxm_operation = 3,
                     .vxm_fma = 5,
                     .vxm_rsqrt = 9,
                     .mxm_load = 4,
                     .mxm_install = 7,
                     .mxm_product = 11,
                     .mxm_result = 2,
                     .sxm_permute = 6,
                     .sxm_shift = 4,
                     .sxm_distribute = 2,
                     .sxm_rotate = 3,
                     .sxm_transpose = 8,
                     .c2c_link = 50,
                     .instruction_fetch = 20,
                     .barrier = 35};
  return machine;
}

constexpr uint64_t kNo = program::kNone;
constexpr uint64_t east(uint64_t stream) {
  return stream;
}
constexpr uint64_t west(uint64_t stream) {
  return 32 + stream;
}
constexpr uint64_t none() {
  return encode_operand({});
}
constexpr uint64_t immediate() {
  return encode_operand({OperandKind::Immediate, 0});
}
constexpr uint64_t result(uint8_t alu) {
  return encode_operand({OperandKind::Alu, alu});
}
constexpr uint64_t on(OperandKind kind, uint64_t stream) {
  return encode_operand({kind, static_cast<uint8_t>(stream)});
}

// A schedule: what each queue issues in which cycle, counted from the barrier on.
class Schedule {
 public:
  struct Step {
    LpuOp op;
    std::vector<uint64_t> words;
    uint64_t times = 0, every = 0;  // of a Repeat
  };
  using Steps = std::map<uint64_t, Step>;  // by cycle

  explicit Schedule(machine::Machine machine) : machine_(std::move(machine)) {}

  // An instruction of a unit, "mem.e.3" (of chip 0) or "c1.mem.e.3".
  void at(const std::string& unit, uint64_t cycle, LpuOp op, std::vector<uint64_t> words, uint64_t times = 0,
          uint64_t every = 1) {
    const std::string name = full_name(unit);
    ASSERT_TRUE(queues[name].try_emplace(cycle, Step{op, std::move(words), times, every}).second)
        << name << " issues twice in cycle " << cycle;
  }
  // A row of a slice as it is before the run.
  std::span<std::byte> row(const std::string& slice, uint32_t row_index) {
    std::vector<std::byte>& bytes = memories[full_name(slice)];
    const uint32_t lanes = machine_.geometry.lanes();
    if (bytes.size() < (row_index + 1) * lanes) bytes.resize((row_index + 1) * lanes);
    return std::span(bytes).subspan(row_index * lanes, lanes);
  }
  void fill(const std::string& slice, uint32_t row_index, int first, int step = 1) {
    int value = first;
    for (std::byte& lane : row(slice, row_index)) {
      lane = static_cast<std::byte>(value);
      value += step;
    }
  }
  void file(const std::string& name, std::vector<std::byte> bytes) { files[name] = std::move(bytes); }

  // The program of the one entry "step".
  const program::Program& build() {
    program_ = {};
    program_.model_name = "test";
    program_.isa = program::isa::lpu().name;
    program_.isa_version = program::isa::lpu().version;
    program_.machine = machine_.name;
    program_.entries = {{"step", {}, {}}};
    for (const auto& [name, bytes] : files) add_memory(name, bytes);
    for (const auto& [name, bytes] : memories) queues[name];
    std::string chip;  // whose queues come now; the first of each notifies
    for (const auto& [name, steps] : queues) {
      uint32_t memory = program::kNone;
      if (name.find(".mem.") != std::string::npos) memory = add_memory(name, memories[name]);
      program_.entries[0].queues.push_back(static_cast<uint32_t>(program_.queues.size()));
      program_.queues.push_back({name, memory, {}});
      std::vector<program::Instruction>& out = program_.queues.back().instructions;
      const std::string its_chip = name.substr(0, name.find('.'));
      add(out, its_chip == chip ? LpuOp::Sync : LpuOp::Notify, {});
      chip = its_chip;
      uint64_t now = 0;
      for (const auto& [cycle, step] : steps) {
        LOCKSTEP_CHECK(cycle >= now);
        for (uint64_t left = cycle - now; left > 0; left -= std::min<uint64_t>(left, 65535)) {
          add(out, LpuOp::Nop, {std::min<uint64_t>(left, 65535)});
        }
        add(out, step.op, step.words);
        if (step.times != 0) add(out, LpuOp::Repeat, {step.times, step.every});
        now = cycle + step.times * step.every + 1;
      }
    }
    return program_;
  }
  const machine::Machine& machine() const { return machine_; }
  static std::string full_name(const std::string& unit) {
    return unit[0] == 'c' && unit[1] != '2' ? unit : "c0." + unit;
  }

  std::map<std::string, Steps> queues;
  std::map<std::string, std::vector<std::byte>> memories;  // the first rows
  std::map<std::string, std::vector<std::byte>> files;

 private:
  static void add(std::vector<program::Instruction>& out, LpuOp op, std::vector<uint64_t> words) {
    out.push_back({static_cast<uint16_t>(op), std::move(words)});
  }
  uint32_t add_memory(const std::string& name, const std::vector<std::byte>& bytes) {
    const auto index = static_cast<uint32_t>(program_.memories.size());
    program_.memories.push_back({name, program::MemoryKind::File, bytes.size()});
    program_.contents[index] = bytes;
    return index;
  }

  machine::Machine machine_;
  program::Program program_;
};

// A finished run of a schedule, or the message with which it stopped.
class Outcome {
 public:
  explicit Outcome(Schedule& schedule, const SimulatorOptions& options = {}) {
    simulator_ = std::make_unique<Simulator>(schedule.build(), schedule.machine(), options);
    try {
      run = simulator_->run("step");
    } catch (const Error& stopped) {
      EXPECT_EQ(stopped.kind(), ErrorKind::User) << stopped.what();
      error = stopped.what();
    }
  }

  // A row after the run, as signed bytes; empty if nothing wrote it.
  std::vector<int> row(uint32_t hemisphere, uint32_t slice, uint32_t row_index, uint32_t chip = 0) {
    std::vector<int> values;
    try {
      for (std::byte lane : simulator_->row({chip, hemisphere, slice}, row_index)) {
        values.push_back(static_cast<int8_t>(lane));
      }
    } catch (const Error&) {
    }
    return values;
  }
  Simulator& simulator() { return *simulator_; }

  Run run;
  std::string error;

 private:
  std::unique_ptr<Simulator> simulator_;
};

}  // namespace lockstep::targets::lpu
