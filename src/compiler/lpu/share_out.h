// Cuts a graph into shares for groups of chips in a row, each as many whole layers as it has room for.
#pragma once

#include <vector>

#include "compiler/lpu/lowering.h"

namespace lockstep::compiler::lpu {

// The share of the first chip of each group of `parts`, which share every matrix. `chips` 0: as few as hold
// the model; more groups than it has layers are a user's error, as are fewer than hold it, which says how
// many chips it takes.
std::vector<ChipShare> share_out(const graph::Graph& graph, const machine::Machine& machine, uint32_t chips,
                                 uint32_t parts, uint32_t context);

}  // namespace lockstep::compiler::lpu
