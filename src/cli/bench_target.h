// A loaded target that runs made-up tokens in one or more sequences, as the measurements of `bench` need it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cli/cost.h"
#include "cli/options.h"
#include "cli/step_parts.h"
#include "numerics/digest.h"
#include "targets/target.h"

namespace lockstep::cli {

class BenchTarget {
 public:
  // `positions`: that the cache must hold of each of `streams` sequences. Throws a user's error for more
  // streams than a step has rows. REQUIRES: a program that outlives this; one position and stream at least.
  BenchTarget(const ModelOptions& options, const program::Program& program, uint32_t positions,
              uint32_t streams);

  targets::host::HostTarget& target() { return *target_; }
  const program::Program& program() const { return program_; }
  const StepCost& cost() const { return cost_; }
  uint32_t chunk() const { return chunk_; }

  // The shapes of the steps that fill() takes for `count` positions.
  std::vector<SequenceShape> chunks(uint32_t count) const;
  // Runs the positions [0, count) of a stream in chunks; the last one's logits are wanted.
  void fill(uint32_t count, uint32_t stream = 0);
  // One step, of as many rows of each of the first streams.
  void run(const SequenceShape& shape, uint32_t streams = 1) { step(shape, 0, streams); }
  // One token at a position of each of the first streams.
  void decode(uint32_t position, uint32_t streams = 1) {
    run({.rows = 1, .position = position, .wanted = 1}, streams);
  }
  // What the engine does with the logits of a decoded token of each of the first streams: the digest and the
  // greedy choice. REQUIRES: the last step wanted their logits.
  void sample(uint32_t streams = 1);

  // Bytes a second that the workers stream from a buffer of the weights' size.
  double stream_bandwidth();
  MachineLimits limits();

 private:
  void step(const SequenceShape& shape, uint32_t first, uint32_t streams);

  const program::Program& program_;
  const StepCost cost_;
  std::unique_ptr<targets::host::HostTarget> target_;
  uint32_t chunk_;
  const uint32_t positions_;
  // By stream and position; they differ, and which they are does not change the work.
  std::vector<int32_t> tokens_;
  std::vector<uint32_t> pages_;                   // by stream, as many each
  std::vector<targets::StepSequence> sequences_;  // of the step that runs
  AlignedBuffer buffer_;
  std::vector<numerics::Digest> digests_;  // by stream
};

}  // namespace lockstep::cli
