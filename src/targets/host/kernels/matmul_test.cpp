// The matrix product of every table against int64 sums over the integers that unpack_row gives, bit for bit.
#include <algorithm>
#include <numeric>

#include "numerics/float32.h"
#include "numerics/q16.h"
#include "targets/host/kernels/kernels_testing.h"
#include "targets/host/kernels/matmul_amx.h"

namespace lockstep::targets::host {
namespace {

using numerics::IntegerMatrix;
using numerics::MatrixKind;
using program::isa::PanelKind;
using program::isa::PanelLayout;

struct Shape {
  uint64_t rows, columns;
  uint32_t tokens;
};

// How the integers of a matrix are chosen.
enum class Values { Random, CodesAtEnds, LargestNorm };

struct Code {
  MatrixKind kind;
  uint32_t code_bits, group_columns;
  bool offsets;
};

constexpr Code kCodes[] = {
    {MatrixKind::Group, 4, 32, true},  {MatrixKind::Group, 4, 16, true},  {MatrixKind::Group, 4, 32, false},
    {MatrixKind::Group, 8, 32, false}, {MatrixKind::Group, 8, 32, true},  {MatrixKind::Group, 8, 16, false},
    {MatrixKind::Group, 8, 16, true},  {MatrixKind::Group, 6, 16, false}, {MatrixKind::Group, 5, 32, true},
    {MatrixKind::Plain8, 0, 0, false}, {MatrixKind::Plain16, 0, 0, false}};

int64_t row_norm(const IntegerMatrix& matrix, uint64_t r) {
  std::vector<int16_t> w(matrix.columns);
  matrix.row(r, w);
  int64_t norm = 0;
  for (int16_t value : w) norm += std::abs(int64_t{value});
  return norm;
}

// A group's mu and o, cut down until every w fits 32512.
void choose_group(const IntegerMatrix& matrix, Values values, Random& random, int16_t& mu, int16_t& offset,
                  bool offsets) {
  const int64_t mu_max = matrix.code_bits == 4 ? numerics::kMuMax4 : numerics::kMuMaxWide;
  const int64_t reach = matrix.code_zero();
  int64_t m =
      values == Values::Random ? random.integer(-mu_max, mu_max) : (random.chance(2) ? mu_max : -mu_max);
  m = std::clamp<int64_t>(m, -(32512 / reach), 32512 / reach);
  const int64_t room = 32512 - std::abs(m) * reach;
  mu = static_cast<int16_t>(m);
  offset = static_cast<int16_t>(!offsets ? 0 : random.integer(-room, room));
}

// Halves a row's numbers until its L1 norm is inside the contract.
void keep_norm(IntegerMatrix& matrix, uint64_t r) {
  while (row_norm(matrix, r) > numerics::kRowNormMax) {
    if (matrix.kind == MatrixKind::Group) {
      const uint64_t groups = matrix.columns / matrix.group_columns;
      for (uint64_t g = 0; g < groups; ++g) {
        matrix.mu[r * groups + g] /= 2;
        matrix.offset[r * groups + g] /= 2;
      }
    } else {
      for (uint64_t k = 0; k < matrix.columns; ++k) matrix.plain[r * matrix.columns + k] /= 2;
    }
  }
}

// Raises a plain row to the largest norm that the contract allows, where the columns have room.
void raise_norm(IntegerMatrix& matrix, uint64_t r, int64_t largest) {
  int64_t rest = numerics::kRowNormMax - row_norm(matrix, r);
  for (uint64_t k = 0; k < matrix.columns && rest > 0; ++k) {
    int16_t& w = matrix.plain[r * matrix.columns + k];
    const int64_t more = std::min(rest, largest - std::abs(int64_t{w}));
    w = static_cast<int16_t>(w + (w < 0 ? -more : more));
    rest -= more;
  }
}

IntegerMatrix make_matrix(const Code& code, uint64_t rows, uint64_t columns, Values values, Random& random) {
  IntegerMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.kind = code.kind;
  for (uint64_t r = 0; r < rows; ++r) matrix.row_scales.push_back(std::abs(random.normal(1e-4f)) + 0x1p-40f);
  if (code.kind == MatrixKind::Group) {
    matrix.code_bits = code.code_bits;
    matrix.group_columns = code.group_columns;
    const int64_t last = (1 << code.code_bits) - 1;
    const uint64_t groups = columns / code.group_columns;
    matrix.codes.resize(rows * columns);
    for (uint8_t& q : matrix.codes) {
      q = static_cast<uint8_t>(values == Values::Random ? random.integer(0, last)
                               : random.chance(16)      ? last
                                                        : 0);
    }
    matrix.mu.resize(rows * groups);
    matrix.offset.resize(rows * groups);
    for (uint64_t i = 0; i < rows * groups; ++i) {
      choose_group(matrix, values, random, matrix.mu[i], matrix.offset[i], code.offsets);
    }
  } else {
    const int64_t largest = code.kind == MatrixKind::Plain8 ? 127 : 32512;
    matrix.plain.resize(rows * columns);
    for (int16_t& w : matrix.plain) {
      w = static_cast<int16_t>(values == Values::Random ? random.integer(-largest, largest)
                               : random.chance(2)       ? largest
                                                        : -largest);
    }
    for (uint64_t r = 0; r < rows; ++r) keep_norm(matrix, r);
    if (values == Values::LargestNorm) {
      for (uint64_t r = 0; r < rows; ++r) raise_norm(matrix, r, largest);
    }
  }
  for (uint64_t r = 0; r < rows; ++r) keep_norm(matrix, r);
  return matrix;
}

// A row of x whose quantised values are extreme: |a| = 32512 with the signs of a row of w, which makes the
// largest sums that the matrix allows.
std::vector<float> aligned_with(const std::vector<int16_t>& w) {
  std::vector<float> x;
  for (int16_t value : w) x.push_back(value < 0 ? -1.0f : 1.0f);
  return x;
}

// Group codes have whole groups of columns.
Shape whole_groups(const Code& code, Shape shape) {
  if (code.kind == MatrixKind::Group) {
    shape.columns = (shape.columns + code.group_columns - 1) / code.group_columns * code.group_columns;
  }
  return shape;
}

// One matrix with its panels and its quantised inputs, and the expected output.
class Case {
 public:
  Case(const Code& code, const Shape& shape, Values values, uint64_t seed)
      : random_(seed),
        shape_(whole_groups(code, shape)),
        matrix_(make_matrix(code, shape_.rows, shape_.columns, values, random_)),
        layout_(program::isa::panel_layout(matrix_)),
        panels_(layout_.bytes()),
        x_layout_(shape_.columns),
        x_row_bytes_(x_layout_.row_bytes() + 64) {
    program::isa::pack_panels(matrix_, layout_, panels_);
    scales_ = matrix_.row_scales;
    scales_.resize(layout_.panels() * program::isa::kPanelRows);
    bias_ = random_.normals(shape.rows, 1.0f);
    y_row_floats_ = shape.rows + 3;
    before_ = random_.normals(shape.tokens * y_row_floats_, 1.0f);
    w_.resize(shape_.rows, std::vector<int16_t>(shape_.columns));
    for (uint64_t r = 0; r < shape.rows; ++r) program::isa::unpack_row(layout_, panels_, r, w_[r]);
    quantise_inputs(values);
  }

  void check(const KernelTable& table, bool with_bias, bool add, uint64_t panel_begin, uint64_t panel_end) {
    Guarded<float> expected(before_.size()), actual(before_.size());
    std::copy(before_.begin(), before_.end(), expected.data());
    std::copy(before_.begin(), before_.end(), actual.data());
    MatMulArguments arguments;
    arguments.x = x_.data();
    arguments.x_row_bytes = x_row_bytes_;
    arguments.y = actual.data();
    arguments.y_row_floats = y_row_floats_;
    arguments.rows = shape_.tokens;
    arguments.layout = layout_;
    arguments.panels = panels_.data();
    arguments.scales = scales_.data();
    arguments.bias = with_bias ? bias_.data() : nullptr;
    arguments.add = add;
    arguments.panel_begin = panel_begin;
    arguments.panel_end = panel_end;
    table.matmul(arguments);
    expect(arguments, expected.data());
    EXPECT_TRUE(same_bits(expected, actual))
        << table.name << ", kind " << static_cast<int>(layout_.kind) << ", group " << layout_.group_columns
        << ", offsets " << layout_.has_offsets << ", " << shape_.rows << " x " << shape_.columns << ", "
        << shape_.tokens << " tokens, bias " << with_bias << ", add " << add << ", panels " << panel_begin
        << " to " << panel_end;
  }
  uint64_t panels() const { return layout_.panels(); }

 private:
  void quantise_inputs(Values values) {
    // The last row of x ends where its memory ends: a read past it is a sanitizer's finding.
    x_.resize((shape_.tokens - 1) * x_row_bytes_ + x_layout_.row_bytes());
    for (uint32_t m = 0; m < shape_.tokens; ++m) {
      std::vector<float> x = random_.normals(shape_.columns, m % 3 == 0 ? 100.0f : 0.01f);
      if (values != Values::Random)
        x = aligned_with(w_[static_cast<uint64_t>(random_.integer(0, int64_t(shape_.rows) - 1))]);
      if (m % 5 == 4) std::fill(x.begin(), x.end(), 0.0f);
      std::vector<int16_t> a(shape_.columns);
      float s = 0;
      ASSERT_TRUE(numerics::quantise(x, numerics::kQ16Levels, a, s));
      ASSERT_TRUE(scalar_kernels().quantise(x.data(), x.size(), x_.data() + m * x_row_bytes_));
      a_.push_back(a);
      s_.push_back(s);
    }
  }

  void expect(const MatMulArguments& arguments, float* y) const {
    for (uint32_t m = 0; m < shape_.tokens; ++m) {
      for (uint64_t r = arguments.panel_begin * 16; r < std::min(arguments.panel_end * 16, shape_.rows);
           ++r) {
        int64_t sum = 0;
        for (uint64_t k = 0; k < shape_.columns; ++k) sum += int64_t{w_[r][k]} * a_[m][k];
        float value = numerics::f32(sum) * (scales_[r] * s_[m]);
        if (arguments.bias != nullptr) value = value + bias_[r];
        float& out = y[m * y_row_floats_ + r];
        out = arguments.add ? out + value : value;
      }
    }
  }

  Random random_;
  Shape shape_;
  IntegerMatrix matrix_;
  PanelLayout layout_;
  std::vector<std::byte> panels_;
  Q16Layout x_layout_;
  uint64_t x_row_bytes_, y_row_floats_ = 0;
  std::vector<float> scales_, bias_, before_, s_;
  std::vector<std::byte> x_;
  std::vector<std::vector<int16_t>> w_, a_;
};

std::vector<const KernelTable*> all_tables() {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_kernels());
  return tables;
}

TEST(MatMul, EveryKindOverOddShapes) {
  constexpr Shape kShapes[] = {{1, 1, 1},   {16, 32, 1},  {17, 31, 2},  {15, 33, 3},   {40, 64, 4},
                               {48, 97, 5}, {33, 200, 6}, {50, 576, 7}, {20, 1000, 9}, {35, 1536, 16}};
  uint64_t seed = 1;
  for (const Code& code : kCodes) {
    for (const Shape& shape : kShapes) {
      Case one(code, shape, Values::Random, seed++);
      for (const KernelTable* table : all_tables()) {
        one.check(*table, false, false, 0, one.panels());
        one.check(*table, true, true, 0, one.panels());
      }
    }
  }
}

TEST(MatMul, EveryWidthAndTokenCount) {
  uint64_t seed = 1000;
  for (const Code& code : kCodes) {
    for (uint64_t columns = 1; columns <= 200; columns += 1 + columns / 40) {
      Case one(code, {18, columns, 1 + static_cast<uint32_t>(columns % 9)}, Values::Random, seed++);
      for (const KernelTable* table : vector_tables())
        one.check(*table, columns % 2 == 0, columns % 3 == 0, 0, 2);
    }
  }
}

TEST(MatMul, ManyTokens) {
  uint64_t seed = 2000;
  for (const Code& code : kCodes) {
    Case one(code, {90, 700, 33}, Values::Random, seed++);
    for (const KernelTable* table : all_tables()) one.check(*table, true, false, 0, one.panels());
  }
}

TEST(MatMul, SharesOfPanels) {
  for (const Code& code : kCodes) {
    Case one(code, {75, 160, 5}, Values::Random, 3000);
    for (const KernelTable* table : vector_tables()) {
      one.check(*table, false, true, 0, 1);
      one.check(*table, true, false, 2, 4);
      one.check(*table, false, false, 4, 5);
      one.check(*table, false, false, 3, 3);
    }
  }
}

// The product on a tile unit, here one in plain C++; where the CPU has its own, that one is among
// all_tables().
const KernelTable& emulated_tiles() {
  static const KernelTable table = [] {
    KernelTable emulated = scalar_kernels();
    emulated.name = "emulated tiles";
    emulated.matmul = TileMatMul<EmulatedTileUnit>::run;
    return emulated;
  }();
  return table;
}

TEST(MatMul, TileUnit) {
  // Odd widths, several blocks of columns (640) and of tokens (512), tiles that share tokens.
  constexpr Shape kShapes[] = {{1, 1, 16},    {17, 31, 17},  {16, 64, 25},   {40, 97, 31},
                               {33, 208, 32}, {50, 650, 40}, {20, 1400, 33}, {18, 40, 530}};
  uint64_t seed = 6000;
  for (const Code& code : kCodes) {
    for (const Shape& shape : kShapes) {
      Case one(code, shape, Values::Random, seed++);
      std::vector<const KernelTable*> tables = vector_tables();
      tables.push_back(&emulated_tiles());
      for (const KernelTable* table : tables) {
        one.check(*table, false, false, 0, one.panels());
        one.check(*table, true, true, one.panels() / 2, one.panels());
      }
    }
    for (Values values : {Values::CodesAtEnds, Values::LargestNorm}) {
      Case one(code, {33, 1300, 29}, values, seed++);
      for (const KernelTable* table : all_tables()) one.check(*table, false, false, 0, one.panels());
      one.check(emulated_tiles(), false, false, 0, one.panels());
    }
  }
}

TEST(MatMul, LargestSums) {
  uint64_t seed = 4000;
  for (const Code& code : kCodes) {
    for (Values values : {Values::CodesAtEnds, Values::LargestNorm}) {
      for (const Shape& shape : {Shape{17, 480, 1}, Shape{16, 600, 4}, Shape{16, 5000, 3}}) {
        Case one(code, shape, values, seed++);
        for (const KernelTable* table : all_tables()) one.check(*table, false, false, 0, one.panels());
      }
    }
  }
}

TEST(MatMul, WideMatrices) {
  uint64_t seed = 5000;
  for (const Code& code : kCodes) {
    for (uint64_t columns : {uint64_t{8200}, uint64_t{65536}}) {
      Case one(code, {18, columns, columns > 60000 ? 1u : 5u}, Values::Random, seed++);
      for (const KernelTable* table : vector_tables()) one.check(*table, false, false, 0, one.panels());
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::host
