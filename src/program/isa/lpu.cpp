#include "program/isa/lpu.h"

#include <array>

namespace lockstep::program::isa {

namespace {

// A value of w bytes a lane travels on an aligned group of w streams, the paper's SG1, SG2, SG4, SG16.
constexpr Field from(const char* name, uint32_t group) {
  return {name, FieldKind::Stream, Access::Read, Split::Whole, false, kLpuStreams - group, group};
}
constexpr Field to(const char* name, uint32_t group) {
  return {name, FieldKind::Stream, Access::Write, Split::Whole, false, kLpuStreams - group, group};
}
constexpr Field from_or_immediate(const char* name) {
  return {name, FieldKind::Stream, Access::Read, Split::Whole, true, kLpuStreams - 4, 4};
}
constexpr Field row(Access access) {
  return {"row", FieldKind::Row, access, Split::Whole, false, kLpuRows - 1};
}
constexpr Field integer(const char* name, uint64_t max) {
  return {name, FieldKind::Integer, Access::None, Split::Whole, false, max};
}
constexpr Field immediate() {
  return {"immediate", FieldKind::Float};
}

// ICU. 16-bit counts: the paper for Nop, a choice for Repeat. Ifetch from a stream and not from a memory of
// the queue's own is a choice; so is the mask of superlanes as Config's one field.
constexpr Field kNop[] = {integer("cycles", 65535)};
constexpr Field kRepeat[] = {integer("times", 65535), integer("every", 65535)};
constexpr Field kIfetch[] = {from("text", 1)};
constexpr Field kConfig[] = {integer("superlanes", (1u << kLpuSuperlanes) - 1)};

// MEM. A 13-bit row: the paper. A Repeat moves the row on by `step`: a choice. The map is the row of each
// superlane, 13 bits on two streams, in its first lane: a choice. A row past the end of a memory that is
// smaller than a slice is the target's error.
constexpr Field kRead[] = {row(Access::Read), to("out", 1), integer("step", kLpuRows - 1)};
constexpr Field kWrite[] = {row(Access::Write), from("in", 1), integer("step", kLpuRows - 1)};
constexpr Field kGather[] = {to("out", 1), from("map", 2)};
constexpr Field kScatter[] = {from("in", 1), from("map", 2)};

// VXM. 32-bit lanes, two inputs at most and one result: the paper and programs for the chip. The arithmetic
// is NUMERICS.md section 1, one rounding an operation, and exp2, sigmoid and the like are sequences of
// these: a choice, the chip has TanH, Exp and RSqrt of its own. Where `b` is none the immediate is the
// second operand. Comparisons give lanes of all ones or all zeros.
constexpr Field kUnary[] = {to("out", 4), from("a", 4)};
constexpr Field kBinary[] = {to("out", 4), from("a", 4), from_or_immediate("b"), immediate()};
constexpr Field kImmediate[] = {to("out", 4), from("a", 4), immediate()};              // immediate / a
constexpr Field kTernary[] = {to("out", 4), from("a", 4), from("b", 4), immediate()};  // and an immediate
constexpr Field kFrom8[] = {to("out", 4), from("a", 1)};
constexpr Field kFrom16[] = {to("out", 4), from("a", 2)};
constexpr Field kTo8[] = {to("out", 1), from("a", 4)};
constexpr Field kTo16[] = {to("out", 2), from("a", 4)};

// MXM. 16 streams of weights a cycle into a plane's buffer, int8 operands, int32 sums: the paper. An
// activation stream between start (1) and stop (0), and `add` to the sums there instead of replacing them:
// choices.
constexpr Field kLoadWeights[] = {from("in", 16)};
constexpr Field kActivationControl[] = {from("in", 1), integer("start", 1)};
constexpr Field kAccumulate[] = {to("out", 4), integer("add", 1)};

// SXM. Shifts fill with zeros and move a group of four streams; maps come on streams, a lane number of nine
// bits for Permute (a bijection), four bits and a zero-fill bit for Distribute (within 16 lanes); Rotate
// gives all n*n rotations of n by n inputs: the operations are the paper's, where a map comes from is a
// choice.
constexpr Field kShift[] = {to("out", 4), from("in", 4), integer("lanes", kLpuLanes - 1)};
constexpr Field kSelectLanes[] = {to("out", 4), from("north", 4), from("south", 4), from("mask", 1)};
constexpr Field kPermute[] = {to("out", 1), from("in", 1), from("map", 2)};
constexpr Field kDistribute[] = {to("out", 1), from("in", 1), from("map", 1)};
constexpr Field kRotate[] = {to("out", 16), from("in", 4), integer("n", 4)};
constexpr Field kTranspose[] = {to("out", 16), from("in", 16)};

// C2C. A vector a link: the paper. Receive onto a stream, not into a memory: a choice.
constexpr Field kDeskew[] = {integer("link", kLpuLinks - 1)};
constexpr Field kSend[] = {integer("link", kLpuLinks - 1), from("in", 1)};
constexpr Field kReceive[] = {integer("link", kLpuLinks - 1), to("out", 1)};

template <size_t N>
constexpr Opcode opcode(LpuOp op, const char* name, const Field (&fields)[N]) {
  return {static_cast<uint16_t>(op), name, fields};
}
constexpr Opcode opcode(LpuOp op, const char* name) {
  return {static_cast<uint16_t>(op), name, {}};
}

constexpr std::array kOpcodes = {
    opcode(LpuOp::Nop, "nop", kNop),
    opcode(LpuOp::Repeat, "repeat", kRepeat),
    opcode(LpuOp::Ifetch, "ifetch", kIfetch),
    opcode(LpuOp::Sync, "sync"),
    opcode(LpuOp::Notify, "notify"),
    opcode(LpuOp::Config, "config", kConfig),
    opcode(LpuOp::Read, "read", kRead),
    opcode(LpuOp::Write, "write", kWrite),
    opcode(LpuOp::Gather, "gather", kGather),
    opcode(LpuOp::Scatter, "scatter", kScatter),
    opcode(LpuOp::Add, "add", kBinary),
    opcode(LpuOp::Subtract, "sub", kBinary),
    opcode(LpuOp::Multiply, "mul", kBinary),
    opcode(LpuOp::Divide, "div", kBinary),
    opcode(LpuOp::DivideImmediate, "rdiv", kImmediate),
    opcode(LpuOp::Maximum, "max", kBinary),
    opcode(LpuOp::Less, "less", kBinary),
    opcode(LpuOp::Equal, "equal", kBinary),
    opcode(LpuOp::FmaAdd, "fma_add", kTernary),       // a * b + immediate
    opcode(LpuOp::FmaMultiply, "fma_mul", kTernary),  // a * immediate + b
    opcode(LpuOp::Select, "select", kTernary),        // a where b is set, else the immediate
    opcode(LpuOp::SquareRoot, "sqrt", kUnary),
    opcode(LpuOp::Absolute, "abs", kUnary),
    opcode(LpuOp::Rint, "rint", kUnary),
    opcode(LpuOp::IntegerAdd, "iadd", kBinary),
    opcode(LpuOp::IntegerSubtract, "isub", kBinary),
    opcode(LpuOp::IntegerMultiply, "imul", kBinary),
    opcode(LpuOp::IntegerMaximum, "imax", kBinary),
    opcode(LpuOp::IntegerLess, "iless", kBinary),
    opcode(LpuOp::And, "and", kBinary),
    opcode(LpuOp::Or, "or", kBinary),
    opcode(LpuOp::Xor, "xor", kBinary),
    opcode(LpuOp::ShiftLeft, "shl", kBinary),
    opcode(LpuOp::ShiftRight, "sar", kBinary),  // arithmetic
    opcode(LpuOp::Int8ToFloat, "i8_to_f32", kFrom8),
    opcode(LpuOp::Int16ToFloat, "i16_to_f32", kFrom16),
    opcode(LpuOp::Int32ToFloat, "i32_to_f32", kUnary),
    opcode(LpuOp::FloatToInt32, "f32_to_i32", kUnary),
    opcode(LpuOp::Int8ToInt32, "i8_to_i32", kFrom8),
    opcode(LpuOp::Int16ToInt32, "i16_to_i32", kFrom16),
    opcode(LpuOp::Int32ToInt8, "i32_to_i8", kTo8),
    opcode(LpuOp::Int32ToInt16, "i32_to_i16", kTo16),
    opcode(LpuOp::LoadWeights, "lw", kLoadWeights),
    opcode(LpuOp::InstallWeights, "iw"),
    opcode(LpuOp::ActivationControl, "abc", kActivationControl),
    opcode(LpuOp::Accumulate, "acc", kAccumulate),
    opcode(LpuOp::ShiftUp, "shift_up", kShift),      // lane i goes to lane i + lanes
    opcode(LpuOp::ShiftDown, "shift_down", kShift),  // lane i goes to lane i - lanes
    opcode(LpuOp::SelectLanes, "select_lanes", kSelectLanes),
    opcode(LpuOp::Permute, "permute", kPermute),
    opcode(LpuOp::Distribute, "distribute", kDistribute),
    opcode(LpuOp::Rotate, "rotate", kRotate),
    opcode(LpuOp::Transpose, "transpose", kTranspose),
    opcode(LpuOp::Deskew, "deskew", kDeskew),
    opcode(LpuOp::Send, "send", kSend),
    opcode(LpuOp::Receive, "receive", kReceive),
};

constexpr InstructionSet kLpu = {"lpu", 1, kLpuLanes, kOpcodes};

}  // namespace

const InstructionSet& lpu() {
  return kLpu;
}

}  // namespace lockstep::program::isa
