#include "compiler/lpu/share_out.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) {
  return (a + b - 1) / b;
}

// A run of nodes that stays on one group of chips.
struct Piece {
  uint32_t first = 0, end = 0;
  uint64_t rows = 0;  // of memory, in the slices for weights
};

// Output lanes of a layout's vectors, in whole groups of a tile.
uint64_t tile_rows(const Layout& layout, uint32_t lanes) {
  uint64_t rows = 0;
  for (uint32_t v = 0; v < layout.vectors; ++v) {
    uint32_t used = 0;
    for (uint32_t lane = 0; lane < lanes; ++lane)
      if (layout.elements[v * lanes + lane] >= 0) used = lane + 1;
    rows += ceil_div(used, 16) * 16;
  }
  return rows;
}

// What the sizes are of.
struct Cut {
  const graph::Graph& graph;
  const machine::Machine& machine;
  Layouts layouts;  // of the first chip of a group: the others' are as large
  uint32_t context;
};

// Rows of memory that a node's weights and state take.
uint64_t rows_of(const Cut& cut, uint32_t id) {
  const graph::Node& node = cut.graph.nodes[id];
  const uint32_t lanes = cut.machine.geometry.lanes(), planes = 2 * cut.machine.geometry.planes;
  if (node.op == graph::Op::Attention) {
    const HeadLayout& heads = cut.layouts.heads(id);
    // Two planes of keys and values, and of the values transposed.
    return ceil_div(cut.context, lanes) * heads.sets *
           (uint64_t{4} * lanes + 2 * uint64_t{heads.vector_heads} * heads.head_width);
  }
  if (node.op != graph::Op::MatMul && node.op != graph::Op::Embed) return 0;
  const uint64_t parts = cut.graph.weights[node.weight].integers.kind == numerics::MatrixKind::Plain8 ? 1 : 2;
  if (node.op == graph::Op::Embed || id == cut.graph.logits) {
    const uint64_t rows = ceil_div(cut.layouts.tokens(), uint64_t{planes} * lanes) * planes * lanes;
    return rows * parts * cut.layouts.whole(node.op == graph::Op::Embed ? id : node.inputs[0]).vectors;
  }
  return tile_rows(cut.layouts.own(id), lanes) * parts * cut.layouts.whole(node.inputs[0]).vectors;
}

// The layers, and as the last piece what follows them together with the embeddings: one matrix where the
// model has one for both.
std::vector<Piece> pieces_of(const Cut& cut, uint32_t embed_end) {
  const graph::Graph& graph = cut.graph;
  std::vector<Piece> pieces;
  for (uint32_t id = embed_end; id < graph.nodes.size(); ++id) {
    if (pieces.empty() || graph.nodes[id].layer != graph.nodes[id - 1].layer) pieces.push_back({id, id, 0});
    Piece& piece = pieces.back();
    piece.end = id + 1;
    piece.rows += rows_of(cut, id);
  }
  for (uint32_t id = 0; id < embed_end; ++id) {
    const graph::Node& node = graph.nodes[id];
    if (node.op == graph::Op::Embed && node.weight != graph.nodes[graph.logits].weight)
      pieces.back().rows += rows_of(cut, id);
  }
  return pieces;
}

// Rows of a chip that weights may take. Tiles do not fill every slice to the last row.
uint64_t room_of(const machine::Machine& machine) {
  const uint64_t slices = machine.geometry.slices - 4 * SchedulerOptions().scratch_quads;
  return 2 * slices * machine.geometry.slice_rows * 99 / 100;
}

// The pieces dealt to groups of `parts` chips, at most `limit` rows a chip, in order; empty where one piece
// alone is more.
std::vector<ChipShare> deal(const std::vector<Piece>& pieces, uint64_t limit, uint32_t parts,
                            uint32_t embed_end) {
  std::vector<ChipShare> shares;
  uint64_t rows = 0;
  for (const Piece& piece : pieces) {
    if (piece.rows > limit) return {};
    if (shares.empty() || rows + piece.rows > limit) {
      const auto group = static_cast<uint32_t>(shares.size());
      shares.push_back({group, 0, 0, parts, embed_end, piece.first, piece.end});
      rows = 0;
    }
    shares.back().end = piece.end;
    rows += piece.rows;
  }
  for (ChipShare& share : shares) share.groups = static_cast<uint32_t>(shares.size());
  return shares;
}

// As many groups as wanted, 0: as few as hold the model; empty where these are too few or the pieces do not
// come out so.
std::vector<ChipShare> deal_to(uint32_t groups, const std::vector<Piece>& pieces, uint64_t room,
                               uint32_t parts, uint32_t embed_end) {
  const std::vector<ChipShare> fewest = deal(pieces, room, parts, embed_end);
  if (fewest.empty() || (groups != 0 && fewest.size() > groups)) return {};
  if (groups == 0) groups = static_cast<uint32_t>(fewest.size());
  // The smallest limit that needs no more groups than wanted; where it needs fewer, the largest parts are
  // cut.
  uint64_t low = 0, high = room;
  while (low + 1 < high) {
    const uint64_t middle = (low + high) / 2;
    const std::vector<ChipShare> shares = deal(pieces, middle, parts, embed_end);
    (shares.empty() || shares.size() > groups ? low : high) = middle;
  }
  std::vector<ChipShare> shares = deal(pieces, high, parts, embed_end);
  return shares.size() == groups ? shares : std::vector<ChipShare>();
}

}  // namespace

std::vector<ChipShare> share_out(const graph::Graph& graph, const machine::Machine& machine, uint32_t chips,
                                 uint32_t parts, uint32_t context) {
  LOCKSTEP_CHECK(parts > 0);
  if (!can_share(graph, parts)) {
    user_error("{}: {} chips cannot share its key heads and matrices evenly", graph.model_name, parts);
  }
  if (parts > 1 && parts + 1 > machine.geometry.links / 2 * 2) {
    user_error("{}: {} chips of {} that share matrices take {} links each; it has {}", graph.model_name,
               parts, machine.name, parts + 1, machine.geometry.links);
  }
  if (chips % parts != 0) {
    user_error("--chips {}: chips that share matrices by {} come in groups of {}", chips, parts, parts);
  }
  uint32_t embed_end = 0;  // of the nodes before the first layer
  while (embed_end < graph.nodes.size() && graph.nodes[embed_end].layer < 0) ++embed_end;
  const Cut cut{graph, machine, Layouts(graph, machine, 0, parts), context};
  const std::vector<Piece> pieces = pieces_of(cut, embed_end);
  const uint64_t room = room_of(machine);
  std::vector<ChipShare> shares = deal_to(chips / parts, pieces, room, parts, embed_end);
  if (!shares.empty()) return shares;
  const std::vector<ChipShare> fewest = deal(pieces, room, parts, embed_end);
  if (fewest.empty()) {
    const Piece& largest = *std::ranges::max_element(pieces, {}, &Piece::rows);
    user_error("{}: {} and what follows it take {} MB on one {} chip, which has room for {} MB",
               graph.model_name, graph.nodes[largest.first].name,
               largest.rows * machine.geometry.lanes() / 1000000, machine.name,
               room * machine.geometry.lanes() / 1000000);
  }
  if (chips < fewest.size() * parts) {
    user_error("{}: takes {} chips of {} for {} positions, not {}", graph.model_name, fewest.size() * parts,
               machine.name, context, chips);
  }
  if (chips > pieces.size() * parts) {
    user_error("--chips {}: {} can be cut into {} parts at the most", chips, graph.model_name,
               pieces.size() * parts);
  }
  user_error("--chips {}: {} is not cut between layers into so many even parts", chips, graph.model_name);
}

}  // namespace lockstep::compiler::lpu
