// The kernels for AVX2.
#include <immintrin.h>

#include "targets/lpu/lane_kernels_generic.h"

namespace lockstep::targets::lpu {

namespace {

// Four output lanes at a time: their four weights each as 16-bit numbers, so that nothing saturates.
void product_avx2(const WeightArray& array, const Vector& activations, bool add, Words& sums) {
  constexpr uint32_t kOutputs = 4, kBlock = 32;
  start_sums(activations, add, sums);
  for (uint32_t first = 0; first < kLanes; first += kBlock) {
    __m256i pairs[kBlock / kOutputs] = {};
    for (uint32_t g = 0; g < kLanes / WeightArray::kInputGroup; ++g) {
      int32_t four;
      std::memcpy(&four, &activations.lanes[g * WeightArray::kInputGroup], sizeof(four));
      const __m256i a = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(four)));
      for (uint32_t k = 0; k < kBlock / kOutputs; ++k) {
        const auto* weights = reinterpret_cast<const __m128i*>(array.weights[g][first + k * kOutputs]);
        const __m256i w = _mm256_cvtepu8_epi16(_mm_load_si128(weights));
        pairs[k] = _mm256_add_epi32(pairs[k], _mm256_madd_epi16(w, a));
      }
    }
    for (uint32_t k = 0; k < kBlock / kOutputs; ++k) {
      alignas(32) uint32_t halves[2 * kOutputs];
      _mm256_store_si256(reinterpret_cast<__m256i*>(halves), pairs[k]);
      for (uint32_t i = 0; i < kOutputs; ++i) {
        sums.lanes[first + k * kOutputs + i] += halves[2 * i] + halves[2 * i + 1];
      }
    }
  }
}

}  // namespace

extern const LaneKernels kAvx2LaneKernels;
const LaneKernels kAvx2LaneKernels = {"avx2", alu, join, split, load_weights, product_avx2};

}  // namespace lockstep::targets::lpu
