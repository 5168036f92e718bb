// One run of an entry, to be looked at.
#pragma once

#include <string>

#include "targets/lpu/simulator.h"

namespace lockstep::targets::lpu {

// Runs the entry on the program's chips; one that takes a token gets token 0 at position 0, for the schedule
// is the same for all. Throws a user's error for an entry that is not there and for a stop. REQUIRES a
// verified program of the LPU.
Run run_entry(const program::Program& program, const machine::Machine& machine, const std::string& entry,
              TraceSink* trace);

// Chips that the program's queues are of.
uint32_t chips_of(const program::Program& program);

}  // namespace lockstep::targets::lpu
