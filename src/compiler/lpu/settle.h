// What the options of a compilation leave open, decided by size and by predicted time.
#pragma once

#include "compiler/lpu/compile_lpu.h"

namespace lockstep::compiler::lpu {

// Options with nothing left open but the number of chips.
LpuOptions settled(const graph::Graph& graph, const machine::Machine& machine, const LpuOptions& options);

// What a program's last entry takes, `of_group` chips of each group placed. REQUIRES: settled options.
LpuPrediction predicted(const graph::Graph& graph, const machine::Machine& machine, LpuOptions options,
                        uint32_t of_group);

}  // namespace lockstep::compiler::lpu
