// From a graph to a program for the host: a list of passes (compile.cpp shows them on one screen).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/memory.h"
#include "graph/graph.h"
#include "program/program.h"

namespace lockstep::compiler {

inline constexpr const char* kCompilerVersion = "lockstep-0.1.0";

struct CompileOptions {
  uint32_t rows_max = 512;  // the largest prefill chunk
  std::string machine = "host";
  // Told how far the long passes are: a name, steps done and steps in all.
  std::function<void(const std::string& pass, uint64_t done, uint64_t total)> progress;
};

// A program and the memory that its contents view.
struct CompiledProgram {
  program::Program program;
  std::vector<AlignedBuffer> storage;
};

// Compiles for the host. Fills graph.weights[].integers on the way (the interpreter needs them; drop the
// graph to free them). REQUIRES: a verified graph. Throws a user's error for values that the contract
// refuses.
CompiledProgram compile_for_host(graph::Graph& graph, std::vector<program::Asset> assets,
                                 const CompileOptions& options);

// The program of compile_for_host without weights: sizes, regions and instructions, no contents.
program::Program plan_for_host(const graph::Graph& graph, const CompileOptions& options);

// The first pass alone: every weight of the graph as the contract's integers. Those that are there stay.
void import_weights(graph::Graph& graph, const CompileOptions& options);

}  // namespace lockstep::compiler
