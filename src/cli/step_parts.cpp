#include "cli/step_parts.h"

#include <algorithm>

#include "program/isa/host.h"
#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"

namespace lockstep::cli {

using program::Instruction;
using program::Program;
using program::Region;
using program::RowCount;
using program::isa::HostOp;
using program::isa::PanelKind;

namespace {

HostOp host_op(const Instruction& instruction) {
  return static_cast<HostOp>(instruction.opcode);
}

struct Rows {
  uint64_t all = 0, wanted = 0;
};

uint64_t row_count(const Region& region, Rows rows) {
  if (region.rows == RowCount::One) return 1;
  return region.rows == RowCount::Wanted ? rows.wanted : rows.all;
}

// The bytes of an instruction's regions that are read or written; twice where both.
uint64_t region_traffic(const Program& program, const Instruction& instruction, Rows rows) {
  uint64_t bytes = 0;
  const program::isa::Opcode* opcode = program::isa::host().find(instruction.opcode);
  for (size_t f = 0; f < opcode->fields.size(); ++f) {
    const program::isa::Field& field = opcode->fields[f];
    if (field.kind != program::isa::FieldKind::Region || instruction.words[f] == program::kNone) continue;
    const Region& region = program.regions[instruction.words[f]];
    const uint64_t times = field.access == program::isa::Access::Update ? 2 : 1;
    bytes += row_count(region, rows) * region.row_bytes * times;
  }
  return bytes;
}

PartCost product_cost(const Program& program, const Instruction& instruction, Rows rows) {
  const program::Matrix& matrix = program.matrices[instruction.words[2]];
  const program::isa::PanelLayout layout = program::isa::panel_layout(matrix);
  const uint64_t m = row_count(program.regions[instruction.words[0]], rows);
  PartCost cost;
  if (m == 0) return cost;
  cost.streamed_bytes = layout.bytes() + layout.panels() * program::isa::kPanelRows * sizeof(float);
  cost.products[static_cast<size_t>(layout.kind)] = m * matrix.rows * matrix.columns;
  return cost;
}

// One layer: each position's keys and values read once, scores and values multiplied for every query head.
PartCost attention_cost(const Program& program, const Instruction& instruction,
                        std::span<const SequenceShape> sequences) {
  const program::isa::KvLayout kv(program.state);
  const uint64_t heads = instruction.words[3];
  PartCost cost;
  uint64_t pairs = 0, positions = 0;
  for (const SequenceShape& sequence : sequences) {
    const uint64_t rows = sequence.rows;
    pairs += rows * sequence.position + rows * (rows + 1) / 2;
    positions += sequence.position + rows;
  }
  cost.streamed_bytes = positions * kv.page_bytes() / program::isa::kPagePositions / kv.layers;
  (kv.kv_bits == 8 ? cost.products[static_cast<size_t>(PanelKind::Plain8)] : cost.wide_products) =
      pairs * heads * (kv.head_width + kv.value_width);
  return cost;
}

}  // namespace

const char* part_name(Part part) {
  constexpr std::array<const char*, kParts> kNames = {
      "matrix products", "attention", "norms, quantisation", "rope, store", "barriers", "sampling", "rest"};
  return kNames[static_cast<size_t>(part)];
}

Part part_of(const Instruction& instruction) {
  switch (host_op(instruction)) {
    case HostOp::MatMul:
    case HostOp::MatMulAdd:
      return Part::MatrixProducts;
    case HostOp::Attention:
      return Part::Attention;
    case HostOp::NormQuantise:
    case HostOp::Quantise:
    case HostOp::GateQuantise:
      return Part::Norms;
    case HostOp::RopeStore:
      return Part::RopeAndStore;
    case HostOp::Sync:
      return Part::Barriers;
    case HostOp::Embed:
    case HostOp::Select:
      break;
  }
  return Part::Rest;
}

PartCost& PartCost::operator+=(const PartCost& other) {
  streamed_bytes += other.streamed_bytes;
  cached_bytes += other.cached_bytes;
  for (size_t kind = 0; kind < kPanelKinds; ++kind) products[kind] += other.products[kind];
  wide_products += other.wide_products;
  syncs += other.syncs;
  return *this;
}

PartCosts part_costs(const Program& program, std::span<const SequenceShape> sequences) {
  Rows rows;
  for (const SequenceShape& sequence : sequences) {
    rows.all += sequence.rows;
    rows.wanted += sequence.wanted;
  }
  const bool split = rows.all > program::isa::kCopiesRowsMax;
  PartCosts costs{};
  for (const Instruction& instruction : program.queues[program.entry("step").queues[0]].instructions) {
    PartCost& cost = costs[static_cast<size_t>(part_of(instruction))];
    switch (part_of(instruction)) {
      case Part::MatrixProducts:
        cost += product_cost(program, instruction, rows);
        break;
      case Part::Attention:
        cost += attention_cost(program, instruction, sequences);
        break;
      case Part::Norms:
      case Part::RopeAndStore:
        cost.cached_bytes += region_traffic(program, instruction, rows);
        break;
      case Part::Barriers:
        cost.syncs +=
            split || instruction.words[0] == static_cast<uint64_t>(program::isa::SyncWhen::Always) ? 1 : 0;
        break;
      case Part::Sampling:
      case Part::Rest:
        break;
    }
  }
  costs[static_cast<size_t>(Part::Sampling)].cached_bytes = rows.wanted * program.vocabulary * sizeof(float);
  return costs;
}

double bound_s(const PartCost& cost, const MachineLimits& limits) {
  auto time_s = [](auto amount, double rate) {
    return amount == 0 || rate == 0 ? 0.0 : static_cast<double>(amount) / rate;
  };
  double products_time_s =
      time_s(cost.wide_products, limits.products_s[static_cast<size_t>(limits.wide_products)]);
  for (size_t kind = 0; kind < kPanelKinds; ++kind) {
    products_time_s += time_s(cost.products[kind], limits.products_s[kind]);
  }
  return std::max({time_s(cost.streamed_bytes, limits.stream_bytes_s),
                   time_s(cost.cached_bytes, limits.cached_bytes_s), products_time_s,
                   static_cast<double>(cost.syncs) * limits.sync_s});
}

}  // namespace lockstep::cli
