// bench --jitter: how evenly tokens come, beside what the machine does to threads that only spin.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "cli/bench_target.h"
#include "cli/statistics.h"

namespace lockstep::cli {

// What the system did to the workers' threads, summed over them.
struct ThreadEvents {
  uint64_t preemptions = 0;  // involuntary context switches
  uint64_t waits = 0;        // voluntary ones: the thread slept
  uint64_t page_faults = 0;

  ThreadEvents& operator+=(const ThreadEvents& other);
  ThreadEvents operator-(const ThreadEvents& other) const;
};

struct Spread {
  double p50_s = 0, p99_s = 0, p999_s = 0, worst_s = 0;
};
Spread spread(const std::vector<double>& seconds);

// Slices of decode steps and of spinning in turn, by the same threads.
struct JitterReport {
  uint32_t depth = 0, slices = 0;
  // Of a token: a step at this depth and its sampling. `calm`: those in which no worker was preempted.
  std::vector<double> token_s, calm_token_s;
  ThreadEvents token_events;
  double token_stolen_s = 0;  // by the hypervisor from all processors, /proc/stat
  // Of the spinning: what a token of the median's length would have taken if only the gaps in a worker's
  // spinning had prolonged it, the worst worker counting.
  std::vector<double> idle_token_s;
  LogHistogram idle_gaps{1};  // gaps of 1 us and more, all workers
  ThreadEvents idle_events;
  double idle_s = 0, idle_stolen_s = 0;
};

JitterReport measure_jitter(BenchTarget& bench, const BenchOptions& options);

std::string text(const JitterReport& report);
nlohmann::ordered_json json(const JitterReport& report);

}  // namespace lockstep::cli
