// What every unit of a chip has in common.
#pragma once

#include "machine/machine.h"
#include "targets/lpu/lane_kernels.h"
#include "targets/lpu/streams.h"

namespace lockstep::targets::lpu {

struct UnitContext {
  const machine::Machine& machine;
  const LaneKernels& kernels;
  bool arithmetic;
  Streams& streams;
  Events& events;

  // Zeros in the superlanes to which Config gives no power.
  void power(const Issue& issue, std::byte* lanes, uint32_t lane_bytes) const {
    if (issue.queue.all_powered()) return;
    const uint32_t bytes = machine.geometry.superlane_lanes * lane_bytes;
    for (uint32_t j = 0; j < machine.geometry.superlanes; ++j) {
      if (!issue.queue.powered(j)) std::fill_n(lanes + j * bytes, bytes, std::byte{});
    }
  }
  void power(const Issue& issue, Vector& vector) const { power(issue, vector.lanes, 1); }
  void power(const Issue& issue, Words& words) const {
    power(issue, reinterpret_cast<std::byte*>(words.lanes), sizeof(uint32_t));
  }

  // The vector with zeros in superlanes without power and beyond the machine's lanes; a copy in `space` where
  // that makes a difference.
  const Vector& powered(const Issue& issue, const Vector& vector, Vector& space) const {
    const uint32_t lanes = machine.geometry.lanes();
    if (issue.queue.all_powered() && lanes == kLanes) return vector;
    space = vector;
    power(issue, space);
    std::fill(space.lanes + lanes, space.lanes + kLanes, std::byte{});
    return space;
  }
};

}  // namespace lockstep::targets::lpu
