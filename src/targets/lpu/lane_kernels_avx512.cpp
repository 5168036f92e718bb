// The kernels for AVX-512 with VNNI.
#include <immintrin.h>

#include "targets/lpu/lane_kernels_generic.h"

namespace lockstep::targets::lpu {

namespace {

void product_avx512(const WeightArray& array, const Vector& activations, bool add, Words& sums) {
  constexpr uint32_t kOutputs = 16;
  start_sums(activations, add, sums);
  __m512i total[kLanes / kOutputs];
  for (uint32_t k = 0; k < kLanes / kOutputs; ++k) total[k] = _mm512_load_si512(&sums.lanes[k * kOutputs]);
  for (uint32_t g = 0; g < kLanes / WeightArray::kInputGroup; ++g) {
    int32_t four;
    std::memcpy(&four, &activations.lanes[g * WeightArray::kInputGroup], sizeof(four));
    const __m512i a = _mm512_set1_epi32(four);
    for (uint32_t k = 0; k < kLanes / kOutputs; ++k) {
      total[k] = _mm512_dpbusd_epi32(total[k], _mm512_load_si512(array.weights[g][k * kOutputs]), a);
    }
  }
  for (uint32_t k = 0; k < kLanes / kOutputs; ++k) _mm512_store_si512(&sums.lanes[k * kOutputs], total[k]);
}

}  // namespace

extern const LaneKernels kAvx512LaneKernels;
const LaneKernels kAvx512LaneKernels = {"avx512", alu, join, split, load_weights, product_avx512};

}  // namespace lockstep::targets::lpu
