#include "graph/graph.h"

namespace lockstep::graph {

ValueKind value_kind(Op op) {
  return op == Op::Quantise ? ValueKind::Q16 : ValueKind::F32;
}

const char* op_name(Op op) {
  switch (op) {
    case Op::Embed:
      return "embed";
    case Op::RmsNorm:
      return "rms_norm";
    case Op::Quantise:
      return "quantise";
    case Op::MatMul:
      return "matmul";
    case Op::Rope:
      return "rope";
    case Op::Attention:
      return "attention";
    case Op::SiluGate:
      return "silu_gate";
    case Op::Add:
      return "add";
    case Op::Select:
      return "select";
  }
  return "?";
}

namespace {

// binary32 as its bits: exact, and the same on every host.
std::string bits_text(float value) {
  return fmt::format("{:08x}", std::bit_cast<uint32_t>(value));
}

std::string print_node(const Graph& graph, ValueId id) {
  const Node& node = graph.nodes[id];
  std::string line = fmt::format("%{} = {}", id, op_name(node.op));
  for (size_t i = 0; i < node.inputs.size(); ++i)
    line += fmt::format("{}%{}", i == 0 ? " " : ", ", node.inputs[i]);
  line += fmt::format(" width={}", node.width);
  if (node.weight != kNone) line += fmt::format(" weight={}", graph.weights[node.weight].name);
  if (node.vector != kNone) line += fmt::format(" vector={}", graph.vectors[node.vector].name);
  if (node.op == Op::Embed || node.op == Op::RmsNorm || node.op == Op::Attention) {
    line += " factor=" + bits_text(node.factor);
  }
  if (node.heads != 0) line += fmt::format(" heads={}", node.heads);
  if (node.kv_heads != 0) line += fmt::format(" kv_heads={}", node.kv_heads);
  if (node.head_width != 0) line += fmt::format(" head_width={}", node.head_width);
  if (node.value_width != 0) line += fmt::format(" value_width={}", node.value_width);
  if (node.layer >= 0) line += fmt::format(" layer={}", node.layer);
  return line + "  # " + node.name + "\n";
}

}  // namespace

std::string print(const Graph& graph) {
  std::string text = fmt::format("graph architecture={} vocabulary={} context_max={} layers={} kv_bits={}\n",
                                 graph.architecture, graph.vocabulary, graph.context_max, graph.layers,
                                 graph.options.kv_bits);
  for (const Weight& weight : graph.weights) {
    text += fmt::format("weight {} [{}, {}]\n", weight.name, weight.rows(), weight.columns());
  }
  for (const Vector& vector : graph.vectors) {
    text += fmt::format("vector {} [{}]\n", vector.name, vector.values.size());
  }
  if (!graph.rope.turns.empty()) {
    text +=
        fmt::format("rope pairs={} [{}]\n", graph.rope.pairs == RopePairs::Adjacent ? "adjacent" : "halves",
                    graph.rope.turns.size());
  }
  for (ValueId id = 0; id < graph.nodes.size(); ++id) text += print_node(graph, id);
  return text + fmt::format("logits %{}\n", graph.logits);
}

Hash256 fingerprint(const Graph& graph) {
  Blake2b hasher;
  hasher.update(as_bytes("lockstep contract 1\n"));
  hasher.update(as_bytes(print(graph)));
  for (const Vector& vector : graph.vectors) hasher.update(std::as_bytes(std::span(vector.values)));
  hasher.update(std::as_bytes(std::span(graph.rope.turns)));
  std::vector<int16_t> row;
  for (const Weight& weight : graph.weights) {
    const numerics::IntegerMatrix& matrix = weight.integers;
    LOCKSTEP_CHECK(matrix.rows == weight.rows() && matrix.columns == weight.columns());
    hasher.update(std::as_bytes(std::span(matrix.row_scales)));
    row.resize(matrix.columns);
    for (uint64_t r = 0; r < matrix.rows; ++r) {
      matrix.row(r, row);
      hasher.update(std::as_bytes(std::span(row)));
    }
  }
  return hasher.finish();
}

}  // namespace lockstep::graph
