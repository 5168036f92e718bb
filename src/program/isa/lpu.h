// The LPU instruction set: what the queues of a Groq-style chip execute. A queue belongs to one unit; its
// instructions issue one after another, a cycle each, and hold no absolute time (Nop and Repeat do the
// waiting). Units and operations: Abts et al., "Think Fast: A Tensor Streaming Processor (TSP) for
// Accelerating Deep Learning Workloads", ISCA 2020, Table I; the fields of each are the table in lpu.cpp,
// which says what the paper leaves open and is a choice here. What happens in which cycle: docs/lpu.md.
#pragma once

#include <cstdint>
#include <string>

#include "program/isa/isa.h"

namespace lockstep::program::isa {

inline constexpr uint32_t kLpuLanesMax = 320;  // a byte each: one vector, one memory row
inline constexpr uint32_t kLpuStreams = 64;    // 0-31 flow east, 32-63 west
inline constexpr uint32_t kLpuRows = 8192;     // of a memory slice at the most
inline constexpr uint64_t kLpuSliceBytesMax = uint64_t{kLpuRows} * kLpuLanesMax;
inline constexpr uint32_t kLpuAlus = 16;
inline constexpr uint32_t kLpuLinks = 128;  // chip to chip, at the most

// The high byte of an opcode says who executes it. Every queue executes Icu.
enum class LpuUnit : uint8_t { Icu, Mem, Vxm, Mxm, Sxm, C2c };

enum class LpuOp : uint16_t {
  Nop = 0x0001,     // issue nothing for n cycles
  Repeat = 0x0002,  // the instruction before it n more times, one every d cycles
  Ifetch = 0x0003,  // more instruction text for this queue
  Sync = 0x0004,    // park until Notify
  Notify = 0x0005,  // release every parked queue
  Config = 0x0006,  // which superlanes have power

  Read = 0x0101,
  Write = 0x0102,
  Gather = 0x0103,
  Scatter = 0x0104,

  Add = 0x0201,
  Subtract = 0x0202,
  Multiply = 0x0203,
  Fma = 0x0204,  // a * b + c, one rounding
  Maximum = 0x0205,
  Less = 0x0206,  // comparisons give lanes of all ones or all zeros
  Rint = 0x0207,
  RSqrt = 0x0208,   // 1 / sqrt(a), rounded to the machine's rsqrt_bits significant bits
  Select = 0x0209,  // a is zero ? c : b
  Move = 0x020a,
  IntegerAdd = 0x0220,
  IntegerSubtract = 0x0221,
  IntegerMultiply = 0x0222,
  IntegerMultiplyAdd = 0x0223,  // a * b + c
  IntegerMaximum = 0x0224,      // signed
  IntegerLess = 0x0225,         // signed
  IntegerEqual = 0x0226,
  And = 0x0227,
  Or = 0x0228,
  Xor = 0x0229,
  ShiftLeft = 0x022a,
  ShiftRight = 0x022b,    // arithmetic
  Int32ToFloat = 0x0230,  // to nearest even
  FloatToInt32 = 0x0231,  // to nearest even; saturates, and a NaN gives zero

  LoadWeights = 0x0301,
  InstallWeights = 0x0302,
  ActivationControl = 0x0303,
  Accumulate = 0x0304,

  Permute = 0x0401,
  Transpose = 0x0402,
  Distribute = 0x0403,
  ShiftUp = 0x0404,
  ShiftDown = 0x0405,
  Rotate = 0x0406,

  Deskew = 0x0501,
  Send = 0x0502,
  Receive = 0x0503,
};

constexpr LpuUnit lpu_unit(uint16_t opcode) {
  return static_cast<LpuUnit>(opcode >> 8);
}

// An operand of the VXM: nothing, the instruction's immediate, the last result of an ALU, or what comes in on
// streams as a 32-bit word, a signed or unsigned byte, or a signed 16-bit number.
enum class OperandKind : uint8_t { None, Immediate, Alu, Word, Int8, Int16, Uint8 };

struct Operand {
  OperandKind kind = OperandKind::None;
  uint8_t index = 0;  // Alu: which; Word, Int8, Int16, Uint8: the first stream
};

constexpr uint64_t encode_operand(Operand operand) {
  return static_cast<uint64_t>(operand.kind) << 6 | operand.index;
}
constexpr Operand decode_operand(uint64_t word) {
  return {static_cast<OperandKind>(word >> 6), static_cast<uint8_t>(word & 63)};
}
// Streams that an operand of this kind takes: 4, 1, 2, 1, or 0 for what is not on a stream.
constexpr uint32_t operand_streams(OperandKind kind) {
  switch (kind) {
    case OperandKind::Word:
      return 4;
    case OperandKind::Int16:
      return 2;
    case OperandKind::Int8:
    case OperandKind::Uint8:
      return 1;
    default:
      return 0;
  }
}

// Whether a word is an encoded operand: of a known kind, with an ALU or an aligned group of streams.
bool is_operand(uint64_t word);

// How many operands an operation of the VXM takes: 1, 2 or 3.
uint32_t vxm_operands(LpuOp op);

// A queue's name: the chip, the kind of unit, the hemisphere where there are two, and the place.
//   c0.mem.e.7   slice 7 of the eastern hemisphere of chip 0
//   c0.vxm.3     ALU 3
//   c0.mxm.w.4   plane 4/3, queue 4%3: 0 weights, 1 activations, 2 results
//   c0.sxm.e.9   0 permuter, 1-2 transposers, 3-6 distributors, 7-8 shifters, 9 rotator
//   c0.c2c.5     link 5
struct UnitName {
  uint32_t chip = 0;
  LpuUnit unit = LpuUnit::Icu;  // Icu: not a name
  uint32_t hemisphere = 0;      // 0 east, 1 west
  uint32_t place = 0;
};
enum class SxmPlace : uint8_t {
  Permuter = 0,
  Transposer = 1,
  Distributor = 3,
  Shifter = 7,
  Rotator = 9,
  Count = 10
};
std::string unit_name(const UnitName& name);
UnitName parse_unit_name(const std::string& text);  // unit Icu for a text that is none

// Whether the queue of that name executes the operation; every queue executes those of the ICU.
bool executes(const UnitName& name, uint16_t opcode);

}  // namespace lockstep::program::isa
