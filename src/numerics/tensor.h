// How model files store numbers: ggml's tensor types, their exact values, and the group codes of
// NUMERICS.md section 3 that hold them without loss.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace lockstep::numerics {

// The numbers are ggml's own, as they stand in GGUF files.
enum class TensorType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ4_NL = 20,
  IQ4_XS = 23,
  BF16 = 30,
};

struct TensorTypeInfo {
  TensorType type;
  const char* name;         // ggml's name
  uint32_t block_elements;  // a row is a whole number of blocks
  uint32_t block_bytes;
  uint32_t code_bits;      // bits of the group code that holds the type exactly; 0 where it is plain numbers
  uint32_t group_columns;  // columns that share one d and one c of that code; 0 where it is plain numbers
};

// All types that can be read, by rising number.
std::span<const TensorTypeInfo> tensor_types();

// nullptr where the number is unknown or not supported.
const TensorTypeInfo* find_tensor_type(uint32_t ggml_number);
const TensorTypeInfo& tensor_type_info(TensorType type);

// A tensor as its file holds it. `bytes` is a view: whoever owns the file must outlive it.
struct Tensor {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<uint64_t> shape;  // shape[0] counts the columns, whose elements are contiguous
  Bytes bytes;

  uint64_t columns() const;
  uint64_t rows() const;  // the product of all other dimensions
  uint64_t row_bytes() const;
  Bytes row(uint64_t index) const;
};

// The exact value of every element of a row, binary64. `row` holds exactly values.size() elements, a whole
// number of blocks. Infinities and NaNs come through as values that are not finite.
void decode_row(TensorType type, Bytes row, std::span<double> values);

// A row as a group code of b = code_bits: v = d[g] * (q[k] - 2^(b-1)) + c[g] exactly, with g = k /
// group_columns. d may be zero or negative. Where the file's numbers are not finite, d or c of their group is
// not finite.
struct GroupCodeRow {
  std::vector<uint8_t> q;    // one per column, 0 .. 2^b - 1
  std::vector<double> d, c;  // one per group
};

// Only for types with code_bits > 0; `columns` is a whole number of blocks and `row` holds exactly those.
// Reuses the memory of `code`.
void decode_group_code_row(TensorType type, Bytes row, uint64_t columns, GroupCodeRow& code);

}  // namespace lockstep::numerics
