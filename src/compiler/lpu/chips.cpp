#include "compiler/lpu/chips.h"

#include "base/error.h"
#include "compiler/lpu/share_out.h"

namespace lockstep::compiler::lpu {

Chips place_chips(const graph::Graph& graph, const machine::Machine& machine, SwitchMaps& maps,
                  const LpuOptions& options, uint32_t of_group) {
  Chips chips;
  for (ChipShare share : share_out(graph, machine, options.chips, options.tensor_parallel, options.context)) {
    for (share.part = 0; share.part < std::min(share.parts, of_group); ++share.part) {
      if (options.progress) options.progress("place", share.chip() + 1, share.chips());
      chips.push_back(
          std::make_unique<Chip>(graph, machine, share, maps, options.context, std::max(1u, options.rows)));
    }
  }
  return chips;
}

Chips place_with_room(const graph::Graph& graph, const machine::Machine& machine, SwitchMaps& maps,
                      LpuOptions& options, uint32_t of_group) {
  constexpr uint32_t kMoreGroups = 3;
  if (options.chips != 0) return place_chips(graph, machine, maps, options, of_group);
  LpuOptions more = options;
  more.chips = share_out(graph, machine, 0, options.tensor_parallel, options.context)[0].chips();
  for (uint32_t i = 0; i <= kMoreGroups; ++i, more.chips += options.tensor_parallel) {
    try {
      Chips chips = place_chips(graph, machine, maps, more, of_group);
      options.chips = more.chips;
      return chips;
    } catch (const Error& refused) {
      if (refused.kind() != ErrorKind::User) throw;
    }
  }
  return place_chips(graph, machine, maps, options, of_group);  // which says what is missing
}

}  // namespace lockstep::compiler::lpu
