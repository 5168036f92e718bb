// The byte form of one instruction, the same for every instruction set: docs/program-format.md. On a chip it
// is also what instruction fetch brings.
#pragma once

#include "base/bytes.h"
#include "program/program.h"

namespace lockstep::program {

inline constexpr uint64_t kInstructionBytesMin = 2;
inline constexpr size_t kInstructionWordsMax = 7;

// Bytes of the instruction's byte form.
uint64_t instruction_bytes(const Instruction& instruction);

// REQUIRES at most kInstructionWordsMax words.
void write_instruction(ByteWriter& out, const Instruction& instruction);

// Throws a user's error that names the reader's `what` for bytes that write_instruction does not write.
Instruction read_instruction(ByteReader& in);

}  // namespace lockstep::program
