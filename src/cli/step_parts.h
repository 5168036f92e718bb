// What the parts of a step must read and multiply, from the program alone, and the least time that a machine
// of given limits takes for it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "program/program.h"

namespace lockstep::cli {

enum class Part : uint8_t { MatrixProducts, Attention, Norms, RopeAndStore, Barriers, Sampling, Rest };
inline constexpr size_t kParts = 7;
const char* part_name(Part part);  // "matrix products", ...

// The part that an instruction of the host belongs to; Sampling is no instruction.
Part part_of(const program::Instruction& instruction);

// One sequence's share of a step.
struct SequenceShape {
  uint32_t rows = 1;
  uint32_t position = 0;  // of its first row
  uint32_t wanted = 1;    // rows whose logits are wanted
};

// How fast a machine does what steps are made of, with all threads of a target together.
struct MachineLimits {
  double stream_bytes_s = 0;   // reading a buffer of the weights' size
  double cached_bytes_s = 0;   // reading what lies in each core's first cache
  double multiply_adds_s = 0;  // of 8-bit integers; 0: not known
  double sync_s = 0;           // a meeting of all threads that come at the same time
  uint32_t wide_multiply = 2;  // 8-bit multiply-adds that one with a 16-bit factor counts as
};

struct PartCost {
  uint64_t streamed_bytes = 0;     // weights and cache, each byte once
  uint64_t cached_bytes = 0;       // activations that are read and written
  uint64_t narrow_multiplies = 0;  // 8-bit weights or cache times 16-bit vectors
  uint64_t wide_multiplies = 0;    // codes of more than 8 bits, or a 16-bit cache, times 16-bit vectors
  uint64_t syncs = 0;

  PartCost& operator+=(const PartCost& other);
};
using PartCosts = std::array<PartCost, kParts>;

// REQUIRES: a verified program for the host; one sequence at least.
PartCosts part_costs(const program::Program& program, std::span<const SequenceShape> sequences);

// The longest of: streaming, reading the caches, multiplying, meeting. 0 where nothing is counted.
double bound_s(const PartCost& cost, const MachineLimits& limits);

}  // namespace lockstep::cli
