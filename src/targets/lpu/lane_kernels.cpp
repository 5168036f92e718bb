#include "targets/lpu/lane_kernels.h"

#include "base/cpu_features.h"
#include "targets/lpu/lane_kernels_generic.h"

namespace lockstep::targets::lpu {

extern const LaneKernels kAvx2LaneKernels, kAvx512LaneKernels;

namespace {

constexpr LaneKernels kPlain = {"plain", alu, join, split, load_weights, product};

#if defined(__x86_64__)
constexpr const LaneKernels* kTables[] = {&kPlain, &kAvx2LaneKernels, &kAvx512LaneKernels};
#else
constexpr const LaneKernels* kTables[] = {&kPlain};
#endif

}  // namespace

std::span<const LaneKernels* const> available_lane_kernels() {
  const CpuFeatures& cpu = cpu_features();
  const size_t count = cpu.avx512_vnni ? 3 : cpu.avx2 ? 2 : 1;
  return std::span(kTables).first(count);
}

const LaneKernels& best_lane_kernels() {
  return *available_lane_kernels().back();
}

}  // namespace lockstep::targets::lpu
