// The matrix product on NEON with the dot product. A line of a panel holds four columns of 16 rows: four
// registers of 4 rows, a quarter of the panel each. Sixteen activations of a plane stand in one register,
// from which an sdot takes the four that meet a line; both planes are summed apart and combined at the end:
// S = 255*H + L. NUMERICS.md sections 3 and 4.
//
// Bytes become signed by turning their highest bit. Nibbles stay as they are: their sums start at
// -8 * (sum of the plane over the group), which makes them G = sum (q - 8) * plane; G fits 16 bits, so that
// mu*G is a product of 16 bits, as is o*(sum of the plane). All totals wrap in int32 and end inside it
// (section 3).
//
// As many quarters of a group are taken at once as have their sums in registers. Every number of a tile's
// tokens has its own code.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <utility>

#include "targets/host/kernels/matmul_tiles.h"
#include "targets/host/kernels/vector_neon.h"

namespace lockstep::targets::host {

class MatMulNeon {
  static constexpr uint32_t kTokensAtOnce = 4;
  static constexpr uint32_t kQuarters = 4;

  // Calls body(i) for i = 0, kStep, .. below kEnd, each i a constant.
  template <uint32_t kEnd, uint32_t kStep = 1, class Body>
  LOCKSTEP_FORCE_INLINE static void unrolled(const Body& body) {
    unrolled<kStep>(body, std::make_integer_sequence<uint32_t, kEnd / kStep>());
  }
  template <uint32_t kStep, class Body, uint32_t... i>
  LOCKSTEP_FORCE_INLINE static void unrolled(const Body& body, std::integer_sequence<uint32_t, i...>) {
    (body(std::integral_constant<uint32_t, i * kStep>()), ...);
  }

  LOCKSTEP_FORCE_INLINE static uint8x16_t load(const std::byte* p) {
    return vld1q_u8(reinterpret_cast<const uint8_t*>(p));
  }
  // Bytes less 128.
  LOCKSTEP_FORCE_INLINE static int8x16_t load_signed(const std::byte* p) {
    return vreinterpretq_s8_u8(veorq_u8(load(p), vdupq_n_u8(128)));
  }
  LOCKSTEP_FORCE_INLINE static int16x8_t load_words(const std::byte* p) {
    return vld1q_s16(reinterpret_cast<const int16_t*>(p));
  }
  // The first and the second of eight pairs.
  LOCKSTEP_FORCE_INLINE static int16x8x2_t load_pairs(const std::byte* p) {
    return vld2q_s16(reinterpret_cast<const int16_t*>(p));
  }

  // Sums of 16 rows for both planes of every token.
  template <uint32_t kTokens>
  struct PlaneSums {
    int32x4_t hi[kTokens][kQuarters];
    int32x4_t lo[kTokens][kQuarters];
    LOCKSTEP_FORCE_INLINE PlaneSums() {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t q = 0; q < kQuarters; ++q) hi[t][q] = lo[t][q] = vdupq_n_s32(0);
      }
    }
    // Takes the sums of the tokens that both have.
    template <uint32_t kOther>
    LOCKSTEP_FORCE_INLINE void take(const PlaneSums<kOther>& other) {
      for (uint32_t t = 0; t < (kTokens < kOther ? kTokens : kOther); ++t) {
        for (uint32_t q = 0; q < kQuarters; ++q) {
          hi[t][q] = other.hi[t][q];
          lo[t][q] = other.lo[t][q];
        }
      }
    }
    // Adds to quarter q the products of four columns with the activations of kLane.
    template <uint32_t kLane>
    LOCKSTEP_FORCE_INLINE void add_columns(uint32_t q, int8x16_t codes, const int8x16_t (&a_hi)[kTokens],
                                           const int8x16_t (&a_lo)[kTokens]) {
      for (uint32_t t = 0; t < kTokens; ++t) {
        hi[t][q] = vdotq_laneq_s32(hi[t][q], codes, a_hi[t], kLane);
        lo[t][q] = vdotq_laneq_s32(lo[t][q], codes, a_lo[t], kLane);
      }
    }
  };

  // Sixteen activations of every token; `plane` is the first one's.
  template <uint32_t kTokens>
  LOCKSTEP_FORCE_INLINE static void load_activations(const int8_t* plane, uint64_t row_bytes,
                                                     int8x16_t (&a)[kTokens]) {
    for (uint32_t t = 0; t < kTokens; ++t) a[t] = vld1q_s8(plane + t * row_bytes);
  }

  // Adds to kAtOnce quarters from kFirst on the products of kColumns columns of bytes, whose first line is
  // `lines`, with the activations from `column` on.
  template <uint32_t kColumns, uint32_t kFirst, uint32_t kAtOnce, uint32_t kTokens>
  LOCKSTEP_FORCE_INLINE static void add_bytes(const MatMulRun& run, uint64_t column, const std::byte* lines,
                                              PlaneSums<kTokens>& sums) {
    unrolled<kColumns, 16>([&](auto part) __attribute__((always_inline)) {
      int8x16_t hi[kTokens], lo[kTokens];
      load_activations(run.hi + column + part, run.row_bytes, hi);
      load_activations(run.lo + column + part, run.row_bytes, lo);
      unrolled<4>([&](auto k) __attribute__((always_inline)) {
        const std::byte* line = lines + (part / 4 + k) * 64;
        for (uint32_t q = kFirst; q < kFirst + kAtOnce; ++q) {
          sums.template add_columns<k>(q, load_signed(line + q * 16), hi, lo);
        }
      });
    });
  }

  // Adds the products of eight rows.
  LOCKSTEP_FORCE_INLINE static void add_products(int32x4_t* totals, int16x8_t a, int16x8_t b) {
    totals[0] = vmlal_s16(totals[0], vget_low_s16(a), vget_low_s16(b));
    totals[1] = vmlal_high_s16(totals[1], a, b);
  }
  // Adds the products of four rows; they wrap, so they are taken without sign.
  LOCKSTEP_FORCE_INLINE static int32x4_t add_product(int32x4_t total, int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_u32(
        vmlaq_u32(vreinterpretq_u32_s32(total), vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
  }
  // The lower halves of the sums of eight rows.
  LOCKSTEP_FORCE_INLINE static int16x8_t lower_halves(const int32x4_t* sums) {
    return vuzp1q_s16(vreinterpretq_s16_s32(sums[0]), vreinterpretq_s16_s32(sums[1]));
  }

  // What all kinds have in common.
  struct Common {
    static constexpr uint32_t kTokensMax = kTokensAtOnce;
    template <uint32_t kTokens>
    static constexpr uint32_t kAtOnce = kTokens <= 2 ? 4 : 2;  // quarters
    template <uint32_t kTokens>
    using Totals = PlaneSums<kTokens>;

    // Calls body(sums) with the totals of `tokens` tokens: 1 of 1, or 2 to kTokens.
    template <uint32_t kTokens, uint32_t kExact = kTokens, class Body>
    LOCKSTEP_FORCE_INLINE static void with_tokens(uint32_t tokens, PlaneSums<kTokens>& totals,
                                                  const Body& body) {
      if constexpr (kExact > 2) {
        if (tokens < kExact) return with_tokens<kTokens, kExact - 1>(tokens, totals, body);
      }
      PlaneSums<kExact> sums;
      sums.take(totals);
      body(sums);
      totals.take(sums);
    }

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void finish(const MatMulArguments& arguments, uint32_t token,
                                             uint32_t tokens, uint64_t row,
                                             const PlaneSums<kTokens>& totals) {
      for (uint32_t t = 0; t < (kTokens == 1 ? 1 : tokens); ++t) {
        for (uint32_t q = 0; q < kQuarters; ++q) {
          finish_rows<Neon>(arguments, token + t, row + q * Neon::kLanes,
                            Neon::combine_planes(totals.hi[t][q], totals.lo[t][q]));
        }
      }
    }
  };

  template <uint32_t kGroupColumns>
  struct Grouped : Common {
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint64_t kGroupsAtOnce = 256;
    struct Prepared {
      int16_t hi[kTokensAtOnce][kGroupsAtOnce];  // sums of the planes over the groups of a run
      int16_t lo[kTokensAtOnce][kGroupsAtOnce];
    };

    static void prepare(const std::byte* row, const Q16Layout& layout, uint64_t first, uint64_t groups,
                        uint32_t t, Prepared& prepared) {
      prepare_plane(row + layout.hi_sums(), first, groups, prepared.hi[t]);
      prepare_plane(row + layout.lo_sums(), first, groups, prepared.lo[t]);
    }

   private:
    LOCKSTEP_FORCE_INLINE static void prepare_plane(const std::byte* sums_of_16, uint64_t first,
                                                    uint64_t groups, int16_t* words) {
      int32_t sums[kGroupsAtOnce];
      read_group_sums<Grouped>(sums_of_16, first, groups, sums);
      for (uint64_t g = 0; g < groups; ++g) words[g] = static_cast<int16_t>(sums[g]);
    }
  };

  // Plain integers.
  struct Plain : Common {
    static constexpr uint32_t kColumns = 32;
    static constexpr uint64_t kGroupsAtOnce = UINT64_MAX;
    struct Prepared {};
    LOCKSTEP_FORCE_INLINE static void prepare(const std::byte*, const Q16Layout&, uint64_t, uint64_t,
                                              uint32_t, Prepared&) {}
  };

  // H = 255*high + cross and L = low of 16 rows.
  template <uint32_t kTokens>
  struct FourProducts {
    int32x4_t high[kTokens][kQuarters];   // high of w x high of a
    int32x4_t cross[kTokens][kQuarters];  // both cross products
    int32x4_t low[kTokens][kQuarters];
    LOCKSTEP_FORCE_INLINE FourProducts() {
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t q = 0; q < kQuarters; ++q) high[t][q] = cross[t][q] = low[t][q] = vdupq_n_s32(0);
      }
    }
  };

 public:
  static uint64_t multiply_peak(program::isa::PanelKind kind, uint64_t rounds) {
    constexpr int kChains = 16;
    int32x4_t sums[kChains];
    const int8x16_t codes = vdupq_n_s8(3), activations = vdupq_n_s8(5);
    for (int c = 0; c < kChains; ++c) sums[c] = vdupq_n_s32(c);
    for (uint64_t i = 0; i < rounds; ++i) {
      for (int c = 0; c < kChains; ++c) sums[c] = vdotq_laneq_s32(sums[c], codes, activations, 0);
    }
    for (int c = 0; c < kChains; ++c) asm volatile("" : : "w"(sums[c]));  // they are needed
    return rounds * kChains * (kind == program::isa::PanelKind::Plain16 ? 4 : 8);
  }

  template <uint32_t kGroupColumns>
  struct Nibble : Grouped<kGroupColumns> {
    using Base = Grouped<kGroupColumns>;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 8;
    static constexpr uint32_t kBytes = kLines * 64 + 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const typename Base::Prepared& prepared,
                                          PlaneSums<kTokens>& totals) {
      const auto body = [&](auto& sums) __attribute__((always_inline)) {
        add_groups(run, prepared, sums);
      };
      Base::with_tokens(run.tokens, totals, body);
    }

   private:
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_groups(const MatMulRun& run,
                                                 const typename Base::Prepared& prepared,
                                                 PlaneSums<kTokens>& totals) {
      constexpr uint32_t kAtOnce = Base::template kAtOnce<kTokens>;
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        PlaneSums<kTokens> sums;
        unrolled<kQuarters, kAtOnce>([&](auto first) __attribute__((always_inline)) {
          for (uint32_t t = 0; t < kTokens; ++t) {
            for (uint32_t q = first; q < first + kAtOnce; ++q) {
              sums.hi[t][q] = vmull_s16(vget_low_s16(vld1q_dup_s16(&prepared.hi[t][g])), vdup_n_s16(-8));
              sums.lo[t][q] = vmull_s16(vget_low_s16(vld1q_dup_s16(&prepared.lo[t][g])), vdup_n_s16(-8));
            }
          }
          add_nibbles<first, kAtOnce>(run, g * kColumns, group, sums);
          for (uint32_t q = first; q < first + kAtOnce; q += 2) {
            const int16x8x2_t factors = load_pairs(group + kLines * 64 + q * 16);  // mu and o
            for (uint32_t t = 0; t < kTokens; ++t) {
              add_products(&totals.hi[t][q], factors.val[0], lower_halves(&sums.hi[t][q]));
              add_products(&totals.lo[t][q], factors.val[0], lower_halves(&sums.lo[t][q]));
              add_products(&totals.hi[t][q], factors.val[1], vld1q_dup_s16(&prepared.hi[t][g]));
              add_products(&totals.lo[t][q], factors.val[1], vld1q_dup_s16(&prepared.lo[t][g]));
            }
          }
        });
      }
    }

    // Adds to kAtOnce quarters from kFirst on the products of a group's codes.
    template <uint32_t kFirst, uint32_t kAtOnce, uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_nibbles(const MatMulRun& run, uint64_t column,
                                                  const std::byte* lines, PlaneSums<kTokens>& sums) {
      // The activations that meet the low halves, then in the last lanes those that meet the high halves.
      int8x16_t low_hi[kTokens], low_lo[kTokens], high_hi[kTokens], high_lo[kTokens];
      load_activations(run.hi + column, run.row_bytes, low_hi);
      load_activations(run.lo + column, run.row_bytes, low_lo);
      load_activations(run.hi + column + kColumns - 16, run.row_bytes, high_hi);
      load_activations(run.lo + column + kColumns - 16, run.row_bytes, high_lo);
      unrolled<kLines>([&](auto k) __attribute__((always_inline)) {
        for (uint32_t q = kFirst; q < kFirst + kAtOnce; ++q) {
          const uint8x16_t both = load(lines + k * 64 + q * 16);
          sums.template add_columns<k>(q, vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))), low_hi,
                                       low_lo);
          sums.template add_columns<k + 4 - kLines>(q, vreinterpretq_s8_u8(vshrq_n_u8(both, 4)), high_hi,
                                                    high_lo);
        }
      });
    }
  };

  template <uint32_t kGroupColumns, bool kOffsets>
  struct Byte : Grouped<kGroupColumns> {
    using Base = Grouped<kGroupColumns>;
    static constexpr uint32_t kColumns = kGroupColumns;
    static constexpr uint32_t kLines = kColumns / 4;
    static constexpr uint32_t kBytes = kLines * 64 + (kOffsets ? 64 : 32);

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const typename Base::Prepared& prepared,
                                          PlaneSums<kTokens>& totals) {
      const auto body = [&](auto& sums) __attribute__((always_inline)) {
        add_groups(run, prepared, sums);
      };
      Base::with_tokens(run.tokens, totals, body);
    }

   private:
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_groups(const MatMulRun& run,
                                                 const typename Base::Prepared& prepared,
                                                 PlaneSums<kTokens>& totals) {
      constexpr uint32_t kAtOnce = Base::template kAtOnce<kTokens>;
      const std::byte* group = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, group += kBytes) {
        PlaneSums<kTokens> sums;
        unrolled<kQuarters, kAtOnce>([&](auto first) __attribute__((always_inline)) {
          add_bytes<kColumns, first, kAtOnce>(run, g * kColumns, group, sums);
          for (uint32_t q = first; q < first + kAtOnce; q += 2) {
            const std::byte* factors = group + kLines * 64 + q * 8;
            multiply<kTokens>(sums, q, load_words(factors), totals);
            if constexpr (kOffsets) {
              const int16x8_t offsets = load_words(factors + 32);
              for (uint32_t t = 0; t < kTokens; ++t) {
                add_products(&totals.hi[t][q], offsets, vld1q_dup_s16(&prepared.hi[t][g]));
                add_products(&totals.lo[t][q], offsets, vld1q_dup_s16(&prepared.lo[t][g]));
              }
            }
          }
        });
      }
    }

    // Adds mu * sum of quarters q and q + 1.
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void multiply(const PlaneSums<kTokens>& sums, uint32_t q, int16x8_t mu,
                                               PlaneSums<kTokens>& totals) {
      const int32x4_t first = vmovl_s16(vget_low_s16(mu)), second = vmovl_high_s16(mu);
      for (uint32_t t = 0; t < kTokens; ++t) {
        totals.hi[t][q] = add_product(totals.hi[t][q], sums.hi[t][q], first);
        totals.lo[t][q] = add_product(totals.lo[t][q], sums.lo[t][q], first);
        totals.hi[t][q + 1] = add_product(totals.hi[t][q + 1], sums.hi[t][q + 1], second);
        totals.lo[t][q + 1] = add_product(totals.lo[t][q + 1], sums.lo[t][q + 1], second);
      }
    }
  };

  struct Plain8 : Plain {
    static constexpr uint32_t kBytes = 8 * 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared&, PlaneSums<kTokens>& totals) {
      const auto body = [&](auto& sums) __attribute__((always_inline)) {
        add_blocks(run, sums);
      };
      with_tokens(run.tokens, totals, body);
    }

   private:
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_blocks(const MatMulRun& run, PlaneSums<kTokens>& totals) {
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        unrolled<kQuarters, kAtOnce<kTokens>>([&](auto first) __attribute__((always_inline)) {
          add_bytes<kColumns, first, kAtOnce<kTokens>>(run, g * kColumns, block, totals);
        });
      }
    }
  };

  struct Plain16 : Plain {
    static constexpr uint32_t kLines = 8;  // of either plane
    static constexpr uint32_t kBytes = 2 * kLines * 64;

    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add(const MatMulRun& run, const Prepared&, PlaneSums<kTokens>& totals) {
      const auto body = [&](auto& sums) __attribute__((always_inline)) {
        add_blocks(run, sums);
      };
      with_tokens(run.tokens, totals, body);
    }

   private:
    template <uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_blocks(const MatMulRun& run, PlaneSums<kTokens>& totals) {
      FourProducts<kTokens> products;
      constexpr uint32_t kAtOnce = kTokens <= 2 ? 4 / kTokens : 1;
      const std::byte* block = run.panel;
      for (uint64_t g = 0; g < run.groups; ++g, block += kBytes) {
        unrolled<kQuarters, kAtOnce>([&](auto first) __attribute__((always_inline)) {
          add_quarters<first, kAtOnce>(run, g * kColumns, block, products);
        });
      }
      for (uint32_t t = 0; t < kTokens; ++t) {
        for (uint32_t q = 0; q < kQuarters; ++q) {
          const int32x4_t hi = add_product(products.cross[t][q], products.high[t][q], vdupq_n_s32(255));
          totals.hi[t][q] = vaddq_s32(totals.hi[t][q], hi);
          totals.lo[t][q] = vaddq_s32(totals.lo[t][q], products.low[t][q]);
        }
      }
    }

    template <uint32_t kFirst, uint32_t kAtOnce, uint32_t kTokens>
    LOCKSTEP_FORCE_INLINE static void add_quarters(const MatMulRun& run, uint64_t column,
                                                   const std::byte* block, FourProducts<kTokens>& products) {
      unrolled<kColumns, 16>([&](auto part) __attribute__((always_inline)) {
        int8x16_t hi[kTokens], lo[kTokens];
        load_activations(run.hi + column + part, run.row_bytes, hi);
        load_activations(run.lo + column + part, run.row_bytes, lo);
        unrolled<4>([&](auto k) __attribute__((always_inline)) {
          const std::byte* line = block + (part / 4 + k) * 64;
          for (uint32_t q = kFirst; q < kFirst + kAtOnce; ++q) {
            const int8x16_t w_hi = load_signed(line + q * 16);
            const int8x16_t w_lo = load_signed(line + q * 16 + kLines * 64);
            for (uint32_t t = 0; t < kTokens; ++t) {
              products.high[t][q] = vdotq_laneq_s32(products.high[t][q], w_hi, hi[t], k);
              products.cross[t][q] = vdotq_laneq_s32(products.cross[t][q], w_hi, lo[t], k);
              products.cross[t][q] = vdotq_laneq_s32(products.cross[t][q], w_lo, hi[t], k);
              products.low[t][q] = vdotq_laneq_s32(products.low[t][q], w_lo, lo[t], k);
            }
          }
        });
      });
    }
  };
};

}  // namespace lockstep::targets::host
