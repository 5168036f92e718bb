// What the measurements of `bench` are told.
#pragma once

#include <vector>

#include "cli/options.h"

namespace lockstep::cli {

struct BenchOptions {
  ModelOptions model;
  uint32_t prompt = 512, tokens = 128, repeats = 3;
  std::vector<uint32_t> depths = {0};
  uint32_t steps = 2000;  // of --jitter
  bool profile = false, jitter = false, json = false;
};

}  // namespace lockstep::cli
