// The matrix product on a tile unit (tile_unit.h), for many rows of x. Every weight is taken as two balanced
// planes of 8 bits as the vector is, w = 255*wh + wl, a = 255*ah + al; a tile of 16 tokens meets a tile of 16
// rows of w in four products with three sums: hh = ah*wh, cross = ah*wl + al*wh, ll = al*wl, and
//   S = 255*h + ll,  h = 255*hh + cross, which fits int32 (NUMERICS.md section 4).
// int8 weights are one plane: S = 255*(ah*w) + al*w.
//
// A line of a panel, four columns of 16 rows, is a row of a tile as the unit wants it, so weights are
// expanded in place of their codes, and the planes of x are read where they are. The planes of two panels
// over a block of columns stay in the first cache, a block of tokens in the second; where there are several
// blocks of columns, the sums wait in memory meanwhile. Everything but the unit is plain C++, so that the
// tests run it on an emulated unit.
#pragma once

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/tile_unit.h"

namespace lockstep::targets::host {

template <class Unit>
class TileMatMul {
 public:
  // Needs kTileRows rows of x at least.
  static void run(const MatMulArguments& arguments) { TileMatMul(arguments).run_blocks(); }

  // As KernelTable::multiply_peak.
  static uint64_t multiply_peak(program::isa::PanelKind kind, uint64_t rounds) {
    Unit unit;
    unit.template zero<6>();
    unit.template zero<7>();
    for (uint64_t i = 0; i < rounds; ++i) {
      unit.template add_products<0, 6, 7>();
      unit.template add_products<1, 6, 7>();
      unit.template add_products<2, 6, 7>();
      unit.template add_products<3, 6, 7>();
      unit.template add_products<4, 6, 7>();
      unit.template add_products<5, 6, 7>();
    }
    return rounds * 6 * kTileBytes * kTileRows / (kind == program::isa::PanelKind::Plain8 ? 2 : 4);
  }

 private:
  static constexpr uint32_t kTokensBlock = 512;   // at most
  static constexpr uint32_t kColumnsBlock = 640;  // at most; 40 KiB of planes
  static constexpr uint32_t kPanels = 2;          // side by side: every load of x meets them all
  static constexpr uint32_t kRows = program::isa::kPanelRows;
  static constexpr uint32_t kLine = kTileRowBytes;
  static constexpr uint32_t kStepLines = 16;    // lines of a panel in a step of 64 columns
  static constexpr uint32_t kStepColumns = 64;  // of a tile of x

  LOCKSTEP_FORCE_INLINE explicit TileMatMul(const MatMulArguments& arguments)
      : arguments_(arguments),
        layout_(arguments.layout),
        x_layout_(arguments.layout.columns),
        planes_(layout_.kind == program::isa::PanelKind::Plain8 ? 1 : 2) {}

  void run_blocks() {
    const uint64_t steps = (x_layout_.padded + kStepColumns - 1) / kStepColumns;
    const uint64_t column_blocks = (x_layout_.padded + kColumnsBlock - 1) / kColumnsBlock;
    const uint32_t token_blocks = (arguments_.rows + kTokensBlock - 1) / kTokensBlock;
    for (uint64_t block = 0; block < token_blocks; ++block) {
      const auto token_begin = static_cast<uint32_t>(arguments_.rows * block / token_blocks);
      const auto token_end = static_cast<uint32_t>(arguments_.rows * (block + 1) / token_blocks);
      for (uint64_t panel = arguments_.panel_begin; panel < arguments_.panel_end; panel += kPanels) {
        const auto panels = static_cast<uint32_t>(
            arguments_.panel_end - panel < kPanels ? arguments_.panel_end - panel : kPanels);
        for (uint64_t b = 0; b < column_blocks; ++b) {
          const uint64_t step_begin = steps * b / column_blocks, step_end = steps * (b + 1) / column_blocks;
          for (uint32_t p = 0; p < panels; ++p) expand(panel + p, step_begin, step_end, p, panels);
          pass_tokens(panel, panels, token_begin, token_end, step_begin, step_end);
        }
      }
    }
  }

  // All tokens of a block against the expanded weights. The last tile takes its first rows from the tile
  // before it where fewer than 16 tokens are left, and writes only the others.
  void pass_tokens(uint64_t panel, uint32_t panels, uint32_t token_begin, uint32_t token_end,
                   uint64_t step_begin, uint64_t step_end) {
    const bool first = step_begin == 0, last = step_end * kStepColumns >= x_layout_.padded;
    for (uint32_t token = token_begin; token < token_end; token += kTileRows) {
      const uint32_t tile_token = token_end - token < kTileRows ? token_end - kTileRows : token;
      std::byte* sums = sums_[first && last ? 0 : (token - token_begin) / kTileRows];
      const std::byte* hi = arguments_.x + tile_token * arguments_.x_row_bytes + step_begin * kStepColumns;
      if (planes_ == 1) {
        panels == 1 ? multiply_one_plane<1>(hi, step_end - step_begin, first, sums)
                    : multiply_one_plane<2>(hi, step_end - step_begin, first, sums);
      } else {
        panels == 1 ? multiply_two_planes<1>(hi, step_end - step_begin, first, sums)
                    : multiply_two_planes<2>(hi, step_end - step_begin, first, sums);
      }
      if (!last) continue;
      for (uint32_t p = 0; p < panels; ++p) {
        const std::byte* sums_of_panel = sums + p * (planes_ + 1) * kTileBytes;
        const uint64_t rows = layout_.rows - (panel + p) * kRows;
        if (rows >= kRows) {
          finish<kRows>(tile_token, token - tile_token, panel + p, kRows, sums_of_panel);
        } else {
          finish<0>(tile_token, token - tile_token, panel + p, rows, sums_of_panel);
        }
      }
    }
  }

  // Sums of panel p: tiles 3p (hh), 3p + 1 (cross), 3p + 2 (ll). A sum is taken up again four products later,
  // more than the latency of one.
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void multiply_two_planes(const std::byte* hi, uint64_t steps, bool first,
                                                 std::byte* sums) {
    if (first) {
      unit_.template zero<0>(), unit_.template zero<1>(), unit_.template zero<2>();
      if constexpr (kCount == 2) unit_.template zero<3>(), unit_.template zero<4>(), unit_.template zero<5>();
    } else {
      load_sums<0, 3 * kCount>(sums);
    }
    const uint64_t stride = arguments_.x_row_bytes;
    const std::byte* w = weights_;
    for (uint64_t step = 0; step < steps; ++step, w += kCount * 2 * kTileBytes, hi += kStepColumns) {
      unit_.template load<6>(hi, stride);
      unit_.template load<7>(w, kLine);
      unit_.template add_products<0, 6, 7>();
      unit_.template load<7>(w + kTileBytes, kLine);
      unit_.template add_products<1, 6, 7>();
      if constexpr (kCount == 2) {
        unit_.template load<7>(w + 2 * kTileBytes, kLine);
        unit_.template add_products<3, 6, 7>();
        unit_.template load<7>(w + 3 * kTileBytes, kLine);
        unit_.template add_products<4, 6, 7>();
      }
      unit_.template load<6>(hi + x_layout_.lo(), stride);
      unit_.template load<7>(w + kTileBytes, kLine);
      unit_.template add_products<2, 6, 7>();
      unit_.template load<7>(w, kLine);
      unit_.template add_products<1, 6, 7>();
      if constexpr (kCount == 2) {
        unit_.template load<7>(w + 3 * kTileBytes, kLine);
        unit_.template add_products<5, 6, 7>();
        unit_.template load<7>(w + 2 * kTileBytes, kLine);
        unit_.template add_products<4, 6, 7>();
      }
    }
    store_sums<0, 3 * kCount>(sums);
  }

  // Sums of panel p: tiles 2p (high) and 2p + 1 (low).
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void multiply_one_plane(const std::byte* hi, uint64_t steps, bool first,
                                                std::byte* sums) {
    if (first) {
      unit_.template zero<0>(), unit_.template zero<1>();
      if constexpr (kCount == 2) unit_.template zero<2>(), unit_.template zero<3>();
    } else {
      load_sums<0, 2 * kCount>(sums);
    }
    const uint64_t stride = arguments_.x_row_bytes;
    const std::byte* w = weights_;
    for (uint64_t step = 0; step < steps; ++step, w += kCount * kTileBytes, hi += kStepColumns) {
      unit_.template load<4>(hi, stride);
      unit_.template load<5>(hi + x_layout_.lo(), stride);
      unit_.template load<6>(w, kLine);
      unit_.template add_products<0, 4, 6>();
      unit_.template add_products<1, 5, 6>();
      if constexpr (kCount == 2) {
        unit_.template load<7>(w + kTileBytes, kLine);
        unit_.template add_products<2, 4, 7>();
        unit_.template add_products<3, 5, 7>();
      }
    }
    store_sums<0, 2 * kCount>(sums);
  }

  template <uint32_t kFirst, uint32_t kEnd>
  LOCKSTEP_FORCE_INLINE void load_sums(const std::byte* sums) {
    if constexpr (kFirst < kEnd) {
      unit_.template load<kFirst>(sums + kFirst * kTileBytes, kTileRowBytes);
      load_sums<kFirst + 1, kEnd>(sums);
    }
  }
  template <uint32_t kFirst, uint32_t kEnd>
  LOCKSTEP_FORCE_INLINE void store_sums(std::byte* sums) {
    if constexpr (kFirst < kEnd) {
      unit_.template store<kFirst>(sums + kFirst * kTileBytes, kTileRowBytes);
      store_sums<kFirst + 1, kEnd>(sums);
    }
  }

  // Writes y of a panel for the tokens [first, kTileRows) of a tile whose first token is tile_token. kCount
  // is the panel's rows of y, or 0 where only `rows` of them exist.
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void finish(uint32_t tile_token, uint32_t first, uint64_t panel, uint64_t rows,
                                    const std::byte* sums) const {
    const MatMulArguments arguments = arguments_;
    const uint64_t row = panel * kRows, scale_offset = x_layout_.scale(), low_offset = planes_ * kTileBytes;
    const uint64_t bytes = (kCount != 0 ? kCount : rows) * sizeof(float);
    const bool crossed = planes_ == 2;
    float scales[kRows], bias[kRows] = {};
    std::memcpy(scales, arguments.scales + row, sizeof(scales));
    if (arguments.bias != nullptr) std::memcpy(bias, arguments.bias + row, bytes);
    for (uint32_t t = first; t < kTileRows; ++t) {
      uint32_t high[kRows];
      int32_t low[kRows];
      std::memcpy(high, sums + t * kTileRowBytes, sizeof(high));
      std::memcpy(low, sums + low_offset + t * kTileRowBytes, sizeof(low));
      if (crossed) {
        uint32_t cross[kRows];
        std::memcpy(cross, sums + kTileBytes + t * kTileRowBytes, sizeof(cross));
        for (uint32_t r = 0; r < kRows; ++r) high[r] = 255u * high[r] + cross[r];
      }
      const uint64_t token = tile_token + t;
      float scale, values[kRows];
      std::memcpy(&scale, arguments.x + token * arguments.x_row_bytes + scale_offset, sizeof(scale));
      for (uint32_t r = 0; r < kRows; ++r) {
        const double sum = 255.0 * static_cast<int32_t>(high[r]) + low[r];  // exact
        values[r] = static_cast<float>(sum) * (scales[r] * scale);
      }
      if (arguments.bias != nullptr) {
        for (uint32_t r = 0; r < kRows; ++r) values[r] = values[r] + bias[r];
      }
      float* y = arguments.y + token * arguments.y_row_floats + row;
      if (arguments.add) {
        float before[kRows] = {};
        std::memcpy(before, y, bytes);
        for (uint32_t r = 0; r < kRows; ++r) values[r] = before[r] + values[r];
      }
      std::memcpy(y, values, bytes);
    }
  }

  // Where the plane of a line of panel p stands among the expanded weights; lines count from the block's
  // first.
  LOCKSTEP_FORCE_INLINE int8_t* plane_line(uint64_t line, uint32_t p, uint32_t panels, uint32_t plane) {
    const uint64_t tile = (line / kStepLines * panels + p) * planes_ + plane;
    return reinterpret_cast<int8_t*>(weights_ + tile * kTileBytes + line % kStepLines * kLine);
  }

  // The planes of the columns of steps [step_begin, step_end) of a panel, zero past the last column.
  void expand(uint64_t panel, uint64_t step_begin, uint64_t step_end, uint32_t p, uint32_t panels) {
    using program::isa::PanelKind;
    const uint64_t lines = (step_end - step_begin) * kStepLines;
    const uint64_t columns_left = x_layout_.padded - step_begin * kStepColumns;
    const uint64_t lines_left = columns_left / 4 < lines ? columns_left / 4 : lines;
    // Groups of 16 columns need not fill the padding to 32.
    const uint64_t group_lines = layout_.group_columns / 4;
    const uint64_t first_group = step_begin * kStepLines / group_lines;
    uint64_t groups = lines_left / group_lines;
    if (first_group + groups > layout_.groups()) groups = layout_.groups() - first_group;
    const std::byte* group =
        arguments_.panels + panel * layout_.panel_bytes() + first_group * layout_.group_bytes();
    for (uint64_t g = 0; g < groups; ++g, group += layout_.group_bytes()) {
      const uint64_t line = g * group_lines;
      switch (layout_.kind) {
        case PanelKind::Nibble:
          expand_nibbles(group, line, p, panels);
          break;
        case PanelKind::Byte:
          expand_bytes(group, line, p, panels);
          break;
        case PanelKind::Plain8:
        case PanelKind::Plain16:
          for (uint32_t plane = 0; plane < planes_; ++plane) {
            for (uint64_t k = 0; k < group_lines; ++k) {
              flip(group + (plane * group_lines + k) * kLine, plane_line(line + k, p, panels, plane));
            }
          }
          break;
      }
    }
    for (uint64_t line = groups * group_lines; line < lines; ++line) {
      for (uint32_t plane = 0; plane < planes_; ++plane) {
        std::memset(plane_line(line, p, panels, plane), 0, kLine);
      }
    }
  }

  // A number of every panel row, four times as its line has them.
  struct LineWords {
    LOCKSTEP_FORCE_INLINE explicit LineWords(const uint32_t (&of_row)[kRows]) {  // 16 bits
      uint64_t fours[kRows];
      for (uint32_t r = 0; r < kRows; ++r) fours[r] = of_row[r] * uint64_t{0x0001000100010001};
      std::memcpy(words, fours, sizeof(words));
    }
    int16_t words[kLine];
  };

  // 128 more than a plane's bytes to these bytes.
  LOCKSTEP_FORCE_INLINE static void flip(const std::byte* from, int8_t* to) {
    uint8_t bytes[kLine];
    std::memcpy(bytes, from, kLine);
    for (uint8_t& byte : bytes) byte ^= 0x80;
    std::memcpy(to, bytes, kLine);
  }

  // Balanced planes (NUMERICS.md section 2) of w = mu * (code - zero) + offset over a line.
  LOCKSTEP_FORCE_INLINE static void split(const uint8_t* codes, int16_t zero, const LineWords& mu,
                                          const LineWords& offset, int8_t* hi, int8_t* lo) {
    int8_t highs[kLine], lows[kLine];
    for (uint32_t i = 0; i < kLine; ++i) {
      const auto w =
          static_cast<int16_t>(mu.words[i] * static_cast<int16_t>(codes[i] - zero) + offset.words[i]);
      const auto high = static_cast<int16_t>(static_cast<int16_t>(w + (w >> 8) + 128) >> 8);
      highs[i] = static_cast<int8_t>(high);
      lows[i] = static_cast<int8_t>(w - 255 * high);
    }
    std::memcpy(hi, highs, kLine);
    std::memcpy(lo, lows, kLine);
  }

  LOCKSTEP_FORCE_INLINE void expand_nibbles(const std::byte* group, uint64_t line, uint32_t p,
                                            uint32_t panels) {
    const uint32_t lines = layout_.group_columns / 8;
    uint32_t mus[kRows], offsets[kRows];
    std::memcpy(mus, group + lines * kLine, sizeof(mus));  // pairs: offset above mu
    for (uint32_t r = 0; r < kRows; ++r) {
      offsets[r] = mus[r] >> 16;
      mus[r] &= 0xffff;
    }
    const LineWords mu(mus), offset(offsets);
    for (uint32_t k = 0; k < lines; ++k) {
      uint8_t both[kLine], low[kLine], high[kLine];
      std::memcpy(both, group + k * kLine, kLine);
      for (uint32_t i = 0; i < kLine; ++i) {
        low[i] = both[i] & 15;
        high[i] = static_cast<uint8_t>(both[i] >> 4);
      }
      split(low, 8, mu, offset, plane_line(line + k, p, panels, 0), plane_line(line + k, p, panels, 1));
      split(high, 8, mu, offset, plane_line(line + lines + k, p, panels, 0),
            plane_line(line + lines + k, p, panels, 1));
    }
  }

  LOCKSTEP_FORCE_INLINE void expand_bytes(const std::byte* group, uint64_t line, uint32_t p,
                                          uint32_t panels) {
    const uint32_t lines = layout_.group_columns / 4;
    uint16_t mus_stored[kRows], offsets_stored[kRows] = {};
    const std::byte* factors = group + lines * kLine;
    std::memcpy(mus_stored, factors, sizeof(mus_stored));
    if (layout_.has_offsets) {
      std::memcpy(offsets_stored, factors + sizeof(mus_stored), sizeof(offsets_stored));
    }
    uint32_t mus[kRows], offsets[kRows];
    for (uint32_t r = 0; r < kRows; ++r) mus[r] = mus_stored[r];
    for (uint32_t r = 0; r < kRows; ++r) offsets[r] = offsets_stored[r];
    const LineWords mu(mus), offset(offsets);
    for (uint32_t k = 0; k < lines; ++k) {
      uint8_t codes[kLine];
      std::memcpy(codes, group + k * kLine, kLine);
      split(codes, 128, mu, offset, plane_line(line + k, p, panels, 0), plane_line(line + k, p, panels, 1));
    }
  }

  const MatMulArguments& arguments_;
  const program::isa::PanelLayout& layout_;
  const Q16Layout x_layout_;
  const uint32_t planes_;  // of w; a panel has one sum more
  Unit unit_;
  alignas(64) std::byte weights_[kColumnsBlock / kStepColumns * kPanels * 2 * kTileBytes];
  alignas(64) std::byte sums_[kTokensBlock / kTileRows][kPanels * 3 * kTileBytes];
};

}  // namespace lockstep::targets::host
