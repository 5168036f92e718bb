#include "targets/lpu/look/recorder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "targets/lpu/file_memory.h"
#include "targets/lpu/look/run_entry.h"
#include "targets/lpu/look/window.h"
#include "targets/lpu/streams.h"
#include "targets/lpu/vector_unit.h"

namespace lockstep::targets::lpu {

using program::isa::LpuOp;
using program::isa::LpuUnit;

namespace {

constexpr uint32_t kStreams = program::isa::kLpuStreams;

// The other end of each chip's links, by chip and link.
std::vector<uint32_t> peers_of(const program::Program& program, uint32_t chips, uint32_t links) {
  std::vector<uint32_t> peers(size_t{chips} * links, program::kNone);
  const Bytes wires = contents_of(program, find_memory(program, "links"));
  uint32_t ends[4];
  for (size_t i = 0; i + sizeof(ends) <= wires.size(); i += sizeof(ends)) {
    std::memcpy(ends, wires.data() + i, sizeof(ends));
    const uint64_t a = uint64_t{ends[0]} * links + ends[1], b = uint64_t{ends[2]} * links + ends[3];
    if (a >= peers.size() || b >= peers.size()) continue;  // the simulator refuses it
    peers[a] = static_cast<uint32_t>(b);
    peers[b] = static_cast<uint32_t>(a);
  }
  return peers;
}

}  // namespace

Recorder::Recorder(const program::Program& program, const machine::Machine& machine)
    : program_(program),
      machine_(machine),
      end_(last_position(machine)),
      ring_(std::bit_ceil(uint64_t{2} * end_ + longest_put_cycles(machine.latency) +
                          machine.latency.vxm_entry + 2)),
      chips_(chips_of(program)),
      peers_(peers_of(program, chips_of(program), machine.geometry.links)) {
  for (ChipState& chip : chips_) {
    chip.streams.resize(2 * kStreams * ring_);
    chip.results.resize(machine.geometry.alus);
    chip.packets.resize(machine.geometry.links);
    for (uint32_t hemisphere = 0; hemisphere < 2; ++hemisphere) {
      chip.rows[hemisphere].resize(machine.geometry.slices);
      chip.planes[hemisphere].resize(machine.geometry.planes);
      for (Plane& plane : chip.planes[hemisphere]) {
        plane.sums.resize(machine.geometry.accumulators);
      }
    }
  }
}

uint32_t Recorder::settled(Last& last) const {
  if (last.newest != kNoRecord &&
      (last.last == kNoRecord || records_[last.newest].earliest > records_[last.last].earliest)) {
    last.last = last.newest;
  }
  last.newest = kNoRecord;
  return last.last;
}

void Recorder::waits_for(uint32_t record, uint64_t operation, uint64_t travel, uint64_t entry) {
  if (record == kNoRecord) return;
  const uint64_t earliest = records_[record].earliest + operation + travel + entry;
  Record& waiting = current();
  if (waiting.cause != kNoRecord && earliest <= waiting.earliest) return;
  waiting.earliest = static_cast<uint32_t>(earliest);
  waiting.cause = record;
  waiting.operation_cycles = static_cast<uint16_t>(operation);
  waiting.travel_cycles = static_cast<uint16_t>(travel);
  waiting.entry_cycles = static_cast<uint16_t>(entry);
}

void Recorder::issued(const Issue& issue, uint64_t) {
  const InstructionQueue& queue = issue.queue;
  cycle_ = issue.cycle;
  start_ = queue.schedule_start();
  before_schedule_ = is_barrier(issue) || cycle_ < start_;
  if (before_schedule_) return;
  unit_ = queue.unit();
  records_.push_back({.cycle = static_cast<uint32_t>(cycle_ - start_),
                      .queue = queue.queue_index(),
                      .instruction = queue.instruction_index()});
  const LpuUnit unit = program::isa::lpu_unit(static_cast<uint16_t>(issue.instruction.op));
  ChipState& chip = chips_[unit_.chip];
  if (unit == LpuUnit::Vxm) {
    vxm(issue, chip);
  } else if (unit == LpuUnit::Mxm) {
    mxm(issue, chip.planes[unit_.hemisphere][unit_.place / 3]);
  } else if (unit == LpuUnit::C2c) {
    c2c(issue);
  }
}

void Recorder::vxm(const Issue& issue, ChipState& chip) {
  const LpuOp op = issue.instruction.op;
  for (uint32_t i = 0; i < program::isa::vxm_operands(op); ++i) {
    const program::isa::Operand operand = program::isa::decode_operand(issue.instruction.fields[i]);
    if (operand.kind != program::isa::OperandKind::Alu) continue;
    std::deque<Left>& results = chip.results[operand.index];
    while (results.size() > 1 && results[1].from <= cycle_) results.pop_front();
    if (results.empty() || results.front().from > cycle_) continue;
    const Record& giver = records_[results.front().record];
    waits_for(results.front().record, giver.effect_cycles, 0, 0);
  }
  const uint32_t cycles = operation_cycles(op, machine_.latency);
  current().effect_cycles = static_cast<uint16_t>(cycles);
  std::deque<Left>& given = chip.results[unit_.place];
  const Left result = {cycle_ + cycles, static_cast<uint32_t>(records_.size() - 1)};
  while (given.size() > 1 && given[1].from <= cycle_) given.pop_front();
  given.insert(std::upper_bound(given.begin(), given.end(), result,
                                [](const Left& a, const Left& b) { return a.from < b.from; }),
               result);
}

void Recorder::mxm(const Issue& issue, Plane& plane) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t record = static_cast<uint32_t>(records_.size() - 1);
  const CompactInstruction& instruction = issue.instruction;
  if (instruction.op == LpuOp::LoadWeights) {
    settled(plane.loads);
    plane.loads.newest = record;
    return;
  }
  if (instruction.op == LpuOp::InstallWeights) {
    waits_for(settled(plane.loads), latency.mxm_load, 0, 0);
    plane.loads = {};
    if (plane.installing.record != kNoRecord) plane.array = plane.installing;
    plane.installing = {cycle_ + latency.mxm_install, record};
    return;
  }
  const bool product = instruction.op == LpuOp::ActivationControl;
  const uint32_t entry =
      product ? issue.moved(1, instruction.fields[3]) : issue.moved(0, instruction.fields[2]);
  if (entry >= plane.sums.size()) return;  // the chip stops
  Last& sums = plane.sums[entry];
  if (!product) return waits_for(settled(sums), latency.mxm_product, 0, 0);
  const bool installed = plane.installing.record != kNoRecord && plane.installing.from <= cycle_;
  waits_for(installed ? plane.installing.record : plane.array.record, latency.mxm_install, 0, 0);
  current().effect_cycles = static_cast<uint16_t>(latency.mxm_product);
  const bool add = instruction.fields[2] != 0;
  if (add) settled(sums);
  sums = {add ? sums.last : kNoRecord, record};
}

void Recorder::c2c(const Issue& issue) {
  const uint32_t port = unit_.chip * machine_.geometry.links + unit_.place;
  const auto packets = [&](uint32_t at) -> std::deque<uint32_t>& {
    return chips_[at / machine_.geometry.links].packets[at % machine_.geometry.links];
  };
  if (issue.instruction.op == LpuOp::Send && peers_[port] != program::kNone) {
    packets(peers_[port]).push_back(static_cast<uint32_t>(records_.size() - 1));
  } else if (issue.instruction.op == LpuOp::Receive && !packets(port).empty()) {
    waits_for(packets(port).front(), machine_.latency.c2c_link, 0, 0);
    packets(port).pop_front();
  }
}

Recorder::OnStream& Recorder::on_stream(Place place, uint32_t stream, uint64_t cycle, uint64_t& diagonal) {
  const bool outward = Streams::outward(place.hemisphere, stream);
  diagonal = outward ? cycle + end_ - place.position : cycle + place.position;
  return chips_[place.chip].streams[(place.hemisphere * kStreams + stream) * ring_ + diagonal % ring_];
}

void Recorder::put(Place place, uint32_t stream, uint64_t cycle) {
  if (before_schedule_) return;
  uint64_t diagonal = 0;
  OnStream& value = on_stream(place, stream, cycle, diagonal);
  const auto record = static_cast<uint32_t>(records_.size() - 1);
  value = {diagonal, cycle, record};
  current().effect_cycles = std::max(current().effect_cycles, static_cast<uint16_t>(cycle - cycle_));
  puts_.push_back({static_cast<uint32_t>(cycle - start_), record, static_cast<uint16_t>(place.chip),
                   static_cast<uint8_t>(place.hemisphere), static_cast<uint8_t>(place.position),
                   static_cast<uint8_t>(stream)});
}

void Recorder::took(Place place, uint32_t stream, uint64_t cycle) {
  if (before_schedule_) return;
  uint64_t diagonal = 0;
  const OnStream& value = on_stream(place, stream, cycle, diagonal);
  if (value.record == kNoRecord || value.diagonal != diagonal) return;
  const uint64_t put_after = value.cycle - start_ - records_[value.record].cycle;
  waits_for(value.record, put_after, cycle - value.cycle, cycle_ - cycle);
}

void Recorder::accessed(uint32_t row, bool writes) {
  if (before_schedule_) return;
  std::vector<Left>& rows = chips_[unit_.chip].rows[unit_.hemisphere][unit_.place];
  if (writes) {
    if (rows.empty()) rows.resize(machine_.geometry.slice_rows);
    rows[row] = {cycle_ + machine_.latency.mem_write, static_cast<uint32_t>(records_.size() - 1)};
    current().effect_cycles = static_cast<uint16_t>(machine_.latency.mem_write);
  } else if (!rows.empty() && rows[row].from <= cycle_) {
    waits_for(rows[row].record, machine_.latency.mem_write, 0, 0);
  }
}

}  // namespace lockstep::targets::lpu
