// What a worker of the host target does in a step: the program's instructions with every address resolved.
#pragma once

#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "program/isa/host.h"
#include "program/program.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {

// A region with its addresses: `own` is this worker's copy, `common` the one that all share. They differ in
// Private memories only.
struct Operand {
  std::byte* own = nullptr;
  std::byte* common = nullptr;
  uint64_t row_bytes = 0;
  uint32_t width = 0;
  program::RowCount rows = program::RowCount::One;

  float* f32_row(uint64_t row) const { return reinterpret_cast<float*>(common + row * row_bytes); }
};

// One instruction for one worker.
struct Work {
  program::isa::HostOp op;
  uint32_t instruction = 0;
  bool always = true;  // Sync
  bool head = false;   // MatMul: makes the logits
  Operand out, a, b, c;
  const program::Matrix* matrix = nullptr;
  MatMulArguments matmul;
  uint32_t layer = 0, heads = 0;
  float number = 0;
  bool halves = false;
};

// Where a worker keeps an AttentionBlock. `published` is what other workers read of its queries, as they read
// its sums.
struct AttentionScratch {
  AttentionQuery* queries = nullptr;
  AttentionQuery* published = nullptr;
  int16_t* planes = nullptr;
  float* weights = nullptr;
  double* sums = nullptr;
};

// A worker's share of the attention begins with the rest of a unit and ends with the first pages of one; in
// between are whole units, one after another.
enum AttentionSlot : uint32_t { kRestOfUnit = 0, kStartOfUnit = 1, kWholeUnit = 2, kAttentionSlots = 3 };

// What belongs to one worker alone.
struct alignas(64) Worker {
  uint32_t number = 0;
  std::vector<Work> work;
  AlignedBuffer memory;   // its copies of the Private memory
  AlignedBuffer scratch;  // widest vector, cos and sin, attention
  float* wide = nullptr;
  float* cos = nullptr;
  float* sin = nullptr;
  AttentionScratch attention[kAttentionSlots];
};

struct Share {
  uint64_t begin, end;
};

// Worker number `worker`'s part of `total` units.
inline Share share(uint64_t total, uint32_t worker, uint32_t workers) {
  return {total * worker / workers, total * (worker + 1) / workers};
}

}  // namespace lockstep::targets::host
