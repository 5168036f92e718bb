#include "compiler/lpu/chip_scheduler_parts.h"

namespace lockstep::compiler::lpu {

ChipScheduler::ChipScheduler(const machine::Machine& machine, SchedulerOptions options,
                             std::function<Place(uint32_t)> uniform)
    : machine_(machine), options_(options), uniform_(std::move(uniform)) {
  const machine::Geometry& geometry = machine.geometry;
  vxm_.resize(geometry.alus);
  results_.resize(geometry.alus);
  links_.resize(geometry.links);
  link_sent_.assign(geometry.links, -kForever);
  link_received_.assign(geometry.links, -1);
  planes_.resize(2 * geometry.planes);
  for (PlaneState& plane : planes_) {
    plane.entry_free.assign(geometry.accumulators, -1);
    plane.entry_taken.assign(geometry.accumulators, false);
  }
  for (uint32_t h = 0; h < 2; ++h) {
    mem_[h].resize(geometry.slices);
    mxm_[h].resize(3 * geometry.planes);
    sxm_[h].resize(static_cast<size_t>(SxmPlace::Count));
    for (uint32_t slice = 0; slice < geometry.slices; ++slice) mem_[h][slice].phase = machine.mem_hop(slice);
    for (Queue& queue : mxm_[h]) queue.phase = machine.hops.mxm + machine.latency.mem_read;
    for (Queue& queue : sxm_[h]) queue.phase = machine.hops.sxm + machine.latency.mem_read;
  }
  each_queue([&](QueueKey key, Queue& queue) { queue.fetching = options_.fetching.contains(key); });
  // Scratch rows: bytes in the sixth eighth of a slice, words in the last two; what lasts lies below.
  const uint32_t rows = geometry.slice_rows;
  for (uint32_t h = 0; h < 2; ++h) {
    word_rows_[h].assign(options.scratch_quads, {rows * 6 / 8, rows, {}});
    byte_rows_[h].assign(size_t{4} * options.scratch_quads,
                         {rows_beside_scratch(geometry), rows * 6 / 8, {}});
  }
}

ChipScheduler::~ChipScheduler() = default;

ChipScheduler::IssueRef ChipScheduler::commit(Queue& queue, Cycle cycle, LpuOp op,
                                              std::array<uint32_t, 7> words, Cycle effect) {
  queue.issues.push_back({cycle, op, words, source_});
  length_ = std::max({length_, effect + 1, cycle + 1});
  return {&queue, queue.issues.size() - 1};
}

uint32_t ChipScheduler::stream(Hemisphere hemisphere, Direction direction, uint32_t index) const {
  const bool east = (hemisphere == kEast) == (direction == kOutward);
  return east ? index : 32 + index;
}

std::optional<uint32_t> ChipScheduler::free_group(Hemisphere hemisphere, Direction direction, Cycle diagonal,
                                                  uint32_t width, uint32_t count) const {
  const uint32_t taken = streams_.taken(hemisphere, direction, diagonal);
  const uint32_t total = width * count;
  const uint32_t ones = total >= 32 ? ~0u : (1u << total) - 1;
  // From the top, so that single bytes and words gather there.
  for (int32_t first = static_cast<int32_t>(machine_.geometry.streams - total); first >= 0;
       first -= static_cast<int32_t>(width)) {
    if ((taken & ones << first) == 0) return static_cast<uint32_t>(first);
  }
  return std::nullopt;
}

uint32_t ChipScheduler::alu_latency(LpuOp op) const {
  if (op == LpuOp::Fma || op == LpuOp::IntegerMultiplyAdd) return machine_.latency.vxm_fma;
  if (op == LpuOp::RSqrt) return machine_.latency.vxm_rsqrt;
  return machine_.latency.vxm_operation;
}

void ChipScheduler::release(Value& value) {
  switch (value.kind) {
    case Value::Kind::Alu: {
      const Cycle until = std::max(value.ready, value.last_use);
      const Cycle kept = results_[value.alu].let_go(value.ready, until);
      for (auto& [latency, closed] : closed_) closed.remove(until + 1 - latency, kept - latency);
      std::erase(in_alus_, &value);
    } break;
    case Value::Kind::Memory:
      for (uint32_t h = 0; h < 2; ++h) {
        const Value::Copy& copy = value.copies[h];
        if (value.source != nullptr)
          value.source->copies[h].last_read = std::max(value.source->copies[h].last_read, copy.last_read);
        if (!copy.there || !copy.owned) continue;
        const Cycle free = std::max(copy.last_read, copy.ready) + 1;
        RowPool& pool = value.bytes == 1 ? byte_rows_[h][copy.slice] : word_rows_[h][copy.slice / 4];
        pool.freed.push_back({free, copy.row});
      }
      break;
    case Value::Kind::Accumulator: {
      PlaneState& plane = planes_[value.plane.hemisphere * machine_.geometry.planes + value.plane.index];
      plane.entry_taken[value.entry] = false;
      plane.entry_free[value.entry] = std::max(value.last_use, value.ready);
      break;
    }
    default:
      break;
  }
}

void ChipScheduler::each_queue(const std::function<void(QueueKey, Queue&)>& visit) {
  const auto all = [&](LpuUnit unit, uint32_t hemisphere, std::vector<Queue>& queues) {
    for (size_t place = 0; place < queues.size(); ++place)
      visit({unit, static_cast<uint8_t>(hemisphere), static_cast<uint16_t>(place)}, queues[place]);
  };
  for (uint32_t h = 0; h < 2; ++h) {
    all(LpuUnit::Mem, h, mem_[h]);
    all(LpuUnit::Mxm, h, mxm_[h]);
    all(LpuUnit::Sxm, h, sxm_[h]);
  }
  all(LpuUnit::Vxm, 0, vxm_);
  all(LpuUnit::C2c, 0, links_);
}

std::map<QueueKey, std::vector<Issue>> ChipScheduler::take_queues() {
  std::map<QueueKey, std::vector<Issue>> taken;
  each_queue([&](QueueKey key, Queue& queue) {
    if (queue.issues.empty()) return;
    std::sort(queue.issues.begin(), queue.issues.end(),
              [](const Issue& a, const Issue& b) { return a.cycle < b.cycle; });
    taken[key] = std::move(queue.issues);
  });
  return taken;
}

}  // namespace lockstep::compiler::lpu
