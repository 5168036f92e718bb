// From the graph to placed instructions of one chip: how each operator of the contract becomes products,
// sums, maxima and chains of vector operations.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/lpu/chip_scheduler.h"
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

// Which part of a graph a chip computes: the nodes from `first` to before `end`; the last chip, which has the
// vocabulary, those before `embed_end` too.
struct ChipShare {
  uint32_t chip = 0, chips = 1;
  uint32_t embed_end = 0;
  uint32_t first = 0, end = 0;
  bool is_last() const { return chip + 1 == chips; }
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

// Chips stand in a ring: each sends on one link to the next one's other.
inline constexpr uint32_t kLinkToNext = 0, kLinkFromLast = 1;

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
