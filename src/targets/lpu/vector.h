// What moves on a chip: vectors of a byte a lane, and the 32-bit words that the VXM and the MXM make of them.
// Always of the widest machine's lanes; a narrower machine leaves the rest alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "program/isa/lpu.h"

namespace lockstep::targets::lpu {

inline constexpr uint32_t kLanes = program::isa::kLpuLanesMax;

struct alignas(64) Vector {
  std::byte lanes[kLanes];
};

struct alignas(64) Words {
  uint32_t lanes[kLanes];
};

}  // namespace lockstep::targets::lpu
