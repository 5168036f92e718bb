// Part of a run, in cycles of the schedule.
#pragma once

#include <cstdint>

#include "targets/lpu/instruction_queue.h"

namespace lockstep::targets::lpu {

struct Window {
  uint64_t from = 0;
  uint64_t to = ~uint64_t{0};  // one past the last; beyond the run: its end

  bool contains(uint64_t cycle) const { return from <= cycle && cycle < to; }
};

// Sync and Notify come before the schedule's cycle 0.
inline bool is_barrier(const Issue& issue) {
  return issue.instruction.op == program::isa::LpuOp::Sync ||
         issue.instruction.op == program::isa::LpuOp::Notify;
}

}  // namespace lockstep::targets::lpu
