#include "targets/lpu/instruction_queue.h"

#include "base/error.h"
#include "program/instruction_code.h"
#include "program/isa/lpu_text.h"
#include "program/print.h"

namespace lockstep::targets::lpu {

using program::Instruction;
using program::isa::LpuOp;
using program::isa::LpuUnit;
using program::isa::Operand;
using program::isa::OperandKind;

namespace {

// How many places the machine has for a unit's queues, in each hemisphere where there are two.
uint32_t places(const machine::Geometry& geometry, LpuUnit unit) {
  switch (unit) {
    case LpuUnit::Mem:
      return geometry.slices;
    case LpuUnit::Vxm:
      return geometry.alus;
    case LpuUnit::Mxm:
      return 3 * geometry.planes;
    case LpuUnit::Sxm:
      return static_cast<uint32_t>(program::isa::SxmPlace::Count);
    case LpuUnit::C2c:
      return geometry.links;
    case LpuUnit::Icu:
      break;
  }
  return 0;
}

constexpr uint32_t kHalf = program::isa::kLpuStreams / 2;

bool flows_east(uint64_t stream) {
  return stream < kHalf;
}

}  // namespace

InstructionQueue::InstructionQueue(const program::Program& program, uint32_t queue,
                                   const machine::Machine& machine)
    : program_(program), queue_(queue), machine_(machine), unit_(program::isa::parse_unit_name(name())) {
  if (unit_.unit == LpuUnit::Icu || unit_.place >= places(machine.geometry, unit_.unit)) {
    user_error("{}: the queue {} is of a unit that the machine {} does not have", program.model_name, name(),
               machine.name);
  }
  const std::vector<Instruction>& instructions = program.queues[queue].instructions;
  instructions_.reserve(instructions.size());
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    check(instructions[i], i);
    instructions_.push_back(compact(i));
    text_bytes_ += instructions_.back().text_bytes;
  }
}

CompactInstruction InstructionQueue::compact(uint32_t index) const {
  const Instruction& instruction = program_.queues[queue_].instructions[index];
  const std::vector<uint64_t>& words = instruction.words;
  CompactInstruction result{.op = static_cast<LpuOp>(instruction.opcode)};
  result.text_bytes = static_cast<uint16_t>(program::instruction_bytes(instruction));
  if (result.op == LpuOp::Config) {
    result.immediate = static_cast<uint32_t>(words[0]);
    return result;
  }
  const bool vxm = program::isa::lpu_unit(instruction.opcode) == LpuUnit::Vxm;
  for (size_t f = 0; f < words.size() && f < (vxm ? 3 : 4); ++f) {
    result.fields[f] = static_cast<uint16_t>(words[f]);
  }
  if (!vxm) return result;
  const auto stream = [](uint64_t word) {
    return word == program::kNone ? CompactInstruction::kNoStream : static_cast<uint8_t>(word);
  };
  result.immediate = static_cast<uint32_t>(words[3]);
  result.east = stream(words[4]);
  result.west = stream(words[5]);
  result.bytes = static_cast<uint8_t>(words[6]);
  return result;
}

// What verify_structure cannot know: the streams, lanes and numbers that this machine has, and on which side
// of the unit a stream flows.
void InstructionQueue::check(const Instruction& instruction, uint32_t index) const {
  const auto refuse = [&](const std::string& why) {
    user_error("{}: {} instruction {} ({}) {}", program_.model_name, name(), index,
               print_instruction(program_, instruction), why);
  };
  const auto streams = [&](uint64_t first, uint64_t count) {
    if (first % kHalf + count > machine_.geometry.streams) {
      refuse(fmt::format("takes a stream that {} does not have: {} flow in each direction", machine_.name,
                         machine_.geometry.streams));
    }
  };
  const auto outward = [&](uint64_t stream) { return flows_east(stream) == (unit_.hemisphere == 0); };
  const std::vector<uint64_t>& words = instruction.words;
  const auto op = static_cast<LpuOp>(instruction.opcode);
  switch (op) {
    case LpuOp::Read:
    case LpuOp::Write:
      return streams(words[1], 1);
    case LpuOp::Gather:
    case LpuOp::Scatter:
      streams(words[1], 1);
      return streams(words[2], 2);
    case LpuOp::LoadWeights:
      streams(words[0], machine_.geometry.load_streams);
      if (!outward(words[0])) refuse("takes inward streams; weights come on outward ones");
      return;
    case LpuOp::ActivationControl:
      streams(words[0], 1);
      if (!outward(words[0])) refuse("takes an inward stream; activations come on outward ones");
      return;
    case LpuOp::Accumulate:
      streams(words[1], 4);
      if (outward(words[1])) refuse("puts sums on outward streams; they leave on inward ones");
      return;
    case LpuOp::Permute:
    case LpuOp::Distribute:
    case LpuOp::ShiftUp:
    case LpuOp::ShiftDown:
      streams(words[0], 4);
      return streams(words[1], 4);
    case LpuOp::Rotate:
      streams(words[0], 4);
      return streams(words[1], 4 * words[3]);
    case LpuOp::Transpose:
      streams(words[0], 16);
      return streams(words[1], 16);
    case LpuOp::Send:
    case LpuOp::Receive:
      return streams(words[0], 1);
    default:
      break;
  }
  if (program::isa::lpu_unit(instruction.opcode) != LpuUnit::Vxm) return;
  for (uint32_t i = 0; i < program::isa::vxm_operands(op); ++i) {
    const Operand operand = program::isa::decode_operand(words[i]);
    if (operand.kind == OperandKind::Alu && operand.index >= machine_.geometry.alus) {
      refuse(fmt::format("takes the result of an ALU that {} does not have", machine_.name));
    }
    if (operand_streams(operand.kind) != 0) streams(operand.index, operand_streams(operand.kind));
  }
  for (uint64_t stream : {words[4], words[5]}) {
    if (stream != program::kNone) streams(stream, words[6]);
  }
}

void InstructionQueue::rewind() {
  const uint64_t first = std::min<uint64_t>(text_bytes_, machine_.geometry.queue_bytes);
  buffered_ = first;
  unrequested_ = text_bytes_ - first;
  arrivals_.clear();
  superlanes_ = kAllSuperlanes;
  schedule_start_ = 0;
  next_index_ = 0;
  next(0);
}

void InstructionQueue::next(uint64_t cycle) {
  cycle_ = cycle;
  repetition_ = times_left_ = 0;
  for (index_ = next_index_; index_ < instructions_.size(); ++index_) {
    take_text(cycle_);
    if (instructions_[index_].op != LpuOp::Nop) break;
    cycle_ += instructions_[index_].fields[0];
  }
  next_index_ = index_ + 1;
  if (index_ == instructions_.size()) {
    next_index_ = index_;
    cycle_ = kNever;
  } else if (next_index_ < instructions_.size() && instructions_[next_index_].op == LpuOp::Repeat) {
    const uint32_t repeated = index_;
    index_ = next_index_;
    take_text(cycle_ + 1);
    times_left_ = instructions_[index_].fields[0];
    every_ = instructions_[index_].fields[1];
    index_ = repeated;
    ++next_index_;
  }
}

void InstructionQueue::take_text(uint64_t cycle) {
  const Issue issue = {cycle, instructions_[index_], 0, *this};
  for (; !arrivals_.empty() && arrivals_.front().cycle <= cycle; arrivals_.pop_front()) {
    const Arrival& arrival = arrivals_.front();
    if (buffered_ + arrival.bytes > machine_.geometry.queue_bytes) {
      stop_in(
          issue, arrival.cycle,
          fmt::format("an Ifetch brings {} bytes of text before this into a buffer of {} bytes that holds {}",
                      arrival.bytes, machine_.geometry.queue_bytes, buffered_));
    }
    buffered_ += arrival.bytes;
  }
  if (buffered_ < instructions_[index_].text_bytes) {
    stop(issue, "the instruction's text is not in the queue's buffer yet; an Ifetch earlier would bring it");
  }
  buffered_ -= instructions_[index_].text_bytes;
}

void InstructionQueue::fetch() {
  const uint64_t bytes = std::min<uint64_t>(unrequested_, machine_.geometry.instruction_bytes);
  unrequested_ -= bytes;
  if (bytes != 0) arrivals_.push_back({cycle_ + machine_.latency.instruction_fetch, bytes});
}

void stop_in(const Issue& issue, uint64_t cycle, const std::string& what) {
  const InstructionQueue& queue = issue.queue;
  const program::Program& program = queue.program();
  const uint32_t index = queue.instruction_index();
  const auto of_schedule = [&](uint64_t at) {
    return static_cast<int64_t>(at) - static_cast<int64_t>(queue.schedule_start());
  };
  const std::string repeated = issue.repetition == 0 ? "" : fmt::format(", repetition {}", issue.repetition);
  const std::string issued =
      cycle == issue.cycle ? "" : fmt::format(", issued in cycle {}", of_schedule(issue.cycle));
  user_error("{}: the chip stops in cycle {}: {} instruction {} ({}{}{}): {}", program.model_name,
             of_schedule(cycle), queue.name(), index,
             print_instruction(program, program.queues[queue.queue_index()].instructions[index]), repeated,
             issued, what);
}

}  // namespace lockstep::targets::lpu
