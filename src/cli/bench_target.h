// A loaded target that runs made-up tokens, as the measurements of `bench` need it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cli/cost.h"
#include "cli/options.h"
#include "cli/step_parts.h"
#include "numerics/digest.h"
#include "targets/sole_sequence.h"

namespace lockstep::cli {

class BenchTarget {
 public:
  // `positions`: that the cache must hold. REQUIRES: a program that outlives this.
  BenchTarget(const ModelOptions& options, const program::Program& program, uint32_t positions);

  targets::host::HostTarget& target() { return *target_; }
  const program::Program& program() const { return program_; }
  const StepCost& cost() const { return cost_; }
  uint32_t chunk() const { return chunk_; }

  // The shapes of the steps that fill() takes for `count` positions.
  std::vector<SequenceShape> chunks(uint32_t count) const;
  // Runs the positions [0, count) in chunks; the last one's logits are wanted.
  void fill(uint32_t count);
  void run(const SequenceShape& shape);
  // One token at a position.
  void decode(uint32_t position) { run({.rows = 1, .position = position, .wanted = 1}); }
  // What the engine does with the logits of a decoded token: the digest and the greedy choice.
  void sample();

  // Bytes a second that the workers stream from a buffer of the weights' size.
  double stream_bandwidth();
  MachineLimits limits();

 private:
  const program::Program& program_;
  const StepCost cost_;
  std::unique_ptr<targets::host::HostTarget> target_;
  uint32_t chunk_;
  targets::SoleSequence sequence_;
  std::vector<int32_t> tokens_;  // by position; they differ, and which they are does not change the work
  AlignedBuffer buffer_;
  numerics::Digest digest_;
  int32_t token_ = 0;
};

}  // namespace lockstep::cli
