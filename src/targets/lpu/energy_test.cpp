#include "targets/lpu/energy.h"

#include <gtest/gtest.h>

namespace lockstep::targets::lpu {
namespace {

machine::Machine machine_with_energies() {
  machine::Machine machine;
  machine.clock_hz = 1e9;
  double pj = 1;  // a power of two each, so that a sum tells its parts
  for (machine::Range* range :
       {&machine.energy.mem_read_pj, &machine.energy.mem_write_pj, &machine.energy.stream_hop_pj,
        &machine.energy.vxm_operation_pj, &machine.energy.mxm_load_pj, &machine.energy.mxm_product_pj,
        &machine.energy.sxm_operation_pj, &machine.energy.c2c_vector_pj, &machine.energy.instruction_pj}) {
    *range = {pj / 2, pj, pj * 4};
    pj *= 2;
  }
  machine.energy.idle_watt = {10, 20, 50};
  return machine;
}

Events one_of_each() {
  Events events;
  events.mem_reads = events.mem_writes = events.stream_hops = events.vxm_operations = events.mxm_rows =
      events.mxm_products = events.sxm_operations = events.c2c_vectors = events.instructions = 1;
  events.mxm_results = 1000;  // their energy is that of the streams they leave on
  return events;
}

TEST(EnergyTest, EveryEventCostsItsOwn) {
  const EnergyUse use = energy_use(one_of_each(), 0, 1, machine_with_energies());
  EXPECT_DOUBLE_EQ(use.joules.value, 511e-12);
  EXPECT_DOUBLE_EQ(use.joules.low, 255.5e-12);
  EXPECT_DOUBLE_EQ(use.joules.high, 2044e-12);
  EXPECT_EQ(use.seconds, 0);
  EXPECT_EQ(use.watts().value, 0);

  uint64_t Events::*const counts[] = {&Events::mem_reads,      &Events::mem_writes,  &Events::stream_hops,
                                      &Events::vxm_operations, &Events::mxm_rows,    &Events::mxm_products,
                                      &Events::sxm_operations, &Events::c2c_vectors, &Events::instructions};
  for (size_t i = 0; i < std::size(counts); ++i) {
    Events events;
    events.*counts[i] = 3;
    const EnergyUse one = energy_use(events, 0, 1, machine_with_energies());
    EXPECT_DOUBLE_EQ(one.joules.value, 3e-12 * static_cast<double>(1u << i)) << one.parts[i].event;
    EXPECT_EQ(one.parts[i].count, 3u);
    EXPECT_DOUBLE_EQ(one.parts[i].joules.value, one.joules.value);
  }
}

TEST(EnergyTest, IdlePowerIsOfEveryChipAndTheTime) {
  const EnergyUse use = energy_use({}, 2'000'000, 8, machine_with_energies());
  EXPECT_DOUBLE_EQ(use.seconds, 2e-3);
  EXPECT_DOUBLE_EQ(use.joules.low, 0.16);
  EXPECT_DOUBLE_EQ(use.joules.value, 0.32);
  EXPECT_DOUBLE_EQ(use.joules.high, 0.8);
  EXPECT_DOUBLE_EQ(use.watts().value, 160);
}

TEST(EnergyTest, UnitsAddUpTheirParts) {
  const EnergyUse use = energy_use(one_of_each(), 1000, 1, machine_with_energies());
  std::vector<std::string> names;
  double sum = 0;
  for (const EnergyPart& unit : use.by_unit()) {
    names.push_back(unit.unit);
    sum += unit.joules.value;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"MEM", "streams", "VXM", "MXM", "SXM", "C2C", "ICU", "idle"}));
  EXPECT_DOUBLE_EQ(sum, use.joules.value);
  EXPECT_DOUBLE_EQ(use.by_unit()[0].joules.high, 12e-12);
  EXPECT_EQ(use.by_unit()[0].count, 2u);
}

}  // namespace
}  // namespace lockstep::targets::lpu
