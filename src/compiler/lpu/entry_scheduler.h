// One entry of a program: all chips scheduled together and their queues written out.
#pragma once

#include "compiler/lpu/chips.h"
#include "program/program.h"

namespace lockstep::compiler::lpu {

// A chip's part of an entry, written out.
struct WrittenQueue {
  QueueKey key;
  std::vector<program::Instruction> instructions;
  std::vector<int32_t> sources;
};
struct WrittenChip {
  Cycle cycles = 0;
  std::vector<WrittenQueue> queues;
};

// Chips of which the first `placed` of each group are there; one WrittenChip for each. Without `text` the
// cycles alone.
std::vector<WrittenChip> schedule_entry(Chips& chips, uint32_t placed, uint32_t blocks, uint32_t rows,
                                        bool text);

// The entries of a program: of one row and of several, for each block.
template <class Visit>
void each_entry(uint32_t blocks_max, uint32_t rows_max, const Visit& visit) {
  for (uint32_t blocks = 1; blocks <= blocks_max; ++blocks)
    for (const uint32_t rows : std::set<uint32_t>{1, std::max(1u, rows_max)}) visit(blocks, rows);
}

}  // namespace lockstep::compiler::lpu
