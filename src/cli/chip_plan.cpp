#include "cli/chip_plan.h"

#include <fmt/format.h>

namespace lockstep::cli {

using compiler::lpu::ChipPlan;
using compiler::lpu::EntryPlan;
using compiler::lpu::Plan;
using compiler::lpu::QueuesPlan;
using compiler::lpu::SlicesPlan;

namespace {

using Json = nlohmann::ordered_json;

double steps_per_second(const EntryPlan& entry, const machine::Machine& machine) {
  return machine.clock_hz / static_cast<double>(entry.cycles);
}

std::string memory_line(const std::string& name, const SlicesPlan& slices) {
  const auto megabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  return fmt::format("{:<14} {:>9.2f} {:>9.2f} {:>10.2f} {:>9.2f} {:>9.2f} {:>13}\n", name,
                     megabytes(slices.weight_bytes), megabytes(slices.kv_bytes),
                     megabytes(slices.constant_bytes), megabytes(slices.scratch_bytes),
                     megabytes(slices.free_bytes), slices.fullest_rows);
}

Json bytes_json(const SlicesPlan& slices) {
  return {{"weight_bytes", slices.weight_bytes},     {"kv_bytes", slices.kv_bytes},
          {"constant_bytes", slices.constant_bytes}, {"scratch_bytes", slices.scratch_bytes},
          {"free_bytes", slices.free_bytes},         {"fullest_rows", slices.fullest_rows}};
}

}  // namespace

Json to_json(const Plan& plan, const machine::Machine& machine) {
  Json json;
  json["clock_hz"] = machine.clock_hz;
  json["chip_bytes"] = machine.chip_bytes();
  json["context"] = plan.context;
  for (const ChipPlan& chip : plan.chips) {
    Json row = {{"first_node", chip.first_node}, {"last_node", chip.last_node}, {"nodes", chip.nodes}};
    row.update(bytes_json(chip.total()));
    for (const SlicesPlan& slices : chip.slices) {
      Json range = {{"hemisphere", slices.hemisphere == 0 ? "east" : "west"},
                    {"first_slice", slices.first},
                    {"last_slice", slices.end - 1}};
      range.update(bytes_json(slices));
      row["memory"].push_back(range);
    }
    json["chips"].push_back(row);
  }
  for (const EntryPlan& entry : plan.entries) {
    Json row = {{"name", entry.name},
                {"rows", entry.rows},
                {"predicted_cycles", entry.cycles},
                {"steps_per_second", steps_per_second(entry, machine)},
                {"tokens_per_second", entry.rows * steps_per_second(entry, machine)}};
    for (const QueuesPlan& queues : entry.queues) {
      row["queues"][queues.unit] = {{"queues", queues.queues},
                                    {"instructions", queues.instructions},
                                    {"text_bytes", queues.text_bytes}};
    }
    json["entries"].push_back(row);
  }
  return json;
}

std::string describe(const Plan& plan, const machine::Machine& machine) {
  std::string text = fmt::format("{} of {:.1f} MB, {} positions\n", machine.name,
                                 static_cast<double>(machine.chip_bytes()) / 1e6, plan.context);
  for (size_t c = 0; c < plan.chips.size(); ++c) {
    const ChipPlan& chip = plan.chips[c];
    text += fmt::format("\nchip {}: {} nodes, {} to {}\n{:<14} {:>9} {:>9} {:>10} {:>9} {:>9} {:>13}\n", c,
                        chip.nodes, chip.first_node, chip.last_node, "slices", "weights", "KV cache",
                        "constants", "scratch", "free MB", "fullest slice");
    for (const SlicesPlan& slices : chip.slices) {
      const char* hemisphere = slices.hemisphere == 0 ? "east" : "west";
      text += memory_line(fmt::format("{} {} to {}", hemisphere, slices.first, slices.end - 1), slices);
    }
    text += memory_line("all", chip.total());
  }
  text += fmt::format("(of {} rows a slice has; a row is {} bytes)\n", machine.geometry.slice_rows,
                      machine.geometry.lanes());
  for (const EntryPlan& entry : plan.entries) {
    const std::string rows = entry.rows == 1 ? "a token" : fmt::format("for {} tokens", entry.rows);
    text +=
        fmt::format("\n{}: {} cycles {}, {:.0f} tokens a second at {:.0f} MHz\n", entry.name, entry.cycles,
                    rows, entry.rows * steps_per_second(entry, machine), machine.clock_hz / 1e6);
    text += fmt::format("  {:<6} {:>6} {:>13} {:>11}\n", "unit", "queues", "instructions", "text bytes");
    for (const QueuesPlan& queues : entry.queues) {
      text += fmt::format("  {:<6} {:>6} {:>13} {:>11}\n", queues.unit, queues.queues, queues.instructions,
                          queues.text_bytes);
    }
  }
  return text;
}

}  // namespace lockstep::cli
