// What a program for LPUs takes: memory of each chip, cycles and instructions of each entry.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "machine/machine.h"
#include "program/program.h"

namespace lockstep::compiler::lpu {

// Slices of one hemisphere side by side, in bytes. A row of the image counts for what reads it.
struct SlicesPlan {
  uint32_t hemisphere = 0, first = 0, end = 0;
  uint64_t kv_bytes = 0;        // read for one attention: keys, values and their scales
  uint64_t weight_bytes = 0;    // read for one other node: tiles filled up to whole rows, scales, gains
  uint64_t constant_bytes = 0;  // the rest of the image: tables for several nodes, what the host writes
  uint64_t scratch_bytes = 0;   // rows beyond the image that schedules write
  uint64_t free_bytes = 0;
  uint32_t fullest_rows = 0;  // that the slice with the fewest free rows has in use
};

struct ChipPlan {
  std::string first_node, last_node;  // in the graph's order
  uint32_t nodes = 0;
  std::vector<SlicesPlan> slices;  // east before west, from the VXM outward

  SlicesPlan total() const;
};

// All queues of one kind of unit.
struct QueuesPlan {
  std::string unit;  // "mem", "vxm", "mxm", "sxm", "c2c"
  uint64_t queues = 0, instructions = 0, text_bytes = 0;
};

struct EntryPlan {
  std::string name;
  uint64_t cycles = 0;  // predicted
  uint32_t rows = 1;    // tokens of one run
  std::vector<QueuesPlan> queues;
};

struct Plan {
  uint32_t context = 0;  // positions
  std::vector<ChipPlan> chips;
  std::vector<EntryPlan> entries;
};

// REQUIRES: what compile_for_lpu made of the graph for the machine.
Plan plan_of(const program::Program& program, const graph::Graph& graph, const machine::Machine& machine);

}  // namespace lockstep::compiler::lpu
