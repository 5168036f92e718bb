// How the host instruction set stores a weight matrix: panels of 16 rows, interleaved so that one 64-byte
// load holds four columns (or eight nibble columns) of all 16 rows; a column block after another, so that a
// panel is read as one stream. Rows are padded to 16 and columns to 32 with zero weights.
//
//   Nibble   a group of G columns: G/8 lines of 64 bytes, then (mu, offset) as int16 pairs of 16 rows.
//            Line k, row r, byte b: code of column 4k+b in the low half, of column G/2 + 4k+b in the high.
//   Byte     a group of G columns: G/4 lines of 64 bytes (row r, byte b: column 4k+b), code - zero + 128;
//            then mu as int16 of 16 rows, then offset the same way where the matrix has offsets.
//   Plain8   32 columns: 8 lines as in Byte, w + 128.
//   Plain16  32 columns: 8 lines of the high plane + 128, then 8 lines of the low plane + 128, w = 255*hi +
//   lo.
//
// NUMERICS.md section 3: the layout is compression, not meaning.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "numerics/integer_matrix.h"
#include "program/program.h"

namespace lockstep::program::isa {

inline constexpr uint32_t kPanelRows = 16;
inline constexpr uint32_t kColumnBlock = 32;

enum class PanelKind : uint8_t { Nibble, Byte, Plain8, Plain16 };

const char* panel_kind_name(PanelKind kind);  // "nibble", "byte", "plain8", "plain16"

struct PanelLayout {
  PanelKind kind = PanelKind::Nibble;
  uint64_t rows = 0;
  uint64_t columns = 0;
  uint32_t group_columns = 32;  // Nibble, Byte: 16 or 32; else 32
  bool has_offsets = false;     // Byte

  uint64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  uint64_t groups() const { return (columns + group_columns - 1) / group_columns; }
  uint32_t group_bytes() const;
  uint64_t panel_bytes() const { return groups() * group_bytes(); }
  uint64_t bytes() const { return panels() * panel_bytes(); }
};

// The columns of a vector padded for the kernels.
inline uint64_t padded_columns(uint64_t columns) {
  return (columns + kColumnBlock - 1) / kColumnBlock * kColumnBlock;
}

PanelLayout panel_layout(const numerics::IntegerMatrix& matrix);
PanelLayout panel_layout(const Matrix& matrix);

// Packs into out of layout.bytes() bytes, whatever they hold.
void pack_panels(const numerics::IntegerMatrix& matrix, const PanelLayout& layout, std::span<std::byte> out);

// The integers of row r, into w of `columns` elements.
void unpack_row(const PanelLayout& layout, Bytes panels, uint64_t r, std::span<int16_t> w);

// Whether the stored form of row r keeps NUMERICS.md section 3: mu, offset and the integers that they give in
// their bounds, the planes of Plain16 balanced. What unpack_row gives means something only then.
bool codes_in_bounds(const PanelLayout& layout, Bytes panels, uint64_t r);

}  // namespace lockstep::program::isa
