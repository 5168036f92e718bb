// The switch unit (SXM) of a hemisphere: moves data between lanes.
#pragma once

#include <vector>

#include "program/program.h"
#include "targets/lpu/unit_context.h"

namespace lockstep::targets::lpu {

// The maps that a program brings, checked: its memories "permutations" and "distributions".
class SwitchMaps {
 public:
  // Throws a user's error for a map that leads out of the vector or is no permutation. Without `arithmetic`
  // the maps are only counted.
  SwitchMaps(const program::Program& program, const machine::Machine& machine, bool arithmetic);

  static constexpr int16_t kZero = -1;  // a lane that gets zero

  uint64_t permutations() const { return permutations_; }
  uint64_t distributions() const { return distributions_; }
  // The source lane of every lane.
  const int16_t* permutation(uint64_t map) const { return &permutation_lanes_[map * lanes_]; }
  const int16_t* distribution(uint64_t map) const { return &distribution_lanes_[map * lanes_]; }

 private:
  const uint32_t lanes_;
  uint64_t permutations_ = 0, distributions_ = 0;
  std::vector<int16_t> permutation_lanes_, distribution_lanes_;
};

class SwitchUnit {
 public:
  // Both must outlive the unit.
  SwitchUnit(const UnitContext& context, const SwitchMaps& maps, Place place)
      : context_(context), maps_(maps), place_(place) {}

  void execute(const Issue& issue);

 private:
  // Four streams from the instruction's `in` to those from `out` on, lane l from lane source(l).
  template <class Source>
  void move_words(const Issue& issue, uint32_t out, uint32_t latency, Source source);
  void permute(const Issue& issue);
  void distribute(const Issue& issue);
  void shift(const Issue& issue);
  void rotate(const Issue& issue);
  void transpose(const Issue& issue);

  const UnitContext& context_;
  const SwitchMaps& maps_;
  const Place place_;
};

}  // namespace lockstep::targets::lpu
