// What a step of a program costs, from the program alone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "program/program.h"

namespace lockstep::cli {

// Of one step with one row whose logits are wanted.
struct StepCost {
  uint64_t weights_bytes = 0;          // read from the weights memory
  uint64_t kv_bytes_per_position = 0;  // read from the cache for each position that is seen
  uint64_t multiply_accumulates = 0;   // of the matrix products
  uint64_t syncs = 0;                  // meetings of the workers
  uint64_t instructions = 0;
};

StepCost step_cost(const program::Program& program);
nlohmann::ordered_json to_json(const StepCost& cost);
std::string describe(const StepCost& cost);

}  // namespace lockstep::cli
