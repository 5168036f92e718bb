// What the parts of a step must read and multiply, from the program alone, and the least time that a machine
// of given limits takes for it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "program/isa/host_panels.h"
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

// By program::isa::PanelKind.
inline constexpr size_t kPanelKinds = 4;
template <class T>
using ByPanelKind = std::array<T, kPanelKinds>;

// How fast a machine does what steps are made of, with all threads of a target together.
struct MachineLimits {
  double stream_bytes_s = 0;  // reading a buffer of the weights' size
  double cached_bytes_s = 0;  // reading what lies in each core's first cache
  double sync_s = 0;          // a meeting of all threads that come at the same time
  // Products a second of a weight and an element of a vector from registers alone, by how the weights are
  // stored.
  ByPanelKind<double> products_s = {};
  // The kind whose products cost as much as those of two 16-bit numbers: Plain8 where a unit multiplies pairs
  // of them, as its instruction takes as many elements as the two for both planes of a vector take bytes;
  // Plain16 where bytes are as fast.
  program::isa::PanelKind wide_products = program::isa::PanelKind::Plain8;
};

struct PartCost {
  uint64_t streamed_bytes = 0;          // weights and cache, each byte once
  uint64_t cached_bytes = 0;            // activations that are read and written
  ByPanelKind<uint64_t> products = {};  // of weights and vectors; of an 8-bit cache as of Plain8
  uint64_t wide_products = 0;           // of a 16-bit cache and vectors
  uint64_t syncs = 0;

  PartCost& operator+=(const PartCost& other);
};
using PartCosts = std::array<PartCost, kParts>;

// REQUIRES: a verified program for the host; one sequence at least.
PartCosts part_costs(const program::Program& program, std::span<const SequenceShape> sequences);

// The longest of: streaming, reading the caches, multiplying, meeting. 0 where nothing is counted.
double bound_s(const PartCost& cost, const MachineLimits& limits);

}  // namespace lockstep::cli
