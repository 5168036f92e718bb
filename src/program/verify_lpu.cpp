#include "program/verify_lpu.h"

#include <map>
#include <set>

#include "program/isa/lpu.h"

namespace lockstep::program {

using isa::LpuOp;
using isa::LpuUnit;
using isa::OperandKind;
using isa::UnitName;

namespace {

constexpr uint32_t kChipsMax = 1u << 16, kSlicesMax = 1024, kPlanesMax = 64;

// How many places a unit has at the most; its machine may have fewer.
uint32_t places(LpuUnit unit) {
  switch (unit) {
    case LpuUnit::Mem:
      return kSlicesMax;
    case LpuUnit::Vxm:
      return isa::kLpuAlus;
    case LpuUnit::Mxm:
      return 3 * kPlanesMax;
    case LpuUnit::Sxm:
      return static_cast<uint32_t>(isa::SxmPlace::Count);
    case LpuUnit::C2c:
      return isa::kLpuLinks;
    case LpuUnit::Icu:
      break;
  }
  return 0;
}

// The field that a Repeat moves on, how far each time, and its last value.
struct Moved {
  uint64_t first = 0, step = 0, last = 0;
};
Moved moved_by_repeat(const Instruction& instruction) {
  const std::vector<uint64_t>& words = instruction.words;
  switch (static_cast<LpuOp>(instruction.opcode)) {
    case LpuOp::Read:
    case LpuOp::Write:
      return {words[0], words[2], isa::kLpuRows - 1};
    case LpuOp::LoadWeights:
      return {words[1], 1, isa::kLpuLanesMax / 16 - 1};
    case LpuOp::ActivationControl:
      return {words[1], words[3], 255};
    case LpuOp::Accumulate:
      return {words[0], words[2], 255};
    default:
      return {};
  }
}

// Streams first to first + count - 1 are there and flow in one direction.
bool one_direction(uint64_t first, uint64_t count) {
  constexpr uint64_t kHalf = isa::kLpuStreams / 2;
  return count >= 1 && count <= kHalf && first / kHalf == (first + count - 1) / kHalf;
}

// The words of an operation of the VXM fit one another: as many operands as it takes, and bytes for its
// streams.
bool vxm_words_fit(const Instruction& instruction) {
  const std::vector<uint64_t>& words = instruction.words;
  const uint32_t operands = isa::vxm_operands(static_cast<LpuOp>(instruction.opcode));
  for (uint32_t i = 0; i < 3; ++i) {
    const bool none = isa::decode_operand(words[i]).kind == OperandKind::None;
    if (none != (i >= operands)) return false;
  }
  const uint64_t east = words[4], west = words[5], bytes = words[6];
  if (east == kNone && west == kNone) return bytes == 0;
  if (bytes != 1 && bytes != 2 && bytes != 4) return false;
  return (east == kNone || (east < isa::kLpuStreams / 2 && east % bytes == 0)) &&
         (west == kNone || (west >= isa::kLpuStreams / 2 && west % bytes == 0));
}

bool is(const Instruction& instruction, LpuOp op) {
  return instruction.opcode == static_cast<uint16_t>(op);
}

bool words_fit(const Instruction& instruction) {
  const std::vector<uint64_t>& words = instruction.words;
  if (isa::lpu_unit(instruction.opcode) == LpuUnit::Vxm) return vxm_words_fit(instruction);
  if (is(instruction, LpuOp::Nop)) return words[0] >= 1;
  if (is(instruction, LpuOp::Repeat)) return words[0] >= 1 && words[1] >= 1;
  if (is(instruction, LpuOp::Rotate))
    return words[2] + words[3] <= 16 && one_direction(words[1], 4 * words[3]);
  return true;
}

void verify_queue(const Program& program, const Queue& queue, const UnitName& name, const std::string& what) {
  if (name.unit == LpuUnit::Icu || isa::unit_name(name) != queue.unit) {
    user_error("{}: the queue {} is of no LPU unit; c0.mem.e.7 and c0.vxm.3 are", what, queue.unit);
  }
  if (name.place >= places(name.unit) || name.chip >= kChipsMax) {
    user_error("{}: the queue {} is of a unit that no machine has", what, queue.unit);
  }
  if ((name.unit == LpuUnit::Mem) != (queue.memory != kNone)) {
    user_error("{}: the queue {} has a memory and is no memory unit, or the reverse", what, queue.unit);
  }
  if (queue.memory != kNone && (program.memories[queue.memory].kind != MemoryKind::File ||
                                program.memories[queue.memory].bytes > isa::kLpuSliceBytesMax)) {
    user_error(
        "{}: the memory {} of the queue {} is no image of a slice, which is a file memory of at most {} "
        "bytes",
        what, program.memories[queue.memory].name, queue.unit, isa::kLpuSliceBytesMax);
  }
  for (size_t i = 0; i < queue.instructions.size(); ++i) {
    const Instruction& instruction = queue.instructions[i];
    const auto refuse = [&](const char* why) {
      user_error("{}: {} at instruction {} {}", what, queue.unit, i, why);
    };
    if (!isa::executes(name, instruction.opcode)) refuse("has an opcode of another unit");
    if (!words_fit(instruction)) refuse("has fields that do not fit one another");
    if (!is(instruction, LpuOp::Repeat)) continue;
    if (i == 0 || isa::lpu_unit(queue.instructions[i - 1].opcode) == LpuUnit::Icu) refuse("repeats nothing");
    const Moved moved = moved_by_repeat(queue.instructions[i - 1]);
    if (moved.first + moved.step * instruction.words[0] > moved.last) {
      refuse("is repeated past the last row, group or entry");
    }
  }
}

}  // namespace

void verify_lpu_structure(const Program& program, const std::string& what) {
  std::map<std::string, uint32_t> memory_of;
  std::map<uint32_t, std::string> owner_of;
  for (const Queue& queue : program.queues) {
    verify_queue(program, queue, isa::parse_unit_name(queue.unit), what);
    if (queue.memory == kNone) continue;
    if (memory_of.try_emplace(queue.unit, queue.memory).first->second != queue.memory) {
      user_error("{}: the unit {} has two memories", what, queue.unit);
    }
    if (owner_of.try_emplace(queue.memory, queue.unit).first->second != queue.unit) {
      user_error("{}: the memory {} belongs to two units", what, program.memories[queue.memory].name);
    }
  }
  for (const Entry& entry : program.entries) {
    std::set<std::string_view> units;
    for (uint32_t index : entry.queues) {
      if (units.insert(program.queues[index].unit).second) continue;
      user_error("{}: the entry {} has two queues of the unit {}", what, entry.name,
                 program.queues[index].unit);
    }
  }
}

}  // namespace lockstep::program
