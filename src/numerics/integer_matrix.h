// A weight matrix as the contract sees it, integers with one scale a row, and the pinned import that makes
// one out of a file's tensor. NUMERICS.md section 3.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "numerics/tensor.h"

namespace lockstep::numerics {

inline constexpr int64_t kRowNormMax = (int64_t{1} << 24) - 1;  // the largest L1 norm of a row
inline constexpr uint64_t kColumnsMax = 131072;                 // E*K stays well below kRowNormMax
inline constexpr int32_t kMuMax4 = 4095;                        // |mu| of 4-bit group codes
inline constexpr int32_t kMuMaxWide = 1023;                     // |mu| of wider group codes

// How the integers of a matrix are held. Plain8 and Plain16 hold w itself, Group holds a code a column and
// (mu, offset) a group: w = mu * (q - 2^(code_bits-1)) + offset.
enum class MatrixKind : uint8_t { Plain8, Plain16, Group };

struct IntegerMatrix {
  uint64_t rows = 0;
  uint64_t columns = 0;
  MatrixKind kind = MatrixKind::Plain16;
  uint32_t code_bits = 0;           // 4, 5, 6 or 8; Group only
  uint32_t group_columns = 0;       // 16 or 32; Group only
  std::vector<float> row_scales;    // sw, [rows]
  std::vector<int16_t> plain;       // w, [rows][columns]; Plain8 and Plain16
  std::vector<uint8_t> codes;       // q, [rows][columns]; Group
  std::vector<int16_t> mu, offset;  // [rows][columns / group_columns]; Group

  int32_t code_zero() const { return 1 << (code_bits - 1); }
  bool has_offsets() const;
  // Not, where only the sizes are known.
  bool has_values() const { return !plain.empty() || !codes.empty(); }
  // The integers of row r, into w of `columns` elements.
  void row(uint64_t r, std::span<int16_t> w) const;
};

// Which code a tensor gets: Faithful keeps group codes as group codes and floats as 16-bit integers; Int8
// makes every matrix plain int8.
enum class WeightVariant : uint8_t { Faithful, Int8 };
const char* weight_variant_name(WeightVariant variant);

// How far the integers are from the file's values.
struct ImportError {
  double relative = 0;     // sqrt(sum (W - v)^2 / sum v^2) over the matrix
  double worst = 0;        // the largest |W - v|
  uint64_t worst_row = 0;  // where it is
  uint64_t worst_column = 0;
};

// The pinned import. Throws a user's error that names tensor and row where a value is not finite or a row's
// scale would reach 2^32.
IntegerMatrix import_matrix(const Tensor& tensor, WeightVariant variant);
ImportError measure_import_error(const Tensor& tensor, const IntegerMatrix& matrix);

}  // namespace lockstep::numerics
