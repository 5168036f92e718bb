// The matrix product on AVX-512 VNNI. One 512-bit line of a panel holds four columns of 16 rows, so that a
// vpdpbusd with four broadcast activations adds to the sums of 16 rows; both planes of a vector are summed
// apart and combined at the end: S = 255*H + L. NUMERICS.md sections 3 and 4.
//
// Codes are stored without sign: the sums of a group start at -zero * (sum of the plane over the group),
// which makes them G = sum (q - zero) * plane. A nibble group's G fits 16 bits, so that one vpdpwssd adds
// mu*G + o*(sum of the plane) to the rows' totals. All totals wrap in int32 and end inside it (section 3).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/matmul_tiles.h"
#include "targets/host/kernels/vector_avx512.h"

namespace lockstep::targets::host {

class MatMulAvx512 {
  LOCKSTEP_FORCE_INLINE static __m512i load(const std::byte* p) { return _mm512_loadu_si512(p); }
  LOCKSTEP_FORCE_INLINE static __m512i load_words(const std::byte* p) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  // Four neighbouring activations for every row.
  LOCKSTEP_FORCE_INLINE static __m512i four(const int8_t* p) {
    int32_t value;
    std::memcpy(&value, p, sizeof(value));
    return _mm512_set1_epi32(value);
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

  template <uint32_t kTokens>
  struct PlaneTotals {
    __m512i hi[kTokens];
    __m512i lo[kTokens];
    LOCKSTEP_FORCE_INLINE PlaneTotals() {
      for (uint32_t t = 0; t < kTokens; ++t) hi[t] = lo[t] = _mm512_setzero_si512();
    }
  };

  // What all kinds have in common.
  struct Common {
    static constexpr uint32_t kTokensMax = 4;
    template <uint32_t kTokens>
    using Totals = PlaneTotals<kTokens>;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token, uint64_t row,
                                             const Totals<kTokens>& totals) {
      for (uint32_t t = 0; t < kTokens; ++t) {
        finish_rows<Avx512>(arguments, token + t, row, Avx512::combine_planes(totals.hi[t], totals.lo[t]));
      }
    }
  };

  // Group codes with the value `kZero` in the place of 0.
  template <uint32_t kGroupColumns, int32_t kZero>
  struct Grouped : Common {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint64_t kGroupsAtOnce = 256;
    struct Prepared {
      GroupSums<Common::kTokensMax, kGroupsAtOnce> starts;  // -kZero * sum
      GroupSums<Common::kTokensMax, kGroupsAtOnce> uppers;  // sum << 16
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      prepare_plane(row + layout.hi_sums(), first, groups, prepared.starts.hi[t], prepared.uppers.hi[t]);
      prepare_plane(row + layout.lo_sums(), first, groups, prepared.starts.lo[t], prepared.uppers.lo[t]);
    }

   private:
    LOCKSTEP_FORCE_INLINE static void prepare_plane(const std::byte* sums, uint64_t first, uint64_t groups,
                                                    int32_t* starts, int32_t* uppers) {
      read_group_sums<Grouped>(sums, first, groups, starts);
      for (uint64_t g = 0; g < groups; ++g) {
        uppers[g] = starts[g] * 65536;
        starts[g] = starts[g] * -kZero;
      }
    }
  };

  // Plain integers with 128 in the place of 0.
  struct Plain : Common {
    static constexpr uint32_t kColumns = 32;
    static constexpr uint64_t kGroupsAtOnce = UINT64_MAX;
    struct Prepared {
      int32_t start_hi[Common::kTokensMax];  // -128 * (sum of the plane), modulo 2^32
      int32_t start_lo[Common::kTokensMax];
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t, uint64_t, uint32_t t,
                        Prepared& prepared) {
      prepared.start_hi[t] = start(row + layout.hi_sums(), layout.padded / 16);
      prepared.start_lo[t] = start(row + layout.lo_sums(), layout.padded / 16);
    }

   private:
    LOCKSTEP_FORCE_INLINE static int32_t start(const std::byte* sums_of_16, uint64_t count) {
      const auto* sums = reinterpret_cast<const int16_t*>(sums_of_16);
      uint32_t sum = 0;
      for (uint64_t i = 0; i < count; ++i) sum += static_cast<uint32_t>(int32_t{sums[i]});
      return static_cast<int32_t>(0u - 128u * sum);
    }
  };

 public:
  static uint64_t multiply_peak(program::isa::PanelKind kind, uint64_t rounds) {
    constexpr int kChains = 12;
    __m512i sums[kChains], codes = _mm512_set1_epi8(3), activations = _mm512_set1_epi8(5);
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_epi32(c);
    for (uint64_t i = 0; i < rounds; ++i) {
      for (int c = 0; c < kChains; ++c) sums[c] = _mm512_dpbusd_epi32(sums[c], codes, activations);
    }
    for (int c = 0; c < kChains; ++c) asm volatile("" : : "v"(sums[c]));  // they are needed
    return rounds * kChains * (kind == program::isa::PanelKind::Plain16 ? 16 : 32);
  }

  template <uint32_t kGroupColumns>
  struct Nibble : Grouped<kGroupColumns, 8> {
    using Base = Grouped<kGroupColumns, 8>;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 8;
    static constexpr uint32_t kBytes = kLines * 64 + 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun<kTokens>& run,
                                          const typename Base::Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const __m512i low_half = _mm512_set1_epi8(15);
      const __m512i lower_words = _mm512_set1_epi32(0xffff);
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m512i first[kLines], second[kLines];
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i both = load(group + k * 64);
          first[k] = _mm512_and_si512(both, low_half);
          second[k] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_half);
        }
        const __m512i pairs = load(group + kLines * 64);
        for (uint32_t t = 0; t < kTokens; ++t) {
          const int8_t* hi = run.hi[t] + g * kColumns;
          const int8_t* lo = run.lo[t] + g * kColumns;
          __m512i sum_hi = _mm512_set1_epi32(prepared.starts.hi[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(prepared.starts.lo[t][g]);
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, first[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, first[k], four(lo + 4 * k));
          }
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, second[k], four(hi + kColumns / 2 + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, second[k], four(lo + kColumns / 2 + 4 * k));
          }
          const __m512i upper_hi = _mm512_set1_epi32(prepared.uppers.hi[t][g]);
          const __m512i upper_lo = _mm512_set1_epi32(prepared.uppers.lo[t][g]);
          constexpr int kAndOr = 0xea;  // (first & second) | third
          sum_hi = _mm512_ternarylogic_epi32(sum_hi, lower_words, upper_hi, kAndOr);
          sum_lo = _mm512_ternarylogic_epi32(sum_lo, lower_words, upper_lo, kAndOr);
          totals.hi[t] = _mm512_dpwssd_epi32(totals.hi[t], sum_hi, pairs);
          totals.lo[t] = _mm512_dpwssd_epi32(totals.lo[t], sum_lo, pairs);
        }
      }
    }
  };

  template <uint32_t kGroupColumns, bool kOffsets>
  struct Byte : Grouped<kGroupColumns, 128> {
    using Base = Grouped<kGroupColumns, 128>;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 4;
    static constexpr uint32_t kBytes = kLines * 64 + (kOffsets ? 64 : 32);

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun<kTokens>& run,
                                          const typename Base::Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m512i codes[kLines];
        for (uint32_t k = 0; k < kLines; ++k) codes[k] = load(group + k * 64);
        const __m512i mu = load_words(group + kLines * 64);
        for (uint32_t t = 0; t < kTokens; ++t) {
          const int8_t* hi = run.hi[t] + g * kColumns;
          const int8_t* lo = run.lo[t] + g * kColumns;
          __m512i sum_hi = _mm512_set1_epi32(prepared.starts.hi[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(prepared.starts.lo[t][g]);
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, codes[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, codes[k], four(lo + 4 * k));
          }
          totals.hi[t] = _mm512_add_epi32(totals.hi[t], _mm512_mullo_epi32(sum_hi, mu));
          totals.lo[t] = _mm512_add_epi32(totals.lo[t], _mm512_mullo_epi32(sum_lo, mu));
          if constexpr (kOffsets) {
            // Pairs (0, o) against (0, sum of the plane).
            const __m512i offset = _mm512_slli_epi32(load_words(group + kLines * 64 + 32), 16);
            totals.hi[t] =
                _mm512_dpwssd_epi32(totals.hi[t], offset, _mm512_set1_epi32(prepared.uppers.hi[t][g]));
            totals.lo[t] =
                _mm512_dpwssd_epi32(totals.lo[t], offset, _mm512_set1_epi32(prepared.uppers.lo[t][g]));
          }
        }
      }
    }
  };

  struct Plain8 : Plain {
    static constexpr uint32_t kLines = 8;
    static constexpr uint32_t kBytes = kLines * 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun<kTokens>& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      for (uint32_t t = 0; t < kTokens; ++t) {
        totals.hi[t] = _mm512_set1_epi32(prepared.start_hi[t]);
        totals.lo[t] = _mm512_set1_epi32(prepared.start_lo[t]);
      }
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i codes = load(block + k * 64);
          for (uint32_t t = 0; t < kTokens; ++t) {
            totals.hi[t] = _mm512_dpbusd_epi32(totals.hi[t], codes, four(run.hi[t] + g * kColumns + 4 * k));
            totals.lo[t] = _mm512_dpbusd_epi32(totals.lo[t], codes, four(run.lo[t] + g * kColumns + 4 * k));
          }
        }
      }
    }
  };

  // Four products of two planes each side; H = 255*(high of w x high of a) + both cross products.
  struct Plain16 : Plain {
    static constexpr uint32_t kLines = 8;  // of either plane
    static constexpr uint32_t kBytes = 2 * kLines * 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun<kTokens>& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      __m512i high[kTokens], cross[kTokens], low[kTokens];
      for (uint32_t t = 0; t < kTokens; ++t) {
        high[t] = _mm512_set1_epi32(prepared.start_hi[t]);
        low[t] = _mm512_set1_epi32(prepared.start_lo[t]);
        cross[t] = _mm512_add_epi32(high[t], low[t]);
      }
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i codes_hi = load(block + k * 64), codes_lo = load(block + (kLines + k) * 64);
          for (uint32_t t = 0; t < kTokens; ++t) {
            const __m512i hi = four(run.hi[t] + g * kColumns + 4 * k);
            const __m512i lo = four(run.lo[t] + g * kColumns + 4 * k);
            high[t] = _mm512_dpbusd_epi32(high[t], codes_hi, hi);
            cross[t] = _mm512_dpbusd_epi32(cross[t], codes_hi, lo);
            cross[t] = _mm512_dpbusd_epi32(cross[t], codes_lo, hi);
            low[t] = _mm512_dpbusd_epi32(low[t], codes_lo, lo);
          }
        }
      }
      for (uint32_t t = 0; t < kTokens; ++t) {
        totals.hi[t] = _mm512_add_epi32(_mm512_mullo_epi32(high[t], _mm512_set1_epi32(255)), cross[t]);
        totals.lo[t] = low[t];
      }
    }
  };
};

}  // namespace lockstep::targets::host
