// The one interface of everything that can run a program.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "program/program.h"

namespace lockstep::targets {

// One step of one sequence: `tokens` at the positions from `position` on. Steps may go back to an earlier
// position, which forgets what came after it.
struct StepInputs {
  std::span<const int32_t> tokens;
  uint32_t position = 0;
  std::span<const int32_t> wanted;  // rows of `tokens` whose logits are wanted, ascending
};

// What a target has done since it was loaded. Readable from any thread at any time.
struct StepCounters {
  uint64_t steps = 0;
  uint64_t rows = 0;
};

// THREAD: one thread at a time calls step.
class Target {
 public:
  virtual ~Target() = default;

  // Runs the entry "step". REQUIRES: 1 to rows_max() tokens inside the vocabulary, positions inside the
  // context. Throws a user's error that names operator, layer and position when a vector leaves the
  // contract's range; the target stays usable.
  virtual void step(const StepInputs& inputs) = 0;

  // The logits of the i-th wanted row of the last step; valid until the next.
  virtual std::span<const float> logits(uint32_t i) const = 0;

  virtual uint32_t rows_max() const = 0;
  virtual uint32_t context() const = 0;
  virtual StepCounters counters() const = 0;
  // Bytes set aside for state, scratch and outputs.
  virtual uint64_t allocated_bytes() const = 0;

  // Called after each instruction of a step, on the calling thread; for `diff`. REQUIRES: one worker.
  std::function<void(uint32_t instruction)> probe;
};

}  // namespace lockstep::targets
