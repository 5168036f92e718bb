#include "compiler/passes.h"
#include "program/hazards.h"
#include "program/isa/host.h"

namespace lockstep::compiler {

using program::HazardTracker;
using program::Instruction;
using program::RowsMode;
using program::isa::HostOp;
using program::isa::SyncWhen;

void synchronise(program::Program& program) {
  const program::isa::InstructionSet& set = program::isa::host();
  std::vector<Instruction>& instructions = program.queues[0].instructions;
  HazardTracker few(program, set, RowsMode::Few), many(program, set, RowsMode::Many);
  std::vector<Instruction> result;
  std::vector<uint32_t> moved_to;
  for (Instruction& instruction : instructions) {
    const bool always = few.conflicts(instruction);
    if (always || many.conflicts(instruction)) {
      const SyncWhen when = always ? SyncWhen::Always : SyncWhen::RowsAreSplit;
      result.push_back({static_cast<uint16_t>(HostOp::Sync), {static_cast<uint64_t>(when)}});
      if (always) few.clear();
      many.clear();
    }
    few.add(instruction);
    many.add(instruction);
    moved_to.push_back(static_cast<uint32_t>(result.size()));
    result.push_back(std::move(instruction));
  }
  instructions = std::move(result);
  for (program::SourceLine& line : program.source_map) line.instruction = moved_to[line.instruction];
}

}  // namespace lockstep::compiler
