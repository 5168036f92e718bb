#include "compiler/lpu/settle.h"

#include <map>
#include <set>

#include "base/error.h"
#include "compiler/lpu/entry_scheduler.h"
#include "compiler/lpu/share_out.h"

namespace lockstep::compiler::lpu {

LpuPrediction predicted(const graph::Graph& graph, const machine::Machine& machine, LpuOptions options,
                        uint32_t of_group) {
  SwitchMaps maps;
  Chips chips = place_with_room(graph, machine, maps, options, of_group);
  const uint32_t placed = std::min(of_group, chips[0]->model.share.parts);
  Cycle cycles = 0;
  each_entry(chips[0]->lowering.blocks_max(), options.rows, [&](uint32_t blocks, uint32_t rows) {
    cycles = 0;
    for (const WrittenChip& chip : schedule_entry(chips, placed, blocks, rows, false))
      cycles = std::max(cycles, chip.cycles);
  });
  return {static_cast<uint64_t>(cycles), chips[0]->model.share.chips()};
}

namespace {

// The number of chips that share matrices: of those that options.chips allows, the one whose schedule of a
// token is the shortest; where that is left open too, the one that takes the fewest chips.
uint32_t choose_tensor_parallel(const graph::Graph& graph, const machine::Machine& machine,
                                LpuOptions options) {
  uint32_t best = 0;
  uint64_t least = 0;
  std::map<uint32_t, uint64_t> fitting;  // how many chips each takes
  for (uint32_t parts = 1; parts <= machine.geometry.links; ++parts) {
    if (!can_share(graph, parts) || options.chips % parts != 0) continue;
    try {
      fitting[parts] = share_out(graph, machine, options.chips, parts, options.context)[0].chips();
    } catch (const Error& refused) {
      if (refused.kind() != ErrorKind::User) throw;
    }
  }
  if (fitting.empty()) return 1;  // which is refused for the clearest of reasons
  for (auto [parts, cost] : fitting) {
    if (options.chips > 1 && fitting.size() > 1) {
      options.tensor_parallel = parts;
      options.rows = 1;
      try {
        cost = predicted(graph, machine, options, parts).cycles;
      } catch (const Error& refused) {
        if (refused.kind() != ErrorKind::User) throw;
        continue;
      }
    }
    if (best != 0 && cost >= least) continue;
    best = parts;
    least = cost;
  }
  return best == 0 ? fitting.begin()->first : best;
}

// Whether the chips have room for a context.
bool has_room(const graph::Graph& graph, const machine::Machine& machine, const LpuOptions& options) {
  try {
    SwitchMaps maps;
    Chips chips = place_chips(graph, machine, maps, options);
    const ChipShare& share = chips[0]->model.share;
    for (const uint32_t rows : std::set<uint32_t>{1, std::max(1u, options.rows)})
      schedule_entry(chips, share.parts, chips[0]->lowering.blocks_max(), rows, false);
    return true;
  } catch (const Error& refused) {
    if (refused.kind() != ErrorKind::User) throw;
    return false;
  }
}

// The largest context that as many chips have room for as one block takes, or as options.chips says.
uint32_t largest_context(const graph::Graph& graph, const machine::Machine& machine, LpuOptions options) {
  const uint32_t lanes = machine.geometry.lanes();
  options.context = std::min(lanes, graph.context_max);
  if (options.chips == 0)
    options.chips = share_out(graph, machine, 0, options.tensor_parallel, options.context)[0].chips();
  uint32_t fits = 1, too_many = (graph.context_max + lanes - 1) / lanes + 1;
  while (fits + 1 < too_many) {
    const uint32_t blocks = (fits + too_many) / 2;
    options.context = std::min(blocks * lanes, graph.context_max);
    (has_room(graph, machine, options) ? fits : too_many) = blocks;
  }
  return std::min(fits * lanes, graph.context_max);
}

}  // namespace

LpuOptions settled(const graph::Graph& graph, const machine::Machine& machine, const LpuOptions& options) {
  const uint32_t block = std::min(machine.geometry.lanes(), graph.context_max);
  LpuOptions chosen = options;
  if (options.context == 0) chosen.context = block;
  if (options.tensor_parallel == 0) {
    LpuOptions least = chosen;
    if (options.context == kContextMax) least.context = block;
    chosen.tensor_parallel = choose_tensor_parallel(graph, machine, least);
  }
  if (options.context == kContextMax) chosen.context = largest_context(graph, machine, chosen);
  return chosen;
}

}  // namespace lockstep::compiler::lpu
