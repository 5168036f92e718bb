// The matrix product on AVX-512 VNNI. One 512-bit line of a panel holds four columns of 16 rows, so that a
// vpdpbusd with four broadcast activations adds to the sums of 16 rows; both planes of a vector are summed
// apart and combined at the end: S = 255*H + L. NUMERICS.md sections 3 and 4.
//
// Codes are stored without sign: the sums of a group start at -zero * (sum of the plane over the group), which
// makes them G = sum (q - zero) * plane. A nibble group's G fits 16 bits, so that one vpdpwssd adds mu*G +
// o*(sum of the plane) to the rows' totals. All totals wrap in int32 and end inside it (section 3).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/vector_avx512.h"

namespace lockstep::targets::host {

class MatMulAvx512 {
 public:
  static void run(const MatMulArguments& arguments) {
    using program::isa::PanelKind;
    const bool wide = arguments.layout.group_columns == 32;
    switch (arguments.layout.kind) {
      case PanelKind::Nibble:
        wide ? tiles<Nibble<32>>(arguments) : tiles<Nibble<16>>(arguments);
        break;
      case PanelKind::Byte:
        if (arguments.layout.has_offsets) {
          wide ? tiles<Byte<32, true>>(arguments) : tiles<Byte<16, true>>(arguments);
        } else {
          wide ? tiles<Byte<32, false>>(arguments) : tiles<Byte<16, false>>(arguments);
        }
        break;
      case PanelKind::Plain8: tiles<Plain8>(arguments); break;
      case PanelKind::Plain16: tiles<Plain16>(arguments); break;
    }
  }

 private:
  static constexpr uint32_t kTokensMax = 4;          // of a tile
  static constexpr uint32_t kGroupsAtOnce = 256;     // whose sums stand ready
  static constexpr uint64_t kPanelBlock = 192 << 10;  // bytes of panels that stay in cache while tokens pass

  // What a tile needs of its tokens' group sums, for the groups of one run.
  struct GroupSums {
    alignas(64) int32_t start_hi[kTokensMax][kGroupsAtOnce];  // -zero * sum
    alignas(64) int32_t start_lo[kTokensMax][kGroupsAtOnce];
    alignas(64) int32_t upper_hi[kTokensMax][kGroupsAtOnce];  // sum << 16
    alignas(64) int32_t upper_lo[kTokensMax][kGroupsAtOnce];
  };

  // A run of groups of one panel against the tokens of a tile.
  struct Run {
    const std::byte* panel;          // first group
    const int8_t* hi[kTokensMax];    // first column of the run
    const int8_t* lo[kTokensMax];
    uint64_t groups;
    const GroupSums* sums;
  };

  template <uint32_t kTokens>
  struct Totals {
    __m512i hi[kTokens];
    __m512i lo[kTokens];
  };

  LOCKSTEP_FORCE_INLINE static __m512i load(const std::byte* p) { return _mm512_loadu_si512(p); }
  // Four neighbouring activations for every row.
  LOCKSTEP_FORCE_INLINE static __m512i four(const int8_t* p) {
    int32_t value;
    std::memcpy(&value, p, sizeof(value));
    return _mm512_set1_epi32(value);
  }
  // Asks for the bytes that a single token's stream of panels reaches soon.
  template <uint32_t kTokens, uint32_t kBytes>
  LOCKSTEP_FORCE_INLINE static void prefetch(const std::byte* p) {
    if constexpr (kTokens == 1) {
      for (uint32_t line = 0; line < kBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(p) + kPrefetchBytes + line, _MM_HINT_T0);
      }
    }
  }
  static constexpr uint64_t kPrefetchBytes = 4096;

  template <uint32_t kGroupColumns>
  struct Nibble {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 8;
    static constexpr uint32_t kBytes = kLines * 64 + 64;
    static constexpr int32_t kZero = 8;
    static constexpr bool kGrouped = true;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const Run& run, Totals<kTokens>& totals) {
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
          __m512i sum_hi = _mm512_set1_epi32(run.sums->start_hi[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(run.sums->start_lo[t][g]);
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, first[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, first[k], four(lo + 4 * k));
          }
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, second[k], four(hi + kColumns / 2 + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, second[k], four(lo + kColumns / 2 + 4 * k));
          }
          // (sum & 0xffff) | upper
          sum_hi = _mm512_ternarylogic_epi32(sum_hi, lower_words, _mm512_set1_epi32(run.sums->upper_hi[t][g]), 0xea);
          sum_lo = _mm512_ternarylogic_epi32(sum_lo, lower_words, _mm512_set1_epi32(run.sums->upper_lo[t][g]), 0xea);
          totals.hi[t] = _mm512_dpwssd_epi32(totals.hi[t], sum_hi, pairs);
          totals.lo[t] = _mm512_dpwssd_epi32(totals.lo[t], sum_lo, pairs);
        }
      }
    }
  };

  template <uint32_t kGroupColumns, bool kOffsets>
  struct Byte {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 4;
    static constexpr uint32_t kBytes = kLines * 64 + (kOffsets ? 64 : 32);
    static constexpr int32_t kZero = 128;
    static constexpr bool kGrouped = true;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const Run& run, Totals<kTokens>& totals) {
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        prefetch<kTokens, kBytes>(group);
        __m512i codes[kLines];
        for (uint32_t k = 0; k < kLines; ++k) codes[k] = load(group + k * 64);
        const __m512i mu = _mm512_cvtepi16_epi32(load_words(group + kLines * 64));
        for (uint32_t t = 0; t < kTokens; ++t) {
          const int8_t* hi = run.hi[t] + g * kColumns;
          const int8_t* lo = run.lo[t] + g * kColumns;
          __m512i sum_hi = _mm512_set1_epi32(run.sums->start_hi[t][g]);
          __m512i sum_lo = _mm512_set1_epi32(run.sums->start_lo[t][g]);
          for (uint32_t k = 0; k < kLines; ++k) {
            sum_hi = _mm512_dpbusd_epi32(sum_hi, codes[k], four(hi + 4 * k));
            sum_lo = _mm512_dpbusd_epi32(sum_lo, codes[k], four(lo + 4 * k));
          }
          totals.hi[t] = _mm512_add_epi32(totals.hi[t], _mm512_mullo_epi32(sum_hi, mu));
          totals.lo[t] = _mm512_add_epi32(totals.lo[t], _mm512_mullo_epi32(sum_lo, mu));
          if constexpr (kOffsets) {
            // Pairs (0, o) against (0, sum): the upper halves alone count.
            const __m512i offset =
                _mm512_slli_epi32(_mm512_cvtepi16_epi32(load_words(group + kLines * 64 + 32)), 16);
            totals.hi[t] = _mm512_dpwssd_epi32(totals.hi[t], offset, _mm512_set1_epi32(run.sums->upper_hi[t][g]));
            totals.lo[t] = _mm512_dpwssd_epi32(totals.lo[t], offset, _mm512_set1_epi32(run.sums->upper_lo[t][g]));
          }
        }
      }
    }

    LOCKSTEP_FORCE_INLINE static __m256i load_words(const std::byte* p) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
  };

  struct Plain8 {
    static constexpr uint32_t kColumns = 32;
    static constexpr uint32_t kLines = 8;
    static constexpr uint32_t kBytes = 512;
    static constexpr int32_t kZero = 128;
    static constexpr bool kGrouped = false;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const Run& run, Totals<kTokens>& totals) {
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

  struct Plain16 {
    static constexpr uint32_t kColumns = 32;
    static constexpr uint32_t kLines = 8;  // of either plane
    static constexpr uint32_t kBytes = 1024;
    static constexpr int32_t kZero = 128;
    static constexpr bool kGrouped = false;

    // The totals come in as -128 * (sum of the plane), which both planes of the weights need.
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const Run& run, Totals<kTokens>& totals) {
      __m512i high[kTokens], cross[kTokens], low[kTokens];
      for (uint32_t t = 0; t < kTokens; ++t) {
        high[t] = totals.hi[t];
        cross[t] = _mm512_add_epi32(totals.hi[t], totals.lo[t]);
        low[t] = totals.lo[t];
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

  // The sums of the groups [begin, begin + groups) of the tile's tokens.
  template <class Kind>
  static void collect_sums(const MatMulArguments& arguments, uint32_t token, uint32_t tokens, uint64_t begin,
                           uint64_t groups, GroupSums& out) {
    const Q16Layout layout(arguments.layout.columns);
    auto collect = [&](const std::byte* sums, int32_t* start, int32_t* upper) {
      const auto* of_16 = reinterpret_cast<const int16_t*>(sums) + begin * (Kind::kColumns / 16);
      for (uint64_t g = 0; g < groups; ++g) {
        const int32_t sum = Kind::kColumns == 32 ? of_16[2 * g] + of_16[2 * g + 1] : of_16[g];
        start[g] = -Kind::kZero * sum;
        upper[g] = sum * 65536;
      }
    };
    for (uint32_t t = 0; t < tokens; ++t) {
      const std::byte* row = arguments.x + (token + t) * arguments.x_row_bytes;
      collect(row + layout.hi_sums(), out.start_hi[t], out.upper_hi[t]);
      collect(row + layout.lo_sums(), out.start_lo[t], out.upper_lo[t]);
    }
  }

  // -128 * (sum of a plane), modulo 2^32.
  static int32_t row_start(const int16_t* sums, uint64_t count) {
    uint32_t sum = 0;
    for (uint64_t i = 0; i < count; ++i) sum += static_cast<uint32_t>(int32_t{sums[i]});
    return static_cast<int32_t>(sum * uint32_t(-128));
  }

  // The tile of kTokens tokens from `token` on against the panels [begin, end).
  template <class Kind, uint32_t kTokens>
  static void tile(const MatMulArguments& arguments, uint32_t token, uint64_t begin, uint64_t end) {
    const Q16Layout layout(arguments.layout.columns);
    const uint64_t groups = (arguments.layout.columns + Kind::kColumns - 1) / Kind::kColumns;
    const bool sums_at_once = Kind::kGrouped && groups <= kGroupsAtOnce;
    GroupSums sums;
    int32_t starts_hi[kTokens] = {}, starts_lo[kTokens] = {};
    float scales[kTokens];
    for (uint32_t t = 0; t < kTokens; ++t) {
      const std::byte* row = arguments.x + (token + t) * arguments.x_row_bytes;
      std::memcpy(&scales[t], row + layout.scale(), sizeof(float));
      if constexpr (!Kind::kGrouped) {
        starts_hi[t] = row_start(reinterpret_cast<const int16_t*>(row + layout.hi_sums()), layout.padded / 16);
        starts_lo[t] = row_start(reinterpret_cast<const int16_t*>(row + layout.lo_sums()), layout.padded / 16);
      }
    }
    if (sums_at_once) collect_sums<Kind>(arguments, token, kTokens, 0, groups, sums);
    for (uint64_t panel = begin; panel < end; ++panel) {
      Totals<kTokens> totals;
      for (uint32_t t = 0; t < kTokens; ++t) {
        totals.hi[t] = _mm512_set1_epi32(starts_hi[t]);
        totals.lo[t] = _mm512_set1_epi32(starts_lo[t]);
      }
      const uint64_t step = Kind::kGrouped ? kGroupsAtOnce : groups;
      for (uint64_t first = 0; first < groups; first += step) {
        Run run;
        run.panel = arguments.panels + (panel * groups + first) * Kind::kBytes;
        run.groups = groups - first < step ? groups - first : step;
        run.sums = &sums;
        for (uint32_t t = 0; t < kTokens; ++t) {
          const std::byte* row = arguments.x + (token + t) * arguments.x_row_bytes + first * Kind::kColumns;
          run.hi[t] = reinterpret_cast<const int8_t*>(row);
          run.lo[t] = reinterpret_cast<const int8_t*>(row + layout.lo());
        }
        if (Kind::kGrouped && !sums_at_once) collect_sums<Kind>(arguments, token, kTokens, first, run.groups, sums);
        Kind::template add<kTokens>(run, totals);
      }
      for (uint32_t t = 0; t < kTokens; ++t) finish(arguments, token + t, panel, totals.hi[t], totals.lo[t], scales[t]);
    }
  }

  // Writes 16 rows of y of one token.
  LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token, uint64_t panel,
                                           __m512i hi, __m512i lo, float scale) {
    const uint64_t row = panel * program::isa::kPanelRows;
    const uint64_t rest = arguments.layout.rows - row;
    const __mmask16 rows = Avx512::first(rest);
    float* y = arguments.y + token * arguments.y_row_floats + row;
    const __m512 row_scales = _mm512_loadu_ps(arguments.scales + row);
    __m512 value = _mm512_mul_ps(Avx512::combine_planes(hi, lo), _mm512_mul_ps(row_scales, _mm512_set1_ps(scale)));
    if (arguments.bias != nullptr) {
      value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(rows, arguments.bias + row));
    }
    if (arguments.add) value = _mm512_add_ps(_mm512_maskz_loadu_ps(rows, y), value);
    _mm512_mask_storeu_ps(y, rows, value);
  }

  // All tokens against all panels, a block of panels at a time.
  template <class Kind>
  static void tiles(const MatMulArguments& arguments) {
    const uint64_t in_cache = kPanelBlock / (arguments.layout.panel_bytes() + 1) + 1;
    const uint64_t all = arguments.panel_end - arguments.panel_begin;
    const uint64_t block = arguments.rows <= kTokensMax || all < in_cache ? all : in_cache;
    for (uint64_t begin = arguments.panel_begin; begin < arguments.panel_end; begin += block) {
      const uint64_t end = arguments.panel_end - begin < block ? arguments.panel_end : begin + block;
      uint32_t token = 0;
      for (; token + 4 <= arguments.rows; token += 4) tile<Kind, 4>(arguments, token, begin, end);
      switch (arguments.rows - token) {
        case 3: tile<Kind, 3>(arguments, token, begin, end); break;
        case 2: tile<Kind, 2>(arguments, token, begin, end); break;
        case 1: tile<Kind, 1>(arguments, token, begin, end); break;
        default: break;
      }
    }
  }
};

}  // namespace lockstep::targets::host
