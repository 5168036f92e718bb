// What a chip's schedule may take, and which of its memory is the scheduler's own.
#pragma once

#include <cstdint>
#include <set>

#include "compiler/lpu/reservations.h"
#include "machine/machine.h"
#include "program/isa/lpu.h"

namespace lockstep::compiler::lpu {

// A queue of the chip.
struct QueueKey {
  program::isa::LpuUnit unit;
  uint8_t hemisphere;
  uint16_t place;
  auto operator<=>(const QueueKey&) const = default;
};

inline constexpr Cycle kFetchEvery = 64;

struct SchedulerOptions {
  Cycle hold_min_cycles = 12;      // an ALU that cannot keep a result so long is not taken
  bool copies_for_safety = false;  // a result that its ALU cannot keep for ever is in memory too
  std::set<QueueKey> fetching;     // these queues keep one cycle in kFetchEvery idle
  uint32_t scratch_quads = 2;      // times four slices, nearest the VXM, hold words and activations
  bool is_scratch(uint32_t slice) const { return slice < 4 * scratch_quads; }
};

// In a slice that holds words and activations, the rows of what lasts: the scheduler's own lie above.
constexpr uint32_t rows_beside_scratch(const machine::Geometry& geometry) {
  return geometry.slice_rows * 5 / 8;
}

}  // namespace lockstep::compiler::lpu
