#include "program/hazards.h"

#include <algorithm>

namespace lockstep::program {

using isa::Access;
using isa::Field;
using isa::FieldKind;
using isa::Split;

namespace {

// Splits under which a worker returns to the very part that it touched before.
bool is_partition(Split split) {
  return split == Split::Rows || split == Split::Panels || split == Split::Heads;
}

}  // namespace

std::vector<HazardTracker::Touch> HazardTracker::touches(const Instruction& instruction) const {
  std::vector<Touch> result;
  const isa::Opcode& opcode = *set_.find(instruction.opcode);
  for (size_t i = 0; i < opcode.fields.size(); ++i) {
    const Field& field = opcode.fields[i];
    const uint64_t word = instruction.words[i];
    if (field.access == Access::None || (field.optional && word == kNone)) continue;
    const bool writes = field.access != Access::Read;
    Split split = field.split;
    if (split == Split::Copies || split == Split::AnyCopy) {
      if (mode_ == RowsMode::Few) continue;
      split = split == Split::Copies ? Split::Rows : Split::Whole;
    }
    if (field.kind == FieldKind::State) {
      result.push_back({program_.state.memory, word, word + 1, writes, split, kNone});
    } else if (field.kind == FieldKind::Region) {
      const Region& region = program_.regions[word];
      result.push_back({region.memory, region.offset, region.offset + region_bytes(program_, region), writes,
                        split, static_cast<uint32_t>(word)});
    }
  }
  return result;
}

bool HazardTracker::conflicts(const Instruction& instruction) const {
  if (touched_.size() >= kTouchesMax) return true;
  for (const Touch& now : touches(instruction)) {
    for (const Touch& before : touched_) {
      if (before.memory != now.memory || before.end <= now.begin || now.end <= before.begin) continue;
      if (!before.writes && !now.writes) continue;
      const bool own_part =
          before.region == now.region && before.split == now.split && is_partition(now.split);
      if (!own_part) return true;
    }
  }
  return false;
}

void HazardTracker::add(const Instruction& instruction) {
  for (const Touch& touch : touches(instruction)) {
    if (std::find(touched_.begin(), touched_.end(), touch) == touched_.end()) touched_.push_back(touch);
  }
}

}  // namespace lockstep::program
