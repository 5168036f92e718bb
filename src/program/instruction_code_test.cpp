#include "program/instruction_code.h"

#include <gtest/gtest.h>

#include <random>

#include "program/isa/host.h"
#include "program/isa/lpu.h"

namespace lockstep::program {
namespace {

using isa::LpuOp;
using isa::Operand;
using isa::OperandKind;

Instruction lpu(LpuOp op, std::vector<uint64_t> words) {
  return {static_cast<uint16_t>(op), std::move(words)};
}

std::vector<std::byte> written(const Instruction& instruction) {
  ByteWriter out;
  write_instruction(out, instruction);
  EXPECT_EQ(out.bytes().size(), instruction_bytes(instruction));
  return out.take();
}

TEST(InstructionCode, EveryOpcodeFits) {
  for (const isa::InstructionSet* set : {&isa::host(), &isa::lpu()}) {
    for (const isa::Opcode& opcode : set->opcodes) EXPECT_LE(opcode.fields.size(), kInstructionWordsMax);
  }
}

TEST(InstructionCode, GivesBackWhatWasWritten) {
  std::mt19937_64 random(1);
  std::vector<Instruction> instructions;
  ByteWriter out;
  for (int i = 0; i < 20000; ++i) {
    Instruction instruction{static_cast<uint16_t>(random()), {}};
    for (size_t words = random() % (kInstructionWordsMax + 1); words > 0; --words) {
      const uint64_t word = random() % 8 == 0 ? kNone : random() >> random() % 64;
      instruction.words.push_back(random() % 3 == 0 ? 0 : word);
    }
    const uint64_t begin = out.bytes().size();
    write_instruction(out, instruction);
    ASSERT_EQ(out.bytes().size() - begin, instruction_bytes(instruction));
    instructions.push_back(instruction);
  }
  ByteReader in(out.bytes(), "text");
  for (const Instruction& instruction : instructions) {
    const Instruction read = read_instruction(in);
    ASSERT_EQ(read.opcode, instruction.opcode);
    ASSERT_EQ(read.words, instruction.words);
  }
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(InstructionCode, IsShort) {
  const auto operand = [](OperandKind kind, uint8_t index) {
    return isa::encode_operand(Operand{kind, index});
  };
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Sync, {})), 2u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Nop, {127})), 3u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Nop, {65535})), 5u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Repeat, {19, 1})), 4u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Read, {8191, 63, 1})), 7u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Multiply, {operand(OperandKind::Alu, 3),
                                                    operand(OperandKind::Word, 60), 0, 0, kNone, kNone, 0})),
            9u);
  EXPECT_EQ(instruction_bytes(lpu(LpuOp::Add, {operand(OperandKind::Alu, 3), operand(OperandKind::Word, 60),
                                               0, 0, kNone, 36, 4})),
            10u);
}

// What write_instruction never writes: cut off, an opcode or word that is too large, no shape, a number
// written longer than it is, "none" written out.
TEST(InstructionCode, RefusesOtherBytes) {
  const std::vector<std::byte> add = written(lpu(LpuOp::Add, {1, 2, 3, ~uint64_t{0}, kNone, 0, 4}));
  for (size_t size = 0; size <= add.size(); ++size) {
    ByteReader in(Bytes(add).first(size), "text");
    if (size == add.size()) {
      EXPECT_NO_THROW(read_instruction(in));
    } else {
      EXPECT_THROW(read_instruction(in), Error) << size;
    }
  }
  const std::vector<std::vector<uint8_t>> broken = {
      {1, 0},
      {0x80, 0x80, 4, 1},
      {0x81, 0, 1},
      {1, 3, 0x80, 0},
      {1, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2},
      {1, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 129, 0},
      {1, 3, 255, 255, 255, 255, 15},
  };
  for (size_t i = 0; i < broken.size(); ++i) {
    ByteReader in(std::as_bytes(std::span(broken[i])), "text");
    EXPECT_THROW(read_instruction(in), Error) << i;
  }
}

}  // namespace
}  // namespace lockstep::program
