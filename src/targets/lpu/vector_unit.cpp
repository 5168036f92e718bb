#include "targets/lpu/vector_unit.h"

#include <algorithm>

namespace lockstep::targets::lpu {

using program::isa::decode_operand;
using program::isa::LpuOp;
using program::isa::Operand;
using program::isa::OperandKind;

VectorUnit::VectorUnit(const UnitContext& context, uint32_t chip)
    : context_(context), chip_(chip), results_(context.machine.geometry.alus) {}

void VectorUnit::clear() {
  for (Results& results : results_) spare_.splice(spare_.end(), results);
}

uint32_t operation_cycles(LpuOp op, const machine::Latency& latency) {
  switch (op) {
    case LpuOp::Fma:
    case LpuOp::IntegerMultiplyAdd:
      return latency.vxm_fma;
    case LpuOp::RSqrt:
      return latency.vxm_rsqrt;
    default:
      return latency.vxm_operation;
  }
}

void VectorUnit::execute(const Issue& issue) {
  static constexpr Words kZeros{};
  const CompactInstruction& instruction = issue.instruction;
  const uint32_t count = program::isa::vxm_operands(instruction.op);
  Words space[3];
  const Words* operands[3] = {&kZeros, &kZeros, &kZeros};
  for (uint32_t i = 0; i < count; ++i) operands[i] = operand(issue, i, space[i]);
  ++context_.events.vxm_operations;

  const uint64_t cycle = issue.cycle + operation_cycles(instruction.op, context_.machine.latency);
  // The operands may be results of this very ALU: what stands stays until the new one is given.
  Result& result = give(issue, cycle);
  if (context_.arithmetic) {
    context_.kernels.alu(instruction.op, *operands[0], *operands[1], *operands[2],
                         context_.machine.rsqrt_bits, result.value);
    context_.power(issue, result.value);
  }
  for (uint32_t stream : {instruction.east, instruction.west}) {
    if (stream != CompactInstruction::kNoStream) put(issue, result.value, stream, cycle);
  }
}

const Words* VectorUnit::operand(const Issue& issue, uint32_t index, Words& space) {
  const Operand operand = decode_operand(issue.instruction.fields[index]);
  if (operand.kind == OperandKind::Immediate) {
    if (context_.arithmetic) std::fill_n(space.lanes, kLanes, issue.instruction.immediate);
    return &space;
  }
  if (operand.kind == OperandKind::Alu) return &result_of(issue, operand.index);
  const uint32_t entry = context_.machine.latency.vxm_entry;
  if (issue.cycle < entry) stop(issue, "no value can have entered the VXM {} cycles before", entry);
  // What flows east comes out of the western hemisphere.
  const Place place = {chip_, operand.index < program::isa::kLpuStreams / 2 ? 1u : 0u, 0};
  const Vector* streams[4] = {};
  for (uint32_t b = 0; b < operand_streams(operand.kind); ++b) {
    streams[b] = context_.streams.take(issue, place, operand.index + b, issue.cycle - entry);
  }
  if (context_.arithmetic) context_.kernels.join(operand.kind, streams, space);
  return &space;
}

const Words& VectorUnit::result_of(const Issue& issue, uint32_t alu) {
  Results& results = results_[alu];
  forget_before(results, issue.cycle);
  if (results.empty() || results.front().cycle > issue.cycle) {
    stop(issue, "ALU {} has given no result yet", alu);
  }
  return results.front().value;
}

// Only the last of the results given up to `cycle` stands.
void VectorUnit::forget_before(Results& results, uint64_t cycle) {
  while (results.size() > 1 && std::next(results.begin())->cycle <= cycle) {
    spare_.splice(spare_.end(), results, results.begin());
  }
}

VectorUnit::Result& VectorUnit::give(const Issue& issue, uint64_t cycle) {
  Results& results = results_[issue.queue.unit().place];
  forget_before(results, issue.cycle);
  const auto after =
      std::find_if(results.begin(), results.end(), [&](const Result& other) { return other.cycle >= cycle; });
  if (after != results.end() && after->cycle == cycle) {
    stop_in(issue, cycle, "an earlier operation of this ALU gives its result in the same cycle");
  }
  context_.events.effect(cycle);
  if (spare_.empty()) spare_.emplace_back();
  spare_.front().cycle = cycle;
  results.splice(after, spare_, spare_.begin());
  return *std::prev(after);
}

void VectorUnit::put(const Issue& issue, const Words& value, uint32_t stream, uint64_t cycle) {
  const Place place = {chip_, stream < program::isa::kLpuStreams / 2 ? 0u : 1u, 0};
  Vector* streams[4] = {};
  for (uint32_t b = 0; b < issue.instruction.bytes; ++b) {
    streams[b] = context_.streams.put(issue, place, stream + b, cycle);
  }
  if (context_.arithmetic) context_.kernels.split(value, issue.instruction.bytes, streams);
}

}  // namespace lockstep::targets::lpu
