// The scores of many queries with AVX-512 VNNI, in three products instead of four. S = sum_d qa[d] * ka[d]:
// vpdpwssd on whole 16-bit numbers gives S modulo 2^32, vpdpbusd on the high bytes of both sides, at twice as
// many elements an instruction, gives hh = sum (qa >> 8) * (ka >> 8). With low bytes in [0, 255] and high
// bytes in [-127, 127]
//   |S - 65536 * hh| <= width * (2 * 256 * 127 * 255 + 255 * 255) < 2^31   for width <= 128,
// so the difference is known from its value modulo 2^32, and S with it.
#pragma once

#include "targets/host/kernels/vector_attention.h"
#include "targets/host/kernels/vector_avx512.h"

namespace lockstep::targets::host {

template <>
struct PreparedKeys<Avx512> {
  static constexpr bool kAvailable = true;
  static constexpr uint32_t kWidthMax = 128;
  static constexpr uint32_t kPage = program::isa::kPagePositions;

  static constexpr bool takes(uint32_t width) { return width <= kWidthMax && width % 4 == 0; }

  // The high bytes of q, every four elements in the order 0, 2, 1, 3. Returns what a sum with prepared keys,
  // which are 128 too large, starts from.
  LOCKSTEP_FORCE_INLINE static int32_t prepare_query(const int16_t* q, uint32_t width, int8_t* high) {
    int32_t sum = 0;
    for (uint32_t d = 0; d < width; d += 4) {
      high[d] = static_cast<int8_t>(q[d] >> 8);
      high[d + 1] = static_cast<int8_t>(q[d + 2] >> 8);
      high[d + 2] = static_cast<int8_t>(q[d + 1] >> 8);
      high[d + 3] = static_cast<int8_t>(q[d + 3] >> 8);
      sum += high[d] + high[d + 1] + high[d + 2] + high[d + 3];
    }
    return -128 * sum;
  }

  // The high bytes of a page's keys plus 128: [width / 4][64 positions][4], in the same order.
  LOCKSTEP_FORCE_INLINE static void prepare_page(const int16_t* keys, uint32_t width, uint8_t* high) {
    const __m512i upper_byte = _mm512_set1_epi16(static_cast<int16_t>(0xff00));
    const __m512i bias = _mm512_set1_epi8(static_cast<char>(0x80));
    for (uint32_t d = 0; d < width; d += 4) {
      const int16_t* row = keys + uint64_t{d} * kPage;
      for (uint32_t slot = 0; slot < kPage; slot += 16) {
        const __m512i even = _mm512_loadu_si512(row + slot * 2);
        const __m512i odd = _mm512_loadu_si512(row + 2 * kPage + slot * 2);
        const __m512i bytes = _mm512_or_si512(_mm512_srli_epi16(even, 8), _mm512_and_si512(odd, upper_byte));
        _mm512_store_si512(high + uint64_t{d} * kPage + slot * 4, _mm512_xor_si512(bytes, bias));
      }
    }
  }

  // The sums of a page's 64 positions as 65536 * upper + lower, for kQueries queries, 2 * width int16 apart.
  // Fetches one cache line for each pair of rows at `ahead`.
  template <uint32_t kQueries>
  [[gnu::noinline]] static void multiply(const int16_t* keys, const uint8_t* keys_high, uint32_t width,
                                         const int16_t* q, const int8_t* q_high, const int32_t* starts,
                                         const std::byte* ahead, __m512i (&upper)[kQueries][4],
                                         __m512i (&lower)[kQueries][4]) {
    __m512i whole[kQueries][4], high[kQueries][4];
    for (uint32_t i = 0; i < kQueries; ++i) {
      for (uint32_t v = 0; v < 4; ++v) {
        whole[i][v] = _mm512_setzero_si512();
        high[i][v] = _mm512_set1_epi32(starts[i]);
      }
    }
    auto add_pair = [&](uint32_t d) {
      __builtin_prefetch(ahead + uint64_t{d} * kPage * 2, 0, 2);
      __m512i elements[4];
      for (uint32_t v = 0; v < 4; ++v) elements[v] = _mm512_loadu_si512(keys + uint64_t{d} * kPage + v * 32);
      for (uint32_t i = 0; i < kQueries; ++i) {
        const __m512i both = Avx512::set_pair(q + uint64_t{i} * 2 * width + d);
        for (uint32_t v = 0; v < 4; ++v) whole[i][v] = Avx512::dot_pairs(whole[i][v], elements[v], both);
      }
    };
    uint32_t d = 0;
    do {
      add_pair(d);
      add_pair(d + 2);
      __m512i bytes[4];
      for (uint32_t v = 0; v < 4; ++v) bytes[v] = _mm512_load_si512(keys_high + uint64_t{d} * kPage + v * 64);
      for (uint32_t i = 0; i < kQueries; ++i) {
        int32_t word;
        std::memcpy(&word, q_high + uint64_t{i} * 4 * width + d, sizeof(word));
        const __m512i four = _mm512_set1_epi32(word);
        for (uint32_t v = 0; v < 4; ++v) high[i][v] = dot_bytes(high[i][v], bytes[v], four);
      }
      d += 4;
    } while (d < width);
    for (uint32_t i = 0; i < kQueries; ++i) {
      for (uint32_t v = 0; v < 4; ++v) {
        const __m512i rest = _mm512_sub_epi32(whole[i][v], _mm512_slli_epi32(high[i][v], 16));
        upper[i][v] = _mm512_add_epi32(high[i][v], _mm512_srai_epi32(rest, 16));
        lower[i][v] = _mm512_and_si512(rest, _mm512_set1_epi32(0xffff));
      }
    }
  }

 private:
  // Per lane the sum of four products of unsigned by signed bytes added to the sums. See Avx512::dot_pairs.
  LOCKSTEP_FORCE_INLINE static __m512i dot_bytes(__m512i sums, __m512i a, __m512i b) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
  }
};

}  // namespace lockstep::targets::host
