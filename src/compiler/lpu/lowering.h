// From the graph to placed instructions of one chip: how each operator of the contract becomes products,
// sums, maxima and chains of vector operations.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/lpu/chip_scheduler.h"
#include "compiler/lpu/layouts.h"
#include "compiler/lpu/placement.h"
#include "graph/graph.h"

namespace lockstep::compiler::lpu {

// What the host reads or writes: words in four slices side by side, `rows` rows of them.
struct Port {
  std::string name;
  Place place;
  uint32_t rows = 1;
  int32_t node = -1;
};

// The maps of the permuters (a source lane for each lane) and of the distributors, one list for all chips.
struct SwitchMaps {
  std::vector<std::vector<uint16_t>> permutations;
  std::vector<std::vector<uint8_t>> distributions;
  uint32_t permutation(const std::vector<uint16_t>& map);
  uint32_t distribution(const std::vector<uint8_t>& map);
};

// Which part of a graph a chip computes: its group the nodes from `first` to before `end`; the last group,
// which has the vocabulary, those before `embed_end` too. The chips of a group share every matrix: each has a
// part of its rows, and all run one schedule.
struct ChipShare {
  uint32_t group = 0, groups = 1;
  uint32_t part = 0, parts = 1;
  uint32_t embed_end = 0;
  uint32_t first = 0, end = 0;
  bool is_last() const { return group + 1 == groups; }
  uint32_t chip() const { return group * parts + part; }
  uint32_t chips() const { return groups * parts; }
};

// A chip with what it computes: everything that does not depend on the entry.
struct ChipModel {
  ChipModel(const graph::Graph& graph, const machine::Machine& machine, ChipShare share, SwitchMaps& maps,
            SchedulerOptions options);

  const graph::Graph& graph;
  const machine::Machine& machine;
  ChipShare share;
  SwitchMaps& maps;
  SchedulerOptions options;
  SliceMemory memory;
  Placement placement;
  std::vector<Port> ports;
  std::vector<int32_t> logit_ids;  // of the chip that has the head
};

// Groups stand in a ring: each chip has links to those of its group, to its counterpart in the next group and
// to the one in the group before; they lie in both hemispheres by turns.
struct Links {
  uint32_t parts = 1;  // of a group
  uint32_t all = 2;    // of a chip
  uint32_t link(uint32_t i) const { return i % 2 == 0 ? i / 2 : all / 2 + i / 2; }
  // To the chip `distance` parts further on in the group, which has it as its to_part(parts - distance).
  uint32_t to_part(uint32_t distance) const { return link(distance - 1); }
  uint32_t to_next() const { return link(parts - 1); }
  uint32_t from_last() const { return link(parts); }
};

// What a chip sends to the next one: words, in this order.
using Handover = std::vector<ChipScheduler::Sent>;

// How much a schedule is for: rows of tokens at successive positions of block `blocks` - 1, which all lie in
// that block. The rest: SchedulerOptions has it.
struct Extent {
  uint32_t blocks = 1, rows = 1;
  bool copies_for_safety = false;
  std::set<QueueKey> fetching = {};
};

// Lowers a chip's share of a step: begin, on the last chip embed, then run.
class Lowering {
 public:
  // Places weights, constants and the KV cache of `context` positions, for up to `rows_max` rows a step.
  Lowering(ChipModel& model, uint32_t context, uint32_t rows_max);
  ~Lowering();
  // A new schedule. The functions that fill it throw ResultLost as ChipScheduler does.
  void begin(const Extent& extent);
  // The tokens' embeddings. Returns what the last chip sends to the first, if these are two.
  Handover embed();
  // The layers, on the last chip the head too. `received` is what the chip before sent; returns what this one
  // sends. Of one row the last chip keeps the next token, beside the logits, for the next step.
  Handover run(const Handover& received);
  // The schedule that has been filled.
  std::unique_ptr<ChipScheduler> finish();
  uint32_t blocks_max() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::compiler::lpu
