// Placed instructions as the queues of a program: waiting becomes Nop, equal steps become Repeat, and text is
// fetched before it is wanted.
#pragma once

#include <span>
#include <vector>

#include "compiler/lpu/chip_scheduler.h"
#include "program/program.h"

namespace lockstep::compiler::lpu {

// Thrown where a queue has no idle cycle to fetch its text in time: SchedulerOptions::fetching keeps some.
struct TextLate {};

// The instructions that issue in the issues' cycles, counted from the first cycle after the barrier. The
// queue starts with a Notify where `notifies`, a Sync elsewhere. REQUIRES: issues in order of cycle.
// `sources` gets, for each instruction, the issue's source. Throws an internal error where a fetch finds no
// cycle.
std::vector<program::Instruction> queue_instructions(std::span<const Issue> issues, bool notifies,
                                                     const machine::Machine& machine,
                                                     std::vector<int32_t>& sources);

}  // namespace lockstep::compiler::lpu
