#include "compiler/lpu/share_out.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) {
  return (a + b - 1) / b;
}

// A run of nodes that stays on one chip: what is before the first layer, a layer, what is after the last.
struct Piece {
  uint32_t first = 0, end = 0;
  uint64_t rows = 0;  // of memory, in the slices for weights
};

// Rows of memory that a node's weights and state take.
uint64_t rows_of(const graph::Graph& graph, const machine::Machine& machine, const graph::Node& node,
                 uint32_t id, uint32_t context) {
  const uint64_t lanes = machine.geometry.lanes();
  if (node.op == graph::Op::Attention) {
    const HeadLayout heads =
        head_layout(node.heads, node.kv_heads, node.head_width, machine.geometry.lanes());
    // Two planes of keys and values, and of the values transposed.
    return ceil_div(context, lanes) * heads.sets *
           (4 * lanes + 2 * uint64_t{heads.vector_heads} * node.head_width);
  }
  if (node.op != graph::Op::MatMul && node.op != graph::Op::Embed) return 0;
  const graph::Weight& weight = graph.weights[node.weight];
  const bool plain = weight.integers.kind == numerics::MatrixKind::Plain8;
  uint64_t rows = ceil_div(weight.rows(), 16) * 16, columns = ceil_div(weight.columns(), lanes);
  const bool whole_blocks = node.op == graph::Op::Embed || id == graph.logits;
  if (whole_blocks)
    rows = ceil_div(rows, 2 * machine.geometry.planes * lanes) * 2 * machine.geometry.planes * lanes;
  // The lanes of heads that share vectors are not all used.
  if (node.op == graph::Op::MatMul && graph.nodes[node.inputs[0]].op == graph::Op::Quantise) {
    const graph::Node& source = graph.nodes[graph.nodes[node.inputs[0]].inputs[0]];
    if (source.op == graph::Op::Attention)
      columns = head_layout(source.heads, source.kv_heads, source.head_width, machine.geometry.lanes())
                    .queries.vectors;
  }
  return rows * columns * (plain ? 1 : 2);
}

// The layers, and as the last piece what follows them together with the embeddings: one matrix where the
// model has one for both.
std::vector<Piece> pieces_of(const graph::Graph& graph, const machine::Machine& machine, uint32_t context,
                             uint32_t embed_end) {
  std::vector<Piece> pieces;
  int32_t layer = -2;
  for (uint32_t id = embed_end; id < graph.nodes.size(); ++id) {
    const graph::Node& node = graph.nodes[id];
    if (pieces.empty() || node.layer != layer) pieces.push_back({id, id, 0});
    layer = node.layer;
    Piece& piece = pieces.back();
    piece.end = id + 1;
    piece.rows += rows_of(graph, machine, node, id, context);
  }
  for (uint32_t id = 0; id < embed_end; ++id) {
    const graph::Node& node = graph.nodes[id];
    if (node.op == graph::Op::Embed && node.weight != graph.nodes[graph.logits].weight)
      pieces.back().rows += rows_of(graph, machine, node, id, context);
  }
  return pieces;
}

// The end of the nodes before the first layer.
uint32_t embed_end_of(const graph::Graph& graph) {
  uint32_t end = 0;
  while (end < graph.nodes.size() && graph.nodes[end].layer < 0) ++end;
  return end;
}

// Rows of a chip that weights may take. Tiles do not fill every slice to the last row.
uint64_t room_of(const machine::Machine& machine) {
  const uint64_t slices = machine.geometry.slices - 4 * SchedulerOptions().scratch_quads;
  return 2 * slices * machine.geometry.slice_rows * 99 / 100;
}

// The pieces dealt to chips of at most `limit` rows, in order; empty where one piece alone is more.
std::vector<ChipShare> deal(const std::vector<Piece>& pieces, uint64_t limit, uint32_t embed_end) {
  std::vector<ChipShare> shares;
  uint64_t rows = 0;
  for (const Piece& piece : pieces) {
    if (piece.rows > limit) return {};
    if (shares.empty() || rows + piece.rows > limit) {
      shares.push_back({static_cast<uint32_t>(shares.size()), 0, embed_end, piece.first, piece.end});
      rows = 0;
    }
    shares.back().end = piece.end;
    rows += piece.rows;
  }
  for (ChipShare& share : shares) share.chips = static_cast<uint32_t>(shares.size());
  return shares;
}

}  // namespace

std::vector<ChipShare> share_out(const graph::Graph& graph, const machine::Machine& machine, uint32_t chips,
                                 uint32_t context) {
  const uint32_t embed_end = embed_end_of(graph);
  const std::vector<Piece> pieces = pieces_of(graph, machine, context, embed_end);
  const uint64_t room = room_of(machine);
  const std::vector<ChipShare> fewest = deal(pieces, room, embed_end);
  if (fewest.empty()) {
    const Piece& largest = *std::ranges::max_element(pieces, {}, &Piece::rows);
    user_error("{}: {} and what follows it take {} MB on one {} chip, which has room for {} MB",
               graph.model_name, graph.nodes[largest.first].name,
               largest.rows * machine.geometry.lanes() / 1000000, machine.name,
               room * machine.geometry.lanes() / 1000000);
  }
  if (chips == 0) chips = static_cast<uint32_t>(fewest.size());
  if (chips < fewest.size()) {
    user_error("{}: takes {} chips of {} for {} positions, not {}", graph.model_name, fewest.size(),
               machine.name, context, chips);
  }
  if (chips > pieces.size()) {
    user_error("--chips {}: {} can be cut into {} parts at the most", chips, graph.model_name, pieces.size());
  }
  // The smallest limit that needs no more chips than wanted; where it needs fewer, the largest parts are cut.
  uint64_t low = 0, high = room;
  while (low + 1 < high) {
    const uint64_t middle = (low + high) / 2;
    const std::vector<ChipShare> shares = deal(pieces, middle, embed_end);
    (shares.empty() || shares.size() > chips ? low : high) = middle;
  }
  const std::vector<ChipShare> shares = deal(pieces, high, embed_end);
  if (shares.size() < chips) {
    user_error("--chips {}: {} is cut between layers into {} even parts, not more", chips, graph.model_name,
               shares.size());
  }
  return shares;
}

}  // namespace lockstep::compiler::lpu
