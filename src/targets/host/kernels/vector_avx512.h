// The vector operations that the kernels are written in, on AVX-512 registers of 16 lanes. Only for files
// compiled with AVX-512 enabled; every function is forced inline so that none of them is linked elsewhere.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"

namespace lockstep::targets::host {

struct Avx512 {
  static constexpr uint32_t kLanes = 16;
  using Floats = __m512;
  using Ints = __m512i;  // 16 int32, or 32 int16 where said
  using Mask = __mmask16;

  // The first `count` lanes.
  LOCKSTEP_FORCE_INLINE static Mask first(uint64_t count) {
    return count >= kLanes ? static_cast<Mask>(0xffff) : static_cast<Mask>((1u << count) - 1);
  }

  LOCKSTEP_FORCE_INLINE static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  LOCKSTEP_FORCE_INLINE static Floats load(const float* p, Mask lanes) {
    return _mm512_maskz_loadu_ps(lanes, p);
  }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x, Mask lanes) {
    _mm512_mask_storeu_ps(p, lanes, x);
  }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p) { return _mm512_loadu_si512(p); }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p, Mask lanes) {
    return _mm512_maskz_loadu_epi32(lanes, p);
  }
  LOCKSTEP_FORCE_INLINE static Floats set(float x) { return _mm512_set1_ps(x); }
  LOCKSTEP_FORCE_INLINE static Ints set(int32_t x) { return _mm512_set1_epi32(x); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(uint32_t bits) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int32_t>(bits)));
  }

  LOCKSTEP_FORCE_INLINE static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  // b where either is a NaN.
  LOCKSTEP_FORCE_INLINE static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats rint(Floats a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }

  LOCKSTEP_FORCE_INLINE static Ints bits(Floats a) { return _mm512_castps_si512(a); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(Ints a) { return _mm512_castsi512_ps(a); }
  LOCKSTEP_FORCE_INLINE static Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  // Rounded to the nearest integer, ties to even.
  LOCKSTEP_FORCE_INLINE static Ints to_ints(Floats a) { return _mm512_cvtps_epi32(a); }

  LOCKSTEP_FORCE_INLINE static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints bit_and(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints bit_xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints max(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_left(Ints a) {
    return _mm512_slli_epi32(a, kBits);
  }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_right(Ints a) {  // arithmetic
    return _mm512_srai_epi32(a, kBits);
  }

  LOCKSTEP_FORCE_INLINE static Mask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  LOCKSTEP_FORCE_INLINE static Mask equal(Ints a, Ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats select(Mask mask, Floats yes, Floats no) {
    return _mm512_mask_blend_ps(mask, no, yes);
  }

  LOCKSTEP_FORCE_INLINE static int32_t largest(Ints a) { return _mm512_reduce_max_epi32(a); }
  LOCKSTEP_FORCE_INLINE static float largest(Floats a) { return _mm512_reduce_max_ps(a); }

  // Sums in int64 lanes.
  LOCKSTEP_FORCE_INLINE static Ints add_int64(Ints sums, Ints a) {
    const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(a));
    const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a, 1));
    return _mm512_add_epi64(sums, _mm512_add_epi64(low, high));
  }
  LOCKSTEP_FORCE_INLINE static Ints add_squares_int64(Ints sums, Ints a) {
    const __m512i odd = _mm512_srli_epi64(a, 32);
    return _mm512_add_epi64(sums, _mm512_add_epi64(_mm512_mul_epi32(a, a), _mm512_mul_epi32(odd, odd)));
  }
  LOCKSTEP_FORCE_INLINE static int64_t total_int64(Ints sums) { return _mm512_reduce_add_epi64(sums); }

  // 16 int32 narrowed to their low 8 or 16 bits.
  LOCKSTEP_FORCE_INLINE static void store_int8(int8_t* p, Ints a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }
  LOCKSTEP_FORCE_INLINE static void store_int16(int16_t* p, Ints a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a));
  }

  // 32 int16 as they are, or from 32 int8; a pair of int16 in every lane; per lane the sum of a pair's
  // products added to the sums.
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int16_t* p) { return _mm512_loadu_si512(p); }
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  LOCKSTEP_FORCE_INLINE static Ints set_pair(const int16_t* p) {
    int32_t pair;
    std::memcpy(&pair, p, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  LOCKSTEP_FORCE_INLINE static Ints dot_pairs(Ints sums, Ints a, Ints b) {
    // As an intrinsic g++ 12 copies the sums before each product and cannot keep 24 of them in registers.
    asm("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
  }

  // 255*high + low of every lane in binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_planes(double* sums, Ints high, Ints low) {
    const __m512d step = _mm512_set1_pd(255.0);
    const __m512d first_half =
        _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(high)), step),
                      _mm512_cvtepi32_pd(_mm512_castsi512_si256(low)));
    const __m512d second_half =
        _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(high, 1)), step),
                      _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(low, 1)));
    _mm512_storeu_pd(sums, _mm512_add_pd(_mm512_loadu_pd(sums), first_half));
    _mm512_storeu_pd(sums + 8, _mm512_add_pd(_mm512_loadu_pd(sums + 8), second_half));
  }
  // 16 int32 added to binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_doubles(double* sums, Ints a) {
    _mm512_storeu_pd(sums,
                     _mm512_add_pd(_mm512_loadu_pd(sums), _mm512_cvtepi32_pd(_mm512_castsi512_si256(a))));
    _mm512_storeu_pd(sums + 8, _mm512_add_pd(_mm512_loadu_pd(sums + 8),
                                             _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(a, 1))));
  }
  // 16 binary64 rounded to binary32.
  LOCKSTEP_FORCE_INLINE static Floats to_floats(const double* p) {
    return join(_mm512_cvtpd_ps(_mm512_loadu_pd(p)), _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)));
  }
  // f32(255*high + low).
  LOCKSTEP_FORCE_INLINE static Floats combine_planes(Ints high, Ints low) {
    const __m512d step = _mm512_set1_pd(255.0);
    const __m512d first_half =
        _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(high)), step),
                      _mm512_cvtepi32_pd(_mm512_castsi512_si256(low)));
    const __m512d second_half =
        _mm512_add_pd(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(high, 1)), step),
                      _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(low, 1)));
    return join(_mm512_cvtpd_ps(first_half), _mm512_cvtpd_ps(second_half));
  }

  // The turn of 8 neighbouring pairs (x, y) by the first 8 of cos and sin.
  LOCKSTEP_FORCE_INLINE static Floats turn_neighbours(Floats xy, Floats cos, Floats sin) {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512 along = _mm512_mul_ps(xy, _mm512_permutexvar_ps(twice, cos));
    const __m512 across = _mm512_mul_ps(_mm512_permute_ps(xy, 0xb1), _mm512_permutexvar_ps(twice, sin));
    return _mm512_mask_sub_ps(_mm512_add_ps(along, across), 0x5555, along, across);
  }

 private:
  LOCKSTEP_FORCE_INLINE static Floats join(__m256 low, __m256 high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
  }
};

}  // namespace lockstep::targets::host
