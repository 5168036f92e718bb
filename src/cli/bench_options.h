// What the measurements of `bench` are told.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace lockstep::cli {

struct BenchOptions {
  ModelOptions model;
  uint32_t prompt = 512, tokens = 128, repeats = 3;
  std::vector<uint32_t> depths = {0};
  std::vector<uint32_t> streams;      // decoded together; none: one, without sampling
  uint32_t steps = 2000;              // of --jitter
  std::vector<std::string> workload;  // files with prompts
  float temperature = 0;              // of the workload
  bool profile = false, jitter = false, json = false;
};

}  // namespace lockstep::cli
