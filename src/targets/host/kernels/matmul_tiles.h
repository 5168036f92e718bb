// What the vector versions of the matrix product share: the way through tokens and panels, and the end of a
// row. An instruction set (matmul_avx2.h, matmul_avx512.h) gives a `Kind` for every kind of panel:
//
//   kColumns, kBytes      of a group, or of a block of 32 columns where there are no groups
//   kTokensMax            tokens of a tile, which share every load of a panel
//   kGroupsAtOnce         groups for which Prepared has room
//   Prepared, prepare     what a tile needs of its tokens besides their planes, made once for many panels
//   Totals<kTokens>       sums of 16 rows for every token, zero at first
//   add<kTokens>          adds a run of groups
//   finish<kTokens>       writes 16 rows of y of every token
// kTokens is 1, or kTokensMax for any number of tokens up to it.
#pragma once

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {

// A run of groups of one panel, and a tile's tokens from its first column on.
struct MatMulRun {
  const std::byte* panel;
  uint64_t groups;
  const int8_t* hi;  // of the first token; the planes of the others are row_bytes apart
  const int8_t* lo;
  uint64_t row_bytes;
  uint32_t tokens;
};

LOCKSTEP_FORCE_INLINE const std::byte* matmul_row(const MatMulArguments& arguments, uint32_t token) {
  return arguments.x + token * arguments.x_row_bytes;
}

// Sums of the planes of kTokens tokens over the groups of a run.
template <uint32_t kTokens, uint64_t kGroups>
struct GroupSums {
  alignas(64) int32_t hi[kTokens][kGroups];
  alignas(64) int32_t lo[kTokens][kGroups];
};

// Reads the sums of `groups` groups of kColumns columns from group `first` on.
template <class Kind>
LOCKSTEP_FORCE_INLINE void read_group_sums(const std::byte* sums_of_16, uint64_t first, uint64_t groups,
                                           int32_t* sums) {
  const auto* of_16 = reinterpret_cast<const int16_t*>(sums_of_16) + first * (Kind::kColumns / 16);
  for (uint64_t g = 0; g < groups; ++g) {
    sums[g] = Kind::kColumns == 32 ? of_16[2 * g] + of_16[2 * g + 1] : of_16[g];
  }
}

// y of the V::kLanes rows from `row` on, whose exact sums were rounded to binary32; rows past the matrix are
// left alone.
template <class V>
LOCKSTEP_FORCE_INLINE void finish_rows(const MatMulArguments& arguments, uint32_t token, uint64_t row,
                                       typename V::Floats sums) {
  const auto rows = V::first(row < arguments.layout.rows ? arguments.layout.rows - row : 0);
  float scale;
  std::memcpy(&scale, matmul_row(arguments, token) + Q16Layout(arguments.layout.columns).scale(),
              sizeof(scale));
  float* y = arguments.y + token * arguments.y_row_floats + row;
  typename V::Floats value = V::mul(sums, V::mul(V::load(arguments.scales + row), V::set(scale)));
  if (arguments.bias != nullptr) value = V::add(value, V::load(arguments.bias + row, rows));
  if (arguments.add) value = V::add(V::load(y, rows), value);
  V::store(y, value, rows);
}

// The panels [begin, end) against the tile of `tokens` tokens from `token` on.
template <class Kind, uint32_t kTokens>
void matmul_tile(const MatMulArguments& arguments, uint32_t token, uint32_t tokens, uint64_t begin,
                 uint64_t end) {
  const Q16Layout layout(arguments.layout.columns);
  const uint64_t groups = (arguments.layout.columns + Kind::kColumns - 1) / Kind::kColumns;
  const uint64_t step = groups < Kind::kGroupsAtOnce ? groups : Kind::kGroupsAtOnce;
  typename Kind::Prepared prepared;
  for (uint64_t panel = begin; panel < end; ++panel) {
    typename Kind::template Totals<kTokens> totals;
    for (uint64_t first = 0; first < groups; first += step) {
      MatMulRun run;
      run.panel = arguments.panels + (panel * groups + first) * Kind::kBytes;
      run.groups = groups - first < step ? groups - first : step;
      run.hi = reinterpret_cast<const int8_t*>(matmul_row(arguments, token)) + first * Kind::kColumns;
      run.lo = run.hi + layout.lo();
      run.row_bytes = arguments.x_row_bytes;
      run.tokens = kTokens == 1 ? 1 : tokens;
      if (panel == begin || groups > step) {
        for (uint32_t t = 0; t < run.tokens; ++t) {
          Kind::prepare(matmul_row(arguments, token + t), layout, first, run.groups, t, prepared);
        }
      }
      Kind::template add<kTokens>(run, prepared, totals);
    }
    Kind::template finish<kTokens>(arguments, token, tokens, panel * program::isa::kPanelRows, totals);
  }
}

// All tokens against a block of panels, which stays in cache meanwhile; then the next block. Tiles are of
// nearly equal size.
template <class Kind>
void matmul_blocks(const MatMulArguments& arguments) {
  constexpr uint64_t kBlockBytes = 192 << 10;
  const uint64_t in_cache = kBlockBytes / (arguments.layout.panel_bytes() + 1) + 1;
  const uint64_t all = arguments.panel_end - arguments.panel_begin;
  const uint64_t tiles = (arguments.rows + Kind::kTokensMax - 1) / Kind::kTokensMax;
  const uint64_t block = tiles == 1 || all < in_cache ? all : in_cache;
  for (uint64_t begin = arguments.panel_begin; begin < arguments.panel_end; begin += block) {
    const uint64_t end = arguments.panel_end - begin < block ? arguments.panel_end : begin + block;
    for (uint64_t tile = 0; tile < tiles; ++tile) {
      const auto token = static_cast<uint32_t>(arguments.rows * tile / tiles);
      const auto tokens = static_cast<uint32_t>(arguments.rows * (tile + 1) / tiles) - token;
      if (tokens == 1) {
        matmul_tile<Kind, 1>(arguments, token, 1, begin, end);
      } else {
        matmul_tile<Kind, Kind::kTokensMax>(arguments, token, tokens, begin, end);
      }
    }
  }
}

template <class Isa>
void matmul(const MatMulArguments& arguments) {
  using program::isa::PanelKind;
  const bool wide = arguments.layout.group_columns == 32;
  const bool offsets = arguments.layout.has_offsets;
  switch (arguments.layout.kind) {
    case PanelKind::Nibble:
      return wide ? matmul_blocks<typename Isa::template Nibble<32>>(arguments)
                  : matmul_blocks<typename Isa::template Nibble<16>>(arguments);
    case PanelKind::Byte:
      if (offsets) {
        return wide ? matmul_blocks<typename Isa::template Byte<32, true>>(arguments)
                    : matmul_blocks<typename Isa::template Byte<16, true>>(arguments);
      }
      return wide ? matmul_blocks<typename Isa::template Byte<32, false>>(arguments)
                  : matmul_blocks<typename Isa::template Byte<16, false>>(arguments);
    case PanelKind::Plain8:
      return matmul_blocks<typename Isa::Plain8>(arguments);
    case PanelKind::Plain16:
      return matmul_blocks<typename Isa::Plain16>(arguments);
  }
}

}  // namespace lockstep::targets::host
