// What a program for LPUs takes, as a table and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "compiler/lpu/plan.h"

namespace lockstep::cli {

nlohmann::ordered_json to_json(const compiler::lpu::Plan& plan, const machine::Machine& machine);
std::string describe(const compiler::lpu::Plan& plan, const machine::Machine& machine);

}  // namespace lockstep::cli
