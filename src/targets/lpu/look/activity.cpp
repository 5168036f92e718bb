#include "targets/lpu/look/activity.h"

#include <algorithm>

#include "base/error.h"
#include "targets/lpu/streams.h"

namespace lockstep::targets::lpu {

using program::isa::LpuOp;
using program::isa::LpuUnit;

namespace {

Passing passing_in(LpuUnit unit) {
  switch (unit) {
    case LpuUnit::Mem:
      return Passing::Mem;
    case LpuUnit::Vxm:
      return Passing::Vxm;
    case LpuUnit::Mxm:
      return Passing::Mxm;
    case LpuUnit::Sxm:
      return Passing::Sxm;
    default:
      return Passing::Links;
  }
}

// An instruction's part in the counts that energy is made of, as the units count it.
void count(const program::Instruction& instruction, const machine::Machine& machine, Events& events) {
  ++events.instructions;
  switch (static_cast<LpuOp>(instruction.opcode)) {
    case LpuOp::Read:
    case LpuOp::Gather:
      ++events.mem_reads;
      return;
    case LpuOp::Write:
    case LpuOp::Scatter:
      ++events.mem_writes;
      return;
    case LpuOp::LoadWeights:
      events.mxm_rows += machine.geometry.load_streams;
      return;
    case LpuOp::ActivationControl:
      ++events.mxm_products;
      return;
    case LpuOp::Accumulate:
      ++events.mxm_results;
      return;
    case LpuOp::Transpose:
      events.sxm_operations += 4;  // 16 streams in words of four
      return;
    case LpuOp::Rotate:
      events.sxm_operations += instruction.words[3];
      return;
    case LpuOp::Send:
      ++events.c2c_vectors;
      return;
    default:
      break;
  }
  const LpuUnit unit = program::isa::lpu_unit(instruction.opcode);
  if (unit == LpuUnit::Vxm) ++events.vxm_operations;
  if (unit == LpuUnit::Sxm) ++events.sxm_operations;
}

class Analysis {
 public:
  Analysis(const Recorder& recorder, const program::Program& program, const machine::Machine& machine,
           const NodeMap& map, Activity& result)
      : records_(recorder.records()),
        puts_(recorder.puts()),
        program_(program),
        machine_(machine),
        map_(map),
        result_(result),
        end_(last_position(machine)) {
    for (const program::Queue& queue : program.queues) {
      units_.push_back(program::isa::parse_unit_name(queue.unit));
    }
  }

  void count_issues(const program::Entry& entry);
  void count_streams(uint32_t chips);
  void count_together();
  void follow_chain();

 private:
  uint32_t node_of(const Record& record) const { return map_.node(record.queue, record.instruction); }
  const program::Instruction& instruction_of(const Record& record) const {
    return program_.queues[record.queue].instructions[record.instruction];
  }
  void add(Bins& bins, uint64_t cycle) {
    if (result_.window.contains(cycle)) ++bins[(cycle - result_.window.from) / result_.bin_cycles];
  }
  void stretch(uint64_t end, uint64_t cycles, Passing passing, uint32_t node);

  const std::vector<Record>& records_;
  const std::vector<Put>& puts_;
  const program::Program& program_;
  const machine::Machine& machine_;
  const NodeMap& map_;
  Activity& result_;
  const uint32_t end_;
  std::vector<program::isa::UnitName> units_;  // by queue
};

void Analysis::count_issues(const program::Entry& entry) {
  std::vector<uint32_t> places(program_.queues.size());
  for (uint32_t queue : entry.queues) {
    places[queue] = static_cast<uint32_t>(result_.queues.size());
    result_.queues.push_back({queue, 0, Bins(result_.bins)});
  }
  result_.nodes.resize(map_.nodes().size());
  for (const Record& record : records_) {
    if (result_.window.contains(record.cycle)) {
      QueueUse& queue = result_.queues[places[record.queue]];
      ++queue.issues;
      add(queue.bins, record.cycle);
      count(instruction_of(record), machine_, result_.events);
    }
    const uint32_t index = node_of(record);
    if (index == program::kNone) continue;
    NodeUse& node = result_.nodes[index];
    const UnitKind kind = unit_kind(units_[record.queue]);
    ++node.issues[static_cast<size_t>(kind)];
    if (kind == UnitKind::Mem || kind == UnitKind::MxmWeights) continue;
    if (node.end == 0) node.from = record.cycle;
    node.end = std::max(node.end, record.cycle + 1);
  }
}

void Analysis::count_streams(uint32_t chips) {
  const uint32_t places = end_ + 1;
  for (uint32_t chip = 0; chip < chips; ++chip) {
    result_.streams.push_back({std::vector<Bins>(4 * places, Bins(result_.bins)),
                               std::vector<Bins>(2 * program::isa::kLpuStreams, Bins(result_.bins))});
  }
  for (const Put& put : puts_) {
    const bool outward = Streams::outward(put.hemisphere, put.stream);
    const uint32_t hops = outward ? end_ - put.position : put.position;
    if (result_.window.contains(put.cycle)) result_.events.stream_hops += hops;
    const uint32_t index = node_of(records_[put.record]);
    if (index != program::kNone) {
      ++result_.nodes[index].stream_values;
      result_.nodes[index].stream_hops += hops;
    }
    ChipStreams& streams = result_.streams[put.chip];
    Bins& stream = streams.streams[put.hemisphere * program::isa::kLpuStreams + put.stream];
    for (uint32_t hop = 0; hop <= hops; ++hop) {
      const uint32_t position = outward ? put.position + hop : put.position - hop;
      add(streams.positions[(put.hemisphere * 2 + (outward ? 0 : 1)) * places + position], put.cycle + hop);
      add(stream, put.cycle + hop);
    }
  }
}

void Analysis::count_together() {
  const Window& window = result_.window;
  std::vector<uint8_t> works(window.to - window.from);
  for (const Record& record : records_) {
    const UnitKind kind = unit_kind(units_[record.queue]);
    if (kind == UnitKind::Mem || kind == UnitKind::MxmWeights || kind == UnitKind::C2c) continue;
    const uint8_t bit = kind == UnitKind::Vxm ? 1 : units_[record.queue].unit == LpuUnit::Mxm ? 2 : 4;
    const uint64_t end = uint64_t{record.cycle} + std::max<uint32_t>(record.effect_cycles, 1);
    for (uint64_t cycle = std::max<uint64_t>(record.cycle, window.from); cycle < std::min(end, window.to);
         ++cycle) {
      works[cycle - window.from] |= bit;
    }
  }
  for (uint8_t set : works) ++result_.together[set];
}

// Before the one that was added last: the chain is walked from its end.
void Analysis::stretch(uint64_t end, uint64_t cycles, Passing passing, uint32_t node) {
  if (cycles == 0) return;
  if (node != program::kNone) result_.nodes[node].chain_cycles += cycles;
  if (passing != Passing::Waiting) result_.least_cycles += cycles;
  const auto from = static_cast<uint32_t>(end - cycles);
  if (!result_.chain.empty() && result_.chain.back().passing == passing &&
      result_.chain.back().node == node) {
    result_.chain.back().from = from;
    result_.chain.back().cycles += static_cast<uint32_t>(cycles);
  } else {
    result_.chain.push_back({from, static_cast<uint32_t>(cycles), passing, node});
  }
}

void Analysis::follow_chain() {
  const auto least = [](const Record& record) { return uint64_t{record.earliest} + record.effect_cycles; };
  const auto last = std::max_element(records_.begin(), records_.end(),
                                     [&](const Record& a, const Record& b) { return least(a) < least(b); });
  if (last == records_.end()) return;
  const Record* record = &*last;
  // The cycle of the effect included.
  const uint64_t effect = std::min(uint64_t{record->cycle} + record->effect_cycles + 1, result_.run_cycles);
  stretch(result_.run_cycles, result_.run_cycles - effect, Passing::Waiting, program::kNone);
  stretch(effect, effect - record->cycle, passing_in(units_[record->queue].unit), node_of(*record));
  while (record->cause != kNoRecord) {
    const Record& cause = records_[record->cause];
    const uint32_t node = node_of(*record);
    uint64_t end = record->cycle;
    const uint64_t waited =
        record->cycle - cause.cycle - record->operation_cycles - record->travel_cycles - record->entry_cycles;
    stretch(end, record->entry_cycles, Passing::Entry, node);
    end -= record->entry_cycles;
    stretch(end, record->travel_cycles, Passing::Streams, node);
    end -= record->travel_cycles;
    stretch(end, waited, Passing::Waiting, node);
    end -= waited;
    stretch(end, record->operation_cycles, passing_in(units_[cause.queue].unit), node_of(cause));
    record = &cause;
  }
  stretch(record->cycle, record->cycle, Passing::Waiting, node_of(*record));
  std::reverse(result_.chain.begin(), result_.chain.end());
}

}  // namespace

const char* passing_name(Passing passing) {
  static constexpr const char* kNames[] = {"memory access",  "VXM operation",    "MXM",   "SXM",
                                           "way on streams", "entry to the VXM", "links", "turn to issue"};
  return kNames[static_cast<size_t>(passing)];
}

Activity analyse(const Recorder& recorder, const program::Program& program, const machine::Machine& machine,
                 const program::Entry& entry, const NodeMap& map, uint64_t run_cycles, Window window,
                 uint32_t bins_max) {
  Activity result;
  result.run_cycles = run_cycles;
  result.window = {window.from, std::min(window.to, run_cycles)};
  if (result.window.from >= result.window.to) {
    user_error("--from {}: {} ends after {} cycles", window.from, entry.name, run_cycles);
  }
  const uint64_t cycles = result.window.to - result.window.from;
  result.bin_cycles = static_cast<uint32_t>((cycles + bins_max - 1) / bins_max);
  result.bins = static_cast<uint32_t>((cycles + result.bin_cycles - 1) / result.bin_cycles);
  uint32_t chips = 1;
  for (uint32_t queue : entry.queues) {
    chips = std::max(chips, program::isa::parse_unit_name(program.queues[queue].unit).chip + 1);
  }
  Analysis analysis(recorder, program, machine, map, result);
  analysis.count_issues(entry);
  analysis.count_streams(chips);
  analysis.count_together();
  analysis.follow_chain();
  return result;
}

double least_cycles(const NodeUse& node, UnitKind kind, const machine::Machine& machine, uint32_t chips) {
  return static_cast<double>(node.issues[static_cast<size_t>(kind)]) /
         (static_cast<double>(kind_queues(kind, machine.geometry)) * chips);
}

double least_stream_cycles(const NodeUse& node, const machine::Machine& machine, uint32_t chips) {
  return static_cast<double>(node.stream_hops) /
         (4.0 * machine.geometry.streams * (last_position(machine) + 1) * chips);
}

}  // namespace lockstep::targets::lpu
