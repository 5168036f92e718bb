#include "numerics/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace lockstep::numerics {
namespace {

// The upper bytes of a 64-bit linear congruential generator (Knuth's MMIX constants).
std::vector<std::byte> random_bytes(uint64_t seed, uint64_t count) {
  std::vector<std::byte> bytes(count);
  uint64_t state = seed;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

std::vector<double> decode(TensorType type, Bytes row) {
  const TensorTypeInfo& info = tensor_type_info(type);
  std::vector<double> values(row.size() / info.block_bytes * info.block_elements);
  decode_row(type, row, values);
  return values;
}

// Digests of the binary32 values that gguf.quants.dequantize (the gguf package, 0.19) gives for 64 random
// blocks of each type; tests/import/check_formats.py computes them anew.
struct GgufDigest {
  TensorType type;
  const char* digest;
};
constexpr GgufDigest kGgufDigests[] = {
    {TensorType::F32, "e8c6961b68691b2891b5cb70ebe4c01145da3dab5642da9e885050c67eef0ec0"},
    {TensorType::F16, "6d3f1abb663973a22ce5988254b54aa386f0c306c59203294d7fd94bb7d6468f"},
    {TensorType::Q4_0, "ac8521b81ba9d22c8e299a42e20e07ed04c6225d664c7a7e5e0c02e2a2687415"},
    {TensorType::Q4_1, "26fa1cc286b875f403b28476618ea49294e2ea860ecdc3b5b0178bda6965f870"},
    {TensorType::Q5_0, "591627f129bccfe078ee6f51367711cff59045f15fbbdd78c159fb1154588666"},
    {TensorType::Q5_1, "f2dbc4335e6f014fa7a7b7703c61beaa29f0f77017db2696e38585f6de7243ec"},
    {TensorType::Q8_0, "8516386b204c3cc0b8a38ae2929d6a9bb6748e816ad077ca4cd94b32da5abcb6"},
    {TensorType::Q2_K, "a972781704036f13020ca057dab640e857ce0684a2d6be7dd246b88be60eb59f"},
    {TensorType::Q3_K, "b904ac1ccea9156075faab86f0b12b625254e45200634e622112c12ac66e1522"},
    {TensorType::Q4_K, "87e1be179f2c2c085e6c6cefd923da15da11c5c8c2bb60cf2f8ce8cf32e4f0c1"},
    {TensorType::Q5_K, "15a5b0e50b72c2256aabe1331c736a5ba9a6a2ecf84112c860b860f847559751"},
    {TensorType::Q6_K, "44582243b442817db225b5e2edd5ed2dced0b8a320e2c8b6e3db9e6e6ab81630"},
    {TensorType::IQ4_NL, "082d7e00abfe4c54fd15b5f63ec849195c94e782ae233e94263caecdb49aa149"},
    {TensorType::IQ4_XS, "7d70c44c72046d241789e7eba55972d8df0c80dca0f75f2e9df79176fb53e1b1"},
    {TensorType::BF16, "5b2d583edab3bd51b24a18bcc5bd946945170f9576430687964bde06329e91cb"},
};
constexpr uint64_t kDigestBlocks = 64;

TEST(Tensor, DecodesEveryTypeAsGgufDoes) {
  EXPECT_EQ(std::size(kGgufDigests), tensor_types().size());
  for (const GgufDigest& expected : kGgufDigests) {
    const TensorTypeInfo& info = tensor_type_info(expected.type);
    SCOPED_TRACE(info.name);
    const auto row = random_bytes(static_cast<uint64_t>(info.type), kDigestBlocks * info.block_bytes);
    std::vector<uint32_t> bits;
    for (double value : decode(info.type, row)) {
      const uint32_t value_bits = std::bit_cast<uint32_t>(static_cast<float>(value));
      bits.push_back(std::isnan(value) ? 0x7fc00000u : value == 0 ? 0u : value_bits);
    }
    EXPECT_EQ(hex(blake2b(std::as_bytes(std::span(bits)))), expected.digest);
  }
}

TEST(Tensor, GroupCodesHoldEveryTypeExactly) {
  for (const TensorTypeInfo& info : tensor_types()) {
    if (info.code_bits == 0) continue;
    SCOPED_TRACE(info.name);
    const auto row = random_bytes(1000 + static_cast<uint64_t>(info.type), 400 * info.block_bytes);
    const std::vector<double> values = decode(info.type, row);
    GroupCodeRow code;
    decode_group_code_row(info.type, row, values.size(), code);
    ASSERT_EQ(code.q.size(), values.size());
    ASSERT_EQ(code.d.size(), values.size() / info.group_columns);
    ASSERT_EQ(code.c.size(), values.size() / info.group_columns);
    size_t finite = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      const double d = code.d[k / info.group_columns];
      const double c = code.c[k / info.group_columns];
      ASSERT_LT(code.q[k], 1u << info.code_bits);
      if (!std::isfinite(values[k])) {
        ASSERT_FALSE(std::isfinite(d) && std::isfinite(c)) << k;
        continue;
      }
      if (!std::isfinite(d) || !std::isfinite(c)) continue;
      ++finite;
      // The product and the sum are exact in binary64: a fused one gives the same.
      const double level = code.q[k] - (1 << (info.code_bits - 1));
      ASSERT_EQ(d * level + c, values[k]) << k;
      ASSERT_EQ(std::fma(d, level, c), values[k]) << k;
    }
    EXPECT_GT(finite, values.size() * 8 / 10);
  }
}

void store_half(std::vector<std::byte>& bytes, size_t offset, uint16_t half) {
  std::memcpy(bytes.data() + offset, &half, sizeof(half));
}

// d = 1.5, m = -0.25 and codes 0..15 twice, written out by hand.
TEST(Tensor, DecodesABlockOfQ4_1WrittenByHand) {
  std::vector<std::byte> row(20);
  store_half(row, 0, 0x3e00);
  store_half(row, 2, 0xb400);
  for (size_t i = 0; i < 16; ++i) row[4 + i] = static_cast<std::byte>(i * 17);
  const std::vector<double> values = decode(TensorType::Q4_1, row);
  for (size_t k = 0; k < 32; ++k) EXPECT_EQ(values[k], 1.5 * static_cast<double>(k % 16) - 0.25);
  GroupCodeRow code;
  decode_group_code_row(TensorType::Q4_1, row, 32, code);
  EXPECT_EQ(code.d[0], 1.5);
  EXPECT_EQ(code.c[0], 8 * 1.5 - 0.25);
  for (size_t k = 0; k < 32; ++k) EXPECT_EQ(code.q[k], k % 16);
}

TEST(Tensor, DecodesEveryHalf) {
  for (uint32_t half = 0; half < 65536; ++half) {
    std::vector<std::byte> row(2);
    store_half(row, 0, static_cast<uint16_t>(half));
    const double value = decode(TensorType::F16, row)[0];
    const int exponent = static_cast<int>(half >> 10) & 31;
    const double fraction = static_cast<double>(half & 1023);
    EXPECT_EQ(std::signbit(value), half >= 32768) << half;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), fraction != 0) << half;
      EXPECT_FALSE(std::isfinite(value)) << half;
    } else {
      const double expected =
          exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      EXPECT_EQ(std::abs(value), expected) << half;
    }
  }
}

TEST(Tensor, NumbersThatAreNotFiniteComeThrough) {
  for (const TensorTypeInfo& info : tensor_types()) {
    SCOPED_TRACE(info.name);
    // All bits set: every half is a NaN, and so are the floats.
    const std::vector<std::byte> row(2 * info.block_bytes, std::byte{0xff});
    for (double value : decode(info.type, row)) ASSERT_FALSE(std::isfinite(value));
    if (info.code_bits == 0) continue;
    GroupCodeRow code;
    decode_group_code_row(info.type, row, 2 * info.block_elements, code);
    for (double d : code.d) ASSERT_FALSE(std::isfinite(d));
  }
}

TEST(Tensor, TypesAreFoundByGgmlsNumbers) {
  EXPECT_STREQ(find_tensor_type(3)->name, "Q4_1");
  EXPECT_STREQ(tensor_type_info(TensorType::BF16).name, "BF16");
  for (uint32_t number : {4u, 5u, 9u, 15u, 16u, 19u, 24u, 26u, 29u, 31u, 39u, 0xffffffffu}) {
    EXPECT_EQ(find_tensor_type(number), nullptr) << number;
  }
  for (const TensorTypeInfo& info : tensor_types()) {
    if (info.code_bits > 0) {
      EXPECT_EQ(info.block_elements % info.group_columns, 0u) << info.name;
    }
  }
}

TEST(Tensor, RowsAreViewsOfTheBytes) {
  const std::vector<std::byte> bytes = random_bytes(7, 6 * 36);
  const Tensor tensor{"t", TensorType::Q4_0, {64, 3, 2}, bytes};
  EXPECT_EQ(tensor.columns(), 64u);
  EXPECT_EQ(tensor.rows(), 6u);
  EXPECT_EQ(tensor.row_bytes(), 36u);
  EXPECT_EQ(tensor.row(5).data(), bytes.data() + 5 * 36);
  EXPECT_EQ(tensor.row(5).size(), 36u);
  EXPECT_THROW(tensor.row(6), Error);
}

TEST(Tensor, RefusesARowOfAnotherSize) {
  const std::vector<std::byte> row(40);
  std::vector<double> values(32);
  EXPECT_THROW(decode_row(TensorType::Q4_1, row, values), Error);
  GroupCodeRow code;
  EXPECT_THROW(decode_group_code_row(TensorType::Q4_1, row, 33, code), Error);
  EXPECT_THROW(decode_group_code_row(TensorType::F16, row, 20, code), Error);
}

}  // namespace
}  // namespace lockstep::numerics
