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

// Everything about a graph on a chip that does not depend on the entry.
struct ChipModel {
  explicit ChipModel(const graph::Graph& graph, const machine::Machine& machine, SchedulerOptions options);

  const graph::Graph& graph;
  const machine::Machine& machine;
  SchedulerOptions options;
  SliceMemory memory;
  Placement placement;
  std::vector<std::vector<uint16_t>> permutations;  // maps of the permuters: a source lane for each lane
  std::vector<std::vector<uint8_t>> distributions;  // maps of the distributors
  std::vector<Port> ports;
  std::vector<int32_t> logit_ids;

  uint32_t permutation(const std::vector<uint16_t>& map);
  uint32_t distribution(const std::vector<uint8_t>& map);
};

// Lowers the step of one token for contexts of up to `blocks` vectors of positions. REQUIRES: one that has
// been prepared (prepare) for at least as many blocks.
class Lowering {
 public:
  // Places weights, constants and the KV cache of `context` positions.
  Lowering(ChipModel& model, uint32_t context);
  ~Lowering();
  // The schedule of the entry for positions of block `blocks` - 1.
  std::unique_ptr<ChipScheduler> schedule(uint32_t blocks);
  uint32_t blocks_max() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::compiler::lpu
