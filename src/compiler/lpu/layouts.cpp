#include "compiler/lpu/layouts.h"

#include <map>

#include "base/error.h"

namespace lockstep::compiler::lpu {

using graph::Node;
using graph::Op;

bool can_share(const graph::Graph& graph, uint32_t parts) {
  for (const Node& node : graph.nodes) {
    const bool even = node.op == Op::Attention ? node.kv_heads % parts == 0
                      : node.op == Op::MatMul && &node != &graph.nodes[graph.logits] ? node.width % parts == 0
                                                                                     : true;
    if (!even) return false;
  }
  return true;
}

Layouts::Layouts(const graph::Graph& graph, const machine::Machine& machine, uint32_t part, uint32_t parts)
    : own_(graph.nodes.size()), whole_(graph.nodes.size()), heads_(graph.nodes.size()) {
  const std::vector<Node>& nodes = graph.nodes;
  const uint32_t lanes = machine.geometry.lanes();
  tokens_ = (graph.vocabulary + parts - 1) / parts;
  first_token_ = part * tokens_;
  // `of` gives the layout of each part.
  const auto pair = [&](const auto& of) {
    std::vector<Layout> all;
    for (uint32_t i = 0; i < parts; ++i) all.push_back(of((part + i) % parts));
    const auto own = std::make_shared<const Layout>(all[0]);
    return Pair{own, parts == 1 ? own : std::make_shared<const Layout>(joined(all))};
  };
  struct Heads {
    std::shared_ptr<const HeadLayout> layout;
    Pair queries, keys;
  };
  std::map<std::array<uint32_t, 3>, Heads> attentions;  // equal ones share their layouts
  for (uint32_t id = 0; id < nodes.size(); ++id) {
    const Node& node = nodes[id];
    if (node.op != Op::Attention) continue;
    if (node.head_width != node.value_width || node.head_width % 16 != 0 || 256 % node.head_width != 0 ||
        node.head_width > lanes || node.head_width < machine.geometry.superlanes) {
      user_error("{}: {} has heads of {} elements, which the LPU's attention is not made for",
                 graph.model_name, node.name, node.head_width);
    }
    const uint32_t kv_heads = node.kv_heads / parts;
    const auto heads_of = [&](uint32_t i) {
      return head_layout(i * kv_heads, kv_heads, node.heads / node.kv_heads, node.head_width, lanes);
    };
    Heads& shared = attentions[{node.heads, node.kv_heads, node.head_width}];
    if (shared.layout == nullptr) {
      shared.layout = std::make_shared<const HeadLayout>(heads_of(part));
      shared.queries = pair([&](uint32_t i) { return heads_of(i).queries; });
      shared.keys = pair([&](uint32_t i) { return heads_of(i).keys; });
    }
    const Pair &queries = shared.queries, &keys = shared.keys;
    heads_[id] = shared.layout;
    set(id, queries);
    for (uint32_t i = 0; i < 3; ++i) {
      const uint32_t input = node.inputs[i];
      set(input, i == 0 ? queries : keys);
      if (nodes[input].op == Op::Rope) set(nodes[input].inputs[0], i == 0 ? queries : keys);
    }
  }
  std::map<uint32_t, Pair> dense;
  for (uint32_t id = 0; id < nodes.size(); ++id) {
    if (own_[id] != nullptr || id == graph.logits) continue;
    if (nodes[id].op == Op::Quantise || nodes[id].op == Op::Select) {
      const uint32_t input = nodes[id].inputs[0];
      set(id, {own_[input], whole_[input]});
      continue;
    }
    Pair& shared = dense[nodes[id].width];
    const uint32_t width = nodes[id].width / parts;
    if (shared.own == nullptr)
      shared = pair([&](uint32_t i) { return dense_layout(i * width, width, lanes); });
    set(id, shared);
  }
}

}  // namespace lockstep::compiler::lpu
