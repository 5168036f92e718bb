#include "program/instruction_code.h"

#include <bit>

namespace lockstep::program {

namespace {

// A number in groups of 7 bits, the lowest first; the high bit says that another follows.
uint64_t number_bytes(uint64_t value) {
  return (std::bit_width(value | 1) + 6) / 7;
}

void write_number(ByteWriter& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out.write(static_cast<uint8_t>(value | 128));
  out.write(static_cast<uint8_t>(value));
}

[[noreturn]] void refuse(const ByteReader& in) {
  user_error("{}: damaged at byte {}: no instruction", in.what(), in.offset());
}

uint64_t read_number(ByteReader& in) {
  uint64_t value = 0;
  for (uint32_t shift = 0; shift < 64; shift += 7) {
    const uint8_t group = in.read<uint8_t>();
    const uint64_t bits = uint64_t{group} & 127;
    if (bits << shift >> shift != bits || (group == 0 && shift > 0)) break;
    value |= bits << shift;
    if (group < 128) return value;
  }
  refuse(in);
}

// A word of zero is left out; "none", the usual value of a field that may be missing, is written as zero.
uint64_t number_of(uint64_t word) {
  return word == kNone ? 0 : word;
}

}  // namespace

uint64_t instruction_bytes(const Instruction& instruction) {
  uint64_t bytes = number_bytes(instruction.opcode) + 1;
  for (uint64_t word : instruction.words) {
    if (word != 0) bytes += number_bytes(number_of(word));
  }
  return bytes;
}

void write_instruction(ByteWriter& out, const Instruction& instruction) {
  LOCKSTEP_CHECK(instruction.words.size() <= kInstructionWordsMax);
  uint32_t shape = 1u << instruction.words.size();
  for (size_t i = 0; i < instruction.words.size(); ++i) shape |= (instruction.words[i] != 0 ? 1u : 0u) << i;
  write_number(out, instruction.opcode);
  out.write(static_cast<uint8_t>(shape));
  for (uint64_t word : instruction.words) {
    if (word != 0) write_number(out, number_of(word));
  }
}

Instruction read_instruction(ByteReader& in) {
  const uint64_t opcode = read_number(in);
  const uint32_t shape = in.read<uint8_t>();
  if (opcode > UINT16_MAX || shape == 0) refuse(in);
  const size_t count = static_cast<size_t>(std::bit_width(shape)) - 1;
  Instruction instruction{static_cast<uint16_t>(opcode), std::vector<uint64_t>(count)};
  for (size_t i = 0; i < count; ++i) {
    if ((shape >> i & 1) == 0) continue;
    const uint64_t number = read_number(in);
    if (number == kNone) refuse(in);
    instruction.words[i] = number == 0 ? kNone : number;
  }
  return instruction;
}

}  // namespace lockstep::program
