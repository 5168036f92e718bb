#include "program/verify_lpu.h"

#include <algorithm>
#include <set>

#include "program/isa/lpu.h"

namespace lockstep::program {

using isa::LpuOp;
using isa::LpuUnit;

namespace {

// The unit of a queue's name, "mem.e.3"; false for a name of none.
bool unit_of(const Queue& queue, LpuUnit& unit) {
  constexpr std::pair<std::string_view, LpuUnit> kUnits[] = {{"mem.", LpuUnit::Mem},
                                                             {"vxm.", LpuUnit::Vxm},
                                                             {"mxm.", LpuUnit::Mxm},
                                                             {"sxm.", LpuUnit::Sxm},
                                                             {"c2c.", LpuUnit::C2c}};
  for (const auto& [prefix, candidate] : kUnits) {
    if (!queue.unit.starts_with(prefix)) continue;
    unit = candidate;
    return true;
  }
  return false;
}

bool is(const Instruction& instruction, LpuOp op) {
  return instruction.opcode == static_cast<uint16_t>(op);
}

bool is_row_access(const Instruction& instruction) {
  return is(instruction, LpuOp::Read) || is(instruction, LpuOp::Write);
}

// The rows that a Read or Write touches, with the Repeat that may follow it.
struct Rows {
  uint64_t first, step, count;
  uint64_t last() const { return first + step * (count - 1); }
};
Rows rows_of(const Queue& queue, size_t i) {
  const Instruction& instruction = queue.instructions[i];
  Rows rows{instruction.words[0], instruction.words[2], 1};
  const bool repeated = i + 1 < queue.instructions.size() && is(queue.instructions[i + 1], LpuOp::Repeat);
  if (repeated && rows.step != 0) rows.count += queue.instructions[i + 1].words[0];
  return rows;
}

void verify_queue(const Program& program, const Queue& queue, const std::string& what) {
  LpuUnit unit;
  if (!unit_of(queue, unit)) {
    user_error("{}: the queue {} is of no LPU unit; mem., vxm., mxm., sxm. and c2c. are", what, queue.unit);
  }
  if ((unit == LpuUnit::Mem) != (queue.memory != kNone)) {
    user_error("{}: the queue {} has a memory and is no memory unit, or the reverse", what, queue.unit);
  }
  for (size_t i = 0; i < queue.instructions.size(); ++i) {
    const Instruction& instruction = queue.instructions[i];
    const LpuUnit executes = isa::lpu_unit(instruction.opcode);
    if (executes != LpuUnit::Icu && executes != unit) {
      user_error("{}: {} at instruction {} has an opcode of another unit", what, queue.unit, i);
    }
    if (is(instruction, LpuOp::Repeat) &&
        (i == 0 || isa::lpu_unit(queue.instructions[i - 1].opcode) == LpuUnit::Icu)) {
      user_error("{}: {} at instruction {} repeats nothing", what, queue.unit, i);
    }
    if (is_row_access(instruction) &&
        rows_of(queue, i).last() >=
            std::min<uint64_t>(program.memories[queue.memory].bytes / isa::kLpuLanes, isa::kLpuRows)) {
      user_error("{}: {} at instruction {} is repeated past the end of its memory", what, queue.unit, i);
    }
  }
}

}  // namespace

void verify_lpu_structure(const Program& program, const std::string& what) {
  std::set<uint32_t> owned;
  for (const Queue& queue : program.queues) {
    verify_queue(program, queue, what);
    if (queue.memory != kNone && !owned.insert(queue.memory).second) {
      user_error("{}: the memory {} belongs to two queues", what, program.memories[queue.memory].name);
    }
  }
}

void verify_lpu_flow(const Program& program, const Queue& queue, const std::string& what) {
  if (queue.memory == kNone) return;
  const Memory& memory = program.memories[queue.memory];
  const bool written_by_caller = memory.kind == MemoryKind::File || memory.kind == MemoryKind::Input;
  std::vector<bool> written(isa::kLpuRows, written_by_caller || memory.kind == MemoryKind::State);
  bool any_written = written[0];
  for (size_t i = 0; i < queue.instructions.size(); ++i) {
    const Instruction& instruction = queue.instructions[i];
    const bool writes = is(instruction, LpuOp::Write), scatters = is(instruction, LpuOp::Scatter);
    if ((writes || scatters) && written_by_caller) {
      user_error("{}: {} instruction {} writes {}, which may only be read", what, queue.unit, i, memory.name);
    }
    if (is(instruction, LpuOp::Gather) && !any_written) {
      user_error("{}: {} instruction {} (gather) reads {}, which is not written", what, queue.unit, i,
                 memory.name);
    }
    any_written = any_written || writes || scatters;
    if (!is_row_access(instruction)) continue;
    const Rows rows = rows_of(queue, i);
    for (uint64_t n = 0; n < rows.count; ++n) {
      const uint64_t row = rows.first + n * rows.step;
      if (writes) {
        written[row] = true;
      } else if (!written[row]) {
        user_error("{}: {} instruction {} (read) reads row {} of {}, which is not written", what, queue.unit,
                   i, row, memory.name);
      }
    }
  }
}

}  // namespace lockstep::program
