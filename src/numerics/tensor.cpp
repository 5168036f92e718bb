#include "numerics/tensor.h"

#include <array>
#include <bit>
#include <cstring>

namespace lockstep::numerics {
namespace {

constexpr uint32_t kMaxBlockElements = 256;
constexpr uint32_t kMaxBlockGroups = 16;

// One block, unpacked: value k is scale[g] * level[k] + offset[g] with g = k / group_columns.
struct Block {
  std::array<int16_t, kMaxBlockElements> level;
  std::array<double, kMaxBlockGroups> scale;
  std::array<double, kMaxBlockGroups> offset;
};

// What tensor_types() tells, and how a block is unpacked. A code's q - 2^(b-1) is level - centre: 0 where
// levels are signed already, half their range where they count from 0.
struct Format {
  int16_t centre;
  void (*unpack)(const uint8_t* bytes, Block& block);
};

uint16_t load_u16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// IEEE binary16 to binary64, exactly.
double half_value(uint16_t half) {
  const uint64_t sign = static_cast<uint64_t>(half >> 15) << 63;
  const uint32_t exponent = (half >> 10) & 31;
  const uint64_t fraction = half & 1023;
  if (exponent == 0) {
    const double magnitude = static_cast<double>(fraction) * 0x1p-24;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint64_t wide_exponent = exponent == 31 ? 2047 : exponent + (1023 - 15);
  return std::bit_cast<double>(sign | (wide_exponent << 52) | (fraction << 42));
}

double half_at(const uint8_t* bytes) {
  return half_value(load_u16(bytes));
}

// Element k of fields of `kBits` bits packed in chunks of kChunk bytes: a chunk's first kChunk elements are
// the lowest fields of its bytes, the next kChunk elements the fields above, and so on.
template <uint32_t kChunk, uint32_t kBits>
uint32_t field(const uint8_t* bytes, uint32_t k) {
  constexpr uint32_t kChunkElements = kChunk * (8 / kBits);
  const uint32_t within = k % kChunkElements;
  const uint32_t byte = bytes[k / kChunkElements * kChunk + within % kChunk];
  return (byte >> (within / kChunk * kBits)) & ((1u << kBits) - 1);
}

void set_group(Block& block, uint32_t group, double scale, double offset) {
  block.scale[group] = scale;
  block.offset[group] = offset;
}

// d | 32 nibbles
void unpack_q4_0(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), 0.0);
  for (uint32_t k = 0; k < 32; ++k) block.level[k] = static_cast<int16_t>(field<16, 4>(bytes + 2, k) - 8);
}

// d | m | 32 nibbles
void unpack_q4_1(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), half_at(bytes + 2));
  for (uint32_t k = 0; k < 32; ++k) block.level[k] = static_cast<int16_t>(field<16, 4>(bytes + 4, k));
}

uint32_t five_bits(const uint8_t* high, const uint8_t* low, uint32_t k) {
  return field<16, 4>(low, k) | (field<1, 1>(high, k) << 4);
}

// d | 32 fifth bits | 32 nibbles
void unpack_q5_0(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), 0.0);
  for (uint32_t k = 0; k < 32; ++k) {
    block.level[k] = static_cast<int16_t>(five_bits(bytes + 2, bytes + 6, k) - 16);
  }
}

// d | m | 32 fifth bits | 32 nibbles
void unpack_q5_1(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), half_at(bytes + 2));
  for (uint32_t k = 0; k < 32; ++k) {
    block.level[k] = static_cast<int16_t>(five_bits(bytes + 4, bytes + 8, k));
  }
}

// d | 32 signed bytes
void unpack_q8_0(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), 0.0);
  for (uint32_t k = 0; k < 32; ++k) block.level[k] = static_cast<int8_t>(bytes[2 + k]);
}

// 16 pairs of (scale, minimum) in nibbles | 256 fields of 2 bits | d | dmin
void unpack_q2_k(const uint8_t* bytes, Block& block) {
  const double d = half_at(bytes + 80);
  const double minimum = half_at(bytes + 82);
  for (uint32_t group = 0; group < 16; ++group) {
    set_group(block, group, d * (bytes[group] & 15), -(minimum * (bytes[group] >> 4)));
  }
  for (uint32_t k = 0; k < 256; ++k) block.level[k] = static_cast<int16_t>(field<32, 2>(bytes + 16, k));
}

// 256 third bits | 256 fields of 2 bits | 16 scales of 6 bits (8 bytes of nibbles, 4 of bit pairs) | d.
// A third bit that is clear means minus 4.
void unpack_q3_k(const uint8_t* bytes, Block& block) {
  const uint8_t* scales = bytes + 96;
  const double d = half_at(bytes + 108);
  for (uint32_t group = 0; group < 16; ++group) {
    const uint32_t scale = field<8, 4>(scales, group) | (field<4, 2>(scales + 8, group) << 4);
    set_group(block, group, d * (static_cast<int32_t>(scale) - 32), 0.0);
  }
  for (uint32_t k = 0; k < 256; ++k) {
    const uint32_t level = field<32, 2>(bytes + 32, k) | (field<32, 1>(bytes, k) << 2);
    block.level[k] = static_cast<int16_t>(level - 4);
  }
}

// The head of Q4_K and Q5_K: d | dmin | eight scales and eight minima of 6 bits in 12 bytes. Bytes 0..3 and
// 4..7 hold the first four scales and minima, and above them the upper two bits of the other four, whose
// lower nibbles are in bytes 8..11.
void unpack_k_scales(const uint8_t* bytes, Block& block) {
  const double d = half_at(bytes);
  const double minimum = half_at(bytes + 2);
  const uint8_t* packed = bytes + 4;
  for (uint32_t group = 0; group < 4; ++group) {
    set_group(block, group, d * (packed[group] & 63), -(minimum * (packed[group + 4] & 63)));
    const uint32_t low = packed[group + 8];
    const uint32_t scale = (low & 15) | (static_cast<uint32_t>(packed[group] >> 6) << 4);
    const uint32_t offset = (low >> 4) | (static_cast<uint32_t>(packed[group + 4] >> 6) << 4);
    set_group(block, group + 4, d * scale, -(minimum * offset));
  }
}

// head | 256 nibbles
void unpack_q4_k(const uint8_t* bytes, Block& block) {
  unpack_k_scales(bytes, block);
  for (uint32_t k = 0; k < 256; ++k) block.level[k] = static_cast<int16_t>(field<32, 4>(bytes + 16, k));
}

// head | 256 fifth bits | 256 nibbles
void unpack_q5_k(const uint8_t* bytes, Block& block) {
  unpack_k_scales(bytes, block);
  for (uint32_t k = 0; k < 256; ++k) {
    const uint32_t level = field<32, 4>(bytes + 48, k) | (field<32, 1>(bytes + 16, k) << 4);
    block.level[k] = static_cast<int16_t>(level);
  }
}

// 256 nibbles | 256 upper fields of 2 bits | 16 signed scales | d
void unpack_q6_k(const uint8_t* bytes, Block& block) {
  const double d = half_at(bytes + 208);
  for (uint32_t group = 0; group < 16; ++group) {
    set_group(block, group, d * static_cast<int8_t>(bytes[192 + group]), 0.0);
  }
  for (uint32_t k = 0; k < 256; ++k) {
    const uint32_t level = field<64, 4>(bytes, k) | (field<32, 2>(bytes + 128, k) << 4);
    block.level[k] = static_cast<int16_t>(level - 32);
  }
}

// The sixteen levels of the IQ4 types.
constexpr std::array<int16_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};

// d | 32 nibbles, each the number of a level
void unpack_iq4_nl(const uint8_t* bytes, Block& block) {
  set_group(block, 0, half_at(bytes), 0.0);
  for (uint32_t k = 0; k < 32; ++k) block.level[k] = kIq4Levels[field<16, 4>(bytes + 2, k)];
}

// d | upper 2 bits of eight scales | their lower nibbles | 256 nibbles, each the number of a level
void unpack_iq4_xs(const uint8_t* bytes, Block& block) {
  const double d = half_at(bytes);
  for (uint32_t group = 0; group < 8; ++group) {
    const uint32_t scale = field<1, 4>(bytes + 4, group) | (field<1, 2>(bytes + 2, group) << 4);
    set_group(block, group, d * (static_cast<int32_t>(scale) - 32), 0.0);
  }
  for (uint32_t k = 0; k < 256; ++k) block.level[k] = kIq4Levels[field<16, 4>(bytes + 8, k)];
}

constexpr std::array<TensorTypeInfo, 15> kTypes = {{
    {TensorType::F32, "F32", 1, 4, 0, 0},
    {TensorType::F16, "F16", 1, 2, 0, 0},
    {TensorType::Q4_0, "Q4_0", 32, 18, 4, 32},
    {TensorType::Q4_1, "Q4_1", 32, 20, 4, 32},
    {TensorType::Q5_0, "Q5_0", 32, 22, 5, 32},
    {TensorType::Q5_1, "Q5_1", 32, 24, 5, 32},
    {TensorType::Q8_0, "Q8_0", 32, 34, 8, 32},
    {TensorType::Q2_K, "Q2_K", 256, 84, 4, 16},
    {TensorType::Q3_K, "Q3_K", 256, 110, 4, 16},
    {TensorType::Q4_K, "Q4_K", 256, 144, 4, 32},
    {TensorType::Q5_K, "Q5_K", 256, 176, 5, 32},
    {TensorType::Q6_K, "Q6_K", 256, 210, 6, 16},
    {TensorType::IQ4_NL, "IQ4_NL", 32, 18, 8, 32},
    {TensorType::IQ4_XS, "IQ4_XS", 256, 136, 8, 32},
    {TensorType::BF16, "BF16", 1, 2, 0, 0},
}};

Format format_of(TensorType type) {
  switch (type) {
    case TensorType::Q4_0:
      return {0, unpack_q4_0};
    case TensorType::Q4_1:
      return {8, unpack_q4_1};
    case TensorType::Q5_0:
      return {0, unpack_q5_0};
    case TensorType::Q5_1:
      return {16, unpack_q5_1};
    case TensorType::Q8_0:
      return {0, unpack_q8_0};
    case TensorType::Q2_K:
      return {2, unpack_q2_k};
    case TensorType::Q3_K:
      return {0, unpack_q3_k};
    case TensorType::Q4_K:
      return {8, unpack_q4_k};
    case TensorType::Q5_K:
      return {16, unpack_q5_k};
    case TensorType::Q6_K:
      return {0, unpack_q6_k};
    case TensorType::IQ4_NL:
      return {0, unpack_iq4_nl};
    case TensorType::IQ4_XS:
      return {0, unpack_iq4_xs};
    default:
      internal_error("tensor type {} has no blocks", static_cast<uint32_t>(type));
  }
}

const uint8_t* as_u8(Bytes bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

void check_row_size(const TensorTypeInfo& info, Bytes row, uint64_t columns) {
  LOCKSTEP_CHECK(columns % info.block_elements == 0);
  LOCKSTEP_CHECK(row.size() == columns / info.block_elements * info.block_bytes);
}

// F32, F16 and BF16.
void decode_plain_row(TensorType type, const uint8_t* bytes, std::span<double> values) {
  for (size_t k = 0; k < values.size(); ++k) {
    if (type == TensorType::F16) {
      values[k] = half_at(bytes + 2 * k);
      continue;
    }
    uint32_t bits;
    if (type == TensorType::BF16) {
      bits = static_cast<uint32_t>(load_u16(bytes + 2 * k)) << 16;
    } else {
      std::memcpy(&bits, bytes + 4 * k, sizeof(bits));
    }
    values[k] = static_cast<double>(std::bit_cast<float>(bits));
  }
}

}  // namespace

std::span<const TensorTypeInfo> tensor_types() {
  return kTypes;
}

const TensorTypeInfo* find_tensor_type(uint32_t ggml_number) {
  for (const TensorTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == ggml_number) return &info;
  }
  return nullptr;
}

const TensorTypeInfo& tensor_type_info(TensorType type) {
  const TensorTypeInfo* info = find_tensor_type(static_cast<uint32_t>(type));
  LOCKSTEP_CHECK(info != nullptr);
  return *info;
}

uint64_t Tensor::columns() const {
  LOCKSTEP_CHECK(!shape.empty());
  return shape[0];
}

uint64_t Tensor::rows() const {
  uint64_t count = 1;
  for (size_t i = 1; i < shape.size(); ++i) count *= shape[i];
  return count;
}

uint64_t Tensor::row_bytes() const {
  const TensorTypeInfo& info = tensor_type_info(type);
  return columns() / info.block_elements * info.block_bytes;
}

Bytes Tensor::row(uint64_t index) const {
  LOCKSTEP_CHECK(index < rows());
  return bytes.subspan(index * row_bytes(), row_bytes());
}

void decode_row(TensorType type, Bytes row, std::span<double> values) {
  const TensorTypeInfo& info = tensor_type_info(type);
  check_row_size(info, row, values.size());
  if (info.code_bits == 0) {
    decode_plain_row(type, as_u8(row), values);
    return;
  }
  const Format format = format_of(type);
  Block block;
  const uint8_t* bytes = as_u8(row);
  for (uint64_t first = 0; first < values.size(); first += info.block_elements, bytes += info.block_bytes) {
    format.unpack(bytes, block);
    for (uint32_t k = 0; k < info.block_elements; ++k) {
      const uint32_t group = k / info.group_columns;
      values[first + k] = block.scale[group] * block.level[k] + block.offset[group];
    }
  }
}

void decode_group_code_row(TensorType type, Bytes row, uint64_t columns, GroupCodeRow& code) {
  const TensorTypeInfo& info = tensor_type_info(type);
  check_row_size(info, row, columns);
  const Format format = format_of(type);
  const int32_t bias = (1 << (info.code_bits - 1)) - format.centre;
  const uint32_t block_groups = info.block_elements / info.group_columns;
  code.q.resize(columns);
  code.d.resize(columns / info.group_columns);
  code.c.resize(columns / info.group_columns);
  Block block;
  const uint8_t* bytes = as_u8(row);
  for (uint64_t first = 0; first < columns; first += info.block_elements, bytes += info.block_bytes) {
    format.unpack(bytes, block);
    for (uint32_t k = 0; k < info.block_elements; ++k) {
      code.q[first + k] = static_cast<uint8_t>(block.level[k] + bias);
    }
    const uint64_t first_group = first / info.group_columns;
    for (uint32_t group = 0; group < block_groups; ++group) {
      code.d[first_group + group] = block.scale[group];
      code.c[first_group + group] = block.offset[group] + format.centre * block.scale[group];
    }
  }
}

}  // namespace lockstep::numerics
