// Arithmetic over all lanes: what isa/lpu_alu.h says of one, the matrix product, and the way between words
// and the byte streams that carry them. One table for each kind of CPU; all give the same bits.
#pragma once

#include <span>

#include "targets/lpu/vector.h"

namespace lockstep::targets::lpu {

// The weights of an MXM plane as the product wants them: for every four input lanes the bytes of all output
// lanes, a weight w as w + 128.
struct alignas(64) WeightArray {
  static constexpr uint32_t kInputGroup = 4;    // input lanes side by side
  static constexpr uint32_t kOutputGroup = 16;  // output lanes of a LoadWeights at the most
  uint8_t weights[kLanes / kInputGroup][kLanes][kInputGroup];
};
inline constexpr uint8_t kZeroWeight = 128;

struct LaneKernels {
  const char* name;
  // result = alu(op, a, b, c) in every lane.
  void (*alu)(program::isa::LpuOp op, const Words& a, const Words& b, const Words& c, uint32_t rsqrt_bits,
              Words& result);
  // The word of an operand of this kind from its streams, operand_streams(kind) of them.
  void (*join)(program::isa::OperandKind kind, const Vector* const* streams, Words& words);
  // The low `bytes` bytes of the words, one stream each.
  void (*split)(const Words& words, uint32_t bytes, Vector* const* streams);
  // The weights of `count` output lanes from first_output on: rows[k] over all input lanes.
  void (*load_weights)(const Vector* const* rows, uint32_t count, uint32_t first_output, WeightArray& array);
  // sums = weights times activations (added to what is there if `add`), modulo 2^32.
  void (*product)(const WeightArray& array, const Vector& activations, bool add, Words& sums);
};

// All that this CPU can run, the plainest first.
std::span<const LaneKernels* const> available_lane_kernels();

// The last of them.
const LaneKernels& best_lane_kernels();

}  // namespace lockstep::targets::lpu
