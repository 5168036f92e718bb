// From a graph to a program for LPU chips. The order: place what lasts, schedule each entry, write queues.
#pragma once

#include "compiler/compile.h"
#include "machine/machine.h"

namespace lockstep::compiler {

// The asset that has the text of the machine file that a program was compiled for.
inline constexpr const char* kMachineAsset = "machine";

inline constexpr uint32_t kContextMax = ~uint32_t{0};

struct LpuOptions {
  // Positions; 0: one block, as many as a vector has lanes; kContextMax: as many as there is room for on the
  // chips that one block takes.
  uint32_t context = 0;
  uint32_t chips = 0;  // 0: as few as hold the model
  // Chips that share every matrix, each with a part of its rows; the layers are cut over groups of them. 0:
  // what is predicted to take the fewest cycles on as many chips, or the fewest chips.
  uint32_t tensor_parallel = 0;
  uint32_t rows = 1;  // more: entries for so many tokens at once besides, for prompts and drafts
  std::function<void(const std::string& pass, uint64_t done, uint64_t total)> progress = {};
};

// Compiles for a machine. Fills graph.weights[].integers as compile_for_host does; those with sizes and no
// values stay as they are, for a program that takes the right time and computes nothing. REQUIRES: a verified
// graph. Throws a user's error for a model or context that the machine has no room for and for operators that
// the LPU is not made for.
CompiledProgram compile_for_lpu(graph::Graph& graph, const machine::Machine& machine,
                                std::vector<program::Asset> assets, const LpuOptions& options);

struct LpuPrediction {
  uint64_t cycles = 0;
  uint32_t chips = 0;
};
// What a step of options.rows tokens in the context's last block takes, from the sizes of weights alone:
// graph.weights[].integers without values. Throws as compile_for_lpu does.
LpuPrediction predict_for_lpu(const graph::Graph& graph, const machine::Machine& machine,
                              const LpuOptions& options);

}  // namespace lockstep::compiler
