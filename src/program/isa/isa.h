// Instruction sets as tables: per opcode its fields and what each reads or writes. Encoding, decoding,
// printing, hashing and the checks of program/verify.h are generic over them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lockstep::program::isa {

// What a field's word means.
enum class FieldKind : uint8_t {
  Region,   // index of a region, or none where the field is optional
  Matrix,   // index of a weight matrix: reads its panels and scales
  State,    // a layer of the sequence's state
  Row,      // a vector's address in the queue's own memory
  Stream,   // a stream register
  Operand,  // of the LPU's VXM: isa/lpu.h, encode_operand
  Integer,
  Float,  // binary32 bits
};

enum class Access : uint8_t { None, Read, Write, Update };

// Which part of the operand one of several workers touches. Two workers meet in an operand only where an
// instruction's split differs from the split it was written with.
enum class Split : uint8_t {
  Whole,    // all of it
  Rows,     // the worker's share of the step's rows
  Panels,   // the worker's share of each row, in panels of 16 elements
  Heads,    // the worker's share of (row, head) pairs
  Copies,   // its own copy when rows are few, else its share of the rows of the common one
  AnyCopy,  // reads what Copies wrote
};

struct Field {
  const char* name;
  FieldKind kind;
  Access access = Access::None;
  Split split = Split::Whole;
  bool optional = false;
  uint64_t max = ~uint64_t{0};  // Integer, Row, Stream: the largest value
  uint32_t multiple = 1;        // Stream: the first of an aligned group of this many
};

struct Opcode {
  uint16_t number;
  const char* name;
  std::span<const Field> fields;
};

struct InstructionSet {
  const char* name;
  uint32_t version;
  uint32_t row_bytes;  // bytes of a vector that Row addresses; 0 where there are none
  std::span<const Opcode> opcodes;

  const Opcode* find(uint16_t number) const;
  const Opcode* find(std::string_view opcode_name) const;
};

const InstructionSet& host();
const InstructionSet& lpu();

// nullptr for a name that no instruction set has.
const InstructionSet* find_instruction_set(std::string_view name);

}  // namespace lockstep::program::isa
