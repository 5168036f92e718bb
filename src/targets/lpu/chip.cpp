#include "targets/lpu/chip.h"

namespace lockstep::targets::lpu {

using program::isa::LpuUnit;

Chip::Chip(const machine::Machine& machine, const LaneKernels& kernels, bool arithmetic,
           const SwitchMaps& maps, Events& events, uint32_t number)
    : streams_(machine, arithmetic, events),
      context_{machine, kernels, arithmetic, streams_, events},
      number_(number),
      vxm_(context_, number) {
  for (uint32_t hemisphere = 0; hemisphere < 2; ++hemisphere) {
    slices_[hemisphere].resize(machine.geometry.slices);
    planes_[hemisphere].reserve(machine.geometry.planes);
    for (uint32_t plane = 0; plane < machine.geometry.planes; ++plane) {
      planes_[hemisphere].emplace_back(context_, Place{number, hemisphere, machine.hops.mxm});
    }
    switches_.emplace_back(context_, maps, Place{number, hemisphere, machine.hops.sxm});
  }
}

void Chip::clear() {
  streams_.clear();
  vxm_.clear();
  for (auto& planes : planes_) {
    for (MatrixPlane& plane : planes) plane.clear();
  }
}

void Chip::settle() {
  for (auto& slices : slices_) {
    for (auto& memory : slices) {
      if (memory) memory->settle();
    }
  }
}

MemorySlice& Chip::slice(uint32_t hemisphere, uint32_t place) {
  std::unique_ptr<MemorySlice>& memory = slices_[hemisphere].at(place);
  if (!memory) {
    memory =
        std::make_unique<MemorySlice>(context_, Place{number_, hemisphere, context_.machine.mem_hop(place)});
  }
  return *memory;
}

void Chip::execute(const Issue& issue) {
  const program::isa::UnitName& unit = issue.queue.unit();
  switch (unit.unit) {
    case LpuUnit::Mem:
      return slice(unit.hemisphere, unit.place).execute(issue);
    case LpuUnit::Vxm:
      return vxm_.execute(issue);
    case LpuUnit::Mxm:
      return planes_[unit.hemisphere][unit.place / 3].execute(issue);
    default:
      return switches_[unit.hemisphere].execute(issue);
  }
}

}  // namespace lockstep::targets::lpu
