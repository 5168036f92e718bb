// The matrix product on AVX2. A line of a panel holds four columns of 16 rows: two registers of 8 rows.
// NUMERICS.md sections 3 and 4.
//
// Nibbles meet each plane of the vector in vpmaddubsw, whose sums over a group fit 16 bits (8 * 2*15*127),
// and then (mu, o) as in matmul_avx512.h. Bytes would not fit there: they are split into even and odd columns
// and meet the whole 16-bit vector in vpmaddwd; a group's sum of 28 bits times mu is added in int64. 16-bit
// weights meet the planes of the vector, whose sums over a row stay in int32.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/matmul_tiles.h"
#include "targets/host/kernels/vector_avx2.h"

namespace lockstep::targets::host {

class MatMulAvx2 {
  static constexpr uint32_t kTokensAtOnce = 2;
  static constexpr uint32_t kHalves = 2;  // of a panel's rows
  static constexpr uint64_t kGroupsTogether = 128;

  LOCKSTEP_FORCE_INLINE static __m256i load(const std::byte* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  LOCKSTEP_FORCE_INLINE static __m256i load_words(const std::byte* p) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // Four bytes, or two int16, for every row.
  template <class T>
  LOCKSTEP_FORCE_INLINE static __m256i four_bytes(const T* p) {
    int32_t value;
    std::memcpy(&value, p, sizeof(value));
    return _mm256_set1_epi32(value);
  }
  // Asks for the bytes that the stream of panels reaches soon. A single token's stream is as fast without.
  template <uint32_t kTokens, uint32_t kBytes>
  LOCKSTEP_FORCE_INLINE static void prefetch(const std::byte* p) {
    constexpr uint64_t kAhead = 2048;
    if constexpr (kTokens > 1) {
      for (uint32_t line = 0; line < kBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(p) + kAhead + line, _MM_HINT_T0);
      }
    }
  }

  // Columns 0, 2, 1, 3 of every four of value(column), as int16: what even and odd bytes of a line meet.
  template <class Value>
  LOCKSTEP_FORCE_INLINE static void split_columns(int16_t* out, uint64_t columns, const Value& value) {
    for (uint64_t k = 0; k < columns; k += 4) {
      out[k] = static_cast<int16_t>(value(k));
      out[k + 1] = static_cast<int16_t>(value(k + 2));
      out[k + 2] = static_cast<int16_t>(value(k + 1));
      out[k + 3] = static_cast<int16_t>(value(k + 3));
    }
  }

  // H and L of 16 rows in int32.
  template <uint32_t kTokens>
  struct PlaneTotals {
    __m256i hi[kTokens][kHalves];
    __m256i lo[kTokens][kHalves];
    LOCKSTEP_FORCE_INLINE PlaneTotals() {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t h = 0; h < kHalves; ++h) hi[t][h] = lo[t][h] = _mm256_setzero_si256();
      }
    }
  };

  struct WithPlaneTotals {
    static constexpr uint32_t kTokensMax = kTokensAtOnce;
    template <uint32_t kTokens>
    using Totals = PlaneTotals<kTokens>;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token, uint32_t,
                                             uint64_t row, const Totals<kTokens>& totals) {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t h = 0; h < kHalves; ++h) {
          finish_rows<Avx2>(arguments, token + t, row + h * Avx2::kLanes,
                            Avx2::combine_planes(totals.hi[t][h], totals.lo[t][h]));
        }
      }
    }
  };

  // S of 16 rows in int64: rows 0, 2, 4, 6 of a half, and rows 1, 3, 5, 7.
  template <uint32_t kTokens>
  struct WideTotals {
    __m256i even[kTokens][kHalves];
    __m256i odd[kTokens][kHalves];
    LOCKSTEP_FORCE_INLINE WideTotals() {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t h = 0; h < kHalves; ++h) even[t][h] = odd[t][h] = _mm256_setzero_si256();
      }
    }
    // Adds the products of int32 lanes.
    LOCKSTEP_FORCE_INLINE void add_product(uint32_t t, uint32_t h, __m256i a, __m256i b) {
      even[t][h] = _mm256_add_epi64(even[t][h], _mm256_mul_epi32(a, b));
      odd[t][h] =
          _mm256_add_epi64(odd[t][h], _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
    }
  };

  // f32 of int64 lanes below 2^51 in magnitude, through binary64.
  LOCKSTEP_FORCE_INLINE static __m128 to_floats(__m256i sums) {
    const __m256d magic = _mm256_set1_pd(6755399441055744.0);  // 2^52 + 2^51
    const __m256d shifted = _mm256_castsi256_pd(_mm256_add_epi64(sums, _mm256_castpd_si256(magic)));
    return _mm256_cvtpd_ps(_mm256_sub_pd(shifted, magic));
  }

  // Bytes against the whole 16-bit vector.
  template <uint32_t kGroupColumns>
  struct Bytes {
    static constexpr uint32_t kTokensMax = kTokensAtOnce;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 4;
    static constexpr uint64_t kGroupsAtOnce = kGroupsTogether;
    template <uint32_t kTokens>
    using Totals = WideTotals<kTokens>;

    struct Prepared {
      alignas(64) int16_t a[kTokensMax][kGroupsAtOnce * kColumns];  // as split_columns gives them
      int32_t sums[kTokensMax][kGroupsAtOnce];                      // of a over a group
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      const int8_t* hi = reinterpret_cast<const int8_t*>(row) + first * kColumns;
      const int8_t* lo = hi + layout.lo();
      split_columns(prepared.a[t], groups * kColumns, [&](uint64_t k) { return 255 * hi[k] + lo[k]; });
      int32_t sums_lo[kGroupsAtOnce];
      read_group_sums<Bytes>(row + layout.hi_sums(), first, groups, prepared.sums[t]);
      read_group_sums<Bytes>(row + layout.lo_sums(), first, groups, sums_lo);
      for (uint64_t g = 0; g < groups; ++g) prepared.sums[t][g] = 255 * prepared.sums[t][g] + sums_lo[g];
    }

    // sum (q - 128) * a over group g for 16 rows of every token.
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void dot(const std::byte* group, uint64_t g, const Prepared& prepared,
                                          __m256i (&sums)[kTokens][kHalves]) {
      const __m256i lower_bytes = _mm256_set1_epi16(0xff);
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t h = 0; h < kHalves; ++h) sums[t][h] = _mm256_set1_epi32(-128 * prepared.sums[t][g]);
      }
      for (uint32_t k = 0; k < kLines; ++k) {
        for (uint32_t h = 0; h < kHalves; ++h) {
          const __m256i codes = load(group + k * 64 + h * 32);
          const __m256i even = _mm256_and_si256(codes, lower_bytes), odd = _mm256_srli_epi16(codes, 8);
          for (uint32_t t = 0; t < kTokens; ++t) {
            const int16_t* a = prepared.a[t] + g * kColumns + 4 * k;
            const __m256i product = _mm256_add_epi32(_mm256_madd_epi16(even, four_bytes(a)),
                                                     _mm256_madd_epi16(odd, four_bytes(a + 2)));
            sums[t][h] = _mm256_add_epi32(sums[t][h], product);
          }
        }
      }
    }

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token, uint32_t,
                                             uint64_t row, const Totals<kTokens>& totals) {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t h = 0; h < kHalves; ++h) {
          const __m128 even = to_floats(totals.even[t][h]), odd = to_floats(totals.odd[t][h]);
          finish_rows<Avx2>(arguments, token + t, row + h * Avx2::kLanes,
                            _mm256_set_m128(_mm_unpackhi_ps(even, odd), _mm_unpacklo_ps(even, odd)));
        }
      }
    }
  };

  // How often `multiply` ran.
  template <class Multiply>
  static uint64_t multiply_rounds(uint64_t rounds, const Multiply& multiply) {
    constexpr int kChains = 8;
    __m256i sums[kChains], codes[kChains], activations = _mm256_set1_epi8(5);
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm256_setzero_si256();
      codes[c] = _mm256_set1_epi8(static_cast<char>(c));
    }
    for (uint64_t i = 0; i < rounds; ++i) {
      asm volatile("" : "+x"(activations));  // hides that every round is the same
      for (int c = 0; c < kChains; ++c) sums[c] = multiply(sums[c], codes[c], activations);
    }
    for (int c = 0; c < kChains; ++c) asm volatile("" : : "x"(sums[c]));  // they are needed
    return rounds * kChains;
  }

 public:
  static uint64_t multiply_peak(program::isa::PanelKind kind, uint64_t rounds) {
    using program::isa::PanelKind;
    // Nibbles meet activations in vpmaddubsw, other panels in vpmaddwd.
    if (kind == PanelKind::Nibble) {
      return 16 * multiply_rounds(rounds, [](__m256i sum, __m256i codes, __m256i activations) {
               return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, activations));
             });
    }
    return (kind == PanelKind::Plain16 ? 8 : 16) *
           multiply_rounds(rounds, [](__m256i sum, __m256i codes, __m256i activations) {
             return _mm256_add_epi32(sum, _mm256_madd_epi16(codes, activations));
           });
  }

  template <uint32_t kGroupColumns>
  struct Nibble : WithPlaneTotals {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 8;
    static constexpr uint32_t kBytes = kLines * 64 + 64;
    static constexpr uint64_t kGroupsAtOnce = kGroupsTogether;
    using Prepared = GroupSums<kTokensMax, kGroupsAtOnce>;

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      read_group_sums<Nibble>(row + layout.hi_sums(), first, groups, prepared.hi[t]);
      read_group_sums<Nibble>(row + layout.lo_sums(), first, groups, prepared.lo[t]);
    }

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const __m256i low_half = _mm256_set1_epi8(15);
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        PlaneTotals<kTokens> sums;  // int16
        for (uint32_t k = 0; k < kLines; ++k) {
          __m256i first[kHalves], second[kHalves];
          for (uint32_t h = 0; h < kHalves; ++h) {
            const __m256i both = load(group + k * 64 + h * 32);
            first[h] = _mm256_and_si256(both, low_half);
            second[h] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low_half);
          }
          for (uint32_t t = 0; t < kTokens; ++t) {
            add_line(sums.hi[t], first, four_bytes(run.hi + t * run.row_bytes + g * kColumns + 4 * k));
            add_line(sums.lo[t], first, four_bytes(run.lo + t * run.row_bytes + g * kColumns + 4 * k));
            add_line(sums.hi[t], second,
                     four_bytes(run.hi + t * run.row_bytes + g * kColumns + kColumns / 2 + 4 * k));
            add_line(sums.lo[t], second,
                     four_bytes(run.lo + t * run.row_bytes + g * kColumns + kColumns / 2 + 4 * k));
          }
        }
        for (uint32_t h = 0; h < kHalves; ++h) {
          const __m256i pairs = load(group + kLines * 64 + h * 32);
          for (uint32_t t = 0; t < kTokens; ++t) {
            totals.hi[t][h] = add_group(totals.hi[t][h], sums.hi[t][h], prepared.hi[t][g], pairs);
            totals.lo[t][h] = add_group(totals.lo[t][h], sums.lo[t][h], prepared.lo[t][g], pairs);
          }
        }
      }
    }

   private:
    LOCKSTEP_FORCE_INLINE static void add_line(__m256i (&sums)[kHalves], const __m256i (&codes)[kHalves],
                                               __m256i activations) {
      for (uint32_t h = 0; h < kHalves; ++h) {
        sums[h] = _mm256_add_epi16(sums[h], _mm256_maddubs_epi16(codes[h], activations));
      }
    }
    // total + mu * (sum q*plane - 8*plane_sum) + o * plane_sum
    LOCKSTEP_FORCE_INLINE static __m256i add_group(__m256i total, __m256i sums, int32_t plane_sum,
                                                   __m256i pairs) {
      const __m256i dot =
          _mm256_add_epi32(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)), _mm256_set1_epi32(-8 * plane_sum));
      const __m256i both = _mm256_blend_epi16(dot, _mm256_set1_epi16(static_cast<int16_t>(plane_sum)), 0xaa);
      return _mm256_add_epi32(total, _mm256_madd_epi16(both, pairs));
    }
  };

  template <uint32_t kGroupColumns, bool kOffsets>
  struct Byte : Bytes<kGroupColumns> {
    using Base = Bytes<kGroupColumns>;
    static constexpr uint32_t kBytes = Base::kLines * 64 + (kOffsets ? 64 : 32);

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const typename Base::Prepared& prepared,
                                          WideTotals<kTokens>& totals) {
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m256i sums[kTokens][kHalves];
        Base::template dot<kTokens>(group, g, prepared, sums);
        for (uint32_t h = 0; h < kHalves; ++h) {
          const std::byte* factors = group + Base::kLines * 64 + h * 16;
          const __m256i mu = load_words(factors);
          for (uint32_t t = 0; t < kTokens; ++t) {
            totals.add_product(t, h, sums[t][h], mu);
            if constexpr (kOffsets) {
              totals.add_product(t, h, load_words(factors + 32), _mm256_set1_epi32(prepared.sums[t][g]));
            }
          }
        }
      }
    }
  };

  struct Plain8 : Bytes<32> {
    static constexpr uint32_t kBytes = kLines * 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          WideTotals<kTokens>& totals) {
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        __m256i sums[kTokens][kHalves];
        dot<kTokens>(block, g, prepared, sums);
        for (uint32_t t = 0; t < kTokens; ++t) {
          for (uint32_t h = 0; h < kHalves; ++h) totals.add_product(t, h, sums[t][h], _mm256_set1_epi32(1));
        }
      }
    }
  };

  struct Plain16 : WithPlaneTotals {
    static constexpr uint32_t kColumns = 32;
    static constexpr uint32_t kLines = 8;  // of either plane
    static constexpr uint32_t kBytes = 2 * kLines * 64;
    static constexpr uint64_t kGroupsAtOnce = kGroupsTogether;
    struct Prepared {
      alignas(64) int16_t hi[kTokensMax][kGroupsAtOnce * kColumns];  // as split_columns gives them
      alignas(64) int16_t lo[kTokensMax][kGroupsAtOnce * kColumns];
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      const int8_t* hi = reinterpret_cast<const int8_t*>(row) + first * kColumns;
      const int8_t* lo = hi + layout.lo();
      split_columns(prepared.hi[t], groups * kColumns, [&](uint64_t k) { return hi[k]; });
      split_columns(prepared.lo[t], groups * kColumns, [&](uint64_t k) { return lo[k]; });
    }

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        for (uint32_t k = 0; k < kLines; ++k) {
          for (uint32_t h = 0; h < kHalves; ++h) {
            __m256i even, odd;
            join_planes(load(block + k * 64 + h * 32), load(block + (kLines + k) * 64 + h * 32), even, odd);
            for (uint32_t t = 0; t < kTokens; ++t) {
              const uint64_t column = g * kColumns + 4 * k;
              totals.hi[t][h] = add_products(totals.hi[t][h], even, odd, prepared.hi[t] + column);
              totals.lo[t][h] = add_products(totals.lo[t][h], even, odd, prepared.lo[t] + column);
            }
          }
        }
      }
    }

   private:
    // w = 255*(high - 128) + (low - 128) of the even and the odd columns, which fits 16 bits.
    LOCKSTEP_FORCE_INLINE static void join_planes(__m256i high, __m256i low, __m256i& even, __m256i& odd) {
      const __m256i lower_bytes = _mm256_set1_epi16(0xff), bias = _mm256_set1_epi16(INT16_MIN);
      const __m256i high_even = _mm256_and_si256(high, lower_bytes), high_odd = _mm256_srli_epi16(high, 8);
      const __m256i low_even = _mm256_and_si256(low, lower_bytes), low_odd = _mm256_srli_epi16(low, 8);
      even = _mm256_add_epi16(_mm256_sub_epi16(_mm256_slli_epi16(high_even, 8), high_even),
                              _mm256_xor_si256(low_even, bias));
      odd = _mm256_add_epi16(_mm256_sub_epi16(_mm256_slli_epi16(high_odd, 8), high_odd),
                             _mm256_xor_si256(low_odd, bias));
    }
    LOCKSTEP_FORCE_INLINE static __m256i add_products(__m256i total, __m256i even, __m256i odd,
                                                      const int16_t* a) {
      return _mm256_add_epi32(total, _mm256_add_epi32(_mm256_madd_epi16(even, four_bytes(a)),
                                                      _mm256_madd_epi16(odd, four_bytes(a + 2))));
    }
  };
};

}  // namespace lockstep::targets::host
