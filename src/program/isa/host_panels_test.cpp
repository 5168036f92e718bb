// Panels: every kind, group width and odd shape packs and unpacks to the same integers, extremes included,
// and what breaks the contract's bounds is seen.
#include "program/isa/host_panels.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "numerics/q16.h"

namespace lockstep::program::isa {
namespace {

using numerics::IntegerMatrix;
using numerics::MatrixKind;

struct Shape {
  PanelKind panel;
  MatrixKind kind;
  uint32_t code_bits, group_columns;
  bool offsets;
};

constexpr std::array kShapes = {Shape{PanelKind::Nibble, MatrixKind::Group, 4, 32, true},
                                Shape{PanelKind::Nibble, MatrixKind::Group, 4, 16, true},
                                Shape{PanelKind::Nibble, MatrixKind::Group, 4, 32, false},
                                Shape{PanelKind::Byte, MatrixKind::Group, 5, 32, true},
                                Shape{PanelKind::Byte, MatrixKind::Group, 5, 32, false},
                                Shape{PanelKind::Byte, MatrixKind::Group, 6, 16, true},
                                Shape{PanelKind::Byte, MatrixKind::Group, 6, 16, false},
                                Shape{PanelKind::Byte, MatrixKind::Group, 8, 32, false},
                                Shape{PanelKind::Byte, MatrixKind::Group, 8, 16, true},
                                Shape{PanelKind::Plain8, MatrixKind::Plain8, 0, 0, false},
                                Shape{PanelKind::Plain16, MatrixKind::Plain16, 0, 0, false}};

// Codes in every value; mu and offsets at their ends as far as |w| <= 32512 lets both.
IntegerMatrix make(const Shape& shape, uint64_t rows, uint64_t columns) {
  std::mt19937 random(static_cast<uint32_t>(rows * 1000 + columns));
  auto number = [&](int32_t low, int32_t high) {
    const uint32_t span = static_cast<uint32_t>(high - low + 1);
    return low + static_cast<int32_t>(random() % span);
  };
  IntegerMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.kind = shape.kind;
  matrix.row_scales.assign(rows, 1.0f);
  if (shape.kind != MatrixKind::Group) {
    const int32_t limit = shape.kind == MatrixKind::Plain8 ? 127 : numerics::kQ16Levels;
    for (uint64_t i = 0; i < rows * columns; ++i)
      matrix.plain.push_back(static_cast<int16_t>(number(-limit, limit)));
    matrix.plain.front() = static_cast<int16_t>(limit);
    matrix.plain.back() = static_cast<int16_t>(-limit);
    return matrix;
  }
  matrix.code_bits = shape.code_bits;
  matrix.group_columns = shape.group_columns;
  for (uint64_t i = 0; i < rows * columns; ++i) {
    matrix.codes.push_back(static_cast<uint8_t>(number(0, (1 << shape.code_bits) - 1)));
  }
  const int32_t zero = matrix.code_zero();
  const int32_t mu_max = std::min(shape.code_bits == 4 ? numerics::kMuMax4 : numerics::kMuMaxWide,
                                  (numerics::kQ16Levels - (shape.offsets ? 300 : 0)) / zero);
  for (uint64_t g = 0; g < rows * columns / shape.group_columns; ++g) {
    const int32_t mu = g % 3 == 0 ? mu_max : g % 3 == 1 ? -mu_max : number(-mu_max, mu_max);
    const int32_t room = numerics::kQ16Levels - std::abs(mu) * zero;
    matrix.mu.push_back(static_cast<int16_t>(mu));
    const int32_t offset = g == 0 ? room : number(-room, room);
    matrix.offset.push_back(static_cast<int16_t>(shape.offsets ? offset : 0));
  }
  return matrix;
}

TEST(HostPanels, PackAndUnpackEveryKind) {
  for (const Shape& shape : kShapes) {
    for (uint64_t rows : {1, 15, 16, 17, 33}) {
      for (uint64_t unit : {1, 2, 3, 7}) {
        const uint64_t columns = shape.group_columns != 0 ? unit * shape.group_columns : unit * 32 - unit % 5;
        const IntegerMatrix matrix = make(shape, rows, columns);
        const PanelLayout layout = panel_layout(matrix);
        ASSERT_EQ(layout.kind, shape.panel);
        ASSERT_EQ(layout.has_offsets, shape.panel == PanelKind::Nibble || shape.offsets);
        std::vector<std::byte> panels(layout.bytes(), std::byte{0xa5});
        pack_panels(matrix, layout, panels);
        std::vector<int16_t> wanted(columns), got(columns);
        for (uint64_t r = 0; r < rows; ++r) {
          matrix.row(r, wanted);
          unpack_row(layout, panels, r, got);
          ASSERT_EQ(got, wanted) << rows << "x" << columns << " row " << r;
          ASSERT_TRUE(codes_in_bounds(layout, panels, r)) << r;
        }
        // Padding rows and columns are zero weights.
        PanelLayout padded = layout;
        padded.columns = layout.groups() * layout.group_columns;
        std::vector<int16_t> whole(padded.columns);
        for (uint64_t r = 0; r < layout.panels() * kPanelRows; ++r) {
          unpack_row(padded, panels, r, whole);
          for (uint64_t k = r < rows ? columns : 0; k < padded.columns; ++k)
            ASSERT_EQ(whole[k], 0) << r << " " << k;
        }
      }
    }
  }
}

// The lines of the header's comment, by hand.
TEST(HostPanels, PlacesBytesWhereTheLayoutSays) {
  IntegerMatrix matrix = make(kShapes[0], 16, 32);
  PanelLayout layout = panel_layout(matrix);
  std::vector<std::byte> panels(layout.bytes());
  pack_panels(matrix, layout, panels);
  ASSERT_EQ(layout.bytes(), 4u * 64 + 64);
  const uint64_t row = 5;
  auto code = [&](uint64_t k) { return matrix.codes[row * 32 + k]; };
  // Line 2, byte 3: columns 11 and 27.
  EXPECT_EQ(std::to_integer<int>(panels[2 * 64 + row * 4 + 3]), code(11) | code(27) << 4);
  int16_t pair[2];
  std::memcpy(pair, panels.data() + 4 * 64 + row * 4, sizeof(pair));
  EXPECT_EQ(pair[0], matrix.mu[row]);
  EXPECT_EQ(pair[1], matrix.offset[row]);

  matrix = make(kShapes[10], 16, 32);
  layout = panel_layout(matrix);
  panels.assign(layout.bytes(), {});
  pack_panels(matrix, layout, panels);
  ASSERT_EQ(layout.bytes(), 16u * 64);
  const int32_t w = matrix.plain[row * 32 + 30];
  EXPECT_EQ(std::to_integer<int>(panels[7 * 64 + row * 4 + 2]) - 128, numerics::plane_hi(w));
  EXPECT_EQ(std::to_integer<int>(panels[15 * 64 + row * 4 + 2]) - 128, numerics::plane_lo(w));
}

TEST(HostPanels, SeesCodesOutOfBounds) {
  struct Damage {
    const Shape& shape;
    uint64_t at;  // of an int16, or of two bytes
    int16_t value;
  };
  const Damage damages[] = {{kShapes[0], 4 * 64, 4096},         // mu of 4 bits
                            {kShapes[0], 4 * 64, -32768},       // and with w far out of int16
                            {kShapes[0], 4 * 64 + 2, 32513},    // offset
                            {kShapes[7], 8 * 64, 1024},         // mu of 8 bits
                            {kShapes[3], 8 * 64 + 32, -32768},  // offset of 5 bits
                            {kShapes[10], 0, 0},                // high planes of -128
                            {kShapes[10], 8 * 64, 0}};          // low planes of -128
  for (const Damage& damage : damages) {
    const IntegerMatrix matrix = make(damage.shape, 1, 32);
    const PanelLayout layout = panel_layout(matrix);
    std::vector<std::byte> panels(layout.bytes());
    pack_panels(matrix, layout, panels);
    ASSERT_TRUE(codes_in_bounds(layout, panels, 0));
    std::memcpy(panels.data() + damage.at, &damage.value, sizeof(damage.value));
    EXPECT_FALSE(codes_in_bounds(layout, panels, 0)) << damage.at << " " << damage.value;
  }
}

}  // namespace
}  // namespace lockstep::program::isa
