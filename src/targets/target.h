// The one interface of everything that can run a program.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "program/program.h"

namespace lockstep::targets {

// One sequence's rows of a step: `tokens` at the positions from `position` on. The positions before are
// those that earlier steps stored in its pages; a step may go back to an earlier position, which forgets what
// came after it.
struct StepSequence {
  std::span<const int32_t> tokens;
  uint32_t position = 0;
  // The pages of the target's pool that hold positions 0, page_positions(), ... up to the last of `tokens`.
  // Sequences may share pages that none of them writes in this step.
  std::span<const uint32_t> pages;
  std::span<const int32_t> wanted;  // rows of `tokens` whose logits are wanted, ascending
  // Of the wanted rows the hidden state alone is wanted. Where such sequences are the last of a step, their
  // logits need not be computed.
  bool hidden_only = false;
};

// What a target has done since it was loaded. Readable from any thread at any time.
struct StepCounters {
  uint64_t steps = 0;
  uint64_t rows = 0;
};

// THREAD: one thread at a time calls step and the functions that follow it.
class Target {
 public:
  virtual ~Target() = default;

  // Runs the entry "step" for all sequences together. What a sequence gets does not depend on the others.
  // REQUIRES: 1 to rows_max() tokens in all, each inside the vocabulary; positions inside the context.
  virtual void step(std::span<const StepSequence> sequences) = 0;

  // The logits of the i-th wanted row of the last step, counted through its sequences; valid until the next.
  virtual std::span<const float> logits(uint32_t i) const = 0;

  // Elements of a hidden state; 0: this target hands none out.
  virtual uint32_t hidden_width() const { return 0; }
  // The hidden state of the i-th wanted row, counted as for logits: the final norm's output as the head takes
  // it, the integers of its Q16 vector. Valid until the next step. REQUIRES: `a` has hidden_width() elements.
  virtual void hidden(uint32_t /*i*/, std::span<int16_t> /*a*/) const {
    internal_error("this target hands out no hidden states");
  }

  // The first row of a sequence of the last step at which a vector left the contract's range; kNone where
  // all is well. The rows before it are right.
  virtual uint32_t refused_row(uint32_t sequence) const = 0;
  // The user's error that names operator, layer and position of that row.
  virtual Error refusal(uint32_t sequence) const = 0;

  virtual uint32_t rows_max() const = 0;
  virtual uint32_t context() const = 0;  // positions of one sequence at the most
  virtual uint32_t page_positions() const = 0;
  virtual uint32_t pages() const = 0;  // of the pool
  // The bytes of a page, in the layout of the program's instruction set.
  virtual std::span<std::byte> page(uint32_t index) = 0;
  virtual StepCounters counters() const = 0;
  // Bytes set aside for state, scratch and outputs.
  virtual uint64_t allocated_bytes() const = 0;

  // Called after each instruction of a step, on the calling thread; for `diff`. REQUIRES: one worker.
  std::function<void(uint32_t instruction)> probe;
};

}  // namespace lockstep::targets
