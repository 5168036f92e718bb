#include "numerics/integer_matrix.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "numerics/float32.h"
#include "numerics/q16.h"

namespace lockstep::numerics {

const char* weight_variant_name(WeightVariant variant) {
  return variant == WeightVariant::Faithful ? "faithful" : "int8";
}

bool IntegerMatrix::has_offsets() const {
  return std::any_of(offset.begin(), offset.end(), [](int16_t o) { return o != 0; });
}

void IntegerMatrix::row(uint64_t r, std::span<int16_t> w) const {
  if (kind != MatrixKind::Group) {
    std::copy_n(plain.begin() + static_cast<ptrdiff_t>(r * columns), columns, w.begin());
    return;
  }
  const uint64_t groups = columns / group_columns;
  const uint8_t* q = codes.data() + r * columns;
  for (uint64_t k = 0; k < columns; ++k) {
    const uint64_t g = r * groups + k / group_columns;
    w[k] = static_cast<int16_t>(mu[g] * (q[k] - code_zero()) + offset[g]);
  }
}

namespace {

struct RowNorms {
  double largest = 0;  // A
  double sum = 0;      // B, in order of k
};

RowNorms row_norms(const Tensor& tensor, uint64_t r, std::span<const double> values) {
  RowNorms norms;
  for (size_t k = 0; k < values.size(); ++k) {
    const double magnitude = std::fabs(values[k]);
    if (!std::isfinite(magnitude)) {
      user_error("tensor {} has a value that is not finite at row {}, column {}; the file is damaged",
                 tensor.name, r, k);
    }
    norms.largest = std::max(norms.largest, magnitude);
    norms.sum += magnitude;
  }
  return norms;
}

// sw out of t; 0 for a row that is to be zero.
float row_scale(const Tensor& tensor, uint64_t r, double t) {
  if (static_cast<float>(t) >= 0x1p32f) {
    user_error("tensor {} has values too large at row {}: its scale would be {:g}, below 2^32 is wanted",
               tensor.name, r, t);
  }
  return t < 0x1p-44 ? 0.0f : static_cast<float>(t);
}

int16_t to_integer(double value, float sw) {
  return static_cast<int16_t>(rint64(value / static_cast<double>(sw)));
}

void import_plain_row(const Tensor& tensor, uint64_t r, std::span<const double> values, int32_t levels,
                      IntegerMatrix& matrix) {
  const RowNorms norms = row_norms(tensor, r, values);
  const double budget = static_cast<double>(kRowNormMax) - static_cast<double>(matrix.columns);
  const float sw = row_scale(tensor, r, std::max(norms.largest / levels, norms.sum / budget));
  matrix.row_scales[r] = sw;
  if (sw == 0) return;
  for (uint64_t k = 0; k < matrix.columns; ++k)
    matrix.plain[r * matrix.columns + k] = to_integer(values[k], sw);
}

void import_group_row(const Tensor& tensor, uint64_t r, std::span<const double> values,
                      const GroupCodeRow& code, IntegerMatrix& matrix) {
  const RowNorms norms = row_norms(tensor, r, values);
  const double slack = (1 << (matrix.code_bits - 2)) + 1;  // E
  const double budget = static_cast<double>(kRowNormMax) - slack * static_cast<double>(matrix.columns);
  const double mu_max = matrix.code_bits == 4 ? kMuMax4 : kMuMaxWide;
  double t = std::max(norms.largest / (kQ16Levels - slack), norms.sum / budget);
  for (double d : code.d) t = std::max(t, std::fabs(d) / mu_max);
  for (double c : code.c) t = std::max(t, std::fabs(c) / kQ16Levels);
  const float sw = row_scale(tensor, r, t);
  matrix.row_scales[r] = sw;
  const uint64_t groups = code.d.size();
  if (sw == 0) {
    std::fill_n(matrix.codes.begin() + static_cast<ptrdiff_t>(r * matrix.columns), matrix.columns,
                static_cast<uint8_t>(matrix.code_zero()));
    return;
  }
  std::copy(code.q.begin(), code.q.end(), matrix.codes.begin() + static_cast<ptrdiff_t>(r * matrix.columns));
  for (uint64_t g = 0; g < groups; ++g) {
    matrix.mu[r * groups + g] = to_integer(code.d[g], sw);
    matrix.offset[r * groups + g] = to_integer(code.c[g], sw);
  }
}

}  // namespace

IntegerMatrix import_matrix(const Tensor& tensor, WeightVariant variant) {
  const TensorTypeInfo& info = tensor_type_info(tensor.type);
  IntegerMatrix matrix;
  matrix.rows = tensor.rows();
  matrix.columns = tensor.columns();
  matrix.row_scales.resize(matrix.rows);
  const bool group = variant == WeightVariant::Faithful && info.code_bits != 0;
  if (group) {
    matrix.kind = MatrixKind::Group;
    matrix.code_bits = info.code_bits;
    matrix.group_columns = info.group_columns;
    matrix.codes.resize(matrix.rows * matrix.columns);
    matrix.mu.resize(matrix.rows * (matrix.columns / matrix.group_columns));
    matrix.offset.resize(matrix.mu.size());
  } else {
    matrix.kind = variant == WeightVariant::Int8 ? MatrixKind::Plain8 : MatrixKind::Plain16;
    matrix.plain.resize(matrix.rows * matrix.columns);
  }
  if (matrix.columns > kColumnsMax) {
    user_error("tensor {} has {} columns; up to {} fit the numerics contract", tensor.name, matrix.columns,
               kColumnsMax);
  }
  const uint64_t row_bytes = matrix.columns / info.block_elements * info.block_bytes;
  std::vector<double> values(matrix.columns);
  GroupCodeRow code;
  for (uint64_t r = 0; r < matrix.rows; ++r) {
    const Bytes row = tensor.bytes.subspan(r * row_bytes, row_bytes);
    decode_row(tensor.type, row, values);
    if (group) {
      decode_group_code_row(tensor.type, row, matrix.columns, code);
      import_group_row(tensor, r, values, code, matrix);
    } else {
      import_plain_row(tensor, r, values, variant == WeightVariant::Int8 ? kQ8Levels : kQ16Levels, matrix);
    }
  }
  return matrix;
}

ImportError measure_import_error(const Tensor& tensor, const IntegerMatrix& matrix) {
  const TensorTypeInfo& info = tensor_type_info(tensor.type);
  const uint64_t row_bytes = matrix.columns / info.block_elements * info.block_bytes;
  std::vector<double> values(matrix.columns);
  std::vector<int16_t> w(matrix.columns);
  ImportError error;
  double error_squares = 0, value_squares = 0;
  for (uint64_t r = 0; r < matrix.rows; ++r) {
    decode_row(tensor.type, tensor.bytes.subspan(r * row_bytes, row_bytes), values);
    matrix.row(r, w);
    const double sw = matrix.row_scales[r];
    for (uint64_t k = 0; k < matrix.columns; ++k) {
      const double difference = std::fabs(sw * w[k] - values[k]);
      error_squares += difference * difference;
      value_squares += values[k] * values[k];
      if (difference > error.worst) {
        error.worst = difference;
        error.worst_row = r;
        error.worst_column = k;
      }
    }
  }
  error.relative = value_squares > 0 ? std::sqrt(error_squares / value_squares) : 0;
  return error;
}

}  // namespace lockstep::numerics
