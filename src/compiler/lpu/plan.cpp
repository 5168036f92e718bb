#include "compiler/lpu/plan.h"

#include <algorithm>
#include <array>
#include <map>

#include "compiler/lpu/chip_scheduler.h"
#include "program/instruction_code.h"

namespace lockstep::compiler::lpu {

using program::Instruction;
using program::isa::LpuUnit;
using program::isa::UnitName;

namespace {

constexpr uint32_t kUnits = 6;
constexpr const char* kUnitNames[kUnits] = {"icu", "mem", "vxm", "mxm", "sxm", "c2c"};

// Of a row: no node reads it, or several do.
constexpr uint32_t kNobody = graph::kNone, kSeveral = graph::kNone - 1;

// One slice: which node reads each row, and which rows are written.
struct SliceUse {
  uint32_t image_rows = 0;
  std::vector<uint32_t> readers;
  std::vector<bool> written;
  std::map<uint32_t, uint32_t> gathers;  // the node that gathers from a row on

  SliceUse(uint32_t image, uint32_t rows) : image_rows(image), readers(rows, kNobody), written(rows) {}
  void read(uint64_t row, uint32_t node) {
    uint32_t& reader = readers[row];
    reader = reader == kNobody || reader == node ? node : kSeveral;
  }
  // A Gather's rows are known to its map alone: it has those from its base on that nobody reads by number.
  uint32_t reader(uint32_t row) const {
    if (readers[row] != kNobody || gathers.empty()) return readers[row];
    const auto after = gathers.upper_bound(row);
    return after == gathers.begin() ? kNobody : std::prev(after)->second;
  }
};

// Nodes by the names that the source map has.
using NodeIds = std::map<std::string, uint32_t>;

// The source map by queue, in order of instruction: where a node's instructions begin.
std::vector<std::map<uint32_t, uint32_t>> nodes_by_queue(const program::Program& program,
                                                         const NodeIds& ids) {
  std::vector<std::map<uint32_t, uint32_t>> lines(program.queues.size());
  for (const program::SourceLine& line : program.source_map)
    lines[line.queue][line.instruction] = ids.at(line.node);
  return lines;
}

// What a memory queue does to its slice.
void add_accesses(const std::vector<Instruction>& instructions, const std::map<uint32_t, uint32_t>& nodes,
                  SliceUse& slice) {
  uint32_t node = kSeveral;
  const Instruction* repeated = nullptr;
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    if (const auto line = nodes.find(i); line != nodes.end()) node = line->second;
    const Instruction& instruction = instructions[i];
    auto op = static_cast<LpuOp>(instruction.opcode);
    if (op == LpuOp::Gather) slice.gathers.emplace(static_cast<uint32_t>(instruction.words[0]), node);
    uint64_t first = 0, times = 1;
    if (op == LpuOp::Repeat && repeated != nullptr) {
      op = static_cast<LpuOp>(repeated->opcode);
      first = 1;
      times = instruction.words[0] + 1;
    } else {
      repeated = op == LpuOp::Read || op == LpuOp::Write ? &instruction : nullptr;
    }
    if (repeated == nullptr) continue;
    for (uint64_t time = first; time < times; ++time) {
      const uint64_t row = repeated->words[0] + time * repeated->words[2];
      if (op == LpuOp::Read) slice.read(row, node);
      if (op == LpuOp::Write) slice.written[row] = true;
    }
  }
}

void add_slice(const SliceUse& slice, const graph::Graph& graph, uint64_t row_bytes, SlicesPlan& plan) {
  uint32_t used = slice.image_rows;
  for (uint32_t row = 0; row < slice.readers.size(); ++row) {
    if (row >= slice.image_rows) {
      if (slice.written[row]) ++used;
      (slice.written[row] ? plan.scratch_bytes : plan.free_bytes) += row_bytes;
      continue;
    }
    const uint32_t reader = slice.reader(row);
    if (reader == kNobody || reader == kSeveral) {
      plan.constant_bytes += row_bytes;
    } else if (graph.nodes[reader].op == graph::Op::Attention) {
      plan.kv_bytes += row_bytes;
    } else {
      plan.weight_bytes += row_bytes;
    }
  }
  plan.fullest_rows = std::max(plan.fullest_rows, used);
}

// Which range of its chip a slice belongs to: words and activations stand nearest the VXM, tiles beyond.
std::vector<SlicesPlan> slice_ranges(const machine::Machine& machine) {
  const uint32_t words = std::min(4 * SchedulerOptions().scratch_quads, machine.geometry.slices);
  std::vector<SlicesPlan> ranges;
  for (const uint32_t hemisphere : {0u, 1u}) {
    ranges.push_back({hemisphere, 0, words});
    if (words < machine.geometry.slices) ranges.push_back({hemisphere, words, machine.geometry.slices});
  }
  return ranges;
}

void add_memory(Plan& plan, const program::Program& program, const graph::Graph& graph,
                const machine::Machine& machine, const std::vector<std::map<uint32_t, uint32_t>>& nodes) {
  std::map<uint32_t, SliceUse> slices;  // by memory
  for (uint32_t m = 0; m < program.memories.size(); ++m) {
    if (program::isa::parse_unit_name(program.memories[m].name).unit != LpuUnit::Mem) continue;
    const uint64_t image = program.memories[m].bytes / machine.geometry.lanes();
    slices.emplace(m, SliceUse(static_cast<uint32_t>(image), machine.geometry.slice_rows));
  }
  for (uint32_t q = 0; q < program.queues.size(); ++q) {
    const auto slice = slices.find(program.queues[q].memory);
    if (slice != slices.end()) add_accesses(program.queues[q].instructions, nodes[q], slice->second);
  }
  for (const auto& [memory, slice] : slices) {
    const UnitName name = program::isa::parse_unit_name(program.memories[memory].name);
    for (SlicesPlan& range : plan.chips[name.chip].slices) {
      if (range.hemisphere == name.hemisphere && range.first <= name.place && name.place < range.end)
        add_slice(slice, graph, machine.geometry.lanes(), range);
    }
  }
}

void add_nodes(Plan& plan, const program::Program& program, const graph::Graph& graph,
               const std::vector<std::map<uint32_t, uint32_t>>& nodes) {
  std::vector<std::vector<bool>> works(plan.chips.size(), std::vector<bool>(graph.nodes.size()));
  for (uint32_t q = 0; q < program.queues.size(); ++q) {
    const uint32_t chip = program::isa::parse_unit_name(program.queues[q].unit).chip;
    for (const auto& [instruction, node] : nodes[q]) works[chip][node] = true;
  }
  for (size_t chip = 0; chip < plan.chips.size(); ++chip) {
    for (uint32_t id = 0; id < graph.nodes.size(); ++id) {
      if (!works[chip][id]) continue;
      ChipPlan& planned = plan.chips[chip];
      if (planned.nodes++ == 0) planned.first_node = graph.nodes[id].name;
      planned.last_node = graph.nodes[id].name;
    }
  }
}

std::vector<QueuesPlan> queues_of(const program::Program& program, const program::Entry& entry) {
  std::array<QueuesPlan, kUnits> kinds;
  for (const uint32_t index : entry.queues) {
    const program::Queue& queue = program.queues[index];
    QueuesPlan& kind = kinds[static_cast<size_t>(program::isa::parse_unit_name(queue.unit).unit)];
    ++kind.queues;
    kind.instructions += queue.instructions.size();
    for (const Instruction& instruction : queue.instructions)
      kind.text_bytes += program::instruction_bytes(instruction);
  }
  std::vector<QueuesPlan> plan;
  for (size_t unit = 0; unit < kUnits; ++unit) {
    if (kinds[unit].queues == 0) continue;
    plan.push_back(std::move(kinds[unit]));
    plan.back().unit = kUnitNames[unit];
  }
  return plan;
}

uint32_t chips_of(const program::Program& program) {
  uint32_t chips = 0;
  for (const program::Memory& memory : program.memories) {
    const UnitName name = program::isa::parse_unit_name(memory.name);
    if (name.unit == LpuUnit::Mem) chips = std::max(chips, name.chip + 1);
  }
  return chips;
}

}  // namespace

SlicesPlan ChipPlan::total() const {
  SlicesPlan sum;
  for (const SlicesPlan& range : slices) {
    sum.weight_bytes += range.weight_bytes;
    sum.kv_bytes += range.kv_bytes;
    sum.constant_bytes += range.constant_bytes;
    sum.scratch_bytes += range.scratch_bytes;
    sum.free_bytes += range.free_bytes;
    sum.fullest_rows = std::max(sum.fullest_rows, range.fullest_rows);
  }
  return sum;
}

Plan plan_of(const program::Program& program, const graph::Graph& graph, const machine::Machine& machine) {
  NodeIds ids;
  for (uint32_t id = 0; id < graph.nodes.size(); ++id) ids[graph.nodes[id].name] = id;
  const auto nodes = nodes_by_queue(program, ids);
  Plan plan;
  plan.context = program.context_max;
  plan.chips.resize(chips_of(program));
  for (ChipPlan& chip : plan.chips) chip.slices = slice_ranges(machine);
  add_nodes(plan, program, graph, nodes);
  add_memory(plan, program, graph, machine, nodes);
  for (const program::Entry& entry : program.entries) {
    EntryPlan& planned = plan.entries.emplace_back();
    planned.name = entry.name;
    planned.cycles = program.parameter(entry.name + ".cycles").max;
    if (entry.name.starts_with("rows"))
      planned.rows = static_cast<uint32_t>(std::stoul(entry.name.substr(std::string("rows").size())));
    planned.queues = queues_of(program, entry);
  }
  return plan;
}

}  // namespace lockstep::compiler::lpu
