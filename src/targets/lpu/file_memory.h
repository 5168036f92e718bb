// Finding a program's memories by name.
#pragma once

#include <string_view>

#include "program/program.h"

namespace lockstep::targets::lpu {

// kNone where there is none.
inline uint32_t find_memory(const program::Program& program, std::string_view name) {
  for (uint32_t i = 0; i < program.memories.size(); ++i) {
    if (program.memories[i].name == name) return i;
  }
  return program::kNone;
}

// Empty for a memory without bytes in the program, kNone among them.
inline Bytes contents_of(const program::Program& program, uint32_t memory) {
  const auto found = program.contents.find(memory);
  return found == program.contents.end() ? Bytes{} : found->second;
}

}  // namespace lockstep::targets::lpu
