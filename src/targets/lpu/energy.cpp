#include "targets/lpu/energy.h"

#include <string_view>

namespace lockstep::targets::lpu {

using machine::Range;

namespace {

Range scaled(const Range& range, double factor) {
  return {range.low * factor, range.value * factor, range.high * factor};
}

void add(Range& sum, const Range& range) {
  sum.low += range.low;
  sum.value += range.value;
  sum.high += range.high;
}

}  // namespace

EnergyUse energy_use(const Events& events, uint64_t cycles, uint32_t chips, const machine::Machine& machine) {
  constexpr double kPico = 1e-12;
  const machine::Energy& energy = machine.energy;
  EnergyUse use;
  use.seconds = static_cast<double>(cycles) / machine.clock_hz;
  const auto part = [&](const char* unit, const char* event, uint64_t count, const Range& pj) {
    use.parts.push_back({unit, event, count, scaled(pj, static_cast<double>(count) * kPico)});
  };
  part("MEM", "row read", events.mem_reads, energy.mem_read_pj);
  part("MEM", "row written", events.mem_writes, energy.mem_write_pj);
  part("streams", "vector moved one hop", events.stream_hops, energy.stream_hop_pj);
  part("VXM", "operation", events.vxm_operations, energy.vxm_operation_pj);
  part("MXM", "row of weights loaded", events.mxm_rows, energy.mxm_load_pj);
  part("MXM", "product of a vector and a plane", events.mxm_products, energy.mxm_product_pj);
  part("SXM", "operation", events.sxm_operations, energy.sxm_operation_pj);
  part("C2C", "vector sent", events.c2c_vectors, energy.c2c_vector_pj);
  part("ICU", "instruction", events.instructions, energy.instruction_pj);
  use.parts.push_back({"idle", "chip cycle", cycles * chips,
                       scaled(energy.idle_watt, use.seconds * static_cast<double>(chips))});
  for (const EnergyPart& one : use.parts) add(use.joules, one.joules);
  return use;
}

Range EnergyUse::watts() const {
  return seconds == 0 ? Range{} : scaled(joules, 1 / seconds);
}

std::vector<EnergyPart> EnergyUse::by_unit() const {
  std::vector<EnergyPart> units;
  for (const EnergyPart& part : parts) {
    if (units.empty() || std::string_view(units.back().unit) != part.unit) {
      units.push_back({part.unit, "", 0, {}});
    }
    units.back().count += part.count;
    add(units.back().joules, part.joules);
  }
  return units;
}

}  // namespace lockstep::targets::lpu
