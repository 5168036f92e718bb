// The stream registers of one chip. A value moves one place a cycle, so what it keeps is its diagonal: each
// stream is a ring of diagonals, and nothing is done for a value on its way (docs/lpu.md, Time).
#pragma once

#include <memory>
#include <vector>

#include "base/memory.h"
#include "machine/machine.h"
#include "targets/lpu/events.h"
#include "targets/lpu/trace.h"
#include "targets/lpu/vector.h"

namespace lockstep::targets::lpu {

// The longest time from an instruction's issue to a value on a stream.
uint32_t longest_put_cycles(const machine::Latency& latency);

// Where a hemisphere ends.
uint32_t last_position(const machine::Machine& machine);

// Values are put in the cycle of the instruction that gives them, ahead of time: a taker of any later cycle
// finds them, whatever the order of the queues.
class Streams {
 public:
  // Without `values` only places are kept, for runs without arithmetic. `events` must outlive the streams.
  Streams(const machine::Machine& machine, bool values, Events& events);

  // Before a run.
  void clear();
  void set_trace(TraceSink* trace) { trace_ = trace; }
  TraceSink* trace() const { return trace_; }

  static bool outward(uint32_t hemisphere, uint32_t stream) { return (stream < 32) == (hemisphere == 0); }

  // A value that is on the stream at the place in `cycle`, not before the issue's. Returns where its bytes
  // go, nullptr without values. Stops the chip where another value has the diagonal.
  Vector* put(const Issue& issue, Place place, uint32_t stream, uint64_t cycle);

  // The value there in `cycle`, not after the issue's; nullptr without values. Stops the chip where there is
  // none.
  const Vector* take(const Issue& issue, Place place, uint32_t stream, uint64_t cycle);

 private:
  struct Value {
    uint64_t diagonal = kNoDiagonal;
    uint32_t position = 0;  // where it was put
    const InstructionQueue* writer = nullptr;
  };
  static constexpr uint64_t kNoDiagonal = ~uint64_t{0};
  static constexpr uint32_t kStreams = 2 * program::isa::kLpuStreams;  // of both hemispheres

  // Numbers are never negative; the largest position makes up for the cycles before 0.
  uint64_t diagonal(bool is_outward, uint32_t position, uint64_t cycle) const {
    return is_outward ? cycle + end_ - position : cycle + position;
  }
  size_t index(Place place, uint32_t stream, uint64_t diagonal_number) const {
    return (place.hemisphere * size_t{program::isa::kLpuStreams} + stream) * ring_ +
           (diagonal_number & (ring_ - 1));
  }

  const uint32_t end_;  // the last position of a hemisphere
  const uint64_t ring_;
  std::vector<Value> values_;
  AlignedBuffer bytes_;  // a Vector for each of values_
  Vector* vectors_;      // in bytes_, or nullptr
  Events& events_;
  TraceSink* trace_ = nullptr;
};

}  // namespace lockstep::targets::lpu
