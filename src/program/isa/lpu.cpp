#include "program/isa/lpu.h"

#include <array>
#include <charconv>
#include <string_view>

namespace lockstep::program::isa {

namespace {

// A value of w bytes a lane travels on an aligned group of w streams, the paper's SG1, SG2, SG4, SG16.
constexpr Field from(const char* name, uint32_t group) {
  return {name, FieldKind::Stream, Access::Read, Split::Whole, false, kLpuStreams - group, group};
}
constexpr Field to(const char* name, uint32_t group) {
  return {name, FieldKind::Stream, Access::Write, Split::Whole, false, kLpuStreams - group, group};
}
constexpr Field optionally_to(const char* name) {
  return {name, FieldKind::Stream, Access::Write, Split::Whole, true, kLpuStreams - 1, 1};
}
constexpr Field row(Access access) {
  return {"row", FieldKind::Row, access, Split::Whole, false, kLpuRows - 1};
}
constexpr Field integer(const char* name, uint64_t max) {
  return {name, FieldKind::Integer, Access::None, Split::Whole, false, max};
}
constexpr uint64_t kOperandMax = encode_operand({OperandKind::Uint8, kLpuStreams - 1});
constexpr Field operand(const char* name) {
  return {name, FieldKind::Operand, Access::Read, Split::Whole, false, kOperandMax};
}

// ICU. 16-bit counts: the paper for Nop, a choice for Repeat. Ifetch brings a fixed number of bytes from the
// instruction memory of the queue: where that lies is a choice. So is the mask of superlanes.
constexpr Field kNop[] = {integer("cycles", 65535)};
constexpr Field kRepeat[] = {integer("times", 65535), integer("every", 65535)};
constexpr Field kConfig[] = {integer("superlanes", (1u << 20) - 1)};

// MEM. A 13-bit row: the paper. A Repeat moves the row on by `step`: a choice. A map is the row of each
// superlane, counted from `base`, 16 bits on two streams, in the superlane's first lane; a map of 32768 or
// more makes no access in that superlane: choices.
constexpr Field kRead[] = {row(Access::Read), to("out", 1), integer("step", kLpuRows - 1)};
constexpr Field kWrite[] = {row(Access::Write), from("in", 1), integer("step", kLpuRows - 1)};
constexpr Field kGather[] = {integer("base", kLpuRows - 1), to("out", 1), from("map", 2)};
constexpr Field kScatter[] = {integer("base", kLpuRows - 1), from("in", 1), from("map", 2)};

// VXM. 32-bit lanes: the paper. Operands from streams, from the last result of any ALU or an immediate; three
// for the fused operations; the result to the other ALUs and, in `bytes` low bytes, onto streams from
// `east` (0-31) or `west` (32-63) on, either, both or none: choices.
constexpr Field kAlu[] = {
    operand("a"),          operand("b"),          operand("c"),       {"immediate", FieldKind::Float},
    optionally_to("east"), optionally_to("west"), integer("bytes", 4)};

// MXM. 16 streams of weights a cycle into a plane's buffer, int8 operands, int32 sums: the paper. Streams
// k of group g is row 16 g + k, the weights of one output over all inputs; a Repeat moves the group on by 1.
// Rows that are not loaded between two installs are zero. Accumulators are addressed, `add` adds to what is
// there instead of replacing it, a Repeat moves the entry on by `step`: choices.
constexpr Field kLoadWeights[] = {from("in", 16), integer("group", kLpuLanesMax / 16 - 1)};
constexpr Field kActivationControl[] = {from("in", 1), integer("entry", 255), integer("add", 1),
                                        integer("step", 255)};
constexpr Field kAccumulate[] = {integer("entry", 255), to("out", 4), integer("step", 255)};

// SXM. All take and give 32-bit words on four streams but Transpose, which takes 16 byte streams. Maps are
// rows of the program's memories "permutations" (a source lane of 16 bits for each lane, a bijection) and
// "distributions" (a source lane of 8 bits for each lane of a superlane, 255 for zero). Rotate gives `count`
// of the n*n rotations of a superlane's lanes, the r-th on streams out + 4 (r - first): lane l takes lane
// l + r. The operations are the paper's; where maps come from and the words of 32 bits are choices.
constexpr Field kPermute[] = {from("in", 4), to("out", 4), integer("map", 65535)};
constexpr Field kTranspose[] = {from("in", 16), to("out", 16)};
constexpr Field kDistribute[] = {from("in", 4), to("out", 4), integer("map", 65535)};
constexpr Field kShift[] = {from("in", 4), to("out", 4), integer("lanes", kLpuLanesMax - 1)};
constexpr Field kRotate[] = {from("in", 4), to("out", 4), integer("first", 15), integer("count", 8)};

// C2C. A vector a link: the paper. Receive onto a stream, not into a memory: a choice.
constexpr Field kSend[] = {from("in", 1)};
constexpr Field kReceive[] = {to("out", 1)};

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
    opcode(LpuOp::Ifetch, "ifetch"),
    opcode(LpuOp::Sync, "sync"),
    opcode(LpuOp::Notify, "notify"),
    opcode(LpuOp::Config, "config", kConfig),
    opcode(LpuOp::Read, "read", kRead),
    opcode(LpuOp::Write, "write", kWrite),
    opcode(LpuOp::Gather, "gather", kGather),
    opcode(LpuOp::Scatter, "scatter", kScatter),
    opcode(LpuOp::Add, "add", kAlu),
    opcode(LpuOp::Subtract, "sub", kAlu),
    opcode(LpuOp::Multiply, "mul", kAlu),
    opcode(LpuOp::Fma, "fma", kAlu),
    opcode(LpuOp::Maximum, "max", kAlu),
    opcode(LpuOp::Less, "less", kAlu),
    opcode(LpuOp::Rint, "rint", kAlu),
    opcode(LpuOp::RSqrt, "rsqrt", kAlu),
    opcode(LpuOp::Select, "select", kAlu),
    opcode(LpuOp::Move, "move", kAlu),
    opcode(LpuOp::IntegerAdd, "iadd", kAlu),
    opcode(LpuOp::IntegerSubtract, "isub", kAlu),
    opcode(LpuOp::IntegerMultiply, "imul", kAlu),
    opcode(LpuOp::IntegerMultiplyAdd, "imad", kAlu),
    opcode(LpuOp::IntegerMaximum, "imax", kAlu),
    opcode(LpuOp::IntegerLess, "iless", kAlu),
    opcode(LpuOp::IntegerEqual, "iequal", kAlu),
    opcode(LpuOp::And, "and", kAlu),
    opcode(LpuOp::Or, "or", kAlu),
    opcode(LpuOp::Xor, "xor", kAlu),
    opcode(LpuOp::ShiftLeft, "shl", kAlu),
    opcode(LpuOp::ShiftRight, "sar", kAlu),
    opcode(LpuOp::Int32ToFloat, "i32_to_f32", kAlu),
    opcode(LpuOp::FloatToInt32, "f32_to_i32", kAlu),
    opcode(LpuOp::LoadWeights, "lw", kLoadWeights),
    opcode(LpuOp::InstallWeights, "iw"),
    opcode(LpuOp::ActivationControl, "abc", kActivationControl),
    opcode(LpuOp::Accumulate, "acc", kAccumulate),
    opcode(LpuOp::Permute, "permute", kPermute),
    opcode(LpuOp::Transpose, "transpose", kTranspose),
    opcode(LpuOp::Distribute, "distribute", kDistribute),
    opcode(LpuOp::ShiftUp, "shift_up", kShift),      // lane i goes to lane i + lanes
    opcode(LpuOp::ShiftDown, "shift_down", kShift),  // lane i goes to lane i - lanes
    opcode(LpuOp::Rotate, "rotate", kRotate),
    opcode(LpuOp::Deskew, "deskew"),
    opcode(LpuOp::Send, "send", kSend),
    opcode(LpuOp::Receive, "receive", kReceive),
};

constexpr InstructionSet kLpu = {"lpu", 2, kLpuLanesMax, kOpcodes};

constexpr std::string_view kUnitNames[] = {"", "mem", "vxm", "mxm", "sxm", "c2c"};

constexpr bool has_hemisphere(LpuUnit unit) {
  return unit == LpuUnit::Mem || unit == LpuUnit::Mxm || unit == LpuUnit::Sxm;
}

SxmPlace sxm_place(uint32_t place) {
  for (SxmPlace kind : {SxmPlace::Rotator, SxmPlace::Shifter, SxmPlace::Distributor, SxmPlace::Transposer}) {
    if (place >= static_cast<uint32_t>(kind)) return kind;
  }
  return SxmPlace::Permuter;
}

bool take_number(std::string_view& text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

const InstructionSet& lpu() {
  return kLpu;
}

bool is_operand(uint64_t word) {
  if (word > kOperandMax) return false;
  const Operand operand = decode_operand(word);
  switch (operand.kind) {
    case OperandKind::None:
    case OperandKind::Immediate:
      return operand.index == 0;
    case OperandKind::Alu:
      return operand.index < kLpuAlus;
    default:
      return operand.index % operand_streams(operand.kind) == 0;
  }
}

uint32_t vxm_operands(LpuOp op) {
  switch (op) {
    case LpuOp::Rint:
    case LpuOp::RSqrt:
    case LpuOp::Move:
    case LpuOp::Int32ToFloat:
    case LpuOp::FloatToInt32:
      return 1;
    case LpuOp::Fma:
    case LpuOp::Select:
    case LpuOp::IntegerMultiplyAdd:
      return 3;
    default:
      return 2;
  }
}

bool executes(const UnitName& name, uint16_t opcode) {
  const LpuUnit unit = lpu_unit(opcode);
  if (unit == LpuUnit::Icu) return true;
  if (unit != name.unit) return false;
  switch (static_cast<LpuOp>(opcode)) {
    case LpuOp::LoadWeights:
    case LpuOp::InstallWeights:
      return name.place % 3 == 0;
    case LpuOp::ActivationControl:
      return name.place % 3 == 1;
    case LpuOp::Accumulate:
      return name.place % 3 == 2;
    case LpuOp::Permute:
      return sxm_place(name.place) == SxmPlace::Permuter;
    case LpuOp::Transpose:
      return sxm_place(name.place) == SxmPlace::Transposer;
    case LpuOp::Distribute:
      return sxm_place(name.place) == SxmPlace::Distributor;
    case LpuOp::ShiftUp:
    case LpuOp::ShiftDown:
      return sxm_place(name.place) == SxmPlace::Shifter;
    case LpuOp::Rotate:
      return sxm_place(name.place) == SxmPlace::Rotator;
    default:
      return true;
  }
}

std::string unit_name(const UnitName& name) {
  std::string text = "c" + std::to_string(name.chip) + ".";
  text += kUnitNames[static_cast<size_t>(name.unit)];
  if (has_hemisphere(name.unit)) text += name.hemisphere == 0 ? ".e" : ".w";
  return text + "." + std::to_string(name.place);
}

UnitName parse_unit_name(const std::string& text) {
  std::string_view rest = text;
  UnitName name;
  if (!take(rest, "c") || !take_number(rest, name.chip) || !take(rest, ".")) return {};
  for (size_t unit = 1; unit < std::size(kUnitNames); ++unit) {
    if (take(rest, kUnitNames[unit])) name.unit = static_cast<LpuUnit>(unit);
  }
  if (name.unit == LpuUnit::Icu) return {};
  if (has_hemisphere(name.unit)) {
    name.hemisphere = rest.starts_with(".w") ? 1 : 0;
    if (!take(rest, ".e") && !take(rest, ".w")) return {};
  }
  if (!take(rest, ".") || !take_number(rest, name.place) || !rest.empty()) return {};
  return name;
}

}  // namespace lockstep::program::isa
