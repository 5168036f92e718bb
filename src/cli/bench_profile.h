// bench --profile: where the time of a step goes, part by part, beside the least that each part can take.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "cli/bench_target.h"

namespace lockstep::cli {

struct PartTime {
  Part part;
  double step_s = 0;   // of a step, the mean of the workers
  double bound_s = 0;  // 0: none is known
};

// Of the steps that one piece of work takes; times are means over them.
struct ProfileTable {
  std::string what;                // "prefill", "decode"
  uint32_t tokens = 0, depth = 0;  // tokens of each stream
  uint32_t streams = 1;
  uint32_t steps = 0;
  double step_s = 0;             // with the profile switched on, sampling included
  double unprofiled_step_s = 0;  // without it
  std::vector<PartTime> parts;   // their times add up to step_s

  double bound_s() const;  // the sum of the parts' bounds
  double tok_s() const { return streams * tokens / (steps * unprofiled_step_s); }
};

struct ProfileReport {
  MachineLimits limits;
  std::vector<ProfileTable> tables;
};

// Prefill where a prompt is asked for, and decode at each depth and of each number of streams.
ProfileReport measure_profile(BenchTarget& bench, const BenchOptions& options);

std::string text(const ProfileReport& report);
nlohmann::ordered_json json(const ProfileReport& report);

}  // namespace lockstep::cli
