// The chips of a program with what each computes, group by group.
#pragma once

#include <memory>
#include <vector>

#include "compiler/lpu/compile_lpu.h"
#include "compiler/lpu/lowering.h"

namespace lockstep::compiler::lpu {

// A chip with its model and lowering.
struct Chip {
  Chip(const graph::Graph& graph, const machine::Machine& machine, ChipShare share, SwitchMaps& maps,
       uint32_t context, uint32_t rows_max)
      : model(graph, machine, share, maps, {}), lowering(model, context, rows_max) {}
  ChipModel model;
  Lowering lowering;
};

using Chips = std::vector<std::unique_ptr<Chip>>;

// All chips of each group or the first `of_group` ones, everything that lasts placed. REQUIRES: no open
// options but the number of chips.
Chips place_chips(const graph::Graph& graph, const machine::Machine& machine, SwitchMaps& maps,
                  const LpuOptions& options, uint32_t of_group = ~0u);
// The same; where the number of chips is open and shares that fit by size leave one slice too full, on a
// group more. Fills options.chips.
Chips place_with_room(const graph::Graph& graph, const machine::Machine& machine, SwitchMaps& maps,
                      LpuOptions& options, uint32_t of_group = ~0u);

}  // namespace lockstep::compiler::lpu
