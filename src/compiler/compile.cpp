#include "compiler/compile.h"

#include "compiler/passes.h"
#include "program/verify.h"

namespace lockstep::compiler {

program::Program plan_for_host(const graph::Graph& graph, const CompileOptions& options) {
  program::Program program;
  declare(graph, options, program);
  lower(graph, program);
  place(program);
  synchronise(program);
  return program;
}

CompiledProgram compile_for_host(graph::Graph& graph, std::vector<program::Asset> assets,
                                 const CompileOptions& options) {
  import_weights(graph, options);
  CompiledProgram compiled;
  compiled.program = plan_for_host(graph, options);
  compiled.program.fingerprint = graph::fingerprint(graph);
  compiled.program.assets = std::move(assets);
  pack(graph, options, compiled);
  program::verify_structure(compiled.program, graph.model_name);
  program::verify_flow(compiled.program, graph.model_name);
  return compiled;
}

void import_weights(graph::Graph& graph, const CompileOptions& options) {
  uint64_t done = 0;
  for (graph::Weight& weight : graph.weights) {
    if (weight.integers.rows == 0)
      weight.integers = numerics::import_matrix(weight.tensor, graph.options.weights);
    if (options.progress) options.progress("import weights", ++done, graph.weights.size());
  }
}

}  // namespace lockstep::compiler
