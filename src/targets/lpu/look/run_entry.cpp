#include "targets/lpu/look/run_entry.h"

#include <algorithm>

#include "base/floating_point.h"

namespace lockstep::targets::lpu {

Run run_entry(const program::Program& program, const machine::Machine& machine, const std::string& entry,
              TraceSink* trace) {
  set_floating_point_control();
  Simulator simulator(program, machine, {.trace = trace});
  const std::vector<uint32_t> zeros(machine.geometry.lanes());
  for (const program::Region& region : program.regions) {
    const std::string base = region.name.substr(0, region.name.find('.'));
    if (base != "token" && base != "position") continue;
    for (uint32_t i = 0; i < simulator.vectors(region); ++i) simulator.write_words(region, i, zeros);
  }
  return simulator.run(entry);
}

uint32_t chips_of(const program::Program& program) {
  uint32_t chips = 1;
  for (const program::Queue& queue : program.queues) {
    chips = std::max(chips, program::isa::parse_unit_name(queue.unit).chip + 1);
  }
  return chips;
}

}  // namespace lockstep::targets::lpu
