// bench --workload: what speculation gains on given prompts.
#pragma once

#include "cli/bench_options.h"

namespace lockstep::cli {

// Answers the prompt of each file with speculation and without, in turn, and prints both speeds. A difference
// between their answers is an internal error.
void bench_workload(const BenchOptions& options);

}  // namespace lockstep::cli
