#include "program/isa/isa.h"

namespace lockstep::program::isa {

const Opcode* InstructionSet::find(uint16_t number) const {
  for (const Opcode& opcode : opcodes) {
    if (opcode.number == number) return &opcode;
  }
  return nullptr;
}

const Opcode* InstructionSet::find(std::string_view opcode_name) const {
  for (const Opcode& opcode : opcodes) {
    if (opcode_name == opcode.name) return &opcode;
  }
  return nullptr;
}

const InstructionSet* find_instruction_set(std::string_view name) {
  for (const InstructionSet* set : {&host(), &lpu()}) {
    if (name == set->name) return set;
  }
  return nullptr;
}

}  // namespace lockstep::program::isa
