#include "compiler/passes.h"
#include "numerics/tensor.h"
#include "program/isa/host.h"
#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"

namespace lockstep::compiler {

using program::MemoryKind;

namespace {

program::StateLayout state_layout(const graph::Graph& graph) {
  program::StateLayout state;
  state.memory = kKv;
  state.page_positions = program::isa::kPagePositions;
  state.layers = graph.layers;
  state.kv_bits = graph.options.kv_bits;
  for (const graph::Node& node : graph.nodes) {
    if (node.op != graph::Op::Attention) continue;
    LOCKSTEP_CHECK(state.kv_heads == 0 ||
                   (state.kv_heads == node.kv_heads && state.head_width == node.head_width &&
                    state.value_width == node.value_width));
    state.kv_heads = node.kv_heads;
    state.head_width = node.head_width;
    state.value_width = node.value_width;
  }
  return state;
}

// The layout that a weight will have. Whether a Byte matrix has offsets shows only in its integers; before
// they are imported the tensor's type decides.
program::isa::PanelLayout layout_of(const graph::Graph& graph, const graph::Weight& weight) {
  if (weight.integers.rows != 0) return program::isa::panel_layout(weight.integers);
  const numerics::TensorTypeInfo& info = numerics::tensor_type_info(weight.tensor.type);
  numerics::IntegerMatrix shape;
  shape.rows = weight.rows();
  shape.columns = weight.columns();
  shape.kind = graph.options.weights == numerics::WeightVariant::Int8 ? numerics::MatrixKind::Plain8
               : info.code_bits == 0                                  ? numerics::MatrixKind::Plain16
                                                                      : numerics::MatrixKind::Group;
  shape.code_bits = info.code_bits;
  shape.group_columns = info.group_columns;
  program::isa::PanelLayout layout = program::isa::panel_layout(shape);
  if (layout.kind == program::isa::PanelKind::Byte) {
    layout.has_offsets =
        weight.tensor.type == numerics::TensorType::Q5_1 || weight.tensor.type == numerics::TensorType::Q5_K;
  }
  return layout;
}

}  // namespace

void declare(const graph::Graph& graph, const CompileOptions& options, program::Program& program) {
  program.model_name = graph.model_name;
  program.isa = program::isa::host().name;
  program.isa_version = program::isa::host().version;
  program.compiler_version = kCompilerVersion;
  program.machine = options.machine;
  program.weight_variant = numerics::weight_variant_name(graph.options.weights);
  program.vocabulary = graph.vocabulary;
  program.context_max = graph.context_max;
  program.parameters = {
      {"rows", 1, options.rows_max}, {"wanted", 0, options.rows_max}, {"position", 0, graph.context_max - 1}};
  program.state = state_layout(graph);
  program.memories = {{"weights", MemoryKind::File, 0},
                      {"constants", MemoryKind::File, 0},
                      {"activations", MemoryKind::Scratch, 0},
                      {"private", MemoryKind::Private, 0},
                      {"kv", MemoryKind::State, program::isa::KvLayout(program.state).page_bytes()},
                      {"input", MemoryKind::Input, 0},
                      {"output", MemoryKind::Output, 0}};
  uint64_t offset = 0;
  for (const graph::Weight& weight : graph.weights) {
    const program::isa::PanelLayout layout = layout_of(graph, weight);
    program::Matrix matrix;
    matrix.name = weight.name;
    matrix.rows = layout.rows;
    matrix.columns = layout.columns;
    matrix.layout = static_cast<uint8_t>(layout.kind);
    matrix.group_columns = layout.group_columns;
    matrix.has_offsets = layout.has_offsets ? 1 : 0;
    matrix.memory = kWeights;
    matrix.offset = offset;
    matrix.scales_offset = align_up(offset + layout.bytes(), 64);
    offset = align_up(matrix.scales_offset + layout.panels() * program::isa::kPanelRows * sizeof(float), 64);
    program.matrices.push_back(std::move(matrix));
  }
  program.memories[kWeights].bytes = offset;
}

}  // namespace lockstep::compiler
