#include "cli/cost.h"

#include <fmt/format.h>

#include "program/isa/host.h"
#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"

namespace lockstep::cli {

using program::isa::HostOp;

StepCost step_cost(const program::Program& program) {
  StepCost cost;
  for (const program::Instruction& instruction : program.queues[0].instructions) {
    ++cost.instructions;
    const HostOp op = static_cast<HostOp>(instruction.opcode);
    if (op == HostOp::MatMul || op == HostOp::MatMulAdd) {
      const program::Matrix& matrix = program.matrices[instruction.words[2]];
      const program::isa::PanelLayout layout = program::isa::panel_layout(matrix);
      cost.weights_bytes += layout.bytes() + layout.panels() * program::isa::kPanelRows * sizeof(float);
      cost.multiply_accumulates += matrix.rows * matrix.columns;
    } else if (op == HostOp::Sync &&
               instruction.words[0] == static_cast<uint64_t>(program::isa::SyncWhen::Always)) {
      ++cost.syncs;
    }
  }
  cost.kv_bytes_per_position =
      program::isa::KvLayout(program.state).page_bytes() / program::isa::kPagePositions;
  return cost;
}

nlohmann::ordered_json to_json(const StepCost& cost) {
  nlohmann::ordered_json json;
  json["weights_bytes"] = cost.weights_bytes;
  json["kv_bytes_per_position"] = cost.kv_bytes_per_position;
  json["multiply_accumulates"] = cost.multiply_accumulates;
  json["syncs"] = cost.syncs;
  json["instructions"] = cost.instructions;
  return json;
}

std::string describe(const StepCost& cost) {
  return fmt::format(
      "a decode step reads {:.1f} MB of weights and {} bytes of cache a position, multiplies {:.1f} million "
      "times, "
      "meets {} times\n",
      static_cast<double>(cost.weights_bytes) / 1e6, cost.kv_bytes_per_position,
      static_cast<double>(cost.multiply_accumulates) / 1e6, cost.syncs);
}

}  // namespace lockstep::cli
