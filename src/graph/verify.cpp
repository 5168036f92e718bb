#include <cmath>
#include <set>

#include "graph/graph.h"

namespace lockstep::graph {

namespace {

// The checks of one node; `graph_error` names it.
class NodeVerifier {
 public:
  NodeVerifier(const Graph& graph, ValueId id) : graph_(graph), id_(id), node_(graph.nodes[id]) {}

  void verify() const {
    require(node_.width > 0, "has no elements");
    for (ValueId input : node_.inputs) require(input < id_, "uses a value that is not computed before it");
    require(node_.weight == kNone || node_.weight < graph_.weights.size(),
            "names a weight that is not there");
    require(node_.vector == kNone || node_.vector < graph_.vectors.size(),
            "names a vector that is not there");
    require(std::isfinite(node_.factor), "has a factor that is not finite");
    switch (node_.op) {
      case Op::Embed:
        return verify_embed();
      case Op::RmsNorm:
        return verify_norm();
      case Op::Quantise:
        inputs(1);
        return require(input(0).width == node_.width, "changes the width");
      case Op::MatMul:
        return verify_matmul();
      case Op::Rope:
        return verify_rope();
      case Op::Attention:
        return verify_attention();
      case Op::SiluGate:
      case Op::Add:
        inputs(2);
        return require(input(0).width == node_.width && input(1).width == node_.width,
                       "joins vectors of other widths");
      case Op::Select:
        inputs(1);
        return require(input(0).width == node_.width, "changes the width");
    }
    require(false, "has an unknown operator");
  }

 private:
  void require(bool holds, const char* rule) const {
    if (!holds) user_error("{}: node {} ({}) {}", graph_.model_name, node_.name, op_name(node_.op), rule);
  }
  const Node& input(size_t i) const { return graph_.nodes[node_.inputs[i]]; }
  void inputs(size_t count) const {
    require(node_.inputs.size() == count, "has the wrong number of inputs");
    const ValueKind wanted = node_.op == Op::MatMul ? ValueKind::Q16 : ValueKind::F32;
    for (size_t i = 0; i < count; ++i)
      require(value_kind(input(i).op) == wanted, "takes a value of another kind");
  }
  void verify_embed() const {
    inputs(0);
    require(node_.weight != kNone, "has no weight");
    const Weight& weight = graph_.weights[node_.weight];
    require(weight.columns() == node_.width && weight.rows() == graph_.vocabulary,
            "has a weight of another shape");
  }
  void verify_norm() const {
    inputs(1);
    require(input(0).width == node_.width, "changes the width");
    require(node_.factor >= 0x1p-60f, "has an eps below 2^-60");
    require(node_.vector != kNone && graph_.vectors[node_.vector].values.size() == node_.width,
            "has no gain of its width");
  }
  void verify_matmul() const {
    inputs(1);
    require(node_.weight != kNone, "has no weight");
    const Weight& weight = graph_.weights[node_.weight];
    require(weight.columns() == input(0).width && weight.rows() == node_.width,
            "has a weight of another shape");
    require(node_.vector == kNone || graph_.vectors[node_.vector].values.size() == node_.width,
            "has a bias of another width");
  }
  void verify_rope() const {
    inputs(1);
    require(input(0).width == node_.width && uint64_t{node_.heads} * node_.head_width == node_.width,
            "has heads that do not fill its width");
    require(!graph_.rope.turns.empty() && graph_.rope.turns.size() * 2 <= node_.head_width,
            "turns more elements than a head has");
  }
  void verify_attention() const {
    inputs(3);
    require(node_.heads > 0 && node_.kv_heads > 0 && node_.heads % node_.kv_heads == 0,
            "has query heads that are no multiple of its KV heads");
    require(node_.head_width % 2 == 0 && node_.head_width > 0 && node_.value_width > 0,
            "has an odd head width");
    require(input(0).width == uint64_t{node_.heads} * node_.head_width, "has queries of another width");
    require(input(1).width == uint64_t{node_.kv_heads} * node_.head_width, "has keys of another width");
    require(input(2).width == uint64_t{node_.kv_heads} * node_.value_width, "has values of another width");
    require(node_.width == uint64_t{node_.heads} * node_.value_width, "has an output of another width");
    require(node_.layer >= 0 && static_cast<uint32_t>(node_.layer) < graph_.layers, "belongs to no layer");
  }

  const Graph& graph_;
  ValueId id_;
  const Node& node_;
};

}  // namespace

void verify(const Graph& graph) {
  std::set<std::string> names;
  for (const Vector& vector : graph.vectors) {
    for (float value : vector.values) {
      if (!(std::fabs(value) < 0x1p32f)) {
        user_error("{}: vector {} holds a value that is not finite or not below 2^32", graph.model_name,
                   vector.name);
      }
    }
  }
  for (ValueId id = 0; id < graph.nodes.size(); ++id) {
    NodeVerifier(graph, id).verify();
    if (!names.insert(graph.nodes[id].name).second) {
      user_error("{}: two nodes are named {}", graph.model_name, graph.nodes[id].name);
    }
  }
  if (graph.logits >= graph.nodes.size() || graph.nodes[graph.logits].width != graph.vocabulary) {
    user_error("{}: the graph has no logits of its vocabulary's width", graph.model_name);
  }
  if (graph.options.kv_bits != 16 && graph.options.kv_bits != 8) {
    user_error("{}: a KV cache of {} bits is not known; 16 or 8 is", graph.model_name, graph.options.kv_bits);
  }
  if (graph.context_max == 0 || graph.layers == 0)
    user_error("{}: no context or no layers", graph.model_name);
}

}  // namespace lockstep::graph
