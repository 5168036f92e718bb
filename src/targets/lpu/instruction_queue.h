// A queue of a chip: its instructions in a compact form, and the walk that says in which cycle each issues
// (docs/lpu.md, Queues).
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "machine/machine.h"
#include "program/isa/lpu.h"
#include "program/program.h"

namespace lockstep::targets::lpu {

// One instruction as the units read it. What the fields are is the table in isa/lpu.cpp; those of the VXM
// after its three operands, and the mask of Config, have a place of their own.
struct CompactInstruction {
  program::isa::LpuOp op;
  uint16_t fields[4] = {};
  uint16_t text_bytes = 0;
  uint32_t immediate = 0;  // VXM; Config: the superlanes
  uint8_t east = kNoStream, west = kNoStream, bytes = 0;

  static constexpr uint8_t kNoStream = 255;
};

inline constexpr uint64_t kNever = ~uint64_t{0};

class InstructionQueue;

// An instruction that issues: what the units execute, and what they name when it stops the chip.
struct Issue {
  uint64_t cycle;  // of the run
  const CompactInstruction& instruction;
  uint32_t repetition;  // how often a Repeat has repeated it
  const InstructionQueue& queue;

  // A field that a Repeat moves on.
  uint32_t moved(uint32_t field, uint32_t step) const {
    return instruction.fields[field] + repetition * step;
  }
};

class InstructionQueue {
 public:
  // Throws a user's error for a unit, stream or field that the machine does not have. REQUIRES:
  // verify_structure(program). Program and machine must outlive the queue.
  InstructionQueue(const program::Program& program, uint32_t queue, const machine::Machine& machine);

  const program::isa::UnitName& unit() const { return unit_; }
  const std::string& name() const { return program_.queues[queue_].unit; }
  uint32_t memory() const { return program_.queues[queue_].memory; }
  const program::Program& program() const { return program_; }

  // To the first instruction, from cycle 0 of the run on.
  void rewind();
  // Which cycle of the run messages call 0: the schedule's first.
  void set_schedule_start(uint64_t cycle) { schedule_start_ = cycle; }
  uint64_t schedule_start() const { return schedule_start_; }

  // The cycle in which the next instruction issues; kNever after the last.
  uint64_t cycle() const { return cycle_; }
  Issue issue() const { return {cycle_, instructions_[index_], repetition_, *this}; }
  uint32_t queue_index() const { return queue_; }
  uint32_t instruction_index() const { return index_; }
  bool all_powered() const { return superlanes_ == kAllSuperlanes; }
  bool powered(uint32_t superlane) const { return (superlanes_ >> superlane & 1) != 0; }

  // The instruction has issued: on to the next, which is this one again under a Repeat.
  void advance() {
    if (times_left_ == 0) return next(cycle_ + 1);
    --times_left_;
    ++repetition_;
    cycle_ += every_;
  }
  // On to the next one, which issues in `cycle` if it is no Nop.
  void next(uint64_t cycle);
  // Ifetch and Config issue.
  void fetch();
  void set_power(uint32_t superlanes) { superlanes_ = superlanes; }

 private:
  static constexpr uint32_t kAllSuperlanes = ~0u;

  CompactInstruction compact(uint32_t index) const;
  void check(const program::Instruction& instruction, uint32_t index) const;
  void take_text(uint64_t cycle);

  const program::Program& program_;
  const uint32_t queue_;
  const machine::Machine& machine_;
  program::isa::UnitName unit_;
  std::vector<CompactInstruction> instructions_;
  uint64_t text_bytes_ = 0;

  uint64_t schedule_start_ = 0;
  uint64_t cycle_ = kNever;
  uint32_t index_ = 0, next_index_ = 0;
  uint32_t repetition_ = 0, times_left_ = 0, every_ = 0;
  uint32_t superlanes_ = kAllSuperlanes;

  // Text in the buffer, text that no Ifetch has asked for, and text on its way.
  struct Arrival {
    uint64_t cycle, bytes;
  };
  uint64_t buffered_ = 0, unrequested_ = 0;
  std::deque<Arrival> arrivals_;
};

// Throws the user's error of a stop: the cycle of the schedule, the queue, its instruction, and what is
// wrong.
[[noreturn]] void stop_in(const Issue& issue, uint64_t cycle, const std::string& what);

template <class... Args>
[[noreturn]] void stop(const Issue& issue, fmt::format_string<Args...> format, Args&&... args) {
  stop_in(issue, issue.cycle, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lockstep::targets::lpu
