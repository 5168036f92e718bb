// What happened on the chips in a run: counts for energy, and the last effect.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep::targets::lpu {

struct Events {
  uint64_t mem_reads = 0, mem_writes = 0;  // vectors; a Gather or Scatter is one
  uint64_t stream_hops = 0;                // vectors times the hops from where they are put to the end
  uint64_t vxm_operations = 0;
  uint64_t mxm_rows = 0;  // of weights into buffers
  uint64_t mxm_products = 0, mxm_results = 0;
  uint64_t sxm_operations = 0;  // vectors of words; a Rotate counts each that it gives
  uint64_t c2c_vectors = 0;
  uint64_t instructions = 0;  // issued, a Repeat's every time
  uint64_t last_cycle = 0;    // in which an instruction issued or its result appeared

  void effect(uint64_t cycle) { last_cycle = std::max(last_cycle, cycle); }
};

}  // namespace lockstep::targets::lpu
