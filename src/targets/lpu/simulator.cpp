#include "targets/lpu/simulator.h"

#include <algorithm>

#include "base/error.h"
#include "targets/lpu/file_memory.h"

namespace lockstep::targets::lpu {

using program::kNone;
using program::Queue;
using program::Region;
using program::isa::LpuOp;
using program::isa::LpuUnit;
using program::isa::UnitName;

namespace {

constexpr uint32_t kChipsMax = 4096;

// What the simulator counts on in a machine.
void check_machine(const machine::Machine& machine) {
  const machine::Geometry& geometry = machine.geometry;
  const machine::Latency& latency = machine.latency;
  const auto refuse = [&](const char* what) {
    user_error("{}: the machine cannot be simulated: {}", machine.name, what);
  };
  if (geometry.lanes() == 0 || geometry.lanes() > kLanes || geometry.superlanes > 31) {
    refuse("a vector has 1 to 320 lanes in up to 31 superlanes");
  }
  if (geometry.streams == 0 || geometry.streams > 32) refuse("up to 32 streams flow in each direction");
  if (geometry.group_slices == 0 || geometry.slices == 0) refuse("it has memory slices in groups");
  if (geometry.load_streams == 0 || geometry.load_streams > WeightArray::kOutputGroup) {
    refuse("a LoadWeights takes up to 16 streams");
  }
  for (uint32_t cycles :
       {latency.mem_read, latency.mem_gather, latency.mem_write, latency.vxm_operation, latency.vxm_fma,
        latency.vxm_rsqrt, latency.mxm_install, latency.mxm_product, latency.mxm_result, latency.sxm_permute,
        latency.sxm_shift, latency.sxm_distribute, latency.sxm_rotate, latency.sxm_transpose,
        latency.c2c_link, latency.instruction_fetch, latency.barrier}) {
    if (cycles == 0) refuse("nothing but the VXM's entry and the loading of weights takes no cycle");
  }
}

// Those that put a value, or take a sum, before the others of their cycle: links, and the results of planes.
bool issues_first(const InstructionQueue& queue) {
  return queue.unit().unit == LpuUnit::C2c ||
         (queue.unit().unit == LpuUnit::Mxm && queue.unit().place % 3 == 2);
}

}  // namespace

Simulator::Simulator(const program::Program& program, const machine::Machine& machine,
                     const SimulatorOptions& options)
    : program_(program), machine_(machine), options_(options), maps_(program, machine, options.arithmetic) {
  check_machine(machine);
  uint32_t chips = 1;
  for (const Queue& queue : program.queues) {
    const UnitName unit = program::isa::parse_unit_name(queue.unit);
    if (unit.chip >= kChipsMax) {
      user_error("{}: the queue {} is of a chip beyond the {} that can be simulated", program.model_name,
                 queue.unit, kChipsMax);
    }
    chips = std::max(chips, unit.chip + 1);
  }
  const LaneKernels& kernels = options.kernels != nullptr ? *options.kernels : best_lane_kernels();
  for (uint32_t i = 0; i < chips; ++i) {
    chips_.push_back(std::make_unique<Chip>(machine, kernels, options.arithmetic, maps_, events_, i));
    chips_.back()->streams().set_trace(options.trace);
  }
  links_ = std::make_unique<Links>(program, machine, chips);
  place_memories();
}

void Simulator::place_memories() {
  places_.assign(program_.memories.size(), {0, 0, kNone});
  for (const Queue& queue : program_.queues) {
    if (queue.memory == kNone || places_[queue.memory].slice != kNone) continue;
    const UnitName unit = program::isa::parse_unit_name(queue.unit);
    const program::Memory& memory = program_.memories[queue.memory];
    if (unit.place >= machine_.geometry.slices || memory.bytes > machine_.slice_bytes()) {
      user_error("{}: the memory {} does not fit: {} has {} slices in a hemisphere, of {} bytes each",
                 program_.model_name, memory.name, machine_.name, machine_.geometry.slices,
                 machine_.slice_bytes());
    }
    places_[queue.memory] = {unit.chip, unit.hemisphere, unit.place};
    MemorySlice& slice = chips_[unit.chip]->slice(unit.hemisphere, unit.place);
    if (options_.arithmetic) {
      slice.load(contents_of(program_, queue.memory));
    } else {
      slice.set_known_rows(static_cast<uint32_t>(memory.bytes / machine_.geometry.lanes()));
    }
  }
}

Simulator::EntryQueues& Simulator::queues_of(const std::string& name) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  const program::Entry& entry = program_.entry(name);
  std::vector<InstructionQueue> queues;
  for (uint32_t queue : entry.queues) queues.emplace_back(program_, queue, machine_);
  EntryQueues result;
  for (uint32_t i = 0; i < queues.size(); ++i) result.order.push_back(i);
  std::stable_partition(result.order.begin(), result.order.end(),
                        [&](uint32_t i) { return issues_first(queues[i]); });
  for (uint32_t i : result.order) result.queues.push_back(std::move(queues[i]));
  return entries_.emplace(name, std::move(result)).first->second;
}

Run Simulator::run(const std::string& entry) {
  running_ = &queues_of(entry);
  events_ = {};
  for (auto& chip : chips_) chip->clear();
  links_->clear();
  notified_.assign(chips_.size(), kNever);
  parked_.assign(chips_.size(), {});
  calendar_.clear(static_cast<uint32_t>(running_->queues.size()));
  Run run;
  for (uint32_t i = 0; i < running_->queues.size(); ++i) {
    InstructionQueue& queue = running_->queues[i];
    queue.rewind();
    run.queues.push_back({program_.entry(entry).queues[i], 0});
    if (queue.cycle() != kNever) calendar_.add(i, queue.cycle());
  }

  uint64_t cycle = 0;
  std::vector<uint32_t> due;
  while (calendar_.take(cycle, due)) {
    for (uint32_t i : due) issue(i, run);
  }

  for (const std::vector<uint32_t>& parked : parked_) {
    if (!parked.empty()) {
      stop(running_->queues[parked[0]].issue(), "no Notify frees the queue");
    }
  }
  links_->require_empty();
  for (auto& chip : chips_) chip->settle();
  const uint64_t start = running_->queues.empty() ? 0 : running_->queues[0].schedule_start();
  run.cycles = events_.instructions == 0 || events_.last_cycle < start ? 0 : events_.last_cycle + 1 - start;
  run.events = events_;
  return run;
}

void Simulator::issue(uint32_t index, Run& run) {
  InstructionQueue& queue = running_->queues[index];
  const Issue issue = queue.issue();
  const LpuOp op = issue.instruction.op;
  const LpuUnit unit = program::isa::lpu_unit(static_cast<uint16_t>(op));
  ++run.instructions[static_cast<size_t>(unit)];
  ++run.queues[running_->order[index]].busy_cycles;
  ++events_.instructions;
  events_.effect(issue.cycle);
  if (op == LpuOp::Sync) {
    const uint32_t chip = queue.unit().chip;
    parked_[chip].push_back(index);
    if (notified_[chip] == issue.cycle) free_parked(chip, issue.cycle);
    return;
  }
  if (options_.trace != nullptr) options_.trace->issued(issue, 1);
  if (op == LpuOp::Notify) return notify(index);
  if (op == LpuOp::Ifetch) {
    queue.fetch();
  } else if (op == LpuOp::Config) {
    queue.set_power(issue.instruction.immediate);
  } else if (unit == LpuUnit::C2c) {
    links_->execute(chips_[queue.unit().chip]->context(), issue);
  } else {
    chips_[queue.unit().chip]->execute(issue);
  }
  queue.advance();
  if (queue.cycle() != kNever) calendar_.add(index, queue.cycle());
}

// Frees the queues that are parked on the chip; those that park later in this very cycle free themselves.
void Simulator::notify(uint32_t index) {
  const uint64_t cycle = running_->queues[index].cycle();
  const bool first = std::all_of(notified_.begin(), notified_.end(), [](uint64_t c) { return c == kNever; });
  if (first) {
    for (InstructionQueue& queue : running_->queues) {
      queue.set_schedule_start(cycle + machine_.latency.barrier);
    }
  }
  const uint32_t chip = running_->queues[index].unit().chip;
  notified_[chip] = cycle;
  wake(index, cycle);
  free_parked(chip, cycle);
}

void Simulator::free_parked(uint32_t chip, uint64_t cycle) {
  for (uint32_t parked : parked_[chip]) {
    const Issue issue = running_->queues[parked].issue();
    if (options_.trace != nullptr) options_.trace->issued(issue, cycle - issue.cycle + 1);
    wake(parked, cycle);
  }
  parked_[chip].clear();
}

void Simulator::wake(uint32_t index, uint64_t cycle) {
  InstructionQueue& queue = running_->queues[index];
  queue.next(cycle + machine_.latency.barrier);
  if (queue.cycle() != kNever) calendar_.add(index, queue.cycle());
}

MemorySlice& Simulator::slice(SlicePlace place, uint32_t row) {
  if (place.chip >= chips_.size() || place.hemisphere > 1 || place.slice >= machine_.geometry.slices ||
      row >= machine_.geometry.slice_rows) {
    user_error("{}: row {} of slice {} in hemisphere {} of chip {} is not there", program_.model_name, row,
               place.slice, place.hemisphere, place.chip);
  }
  return chips_[place.chip]->slice(place.hemisphere, place.slice);
}

std::span<const std::byte> Simulator::row(SlicePlace place, uint32_t row) {
  const MemorySlice& memory = slice(place, row);
  if (!memory.written(row)) {
    user_error("{}: row {} of slice {} in hemisphere {} of chip {} is read, and nothing has written it",
               program_.model_name, row, place.slice, place.hemisphere, place.chip);
  }
  return memory.row(row);
}

std::span<std::byte> Simulator::writable_row(SlicePlace place, uint32_t row) {
  return slice(place, row).writable_row(row);
}

uint32_t Simulator::first_row(const Region& region) const {
  return static_cast<uint32_t>(region.offset / machine_.geometry.lanes());
}

uint32_t Simulator::vectors(const Region& region) const {
  const uint32_t lanes = machine_.geometry.lanes(), rows = machine_.geometry.slice_rows;
  const uint32_t count = (region.width + lanes - 1) / lanes;
  const uint32_t slice = places_[region.memory].slice;
  if (slice == kNone || slice + sizeof(uint32_t) > machine_.geometry.slices || region.offset / lanes > rows ||
      count > rows - region.offset / lanes) {
    user_error("{}: the region {} is not in four slices side by side", program_.model_name, region.name);
  }
  return count;
}

void Simulator::read_words(const Region& region, uint32_t vector, std::span<uint32_t> words) {
  SlicePlace place = places_[region.memory];
  std::fill(words.begin(), words.end(), 0);
  for (uint32_t b = 0; b < sizeof(uint32_t); ++b, ++place.slice) {
    const std::span<const std::byte> bytes = row(place, first_row(region) + vector);
    for (size_t i = 0; i < words.size() && i < bytes.size(); ++i) {
      words[i] |= static_cast<uint32_t>(bytes[i]) << (8 * b);
    }
  }
}

void Simulator::write_words(const Region& region, uint32_t vector, std::span<const uint32_t> words) {
  SlicePlace place = places_[region.memory];
  for (uint32_t b = 0; b < sizeof(uint32_t); ++b, ++place.slice) {
    const std::span<std::byte> bytes = writable_row(place, first_row(region) + vector);
    for (size_t i = 0; i < words.size() && i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(words[i] >> (8 * b));
    }
  }
}

}  // namespace lockstep::targets::lpu
