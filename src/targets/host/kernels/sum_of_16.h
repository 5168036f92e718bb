// The sum of 16 int8, with instructions that every CPU of the kind has.
#pragma once

#include <cstdint>

#include "targets/host/kernels/force_inline.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace lockstep::targets::host {

LOCKSTEP_FORCE_INLINE int16_t sum_of_16(const int8_t* p) {
#if defined(__aarch64__)
  return vaddlvq_s8(vld1q_s8(p));
#else
  const __m128i biased =
      _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8(-128));
  const __m128i halves = _mm_sad_epu8(biased, _mm_setzero_si128());
  return static_cast<int16_t>(_mm_cvtsi128_si32(halves) + _mm_extract_epi16(halves, 4) - 16 * 128);
#endif
}

}  // namespace lockstep::targets::host
