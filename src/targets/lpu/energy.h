// What a run costs in energy: its counted events times the machine's energy of each, and the idle chip's
// power over the run's time. No energy of a unit is published; low and high are the range that the machine
// file's assumptions leave.
#pragma once

#include <vector>

#include "machine/machine.h"
#include "targets/lpu/events.h"

namespace lockstep::targets::lpu {

struct EnergyPart {
  const char* unit;   // "MEM", "streams", "VXM", "MXM", "SXM", "C2C", "ICU", "idle"
  const char* event;  // what is counted: "row read"; of "idle": "chip cycle"
  uint64_t count = 0;
  machine::Range joules;
};

struct EnergyUse {
  std::vector<EnergyPart> parts;  // parts of one unit stand together
  machine::Range joules;          // the sum of each bound: the assumptions may all be wrong the same way
  double seconds = 0;

  machine::Range watts() const;             // all chips, on average over the run
  std::vector<EnergyPart> by_unit() const;  // one part a unit, with no event
};

// Of events on `chips` chips in `cycles` cycles.
EnergyUse energy_use(const Events& events, uint64_t cycles, uint32_t chips, const machine::Machine& machine);

}  // namespace lockstep::targets::lpu
