#include "program/isa/host_panels.h"

#include <algorithm>
#include <cstdlib>

#include "numerics/q16.h"

namespace lockstep::program::isa {

using numerics::IntegerMatrix;
using numerics::MatrixKind;

namespace {

constexpr uint32_t kLineBytes = 64;

// The byte of column k (within its block) of panel row r in a run of byte lines.
uint64_t byte_position(uint64_t k, uint64_t r) {
  return k / 4 * kLineBytes + r * 4 + k % 4;
}

// The byte and shift of column k of a nibble group.
struct NibblePosition {
  uint64_t byte;
  uint32_t shift;
};
NibblePosition nibble_position(uint32_t group_columns, uint64_t k, uint64_t r) {
  const uint64_t half = group_columns / 2;
  return {byte_position(k % half, r), k < half ? 0u : 4u};
}

void put_int16(std::byte* at, int16_t value) {
  std::memcpy(at, &value, sizeof(value));
}
int16_t get_int16(const std::byte* at) {
  int16_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// What is stored of one element: its code, and its group's mu and offset; of Plain16 the high plane as the
// code and the low one as the offset.
struct StoredElement {
  int32_t code = 0, mu = 1, offset = 0;
  int32_t value() const { return mu * code + offset; }
};

// Reads the elements of one row. OWNS nothing.
class RowReader {
 public:
  RowReader(const PanelLayout& layout, Bytes panels, uint64_t row)
      : layout_(layout),
        group_(layout.group_columns),
        group_bytes_(layout.group_bytes()),
        row_(row % kPanelRows),
        panel_(panels.data() + row / kPanelRows * layout.panel_bytes()) {}

  StoredElement at(uint64_t k) const {
    const std::byte* block = panel_ + k / group_ * group_bytes_;
    const uint64_t i = k % group_;
    if (layout_.kind == PanelKind::Nibble) {
      const NibblePosition place = nibble_position(group_, i, row_);
      const uint32_t code = (std::to_integer<uint32_t>(block[place.byte]) >> place.shift) & 15;
      const std::byte* pairs = block + group_ * kPanelRows / 2 + row_ * 4;
      return {static_cast<int32_t>(code) - 8, get_int16(pairs), get_int16(pairs + 2)};
    }
    StoredElement stored;
    stored.code = std::to_integer<int32_t>(block[byte_position(i, row_)]) - 128;
    const std::byte* after = block + group_ * kPanelRows;
    if (layout_.kind == PanelKind::Byte) {
      stored.mu = get_int16(after + row_ * 2);
      if (layout_.has_offsets) stored.offset = get_int16(after + row_ * 2 + 2 * kPanelRows);
    } else if (layout_.kind == PanelKind::Plain16) {
      stored.mu = 255;
      stored.offset = std::to_integer<int32_t>(after[byte_position(i, row_)]) - 128;
    }
    return stored;
  }

 private:
  const PanelLayout& layout_;
  const uint64_t group_, group_bytes_, row_;
  const std::byte* panel_;
};

}  // namespace

const char* panel_kind_name(PanelKind kind) {
  switch (kind) {
    case PanelKind::Nibble:
      return "nibble";
    case PanelKind::Byte:
      return "byte";
    case PanelKind::Plain8:
      return "plain8";
    case PanelKind::Plain16:
      return "plain16";
  }
  return "?";
}

uint32_t PanelLayout::group_bytes() const {
  switch (kind) {
    case PanelKind::Nibble:
      return group_columns * kPanelRows / 2 + 4 * kPanelRows;
    case PanelKind::Byte:
      return group_columns * kPanelRows + (has_offsets ? 4 : 2) * kPanelRows;
    case PanelKind::Plain8:
      return group_columns * kPanelRows;
    case PanelKind::Plain16:
      return 2 * group_columns * kPanelRows;
  }
  return 0;
}

PanelLayout panel_layout(const IntegerMatrix& matrix) {
  PanelLayout layout;
  layout.rows = matrix.rows;
  layout.columns = matrix.columns;
  switch (matrix.kind) {
    case MatrixKind::Plain8:
      layout.kind = PanelKind::Plain8;
      break;
    case MatrixKind::Plain16:
      layout.kind = PanelKind::Plain16;
      break;
    case MatrixKind::Group:
      layout.kind = matrix.code_bits == 4 ? PanelKind::Nibble : PanelKind::Byte;
      layout.group_columns = matrix.group_columns;
      layout.has_offsets = layout.kind == PanelKind::Nibble || matrix.has_offsets();
      break;
  }
  return layout;
}

PanelLayout panel_layout(const Matrix& matrix) {
  return {static_cast<PanelKind>(matrix.layout), matrix.rows, matrix.columns, matrix.group_columns,
          matrix.has_offsets != 0};
}

void pack_panels(const IntegerMatrix& matrix, const PanelLayout& layout, std::span<std::byte> out) {
  LOCKSTEP_CHECK(out.size() == layout.bytes());
  std::fill(out.begin(), out.end(), std::byte{0});
  const uint32_t group = layout.group_columns;
  const uint64_t groups = layout.groups();
  std::vector<int16_t> w(matrix.columns);
  for (uint64_t row = 0; row < layout.panels() * kPanelRows; ++row) {
    const uint64_t r = row % kPanelRows;
    const bool real = row < matrix.rows;
    if (real) matrix.row(row, w);
    for (uint64_t g = 0; g < groups; ++g) {
      std::byte* block = out.data() + (row / kPanelRows) * layout.panel_bytes() + g * layout.group_bytes();
      for (uint64_t i = 0; i < group; ++i) {
        const uint64_t k = g * group + i;
        const bool inside = real && k < matrix.columns;
        switch (layout.kind) {
          case PanelKind::Nibble: {
            const uint32_t code = inside ? matrix.codes[row * matrix.columns + k] : 8;
            const NibblePosition at = nibble_position(group, i, r);
            block[at.byte] |= static_cast<std::byte>(code << at.shift);
            break;
          }
          case PanelKind::Byte: {
            const int32_t code =
                inside ? matrix.codes[row * matrix.columns + k] - matrix.code_zero() + 128 : 128;
            block[byte_position(i, r)] = static_cast<std::byte>(code);
            break;
          }
          case PanelKind::Plain8:
            block[byte_position(i, r)] = static_cast<std::byte>((inside ? w[k] : 0) + 128);
            break;
          case PanelKind::Plain16: {
            const int32_t value = inside ? w[k] : 0;
            block[byte_position(i, r)] = static_cast<std::byte>(numerics::plane_hi(value) + 128);
            block[group * kPanelRows + byte_position(i, r)] =
                static_cast<std::byte>(numerics::plane_lo(value) + 128);
            break;
          }
        }
      }
      if (matrix.kind != MatrixKind::Group || !real) continue;
      const int16_t mu = matrix.mu[row * groups + g], offset = matrix.offset[row * groups + g];
      if (layout.kind == PanelKind::Nibble) {
        std::byte* pairs = block + group * kPanelRows / 2 + r * 4;
        put_int16(pairs, mu);
        put_int16(pairs + 2, offset);
      } else {
        std::byte* values = block + group * kPanelRows + r * 2;
        put_int16(values, mu);
        if (layout.has_offsets) put_int16(values + 2 * kPanelRows, offset);
      }
    }
  }
}

void unpack_row(const PanelLayout& layout, Bytes panels, uint64_t row, std::span<int16_t> w) {
  const RowReader reader(layout, panels, row);
  for (uint64_t k = 0; k < layout.columns; ++k) w[k] = static_cast<int16_t>(reader.at(k).value());
}

bool codes_in_bounds(const PanelLayout& layout, Bytes panels, uint64_t row) {
  const RowReader reader(layout, panels, row);
  const bool grouped = layout.kind == PanelKind::Nibble || layout.kind == PanelKind::Byte;
  const int32_t mu_max = layout.kind == PanelKind::Nibble ? numerics::kMuMax4 : numerics::kMuMaxWide;
  for (uint64_t k = 0; k < layout.columns; ++k) {
    const StoredElement stored = reader.at(k);
    const int32_t value = stored.value();
    if (std::abs(value) > numerics::kQ16Levels) return false;
    if (grouped && (std::abs(stored.mu) > mu_max || std::abs(stored.offset) > numerics::kQ16Levels))
      return false;
    if (layout.kind == PanelKind::Plain16 &&
        (numerics::plane_hi(value) != stored.code || numerics::plane_lo(value) != stored.offset)) {
      return false;
    }
  }
  return true;
}

}  // namespace lockstep::program::isa
