// Who wants to see what a run does, cycle by cycle.
#pragma once

#include <cstdint>

#include "targets/lpu/instruction_queue.h"

namespace lockstep::targets::lpu {

// Where on a chip a unit takes and puts values.
struct Place {
  uint32_t chip = 0;
  uint32_t hemisphere = 0;  // 0 east, 1 west
  uint32_t position = 0;    // hops from the VXM
};

// Called in the order in which the simulator works; cycles count from the run's start and rise, except that a
// value is announced when its instruction issues. `schedule_start` of the queue gives cycle 0 of the
// schedule. What follows `issued` up to the next one is of that instruction.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // An instruction takes its queue for `cycles` cycles from issue.cycle on: 1, or more for a parked queue.
  virtual void issued(const Issue& issue, uint64_t cycles) = 0;
  // A value is on a stream (0 to 63) at a place in a cycle, and moves on from there to the hemisphere's end.
  virtual void put(Place place, uint32_t stream, uint64_t cycle) = 0;
  // The instruction takes the value that is on a stream at a place in a cycle.
  virtual void took(Place, uint32_t /*stream*/, uint64_t /*cycle*/) {}
  // It reads or writes a row of its slice; not told where the row is data and there is no arithmetic.
  virtual void accessed(uint32_t /*row*/, bool /*writes*/) {}
};

}  // namespace lockstep::targets::lpu
