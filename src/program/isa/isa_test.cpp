// The tables themselves.
#include "program/isa/isa.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "program/isa/host.h"
#include "program/isa/lpu.h"

namespace lockstep::program::isa {
namespace {

TEST(InstructionSets, NumbersAndNamesAreUnique) {
  for (const InstructionSet* set : {&host(), &lpu()}) {
    EXPECT_EQ(find_instruction_set(set->name), set);
    std::set<uint16_t> numbers;
    std::set<std::string> names;
    for (const Opcode& opcode : set->opcodes) {
      EXPECT_TRUE(numbers.insert(opcode.number).second) << opcode.name;
      EXPECT_TRUE(names.insert(opcode.name).second) << opcode.name;
      EXPECT_EQ(set->find(opcode.number), &opcode);
      EXPECT_EQ(set->find(opcode.name), &opcode);
      std::set<std::string> fields;
      for (const Field& field : opcode.fields) EXPECT_TRUE(fields.insert(field.name).second) << opcode.name;
    }
    EXPECT_EQ(set->find("no such opcode"), nullptr);
    EXPECT_EQ(set->find(uint16_t{0xffff}), nullptr);
  }
  EXPECT_EQ(find_instruction_set("no such set"), nullptr);
}

TEST(InstructionSets, LpuOpcodesBelongToUnits) {
  for (const Opcode& opcode : lpu().opcodes) {
    const LpuUnit unit = lpu_unit(opcode.number);
    EXPECT_LE(unit, LpuUnit::C2c) << opcode.name;
    bool has_row = false;
    for (const Field& field : opcode.fields) {
      has_row = has_row || field.kind == FieldKind::Row;
      // A group of streams is aligned, inside the 64 and never half east and half west.
      if (field.kind == FieldKind::Stream) {
        EXPECT_EQ(field.max % field.multiple, 0u) << opcode.name;
        EXPECT_EQ(field.max + field.multiple, kLpuStreams) << opcode.name;
        EXPECT_EQ(32 % field.multiple, 0u) << opcode.name;
      }
    }
    EXPECT_TRUE(!has_row || unit == LpuUnit::Mem) << opcode.name;
  }
}

}  // namespace
}  // namespace lockstep::program::isa
