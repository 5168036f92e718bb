#include <algorithm>

#include "compiler/passes.h"
#include "program/isa/host.h"

namespace lockstep::compiler {

using program::MemoryKind;
using program::Region;

namespace {

// The instructions between which a region's bytes matter.
struct Life {
  uint32_t first = program::kNone;
  uint32_t last = 0;
};

std::vector<Life> lives(const program::Program& program) {
  std::vector<Life> result(program.regions.size());
  const program::isa::InstructionSet& set = program::isa::host();
  const auto& instructions = program.queues[0].instructions;
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    const program::isa::Opcode& opcode = *set.find(instructions[i].opcode);
    for (size_t f = 0; f < opcode.fields.size(); ++f) {
      if (opcode.fields[f].kind != program::isa::FieldKind::Region ||
          instructions[i].words[f] == program::kNone)
        continue;
      Life& life = result[instructions[i].words[f]];
      life.first = std::min(life.first, i);
      life.last = std::max(life.last, i);
    }
  }
  return result;
}

bool is_scratch(MemoryKind kind) {
  return kind == MemoryKind::Scratch || kind == MemoryKind::Private;
}

}  // namespace

void place(program::Program& program) {
  const std::vector<Life> life = lives(program);
  std::vector<uint32_t> placed;
  for (uint32_t i = 0; i < program.regions.size(); ++i) {
    Region& region = program.regions[i];
    const uint64_t bytes = align_up(program::region_bytes(program, region), 64);
    program::Memory& memory = program.memories[region.memory];
    uint64_t offset = is_scratch(memory.kind) ? 0 : memory.bytes;
    // First fit below the regions that live at the same time, in order of their offsets.
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (uint32_t other : placed) {
      if (program.regions[other].memory != region.memory || !is_scratch(memory.kind)) continue;
      if (life[other].last < life[i].first || life[i].last < life[other].first) continue;
      const uint64_t begin = program.regions[other].offset;
      taken.push_back({begin, begin + align_up(program::region_bytes(program, program.regions[other]), 64)});
    }
    std::sort(taken.begin(), taken.end());
    for (auto [begin, end] : taken) {
      if (offset + bytes <= begin) break;
      offset = std::max(offset, end);
    }
    region.offset = offset;
    memory.bytes = std::max(memory.bytes, offset + bytes);
    placed.push_back(i);
  }
}

}  // namespace lockstep::compiler
