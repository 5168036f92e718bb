// The host instruction set: whole vectors and matrices, executed by a team of workers that all run the same
// queue, each on its own share. The opcodes' meanings are the contract's (NUMERICS.md); their fields are the
// table in host.cpp.
#pragma once

#include <cstdint>

#include "program/isa/isa.h"

namespace lockstep::program::isa {

enum class HostOp : uint16_t {
  Sync = 1,          // all workers wait for one another
  Embed = 2,         // out[row] = W[token] * factor
  NormQuantise = 3,  // out = Q16(RMSNorm(x) * gain)
  Quantise = 4,      // out = Q16(x)
  GateQuantise = 5,  // out = Q16(silu(gate) * up)
  MatMul = 6,        // y = W x (+ bias)
  MatMulAdd = 7,     // y += W x (+ bias)
  RopeStore = 8,     // turns q in place; k turned, k and v quantised into the state
  Attention = 9,     // out = attention of q over the state
  Select = 10,       // out[i] = x[wanted[i]]
};

// When a Sync is needed: always, or only where the rows are split because they are many (Split::Copies).
enum class SyncWhen : uint64_t { Always = 0, RowsAreSplit = 1 };

// Up to this many rows a worker fills its own copy of a Split::Copies region instead of waiting for others.
inline constexpr uint32_t kCopiesRowsMax = 4;

}  // namespace lockstep::program::isa
