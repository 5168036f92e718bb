#include <cstring>

#include "compiler/passes.h"
#include "program/isa/host_panels.h"

namespace lockstep::compiler {

namespace {

void pack_matrix(const graph::Weight& weight, program::Matrix& matrix, std::byte* memory) {
  const program::isa::PanelLayout layout = program::isa::panel_layout(matrix);
  program::isa::pack_panels(weight.integers, layout, {memory + matrix.offset, layout.bytes()});
  std::memcpy(memory + matrix.scales_offset, weight.integers.row_scales.data(),
              weight.integers.row_scales.size() * sizeof(float));
  const numerics::ImportError error = numerics::measure_import_error(weight.tensor, weight.integers);
  matrix.error_relative = static_cast<float>(error.relative);
  matrix.error_worst = static_cast<float>(error.worst);
  matrix.error_row = error.worst_row;
  matrix.error_column = error.worst_column;
}

void pack_constants(const graph::Graph& graph, const program::Program& program, std::byte* memory) {
  for (const program::Region& region : program.regions) {
    if (region.memory != kConstants) continue;
    if (region.name == "rope.turns") {
      std::memcpy(memory + region.offset, graph.rope.turns.data(), region.width);
      continue;
    }
    for (const graph::Vector& vector : graph.vectors) {
      if (vector.name == region.name)
        std::memcpy(memory + region.offset, vector.values.data(), region.width * sizeof(float));
    }
  }
}

}  // namespace

void pack(const graph::Graph& graph, const CompileOptions& options, CompiledProgram& compiled) {
  program::Program& program = compiled.program;
  compiled.storage.emplace_back(program.memories[kWeights].bytes, PageSize::Huge);
  compiled.storage.emplace_back(program.memories[kConstants].bytes);
  for (uint32_t i = 0; i < graph.weights.size(); ++i) {
    pack_matrix(graph.weights[i], program.matrices[i], compiled.storage[kWeights].data());
    if (options.progress) options.progress("pack weights", i + 1, graph.weights.size());
  }
  pack_constants(graph, program, compiled.storage[kConstants].data());
  for (uint32_t memory : {kWeights, kConstants}) {
    program.contents[memory] = {compiled.storage[memory].data(), compiled.storage[memory].size()};
  }
}

}  // namespace lockstep::compiler
