#include <bit>
#include <map>

#include "compiler/passes.h"
#include "program/isa/host.h"
#include "program/isa/host_q16.h"

namespace lockstep::compiler {

using graph::Node;
using graph::Op;
using graph::ValueId;
using program::Element;
using program::Region;
using program::RowCount;
using program::isa::HostOp;

namespace {

class Lowering {
 public:
  Lowering(const graph::Graph& graph, program::Program& program)
      : graph_(graph),
        program_(program),
        regions_(graph.nodes.size(), program::kNone),
        consumers_(graph.nodes.size()) {
    for (ValueId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) consumers_[input].push_back(id);
    }
  }

  void run() {
    program_.queues.push_back({"workers", program::kNone, {}});
    tokens_ = add_region({"tokens", kInput, 0, Element::I32, 1, 4, RowCount::Rows});
    wanted_ = add_region({"wanted", kInput, 0, Element::I32, 1, 4, RowCount::Wanted});
    for (ValueId id = 0; id < graph_.nodes.size(); ++id) lower_node(id);
    program_.entries.push_back({"step", {0}, {0, 1, 2}});
  }

 private:
  void lower_node(ValueId id) {
    const Node& node = graph_.nodes[id];
    switch (node.op) {
      case Op::Embed:
        regions_[id] = add_value(node);
        return emit(HostOp::Embed, {regions_[id], tokens_, node.weight, bits(node.factor)}, id);
      case Op::RmsNorm:
      case Op::SiluGate:
        return require_consumer(id, Op::Quantise);
      case Op::Quantise:
        return lower_quantise(id, node);
      case Op::MatMul:
        if (fused_add(id) != graph::kNone) return;
        regions_[id] = add_value(node);
        return emit(HostOp::MatMul,
                    {regions_[id], region(node.inputs[0]), node.weight, vector_region(node.vector)}, id);
      case Op::Add:
        return lower_add(id, node);
      case Op::Rope:
        return require_consumer(id, Op::Attention);
      case Op::Attention:
        return lower_attention(id, node);
      case Op::Select:
        past_select_ = true;
        regions_[id] = add_value(node);
        return emit(HostOp::Select, {regions_[id], region(node.inputs[0]), wanted_}, id);
    }
  }

  void lower_quantise(ValueId id, const Node& node) {
    const Node& producer = graph_.nodes[node.inputs[0]];
    regions_[id] = add_region({node.name, kPrivate, 0, Element::Q16, node.width,
                               program::isa::Q16Layout(node.width).row_bytes(), rows()});
    if (producer.op == Op::RmsNorm) {
      emit(HostOp::NormQuantise,
           {regions_[id], region(producer.inputs[0]), vector_region(producer.vector), bits(producer.factor)},
           id);
    } else if (producer.op == Op::SiluGate) {
      emit(HostOp::GateQuantise, {regions_[id], region(producer.inputs[0]), region(producer.inputs[1])}, id);
    } else {
      emit(HostOp::Quantise, {regions_[id], region(node.inputs[0])}, id);
    }
  }

  // The Add that takes a MatMul's result and nothing else does, when its other operand ends there.
  ValueId fused_add(ValueId matmul) const {
    if (consumers_[matmul].size() != 1) return graph::kNone;
    const ValueId add = consumers_[matmul][0];
    const Node& node = graph_.nodes[add];
    if (node.op != Op::Add) return graph::kNone;
    const ValueId other = node.inputs[0] == matmul ? node.inputs[1] : node.inputs[0];
    if (other == matmul || graph_.nodes[other].op == Op::MatMul || consumers_[other].back() != add)
      return graph::kNone;
    return add;
  }

  void lower_add(ValueId id, const Node& node) {
    for (size_t i = 0; i < 2; ++i) {
      const ValueId matmul = node.inputs[i];
      if (graph_.nodes[matmul].op != Op::MatMul || fused_add(matmul) != id) continue;
      const Node& product = graph_.nodes[matmul];
      regions_[id] = region(node.inputs[1 - i]);
      return emit(HostOp::MatMulAdd,
                  {regions_[id], region(product.inputs[0]), product.weight, vector_region(product.vector)},
                  id);
    }
    internal_error("the host has no instruction for the node {}", node.name);
  }

  void lower_attention(ValueId id, const Node& node) {
    const Node& rope_q = graph_.nodes[node.inputs[0]];
    const Node& rope_k = graph_.nodes[node.inputs[1]];
    LOCKSTEP_CHECK(rope_q.op == Op::Rope && rope_k.op == Op::Rope &&
                   consumers_[rope_q.inputs[0]].size() == 1);
    const uint32_t q = region(rope_q.inputs[0]);
    const uint64_t layer = static_cast<uint64_t>(node.layer);
    emit(HostOp::RopeStore,
         {q, region(rope_k.inputs[0]), region(node.inputs[2]), layer, turns_region(),
          static_cast<uint64_t>(graph_.rope.pairs), node.heads},
         node.inputs[0], q);
    regions_[id] = add_value(node);
    emit(HostOp::Attention, {regions_[id], q, layer, node.heads, bits(node.factor)}, id);
  }

  void require_consumer(ValueId id, Op op) const {
    for (ValueId consumer : consumers_[id]) {
      if (graph_.nodes[consumer].op != op) {
        internal_error("the host has no instruction for the node {}", graph_.nodes[id].name);
      }
    }
  }

  RowCount rows() const { return past_select_ ? RowCount::Wanted : RowCount::Rows; }

  uint32_t add_value(const Node& node) {
    const bool logits = &node == &graph_.nodes[graph_.logits];
    return add_region({node.name, logits ? kOutput : kActivations, 0, Element::F32, node.width,
                       align_up(uint64_t{node.width} * sizeof(float), 64), rows()});
  }

  uint32_t add_region(Region region) {
    program_.regions.push_back(std::move(region));
    return static_cast<uint32_t>(program_.regions.size() - 1);
  }

  // The constant of a graph's vector; made on its first use.
  uint32_t vector_region(graph::VectorId id) {
    if (id == graph::kNone) return program::kNone;
    auto [it, added] = vectors_.try_emplace(id, 0);
    if (added) {
      const graph::Vector& vector = graph_.vectors[id];
      const uint32_t width = static_cast<uint32_t>(vector.values.size());
      it->second = add_region({vector.name, kConstants, 0, Element::F32, width,
                               align_up(uint64_t{width} * sizeof(float), 64), RowCount::One});
    }
    return it->second;
  }

  uint32_t turns_region() {
    if (turns_ == program::kNone) {
      const uint32_t bytes = static_cast<uint32_t>(graph_.rope.turns.size() * sizeof(uint64_t));
      turns_ = add_region(
          {"rope.turns", kConstants, 0, Element::Bytes, bytes, align_up(bytes, 64), RowCount::One});
    }
    return turns_;
  }

  uint32_t region(ValueId id) const {
    LOCKSTEP_CHECK(regions_[id] != program::kNone);
    return regions_[id];
  }

  static uint64_t bits(float value) { return std::bit_cast<uint32_t>(value); }

  void emit(HostOp op, std::vector<uint64_t> words, ValueId node, uint32_t value_region = program::kNone) {
    std::vector<program::Instruction>& instructions = program_.queues[0].instructions;
    program_.source_map.push_back({0, static_cast<uint32_t>(instructions.size()), graph_.nodes[node].name,
                                   graph_.nodes[node].layer,
                                   value_region != program::kNone ? value_region : regions_[node]});
    instructions.push_back({static_cast<uint16_t>(op), std::move(words)});
  }

  const graph::Graph& graph_;
  program::Program& program_;
  std::vector<uint32_t> regions_;  // of each node's value
  std::vector<std::vector<ValueId>> consumers_;
  std::map<graph::VectorId, uint32_t> vectors_;
  uint32_t tokens_ = program::kNone, wanted_ = program::kNone, turns_ = program::kNone;
  bool past_select_ = false;
};

}  // namespace

void lower(const graph::Graph& graph, program::Program& program) {
  Lowering(graph, program).run();
}

}  // namespace lockstep::compiler
