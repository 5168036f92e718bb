// The vector operations that the kernels are written in, on AVX2 registers of 8 lanes. Only for files
// compiled with AVX2 and FMA enabled; every function is forced inline so that none of them is linked
// elsewhere.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"

namespace lockstep::targets::host {

struct Avx2 {
  static constexpr uint32_t kLanes = 8;
  using Floats = __m256;
  using Ints = __m256i;  // 8 int32, or 16 int16 where said
  using Mask = __m256i;  // all bits of a lane

  // The first `count` lanes.
  LOCKSTEP_FORCE_INLINE static Mask first(uint64_t count) {
    const int32_t lanes = count >= kLanes ? static_cast<int32_t>(kLanes) : static_cast<int32_t>(count);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  LOCKSTEP_FORCE_INLINE static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  LOCKSTEP_FORCE_INLINE static Floats load(const float* p, Mask lanes) {
    return _mm256_maskload_ps(p, lanes);
  }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x, Mask lanes) {
    _mm256_maskstore_ps(p, lanes, x);
  }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p, Mask lanes) {
    return _mm256_maskload_epi32(p, lanes);
  }
  LOCKSTEP_FORCE_INLINE static Floats set(float x) { return _mm256_set1_ps(x); }
  LOCKSTEP_FORCE_INLINE static Ints set(int32_t x) { return _mm256_set1_epi32(x); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(uint32_t bits) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int32_t>(bits)));
  }

  LOCKSTEP_FORCE_INLINE static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  // b where either is a NaN.
  LOCKSTEP_FORCE_INLINE static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats rint(Floats a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }

  LOCKSTEP_FORCE_INLINE static Ints bits(Floats a) { return _mm256_castps_si256(a); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(Ints a) { return _mm256_castsi256_ps(a); }
  LOCKSTEP_FORCE_INLINE static Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
  // Rounded to the nearest integer, ties to even.
  LOCKSTEP_FORCE_INLINE static Ints to_ints(Floats a) { return _mm256_cvtps_epi32(a); }

  LOCKSTEP_FORCE_INLINE static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints bit_and(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints bit_xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints max(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_left(Ints a) {
    return _mm256_slli_epi32(a, kBits);
  }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_right(Ints a) {  // arithmetic
    return _mm256_srai_epi32(a, kBits);
  }

  LOCKSTEP_FORCE_INLINE static Mask less(Floats a, Floats b) {
    return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  LOCKSTEP_FORCE_INLINE static Mask equal(Ints a, Ints b) { return _mm256_cmpeq_epi32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats select(Mask mask, Floats yes, Floats no) {
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
  }

  LOCKSTEP_FORCE_INLINE static int32_t largest(Ints a) {
    __m128i b = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    b = _mm_max_epi32(b, _mm_shuffle_epi32(b, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
  }
  LOCKSTEP_FORCE_INLINE static float largest(Floats a) {
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_permute_ps(b, 0x4e));
    return _mm_cvtss_f32(_mm_max_ps(b, _mm_permute_ps(b, 0xb1)));
  }

  // Sums in int64 lanes.
  LOCKSTEP_FORCE_INLINE static Ints add_int64(Ints sums, Ints a) {
    const __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(a));
    const __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a, 1));
    return _mm256_add_epi64(sums, _mm256_add_epi64(low, high));
  }
  LOCKSTEP_FORCE_INLINE static Ints add_squares_int64(Ints sums, Ints a) {
    const __m256i odd = _mm256_srli_epi64(a, 32);
    return _mm256_add_epi64(sums, _mm256_add_epi64(_mm256_mul_epi32(a, a), _mm256_mul_epi32(odd, odd)));
  }
  LOCKSTEP_FORCE_INLINE static int64_t total_int64(Ints sums) {
    const __m128i pair = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return _mm_cvtsi128_si64(pair) + _mm_extract_epi64(pair, 1);
  }

  // 8 int32 narrowed to 8 or 16 bits, which they fit.
  LOCKSTEP_FORCE_INLINE static void store_int8(int8_t* p, Ints a) {
    const __m128i words = narrow(a);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  LOCKSTEP_FORCE_INLINE static void store_int16(int16_t* p, Ints a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(a));
  }

  // 16 int16 as they are, or from 16 int8; a pair of int16 in every lane; per lane the sum of a pair's
  // products added to the sums.
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  LOCKSTEP_FORCE_INLINE static Ints set_pair(const int16_t* p) {
    int32_t pair;
    std::memcpy(&pair, p, sizeof(pair));
    return _mm256_set1_epi32(pair);
  }
  LOCKSTEP_FORCE_INLINE static Ints dot_pairs(Ints sums, Ints a, Ints b) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
  }

  // 255*high + low of every lane in binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_planes(double* sums, Ints high, Ints low) {
    _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_loadu_pd(sums),
                                         planes(_mm256_castsi256_si128(high), _mm256_castsi256_si128(low))));
    _mm256_storeu_pd(
        sums + 4, _mm256_add_pd(_mm256_loadu_pd(sums + 4),
                                planes(_mm256_extracti128_si256(high, 1), _mm256_extracti128_si256(low, 1))));
  }
  // 8 int32 added to binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_doubles(double* sums, Ints a) {
    _mm256_storeu_pd(sums,
                     _mm256_add_pd(_mm256_loadu_pd(sums), _mm256_cvtepi32_pd(_mm256_castsi256_si128(a))));
    _mm256_storeu_pd(sums + 4, _mm256_add_pd(_mm256_loadu_pd(sums + 4),
                                             _mm256_cvtepi32_pd(_mm256_extracti128_si256(a, 1))));
  }
  // 8 binary64 rounded to binary32.
  LOCKSTEP_FORCE_INLINE static Floats to_floats(const double* p) {
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
  }
  // f32(255*high + low).
  LOCKSTEP_FORCE_INLINE static Floats combine_planes(Ints high, Ints low) {
    return _mm256_set_m128(
        _mm256_cvtpd_ps(planes(_mm256_extracti128_si256(high, 1), _mm256_extracti128_si256(low, 1))),
        _mm256_cvtpd_ps(planes(_mm256_castsi256_si128(high), _mm256_castsi256_si128(low))));
  }

  // The turn of 4 neighbouring pairs (x, y) by the first 4 of cos and sin.
  LOCKSTEP_FORCE_INLINE static Floats turn_neighbours(Floats xy, Floats cos, Floats sin) {
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_addsub_ps(_mm256_mul_ps(xy, _mm256_permutevar8x32_ps(cos, twice)),
                            _mm256_mul_ps(_mm256_permute_ps(xy, 0xb1), _mm256_permutevar8x32_ps(sin, twice)));
  }

 private:
  LOCKSTEP_FORCE_INLINE static __m128i narrow(Ints a) {
    return _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  }
  LOCKSTEP_FORCE_INLINE static __m256d planes(__m128i high, __m128i low) {
    return _mm256_add_pd(_mm256_mul_pd(_mm256_cvtepi32_pd(high), _mm256_set1_pd(255.0)),
                         _mm256_cvtepi32_pd(low));
  }
};

}  // namespace lockstep::targets::host
