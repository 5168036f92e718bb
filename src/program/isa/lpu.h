// The LPU instruction set: what the queues of a Groq-style chip execute. A queue belongs to one unit; its
// instructions issue one after another, a cycle each, and hold no absolute time (Nop and Repeat do the
// waiting). Units and operations: Abts et al., "Think Fast: A Tensor Streaming Processor (TSP) for
// Accelerating Deep Learning Workloads", ISCA 2020, Table I; the fields of each are the table in lpu.cpp,
// which says what the paper leaves open and is a choice here.
#pragma once

#include <cstdint>

#include "program/isa/isa.h"

namespace lockstep::program::isa {

inline constexpr uint32_t kLpuLanes = 320;  // 20 superlanes of 16, a byte each: one vector, one memory row
inline constexpr uint32_t kLpuSuperlanes = 20;
inline constexpr uint32_t kLpuStreams = 64;  // 0-31 flow east, 32-63 west
inline constexpr uint32_t kLpuRows = 8192;   // of a memory slice, two banks of 4096
inline constexpr uint32_t kLpuLinks = 16;    // chip to chip

// The high byte of an opcode says who executes it. A queue's unit is named "mem.", "vxm.", ... and a number
// or place; every queue executes Icu.
enum class LpuUnit : uint8_t { Icu, Mem, Vxm, Mxm, Sxm, C2c };

enum class LpuOp : uint16_t {
  Nop = 0x0001,     // issue nothing for n cycles
  Repeat = 0x0002,  // the instruction before it n more times, one every d cycles
  Ifetch = 0x0003,  // instruction text off a stream into this queue
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
  Divide = 0x0204,
  DivideImmediate = 0x0205,
  Maximum = 0x0206,
  Less = 0x0207,
  Equal = 0x0208,
  FmaAdd = 0x0209,
  FmaMultiply = 0x020a,
  Select = 0x020b,
  SquareRoot = 0x0210,
  Absolute = 0x0211,
  Rint = 0x0212,
  IntegerAdd = 0x0220,
  IntegerSubtract = 0x0221,
  IntegerMultiply = 0x0222,
  IntegerMaximum = 0x0223,
  IntegerLess = 0x0224,
  And = 0x0225,
  Or = 0x0226,
  Xor = 0x0227,
  ShiftLeft = 0x0228,
  ShiftRight = 0x0229,
  Int8ToFloat = 0x0230,
  Int16ToFloat = 0x0231,
  Int32ToFloat = 0x0232,
  FloatToInt32 = 0x0233,
  Int8ToInt32 = 0x0234,
  Int16ToInt32 = 0x0235,
  Int32ToInt8 = 0x0236,
  Int32ToInt16 = 0x0237,

  LoadWeights = 0x0301,
  InstallWeights = 0x0302,
  ActivationControl = 0x0303,
  Accumulate = 0x0304,

  ShiftUp = 0x0401,
  ShiftDown = 0x0402,
  SelectLanes = 0x0403,
  Permute = 0x0404,
  Distribute = 0x0405,
  Rotate = 0x0406,
  Transpose = 0x0407,

  Deskew = 0x0501,
  Send = 0x0502,
  Receive = 0x0503,
};

constexpr LpuUnit lpu_unit(uint16_t opcode) {
  return static_cast<LpuUnit>(opcode >> 8);
}

}  // namespace lockstep::program::isa
