// One chip: its units side by side around the streams.
#pragma once

#include <memory>
#include <vector>

#include "targets/lpu/matrix_plane.h"
#include "targets/lpu/memory_slice.h"
#include "targets/lpu/switch_unit.h"
#include "targets/lpu/vector_unit.h"

namespace lockstep::targets::lpu {

class Chip {
 public:
  // All must outlive the chip.
  Chip(const machine::Machine& machine, const LaneKernels& kernels, bool arithmetic, const SwitchMaps& maps,
       Events& events, uint32_t number);
  Chip(const Chip&) = delete;
  Chip& operator=(const Chip&) = delete;

  // Everything but the memory as it is before a run.
  void clear();
  // An instruction of MEM, VXM, MXM or SXM.
  void execute(const Issue& issue);
  // After a run: the last writes are in memory.
  void settle();

  const UnitContext& context() const { return context_; }
  Streams& streams() { return streams_; }
  // Made when it is first asked for.
  MemorySlice& slice(uint32_t hemisphere, uint32_t place);

 private:
  Streams streams_;
  const UnitContext context_;
  const uint32_t number_;
  VectorUnit vxm_;
  // By hemisphere.
  std::vector<std::unique_ptr<MemorySlice>> slices_[2];
  std::vector<MatrixPlane> planes_[2];
  std::vector<SwitchUnit> switches_;
};

}  // namespace lockstep::targets::lpu
