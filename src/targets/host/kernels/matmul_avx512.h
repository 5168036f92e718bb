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
  // Asks for the `bytes` of a panel that come soon after p. A single token's stream is as fast without.
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
    static constexpr uint32_t kTokensMax = 8;
    template <uint32_t kTokens>
    using Totals = PlaneTotals<kTokens>;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token,
                                             uint32_t tokens, uint64_t row, const Totals<kTokens>& totals) {
      for (uint32_t t = 0; t < (kTokens == 1 ? 1 : tokens); ++t) {
        finish_rows<Avx512>(arguments, token + t, row, Avx512::combine_planes(totals.hi[t], totals.lo[t]));
      }
    }
  };

  // Group codes with the value `kZero` in the place of 0. A group's codes stand in registers while the tile's
  // tokens pass; the totals, more than there are registers, pass through the first cache.
  template <uint32_t kGroupColumns, int32_t kZero>
  struct Grouped : Common {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint64_t kGroupsAtOnce = 128;
    struct Plane {
      alignas(64) int32_t starts[Common::kTokensMax][kGroupsAtOnce + 16];  // -kZero * (sum over a group)
      alignas(64) int32_t uppers[Common::kTokensMax][kGroupsAtOnce + 16];  // sum << 16
    };
    struct Prepared {
      Plane hi, lo;
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      prepare_plane(row + layout.hi_sums(), first, groups, t, prepared.hi);
      prepare_plane(row + layout.lo_sums(), first, groups, t, prepared.lo);
    }

   private:
    LOCKSTEP_FORCE_INLINE static void prepare_plane(const std::byte* sums_of_16, uint64_t first,
                                                    uint64_t groups, uint32_t t, Plane& plane) {
      const std::byte* at = sums_of_16 + first * kColumns / 8;
      for (uint64_t g = 0; g < groups; g += 16) {
        const Avx512::Mask lanes = Avx512::first(groups - g);
        __m512i sums;
        if constexpr (kColumns == 32) {
          sums = _mm512_madd_epi16(_mm512_maskz_loadu_epi32(lanes, at + 4 * g), _mm512_set1_epi16(1));
        } else {
          sums = _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(lanes, at + 2 * g));
        }
        _mm512_store_si512(plane.starts[t] + g, _mm512_mullo_epi32(sums, _mm512_set1_epi32(-kZero)));
        _mm512_store_si512(plane.uppers[t] + g, _mm512_slli_epi32(sums, 16));
      }
    }
  };

  // Plain integers with 128 in the place of 0. The tile's totals stand in registers while the codes pass.
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
    using Prepared = typename Grouped<kGroupColumns, 8>::Prepared;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 8;
    static constexpr uint32_t kBytes = kLines * 64 + 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const __m512i low_half = _mm512_set1_epi8(15);
      const __m512i lower_words = _mm512_set1_epi32(0xffff);
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m512i codes[2 * kLines];
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i both = load(group + k * 64);
          codes[k] = _mm512_and_si512(both, low_half);
          codes[kLines + k] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_half);
        }
        const __m512i pairs = load(group + kLines * 64);
        const int8_t* hi = run.hi + g * kColumns;
        const int8_t* lo = run.lo + g * kColumns;
        for (uint32_t t = 0; t < (kTokens == 1 ? 1 : run.tokens); ++t) {
          __m512i sum_hi = _mm512_set1_epi32(prepared.hi.starts[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(prepared.lo.starts[t][g]);
          for (uint32_t k = 0; k < 2 * kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, codes[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, codes[k], four(lo + 4 * k));
          }
          const __m512i upper_hi = _mm512_set1_epi32(prepared.hi.uppers[t][g]);
          const __m512i upper_lo = _mm512_set1_epi32(prepared.lo.uppers[t][g]);
          constexpr int kAndOr = 0xea;  // (first & second) | third
          sum_hi = _mm512_ternarylogic_epi32(sum_hi, lower_words, upper_hi, kAndOr);
          sum_lo = _mm512_ternarylogic_epi32(sum_lo, lower_words, upper_lo, kAndOr);
          totals.hi[t] = _mm512_dpwssd_epi32(totals.hi[t], sum_hi, pairs);
          totals.lo[t] = _mm512_dpwssd_epi32(totals.lo[t], sum_lo, pairs);
          hi += run.row_bytes;
          lo += run.row_bytes;
        }
      }
    }
  };

  template <uint32_t kGroupColumns, bool kOffsets>
  struct Byte : Grouped<kGroupColumns, 128> {
    using Prepared = typename Grouped<kGroupColumns, 128>::Prepared;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 4;
    static constexpr uint32_t kBytes = kLines * 64 + (kOffsets ? 64 : 32);

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          PlaneTotals<kTokens>& totals) {
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m512i codes[kLines];
        for (uint32_t k = 0; k < kLines; ++k) codes[k] = load(group + k * 64);
        const __m512i mu = load_words(group + kLines * 64);
        __m512i offset = _mm512_setzero_si512();  // pairs (0, o), to meet (0, sum of the plane)
        if constexpr (kOffsets) offset = _mm512_slli_epi32(load_words(group + kLines * 64 + 32), 16);
        const int8_t* hi = run.hi + g * kColumns;
        const int8_t* lo = run.lo + g * kColumns;
        for (uint32_t t = 0; t < (kTokens == 1 ? 1 : run.tokens); ++t) {
          __m512i sum_hi = _mm512_set1_epi32(prepared.hi.starts[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(prepared.lo.starts[t][g]);
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, codes[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, codes[k], four(lo + 4 * k));
          }
          totals.hi[t] = _mm512_add_epi32(totals.hi[t], _mm512_mullo_epi32(sum_hi, mu));
          totals.lo[t] = _mm512_add_epi32(totals.lo[t], _mm512_mullo_epi32(sum_lo, mu));
          if constexpr (kOffsets) {
            const __m512i upper_hi = _mm512_set1_epi32(prepared.hi.uppers[t][g]);
            const __m512i upper_lo = _mm512_set1_epi32(prepared.lo.uppers[t][g]);
            totals.hi[t] = _mm512_dpwssd_epi32(totals.hi[t], offset, upper_hi);
            totals.lo[t] = _mm512_dpwssd_epi32(totals.lo[t], offset, upper_lo);
          }
          hi += run.row_bytes;
          lo += run.row_bytes;
        }
      }
    }
  };

  struct Plain8 : Plain {
    static constexpr uint32_t kLines = 8;
    static constexpr uint32_t kBytes = kLines * 64;

    template <uint32_t kTokens, uint32_t kExact = kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          Totals<kTokens>& totals) {
      if constexpr (kExact > 1) {
        if (run.tokens < kExact) return add<kTokens, kExact - 1>(run, prepared, totals);
      }
      __m512i sum_hi[kExact], sum_lo[kExact];
      for (uint32_t t = 0; t < kExact; ++t) {
        sum_hi[t] = _mm512_set1_epi32(prepared.start_hi[t]);
        sum_lo[t] = _mm512_set1_epi32(prepared.start_lo[t]);
      }
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i codes = load(block + k * 64);
          for (uint32_t t = 0; t < kExact; ++t) {
            const int8_t* hi = run.hi + t * run.row_bytes + g * kColumns + 4 * k;
            const int8_t* lo = run.lo + t * run.row_bytes + g * kColumns + 4 * k;
            sum_hi[t] = _mm512_dpbusd_epi32(sum_hi[t], codes, four(hi));
            sum_lo[t] = _mm512_dpbusd_epi32(sum_lo[t], codes, four(lo));
          }
        }
      }
      for (uint32_t t = 0; t < kExact; ++t) {
        totals.hi[t] = sum_hi[t];
        totals.lo[t] = sum_lo[t];
      }
    }
  };

  // Four products of two planes each side; H = 255*(high of w x high of a) + both cross products.
  struct Plain16 : Plain {
    static constexpr uint32_t kTokensMax = 6;
    static constexpr uint32_t kLines = 8;  // of either plane
    static constexpr uint32_t kBytes = 2 * kLines * 64;

    template <uint32_t kTokens, uint32_t kExact = kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared& prepared,
                                          Totals<kTokens>& totals) {
      if constexpr (kExact > 1) {
        if (run.tokens < kExact) return add<kTokens, kExact - 1>(run, prepared, totals);
      }
      __m512i high[kExact], cross[kExact], low[kExact];
      for (uint32_t t = 0; t < kExact; ++t) {
        high[t] = _mm512_set1_epi32(prepared.start_hi[t]);
        low[t] = _mm512_set1_epi32(prepared.start_lo[t]);
        cross[t] = _mm512_add_epi32(high[t], low[t]);
      }
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        prefetch<kTokens, kBytes>(block);
        for (uint32_t k = 0; k < kLines; ++k) {
          const __m512i codes_hi = load(block + k * 64), codes_lo = load(block + (kLines + k) * 64);
          for (uint32_t t = 0; t < kExact; ++t) {
            const __m512i hi = four(run.hi + t * run.row_bytes + g * kColumns + 4 * k);
            const __m512i lo = four(run.lo + t * run.row_bytes + g * kColumns + 4 * k);
            high[t] = _mm512_dpbusd_epi32(high[t], codes_hi, hi);
            cross[t] = _mm512_dpbusd_epi32(cross[t], codes_hi, lo);
            cross[t] = _mm512_dpbusd_epi32(cross[t], codes_lo, hi);
            low[t] = _mm512_dpbusd_epi32(low[t], codes_lo, lo);
          }
        }
      }
      for (uint32_t t = 0; t < kExact; ++t) {
        totals.hi[t] = _mm512_add_epi32(_mm512_mullo_epi32(high[t], _mm512_set1_epi32(255)), cross[t]);
        totals.lo[t] = low[t];
      }
    }
  };
};

}  // namespace lockstep::targets::host
