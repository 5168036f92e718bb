// Every table of kernels against one lane at a time.
#include "targets/lpu/lane_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "program/isa/lpu_alu.h"

namespace lockstep::targets::lpu {
namespace {

using program::isa::LpuOp;
using program::isa::OperandKind;

constexpr uint32_t kRsqrtBits = 12;

constexpr uint32_t kSpecial[] = {0,          0x80000000, 1,          0x80000001, 0x7f800000, 0xff800000,
                                 0x7fc00000, 0xffc00001, 0x7f800001, 0x3f800000, 0xbf800000, 0x4effffff,
                                 0x4f000000, 0xcf000000, 0xcf000001, 0x3f000000, 0x3fc00000, 0x40200000,
                                 0x00800000, 0x007fffff, 0x7f7fffff, 0x7fffffff, 0xffffffff, 31,
                                 32,         33,         255,        0xffff,     0x4b000001, 0x4b7fffff};

// Numbers of all magnitudes: half of them special or small.
class Numbers {
 public:
  uint32_t next() {
    const uint32_t word = static_cast<uint32_t>(generator_());
    switch (word % 4) {
      case 0:
        return kSpecial[(word >> 2) % std::size(kSpecial)];
      case 1:
        return std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(word) >> (word >> 2) % 32) /
                                       16.0f);
      default:
        return static_cast<uint32_t>(generator_());
    }
  }
  Words words() {
    Words words;
    for (uint32_t& lane : words.lanes) lane = next();
    return words;
  }
  Vector vector() {
    Vector vector;
    for (std::byte& lane : vector.lanes) lane = static_cast<std::byte>(generator_());
    return vector;
  }

 private:
  std::mt19937_64 generator_{5};
};

// A NaN's sign and payload are not part of the contract: which of two NaNs an addition keeps depends on the
// order in which a compiler puts its operands.
bool same(LpuOp op, uint32_t a, uint32_t b) {
  const bool gives_float =
      op == LpuOp::Add || op == LpuOp::Subtract || op == LpuOp::Multiply || op == LpuOp::Fma;
  const auto is_nan = [](uint32_t x) { return (x & 0x7fffffff) > 0x7f800000; };
  return a == b || (gives_float && is_nan(a) && is_nan(b));
}

class LaneKernelsTest : public testing::TestWithParam<const LaneKernels*> {};

TEST_P(LaneKernelsTest, OperationsAreThoseOfOneLane) {
  Numbers numbers;
  for (const program::isa::Opcode& opcode : program::isa::lpu().opcodes) {
    if (program::isa::lpu_unit(opcode.number) != program::isa::LpuUnit::Vxm) continue;
    const auto op = static_cast<LpuOp>(opcode.number);
    for (int round = 0; round < 100; ++round) {
      const Words a = numbers.words(), b = numbers.words(), c = numbers.words();
      Words result;
      GetParam()->alu(op, a, b, c, kRsqrtBits, result);
      for (uint32_t i = 0; i < kLanes; ++i) {
        const uint32_t expected = program::isa::alu(op, a.lanes[i], b.lanes[i], c.lanes[i], kRsqrtBits);
        ASSERT_TRUE(same(op, result.lanes[i], expected))
            << opcode.name << std::hex << " " << a.lanes[i] << " " << b.lanes[i] << " " << c.lanes[i] << ": "
            << result.lanes[i] << " instead of " << expected;
      }
    }
  }
}

TEST_P(LaneKernelsTest, WordsComeFromStreamsAndGoThere) {
  Numbers numbers;
  const Vector bytes[4] = {numbers.vector(), numbers.vector(), numbers.vector(), numbers.vector()};
  const Vector* streams[4] = {&bytes[0], &bytes[1], &bytes[2], &bytes[3]};
  Words word, int16, int8, uint8;
  GetParam()->join(OperandKind::Word, streams, word);
  GetParam()->join(OperandKind::Int16, streams, int16);
  GetParam()->join(OperandKind::Int8, streams, int8);
  GetParam()->join(OperandKind::Uint8, streams, uint8);
  Vector out[4];
  Vector* outs[4] = {&out[0], &out[1], &out[2], &out[3]};
  GetParam()->split(word, 4, outs);
  for (uint32_t i = 0; i < kLanes; ++i) {
    const auto low = static_cast<uint8_t>(bytes[0].lanes[i]), high = static_cast<uint8_t>(bytes[1].lanes[i]);
    EXPECT_EQ(int16.lanes[i], static_cast<uint32_t>(int32_t{static_cast<int16_t>(low | high << 8)}));
    EXPECT_EQ(int8.lanes[i], static_cast<uint32_t>(int32_t{static_cast<int8_t>(low)}));
    EXPECT_EQ(uint8.lanes[i], low);
    EXPECT_EQ(word.lanes[i] & 0xffff, static_cast<uint32_t>(low | high << 8));
    for (uint32_t b = 0; b < 4; ++b) EXPECT_EQ(out[b].lanes[i], bytes[b].lanes[i]);
  }
}

TEST_P(LaneKernelsTest, ProductIsTheExactSum) {
  Numbers numbers;
  WeightArray array;
  std::vector<Vector> rows(kLanes);
  for (Vector& row : rows) row = numbers.vector();
  rows[7] = {};
  std::fill(std::begin(rows[8].lanes), std::end(rows[8].lanes), std::byte{0x80});
  for (uint32_t first = 0; first < kLanes; first += WeightArray::kOutputGroup) {
    const Vector* group[WeightArray::kOutputGroup];
    for (uint32_t k = 0; k < WeightArray::kOutputGroup; ++k) group[k] = &rows[first + k];
    GetParam()->load_weights(group, WeightArray::kOutputGroup, first, array);
  }
  for (int round = 0; round < 20; ++round) {
    Vector activations = numbers.vector();
    if (round == 0) std::fill(std::begin(activations.lanes), std::end(activations.lanes), std::byte{0x80});
    const Words before = numbers.words();
    Words sums, added = before;
    GetParam()->product(array, activations, false, sums);
    GetParam()->product(array, activations, true, added);
    for (uint32_t r = 0; r < kLanes; ++r) {
      int32_t expected = 0;
      for (uint32_t k = 0; k < kLanes; ++k) {
        expected += static_cast<int8_t>(rows[r].lanes[k]) * static_cast<int8_t>(activations.lanes[k]);
      }
      ASSERT_EQ(sums.lanes[r], static_cast<uint32_t>(expected));
      ASSERT_EQ(added.lanes[r], before.lanes[r] + static_cast<uint32_t>(expected));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, LaneKernelsTest,
                         testing::ValuesIn(available_lane_kernels().begin(), available_lane_kernels().end()),
                         [](const auto& table) { return table.param->name; });

}  // namespace
}  // namespace lockstep::targets::lpu
