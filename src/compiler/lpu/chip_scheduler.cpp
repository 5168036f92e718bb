#include "compiler/lpu/chip_scheduler.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"

namespace lockstep::compiler::lpu {

using program::isa::encode_operand;
using program::isa::LpuUnit;
using program::isa::OperandKind;
using program::isa::SxmPlace;

namespace {

constexpr Cycle kHoldWanted_cycles = 64;
constexpr Cycle kSearchMax_cycles = 1 << 18;

constexpr uint32_t kNoStream = ~0u;

}  // namespace

struct Value : std::enable_shared_from_this<Value> {
  enum class Kind : uint8_t { Alu, Memory, Accumulator, Permuted, Distributed, Rotation, Rotated, Gathered };
  struct Copy {
    bool there = false, owned = false;
    uint16_t slice = 0, row = 0;
    Cycle ready = 0, last_read = 0;
  };
  struct Arrival {
    Cycle diagonal;
    Hemisphere hemisphere;
    uint32_t first, bytes;
  };

  ChipScheduler* scheduler = nullptr;
  Kind kind = Kind::Alu;
  // Alu
  uint32_t alu = 0;
  Cycle ready = 0, limit = 0, last_use = 0;
  ChipScheduler::IssueRef issue;
  // Memory
  std::array<Copy, 2> copies;
  uint32_t bytes = 4;
  bool prefers_west = false;
  // Accumulator
  ChipScheduler::Plane plane{};
  uint32_t entry = 0;
  // Permuted, Distributed, Rotation: what passes through; Rotated: the rotation
  Term source;
  uint32_t map = 0, first = 0, count = 0;
  // Gathered
  Place place;
  // The last times it was brought to the VXM.
  std::vector<Arrival> arrivals;

  ~Value() {
    if (scheduler != nullptr) scheduler->release(*this);
  }
};

struct ChipScheduler::PlaneState {
  Cycle buffer_free = 0, loaded = 0, installed = 0, array_ready = 0, last_activation = -1;
  std::vector<Cycle> entry_free;  // by entry: the last cycle in which its old sums were read
  std::vector<bool> entry_taken;
};

struct ChipScheduler::RowPool {
  uint32_t next = 0, end = 0;
  std::deque<std::pair<Cycle, uint16_t>> freed;

  // A row that nobody reads any more in cycle `from`.
  std::optional<uint16_t> take(Cycle from) {
    const size_t near = std::min<size_t>(freed.size(), 8);
    for (size_t i = 0; i < near; ++i) {
      if (freed[i].first > from) continue;
      const uint16_t row = freed[i].second;
      freed.erase(freed.begin() + static_cast<std::ptrdiff_t>(i));
      return row;
    }
    if (next < end) return static_cast<uint16_t>(next++);
    for (size_t i = near; i < freed.size(); ++i) {
      if (freed[i].first > from) continue;
      const uint16_t row = freed[i].second;
      freed.erase(freed.begin() + static_cast<std::ptrdiff_t>(i));
      return row;
    }
    return std::nullopt;
  }
};

// What one instruction and all that brings its operands would take: taken at once, so that its parts see each
// other, and given back unless it is committed.
class ChipScheduler::Attempt {
 public:
  explicit Attempt(ChipScheduler& scheduler) : scheduler_(scheduler) {}
  ~Attempt() {
    if (committed_) return;
    for (const auto& [queue, cycle] : queues_) queue->taken.remove(cycle);
    for (const StreamUse& use : uses_)
      scheduler_.streams_.give_back(use.hemisphere, use.direction, use.diagonal, use.mask);
  }

  bool take_queue(Queue& queue, Cycle cycle) {
    if (cycle < scheduler_.earliest_ || queue.taken.has(cycle) || scheduler_.fetches(queue, cycle))
      return false;
    queue.taken.add(cycle);
    queues_.push_back({&queue, cycle});
    return true;
  }
  // `count` groups of `width` streams side by side; the first stream's index.
  bool take_streams(Hemisphere hemisphere, Direction direction, Cycle diagonal, uint32_t width,
                    uint32_t count, uint32_t& first) {
    const auto found = scheduler_.free_group(hemisphere, direction, diagonal, width, count);
    if (!found) return false;
    take_exactly(hemisphere, direction, diagonal, mask_of(*found, width * count));
    first = *found;
    return true;
  }
  bool take_these(Hemisphere hemisphere, Direction direction, Cycle diagonal, uint32_t first,
                  uint32_t width) {
    const uint32_t mask = mask_of(first, width);
    if ((scheduler_.streams_.taken(hemisphere, direction, diagonal) & mask) != 0) return false;
    take_exactly(hemisphere, direction, diagonal, mask);
    return true;
  }
  void issue(Queue& queue, Cycle cycle, LpuOp op, std::array<uint32_t, 7> words, Cycle effect) {
    issues_.push_back({&queue, cycle, op, words, effect});
  }
  void read(Value::Copy& copy, Cycle cycle) { reads_.push_back({&copy, cycle}); }
  void arrived(Value& value, Value::Arrival arrival) { arrivals_.push_back({&value, arrival}); }
  // Where the value is on its way already, by this attempt or an earlier one.
  const Value::Arrival* arrival(const Value& value, Cycle diagonal, uint32_t bytes) const {
    const auto fits = [&](const Value::Arrival& there) {
      return there.diagonal == diagonal && there.bytes == bytes;
    };
    for (const Value::Arrival& there : value.arrivals)
      if (fits(there)) return &there;
    for (const auto& [brought, there] : arrivals_)
      if (brought == &value && fits(there)) return &there;
    return nullptr;
  }
  void accumulator_read(Value& value, Cycle cycle) { accumulator_reads_.push_back({&value, cycle}); }

  // Returns the last instruction's place.
  IssueRef commit() {
    committed_ = true;
    IssueRef last;
    for (const Wanted& wanted : issues_) {
      last = scheduler_.commit(*wanted.queue, wanted.cycle, wanted.op, wanted.words, wanted.effect);
    }
    for (const auto& [copy, cycle] : reads_) copy->last_read = std::max(copy->last_read, cycle);
    for (const auto& [value, cycle] : accumulator_reads_) value->last_use = std::max(value->last_use, cycle);
    for (const auto& [value, arrival] : arrivals_) {
      if (value->arrivals.size() >= 4) value->arrivals.erase(value->arrivals.begin());
      value->arrivals.push_back(arrival);
    }
    return last;
  }

 private:
  struct StreamUse {
    Hemisphere hemisphere;
    Direction direction;
    Cycle diagonal;
    uint32_t mask;
  };
  struct Wanted {
    Queue* queue;
    Cycle cycle;
    LpuOp op;
    std::array<uint32_t, 7> words;
    Cycle effect;
  };

  static uint32_t mask_of(uint32_t first, uint32_t width) {
    return (width >= 32 ? ~0u : (1u << width) - 1) << first;
  }
  void take_exactly(Hemisphere hemisphere, Direction direction, Cycle diagonal, uint32_t mask) {
    scheduler_.streams_.take(hemisphere, direction, diagonal, mask);
    uses_.push_back({hemisphere, direction, diagonal, mask});
  }

  ChipScheduler& scheduler_;
  bool committed_ = false;
  std::vector<std::pair<Queue*, Cycle>> queues_;
  std::vector<StreamUse> uses_;
  std::vector<Wanted> issues_;
  std::vector<std::pair<Value::Copy*, Cycle>> reads_;
  std::vector<std::pair<Value*, Cycle>> accumulator_reads_;
  std::vector<std::pair<Value*, Value::Arrival>> arrivals_;
};

// --------------------------------------------------------------------------------------- scheduler

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

// ------------------------------------------------------------------------ bringing operands together

namespace {

// Cycles from a copy's first read to its words at a position outward or at the VXM.
constexpr Cycle distance(uint32_t a, uint32_t b) {
  return a > b ? a - b : b - a;
}

}  // namespace

Cycle ChipScheduler::ready(const Term& value) {
  if (value->kind != Value::Kind::Memory) return value->ready;
  Cycle ready = kForever;
  for (const Value::Copy& copy : value->copies)
    if (copy.there) ready = std::min(ready, copy.ready);
  return ready;
}

// The first cycle in which the value can be at the VXM (the inward diagonal).
Cycle ChipScheduler::earliest_arrival(const Value& value) const {
  const machine::Latency& latency = machine_.latency;
  const machine::Hops& hops = machine_.hops;
  const std::function<Cycle(const Value&)> at_switch = [&](const Value& v) -> Cycle {
    switch (v.kind) {
      case Value::Kind::Memory: {
        Cycle best = kForever;
        for (const Value::Copy& copy : v.copies) {
          if (copy.there)
            best = std::min(best,
                            copy.ready + latency.mem_read + distance(hops.sxm, machine_.mem_hop(copy.slice)));
        }
        return best;
      }
      case Value::Kind::Accumulator:
        return v.ready + latency.mxm_result + distance(hops.mxm, hops.sxm);
      case Value::Kind::Permuted:
        return at_switch(*v.source) + latency.sxm_permute;
      case Value::Kind::Distributed:
        return at_switch(*v.source) + latency.sxm_distribute;
      case Value::Kind::Rotation:
        return at_switch(*v.source) + latency.sxm_rotate;
      default:
        internal_error("a value that does not pass the switch unit");
    }
  };
  switch (value.kind) {
    case Value::Kind::Memory: {
      Cycle best = kForever;
      for (const Value::Copy& copy : value.copies)
        if (copy.there) best = std::min(best, copy.ready + latency.mem_read + machine_.mem_hop(copy.slice));
      return best;
    }
    case Value::Kind::Accumulator:
      return value.ready + latency.mxm_result + hops.mxm;
    case Value::Kind::Permuted:
    case Value::Kind::Distributed:
    case Value::Kind::Rotation:
      return at_switch(value) + hops.sxm;
    case Value::Kind::Rotated:
      return earliest_arrival(*value.source);
    case Value::Kind::Gathered: {
      const uint32_t hop = machine_.mem_hop(value.place.slice);
      Cycle map = kForever;
      const Value::Copy& copy = value.source->copies[value.place.hemisphere];
      if (copy.there) map = copy.ready + latency.mem_read + distance(hop, machine_.mem_hop(copy.slice));
      return std::max(value.ready, map) + latency.mem_gather + hop;
    }
    case Value::Kind::Alu:
      break;
  }
  internal_error("an ALU's result does not arrive on streams");
}

bool ChipScheduler::bring_outward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes,
                                  Hemisphere hemisphere, uint32_t hop, Cycle cycle, uint32_t& first) {
  Value::Copy& copy = value.copies[hemisphere];
  if (!copy.there) return false;
  const uint32_t from = machine_.mem_hop(copy.slice);
  if (from > hop) return false;
  const Cycle read = cycle - distance(hop, from) - machine_.latency.mem_read;
  if (read < copy.ready) return false;
  for (uint32_t k = 0; k < bytes; ++k)
    if (!attempt.take_queue(mem(hemisphere, copy.slice + byte + k), read)) return false;
  if (!attempt.take_streams(hemisphere, kOutward, cycle - hop, bytes, 1, first)) return false;
  for (uint32_t k = 0; k < bytes; ++k) {
    attempt.issue(mem(hemisphere, copy.slice + byte + k), read, LpuOp::Read,
                  {copy.row, stream(hemisphere, kOutward, first + k), 0}, read + machine_.latency.mem_read);
  }
  attempt.read(copy, read);
  return true;
}

// Four streams at the switch unit's place in a cycle.
bool ChipScheduler::bring_to_switch(Attempt& attempt, Value& value, Cycle cycle, Hemisphere hemisphere,
                                    uint32_t& first, Direction& direction) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.sxm;
  direction = kOutward;
  switch (value.kind) {
    case Value::Kind::Memory:
      return bring_outward(attempt, value, 0, 4, hemisphere, hop, cycle, first);
    case Value::Kind::Accumulator: {
      if (value.plane.hemisphere != hemisphere) return false;
      const Cycle at = cycle - distance(machine_.hops.mxm, hop) - latency.mxm_result;
      Queue& queue = mxm_[hemisphere][3 * value.plane.index + 2];
      if (at < value.ready || !attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, cycle + hop, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Accumulate, {value.entry, stream(hemisphere, kInward, first), 0},
                    at + latency.mxm_result);
      attempt.accumulator_read(value, at);
      direction = kInward;
      return true;
    }
    case Value::Kind::Permuted: {
      const Cycle at = cycle - latency.sxm_permute;
      Queue& queue = sxm_[hemisphere][static_cast<size_t>(SxmPlace::Permuter)];
      uint32_t in = 0;
      Direction in_direction = kOutward;
      if (!bring_to_switch(attempt, *value.source, at, hemisphere, in, in_direction)) return false;
      if (!attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kOutward, cycle - hop, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Permute,
                    {stream(hemisphere, in_direction, in), stream(hemisphere, kOutward, first), value.map},
                    cycle);
      return true;
    }
    default:
      internal_error("a value that does not pass the switch unit");
  }
}

// `bytes` streams at the VXM on an inward diagonal.
bool ChipScheduler::bring_inward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes,
                                 Cycle diagonal, Hemisphere& hemisphere, uint32_t& first) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t sxm = machine_.hops.sxm;
  switch (value.kind) {
    case Value::Kind::Memory: {
      Value::Copy& copy = value.copies[hemisphere];
      if (!copy.there) return false;
      const Cycle read = diagonal - machine_.mem_hop(copy.slice) - latency.mem_read;
      if (read < copy.ready) return false;
      for (uint32_t k = 0; k < bytes; ++k)
        if (!attempt.take_queue(mem(hemisphere, copy.slice + byte + k), read)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, bytes, 1, first)) return false;
      for (uint32_t k = 0; k < bytes; ++k) {
        attempt.issue(mem(hemisphere, copy.slice + byte + k), read, LpuOp::Read,
                      {copy.row, stream(hemisphere, kInward, first + k), 0}, read + latency.mem_read);
      }
      attempt.read(copy, read);
      return true;
    }
    case Value::Kind::Accumulator: {
      if (value.plane.hemisphere != hemisphere) return false;
      const Cycle at = diagonal - machine_.hops.mxm - latency.mxm_result;
      Queue& queue = mxm_[hemisphere][3 * value.plane.index + 2];
      if (at < value.ready || !attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Accumulate, {value.entry, stream(hemisphere, kInward, first), 0},
                    at + latency.mxm_result);
      attempt.accumulator_read(value, at);
      return true;
    }
    case Value::Kind::Permuted:
    case Value::Kind::Distributed:
    case Value::Kind::Rotation: {
      const bool permutes = value.kind == Value::Kind::Permuted,
                 rotates = value.kind == Value::Kind::Rotation;
      const Cycle takes = permutes  ? latency.sxm_permute
                          : rotates ? latency.sxm_rotate
                                    : latency.sxm_distribute;
      const Cycle out = diagonal - sxm, at = out - takes;
      uint32_t in = 0;
      Direction direction = kOutward;
      const SxmPlace place = permutes  ? SxmPlace::Permuter
                             : rotates ? SxmPlace::Rotator
                                       : SxmPlace::Distributor;
      const uint32_t places = permutes || rotates ? 1 : 4;
      Queue* queue = nullptr;
      for (uint32_t i = 0; i < places && queue == nullptr; ++i) {
        Queue& candidate = sxm_[hemisphere][static_cast<size_t>(place) + i];
        if (attempt.take_queue(candidate, at)) queue = &candidate;
      }
      if (queue == nullptr) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, 4, rotates ? value.count : 1, first))
        return false;
      if (!bring_to_switch(attempt, *value.source, at, hemisphere, in, direction)) return false;
      const uint32_t from = stream(hemisphere, direction, in), to = stream(hemisphere, kInward, first);
      if (rotates) {
        attempt.issue(*queue, at, LpuOp::Rotate, {from, to, value.first, value.count}, out);
      } else {
        attempt.issue(*queue, at, permutes ? LpuOp::Permute : LpuOp::Distribute, {from, to, value.map}, out);
      }
      return true;
    }
    case Value::Kind::Gathered: {
      if (value.place.hemisphere != hemisphere) return false;
      const uint32_t hop = machine_.mem_hop(value.place.slice);
      const Cycle at = diagonal - hop - latency.mem_gather;
      uint32_t map = 0;
      if (at < value.ready || !bring_outward(attempt, *value.source, 0, 2, hemisphere, hop, at, map))
        return false;
      for (uint32_t k = 0; k < bytes; ++k)
        if (!attempt.take_queue(mem(hemisphere, value.place.slice + k), at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, bytes, 1, first)) return false;
      for (uint32_t k = 0; k < bytes; ++k) {
        attempt.issue(
            mem(hemisphere, value.place.slice + k), at, LpuOp::Gather,
            {value.place.row, stream(hemisphere, kInward, first + k), stream(hemisphere, kOutward, map)},
            at + latency.mem_gather);
      }
      return true;
    }
    default:
      internal_error("a value that does not arrive on streams");
  }
}

bool ChipScheduler::fetch(Attempt& attempt, const Operand& operand, Cycle issue, uint32_t& word) {
  if (operand.is_immediate) {
    word = static_cast<uint32_t>(encode_operand({OperandKind::Immediate, 0}));
    return true;
  }
  if (operand.term == nullptr) {
    word = 0;
    return true;
  }
  Value* value = operand.term.get();
  if (value->kind == Value::Kind::Alu) {
    if (issue < value->ready || issue > value->limit) return false;
    word = static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value->alu)}));
    return true;
  }
  uint32_t offset = 0;
  if (value->kind == Value::Kind::Rotated) {
    offset = 4 * value->first;
    value = value->source.get();
  }
  const Cycle diagonal = issue - machine_.latency.vxm_entry;
  const uint32_t bytes = program::isa::operand_streams(operand.form);
  const auto found = [&](Hemisphere hemisphere, uint32_t first) {
    const uint32_t at = stream(hemisphere, kInward, first + offset);
    word = static_cast<uint32_t>(encode_operand({operand.form, static_cast<uint8_t>(at)}));
    return true;
  };
  if (const Value::Arrival* arrival = attempt.arrival(*value, diagonal, bytes))
    return found(arrival->hemisphere, arrival->first);
  value->prefers_west = !value->prefers_west;
  for (uint32_t i = 0; i < 2; ++i) {
    Hemisphere hemisphere = value->prefers_west == (i == 0) ? kWest : kEast;
    uint32_t first = 0;
    // An attempt of its own, so that a hemisphere that fails leaves nothing taken.
    {
      Attempt trial(*this);
      if (!bring_inward(trial, *value, 0, bytes, diagonal, hemisphere, first)) continue;
    }
    LOCKSTEP_CHECK(bring_inward(attempt, *value, 0, bytes, diagonal, hemisphere, first));
    attempt.arrived(*value, {diagonal, hemisphere, first, bytes});
    return found(hemisphere, first);
  }
  return false;
}

// -------------------------------------------------------------------------------------------- VXM

// Moves a result to an ALU that can keep it longer.
void ChipScheduler::extend(Value& value) {
  const Cycle latency = machine_.latency.vxm_operation;
  uint32_t best = ~0u;
  Cycle best_cycle = 0, best_limit = value.limit;
  for (Cycle cycle = value.ready; cycle <= value.limit; ++cycle) {
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (a == value.alu || vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle)) continue;
      const Cycle gives = cycle + latency;
      const std::optional<Cycle> limit = results_[a].limit(gives);
      if (!limit || *limit <= best_limit) continue;
      best = a;
      best_cycle = cycle;
      best_limit = *limit;
    }
    if (best_limit == kForever) break;
  }
  // A little more time is not worth a move: the next consumer may be long after.
  if (best_limit - value.limit < options_.hold_min_cycles && spill(value)) return;
  if (best == ~0u) throw ResultLost();
  Attempt attempt(*this);
  LOCKSTEP_CHECK(attempt.take_queue(vxm_[best], best_cycle));
  attempt.issue(vxm_[best], best_cycle, LpuOp::Move,
                {static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value.alu)})),
                 0, 0, 0, kNoStream, kNoStream, 4},
                best_cycle + latency);
  value.last_use = std::max(value.last_use, best_cycle);
  release(value);
  value.issue = attempt.commit();
  value.alu = best;
  value.ready = best_cycle + latency;
  value.limit = best_limit;
  value.last_use = value.ready;
  results_[best].keep(value.ready, best_limit);
  in_alus_.push_back(&value);
}

// A move into memory while the ALU still keeps the result; nullptr where there is none.
Term ChipScheduler::move_to_memory(Value& value) {
  const Cycle latency = machine_.latency.vxm_operation;
  const auto from =
      static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value.alu)}));
  for (Cycle cycle = value.ready; cycle <= std::min(value.limit, value.ready + kSearchMax_cycles); ++cycle) {
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle) || !results_[a].limit(cycle + latency))
        continue;
      for (const Hemisphere hemisphere : {kEast, kWest}) {
        auto stored = std::make_shared<Value>();
        stored->kind = Value::Kind::Memory;
        Value moved;
        moved.ready = cycle + latency;
        Attempt attempt(*this);
        if (!attempt.take_queue(vxm_[a], cycle) ||
            !add_store(attempt, moved, hemisphere, 4, nullptr, 0, *stored))
          continue;
        std::array<uint32_t, 7> words{from, 0, 0, 0, kNoStream, kNoStream, 4};
        words[hemisphere == kEast ? 4 : 5] = stored->map;
        attempt.issue(vxm_[a], cycle, LpuOp::Move, words, moved.ready);
        attempt.commit();
        results_[a].keep(moved.ready, moved.ready);
        value.last_use = std::max(value.last_use, cycle);
        stored->scheduler = this;
        return stored;
      }
    }
  }
  return nullptr;
}

// Puts a result that an ALU keeps into memory instead; false where its instruction's streams are not free.
bool ChipScheduler::spill(Value& value) {
  Term stored = value.source;  // where it has been stored before
  for (const Copies side : {kInEast, kInWest}) {
    if (stored == nullptr) stored = store_with(value, side);
  }
  if (stored == nullptr) stored = move_to_memory(value);
  if (stored == nullptr) return false;
  release(value);
  value.kind = Value::Kind::Memory;
  value.bytes = 4;
  value.copies = stored->copies;
  for (Value::Copy& copy : value.copies) copy.owned = false;
  value.source = std::move(stored);
  return true;
}

// Where many results are kept, those not used for longest go to memory.
void ChipScheduler::keep_alus_free(const std::array<Operand, 3>& operands) {
  constexpr size_t kKeptMax = 11;
  if (in_alus_.size() <= kKeptMax) return;
  std::vector<Value*> candidates = in_alus_;
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Value* a, const Value* b) { return a->last_use < b->last_use; });
  for (Value* value : candidates) {
    if (in_alus_.size() <= kKeptMax) return;
    if (std::ranges::any_of(operands, [&](const Operand& operand) { return operand.term.get() == value; }))
      continue;
    spill(*value);
  }
}

// Adds a store to an instruction whose result leaves the VXM in cycle value.ready. The instruction's stream
// words are for the caller to set: stored.map gets the stream.
bool ChipScheduler::add_store(Attempt& attempt, Value& value, Hemisphere hemisphere, uint32_t bytes,
                              const Place* fixed, Cycle free_from, Value& stored) {
  const Cycle leaves = value.ready;
  uint32_t first = 0;
  if (!attempt.take_streams(hemisphere, kOutward, leaves, bytes, 1, first)) return false;
  const auto write_at = [&](uint32_t slice, uint32_t row) {
    const Cycle write = leaves + machine_.mem_hop(slice);
    for (uint32_t k = 0; k < bytes; ++k)
      if (!attempt.take_queue(mem(hemisphere, slice + k), write)) return false;
    for (uint32_t k = 0; k < bytes; ++k) {
      attempt.issue(mem(hemisphere, slice + k), write, LpuOp::Write,
                    {row, stream(hemisphere, kOutward, first + k), 0}, write + machine_.latency.mem_write);
    }
    Value::Copy& copy = stored.copies[hemisphere];
    copy = {true,
            fixed == nullptr,
            static_cast<uint16_t>(slice),
            static_cast<uint16_t>(row),
            write + machine_.latency.mem_write,
            0};
    stored.map = stream(hemisphere, kOutward, first);
    return true;
  };
  if (fixed != nullptr) {
    if (leaves + machine_.mem_hop(fixed->slice) < free_from) return false;
    return write_at(fixed->slice, fixed->row);
  }
  const auto all_free = [&](uint32_t slice) {
    const Cycle write = leaves + machine_.mem_hop(slice);
    for (uint32_t k = 0; k < bytes; ++k) {
      const Queue& queue = mem(hemisphere, slice + k);
      if (queue.taken.has(write) || fetches(queue, write)) return false;
    }
    return true;
  };
  if (bytes == 1) {
    for (uint32_t slice = 4 * options_.scratch_quads; slice-- > 0;) {
      if ((avoided_slices_ >> slice & 1) != 0 || !all_free(slice)) continue;
      const auto row = byte_rows_[hemisphere][slice].take(leaves + machine_.mem_hop(slice));
      if (row) return write_at(slice, *row);
    }
    return false;
  }
  for (uint32_t quad = 0; quad < options_.scratch_quads; ++quad) {
    const uint32_t slice = 4 * quad;
    if (!all_free(slice)) continue;
    const auto row = word_rows_[hemisphere][quad].take(leaves + machine_.mem_hop(slice));
    if (row) return write_at(slice, *row);
  }
  return false;
}

// The operand that has to be brought before the others, because they need one slice or queue in one cycle
// whenever it may be: -1 where all can come together.
int ChipScheduler::never_together(const std::array<Operand, 3>& operands) {
  int first = -1, count = 0;
  for (int i = 0; i < 3; ++i) {
    const Operand& operand = operands[static_cast<size_t>(i)];
    if (operand.term == nullptr || operand.term->kind == Value::Kind::Alu) continue;
    if (first < 0) first = i;
    ++count;
  }
  if (count < 2) return -1;
  // Long after everything that is placed, where nothing is taken.
  Attempt attempt(*this);
  const Cycle quiet = length_ + (1 << 14);
  for (const Operand& operand : operands) {
    uint32_t word = 0;
    if (operand.term != nullptr && operand.term->kind == Value::Kind::Alu) continue;
    if (!fetch(attempt, operand, quiet, word)) return first;
  }
  return -1;
}

Term ChipScheduler::place_op(uint32_t free_alus, LpuOp op, const std::array<Operand, 3>& operands,
                             Term stored, uint8_t copies, uint32_t bytes, const Place* fixed,
                             Cycle free_from) {
  keep_alus_free(operands);
  const Cycle latency = alu_latency(op);
  Cycle from = std::max(earliest_, not_before_);
  uint32_t bits = 0;
  for (const Operand& operand : operands) {
    if (operand.is_immediate) bits = operand.bits;
    if (operand.term == nullptr) continue;
    const Value& value = *operand.term;
    from =
        std::max(from, value.kind == Value::Kind::Alu ? value.ready
                                                      : earliest_arrival(value) + machine_.latency.vxm_entry);
  }
  if (const int rival = never_together(operands); rival >= 0) {
    std::array<Operand, 3> others = operands;
    Operand& moved = others[static_cast<size_t>(rival)];
    // No sooner than what it waits for.
    const Cycle before = std::exchange(
        not_before_, std::max(not_before_, from - static_cast<Cycle>(machine_.latency.vxm_operation)));
    moved = this->op(LpuOp::Move, moved);
    not_before_ = before;
    return place_op(free_alus, op, others, std::move(stored), copies, bytes, fixed, free_from);
  }
  // The same, with nothing before a cycle.
  const auto place_from = [&](Cycle cycle) {
    const Cycle before = std::exchange(not_before_, std::max(not_before_, cycle));
    const Term result = place_op(free_alus, op, operands, std::move(stored), copies, bytes, fixed, free_from);
    not_before_ = before;
    return result;
  };
  CycleSet& closed = closed_[latency];
  for (Cycle cycle = closed.next_absent(from); cycle < from + kSearchMax_cycles;
       cycle = closed.next_absent(cycle + 1)) {
    for (const Operand& operand : operands) {
      if (operand.term == nullptr || operand.term->kind != Value::Kind::Alu) continue;
      while (operand.term->kind == Value::Kind::Alu && cycle > operand.term->limit) extend(*operand.term);
      // In memory now: its way to the VXM is another.
      if (operand.term->kind != Value::Kind::Alu) return place_from(cycle);
      cycle = std::max(cycle, operand.term->ready);
    }
    // The ALU that can keep the result longest.
    uint32_t best = ~0u, free = 0;
    Cycle best_limit = -1;
    const Cycle gives = cycle + latency;
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle)) continue;
      const std::optional<Cycle> limit = results_[a].limit(gives);
      if (!limit || *limit - gives < options_.hold_min_cycles) continue;
      ++free;
      // The shortest time that is long enough, so that long times stay for others; else the longest.
      const bool enough = *limit - gives >= kHoldWanted_cycles;
      const bool best_enough = best != ~0u && best_limit - gives >= kHoldWanted_cycles;
      if (best == ~0u ||
          (enough ? !best_enough || *limit < best_limit : !best_enough && *limit > best_limit)) {
        best = a;
        best_limit = *limit;
      }
    }
    if (best == ~0u) closed.add(cycle);
    if (best == ~0u || free < free_alus) continue;
    Attempt attempt(*this);
    LOCKSTEP_CHECK(attempt.take_queue(vxm_[best], cycle));
    std::array<uint32_t, 7> words{0, 0, 0, bits, kNoStream, kNoStream, bytes};
    bool fits = true;
    for (uint32_t i = 0; i < 3 && fits; ++i) fits = fetch(attempt, operands[i], cycle, words[i]);
    if (!fits) continue;
    auto result = std::make_shared<Value>();
    result->ready = gives;
    if (stored != nullptr) {
      for (uint32_t h = 0; h < 2 && fits; ++h) {
        if ((copies >> h & 1) == 0) continue;
        fits = add_store(attempt, *result, static_cast<Hemisphere>(h), bytes, fixed, free_from, *stored);
        const uint32_t to = stored->map;
        words[to < 32 ? 4 : 5] = to;
      }
      if (!fits) continue;
    }
    // What cannot stay for ever has a copy in memory.
    Term copy;
    if (options_.copies_for_safety && stored == nullptr && best_limit != kForever) {
      copy = std::make_shared<Value>();
      copy->kind = Value::Kind::Memory;
      if (!add_store(attempt, *result, kEast, 4, nullptr, 0, *copy)) {
        copy->copies[kEast] = {};
        if (!add_store(attempt, *result, kWest, 4, nullptr, 0, *copy)) continue;
      }
      words[copy->copies[kEast].there ? 4 : 5] = copy->map;
      copy->scheduler = this;
    }
    attempt.issue(vxm_[best], cycle, op, words, gives);
    result->issue = attempt.commit();
    result->source = std::move(copy);
    for (const Operand& operand : operands) {
      if (operand.term != nullptr && operand.term->kind == Value::Kind::Alu)
        operand.term->last_use = std::max(operand.term->last_use, cycle);
    }
    result->scheduler = this;
    result->kind = Value::Kind::Alu;
    result->alu = best;
    result->limit = best_limit;
    result->last_use = gives;
    results_[best].keep(gives, best_limit);
    in_alus_.push_back(result.get());
    return result;
  }
  internal_error("no place for an operation {:#x} in {} cycles from {} on", static_cast<int>(op),
                 kSearchMax_cycles, from);
}

Term ChipScheduler::op(LpuOp op, Operand a, Operand b, Operand c) {
  // A number that is wanted as a vector, and a second immediate, come from memory.
  if (op == LpuOp::Move && a.is_immediate) return constant(uniform_(a.bits));
  const Operand* only = nullptr;
  for (Operand* operand : {&a, &b, &c}) {
    if (!operand->is_immediate) continue;
    if (only == nullptr) only = operand;
    if (operand->bits != only->bits) *operand = constant(uniform_(operand->bits));
  }
  return op_among(1, op, std::move(a), std::move(b), std::move(c));
}

Term ChipScheduler::op_among(uint32_t free_alus, LpuOp op, Operand a, Operand b, Operand c) {
  return place_op(free_alus, op, {std::move(a), std::move(b), std::move(c)}, nullptr, 0, 4, nullptr, 0);
}

Term ChipScheduler::store(const Term& value, Copies copies, uint32_t bytes) {
  if (value->kind == Value::Kind::Memory && value->bytes == bytes) {
    const uint32_t there =
        value->copies[kEast].there * uint32_t{kInEast} + value->copies[kWest].there * uint32_t{kInWest};
    if ((there & copies) == copies) return value;
  }
  return store_in(value, copies, bytes, nullptr, 0);
}

Term ChipScheduler::store_at(const Term& value, Place place, uint32_t bytes, Cycle free_from) {
  return store_in(value, static_cast<uint8_t>(1u << place.hemisphere), bytes, &place, free_from);
}

// A store on the very instruction that gave the result; nullptr where its streams are not free.
Term ChipScheduler::store_with(Value& value, Copies side) {
  auto stored = std::make_shared<Value>();
  stored->kind = Value::Kind::Memory;
  if (!store_with(value, side == kInEast ? kEast : kWest, 4, nullptr, 0, *stored)) return nullptr;
  stored->scheduler = this;
  return stored;
}

bool ChipScheduler::store_with(Value& value, Hemisphere hemisphere, uint32_t bytes, const Place* fixed,
                               Cycle free_from, Value& stored) {
  const std::array<uint32_t, 7> words = value.issue.queue->issues[value.issue.index].words;
  const bool unused = words[4] == kNoStream && words[5] == kNoStream;
  const uint32_t field = hemisphere == kEast ? 4 : 5;
  if (words[field] != kNoStream || !(unused || words[6] == bytes)) return false;
  Attempt attempt(*this);
  if (!add_store(attempt, value, hemisphere, bytes, fixed, free_from, stored)) {
    stored.copies[hemisphere] = {};
    return false;
  }
  attempt.commit();
  std::array<uint32_t, 7>& placed = value.issue.queue->issues[value.issue.index].words;
  placed[field] = stored.map;
  placed[6] = bytes;
  return true;
}

Term ChipScheduler::store_in(const Term& value, uint8_t copies, uint32_t bytes, const Place* fixed,
                             Cycle free_from) {
  LOCKSTEP_CHECK(bytes == 1 || bytes == 4);
  std::array<bool, 2> left = {(copies & kInEast) != 0, (copies & kInWest) != 0};
  const bool words = value->kind == Value::Kind::Alu && bytes == 4 && fixed == nullptr;
  Term stored = words ? value->source : nullptr;  // where it has been stored before
  if (stored != nullptr) {
    for (const Hemisphere h : {kEast, kWest}) left[h] = left[h] && !stored->copies[h].there;
  } else {
    stored = std::make_shared<Value>();
    stored->kind = Value::Kind::Memory;
    stored->bytes = bytes;
  }
  const bool in_alu = value->kind == Value::Kind::Alu && value->ready >= not_before_;
  for (const Hemisphere h : {kEast, kWest}) {
    if (in_alu && left[h]) left[h] = !store_with(*value, h, bytes, fixed, free_from, *stored);
  }
  // What is left through a move of its own.
  for (const Hemisphere h : {kEast, kWest}) {
    if (left[h])
      place_op(1, LpuOp::Move, {value, {}, {}}, stored, static_cast<uint8_t>(1u << h), bytes, fixed,
               free_from);
  }
  stored->scheduler = this;
  if (words && value->kind == Value::Kind::Alu) value->source = stored;
  return stored;
}

Term ChipScheduler::constant(Place place, uint32_t bytes, Cycle ready) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::Memory;
  value->bytes = bytes;
  value->copies[place.hemisphere] = {true, false, place.slice, place.row, ready, 0};
  return value;
}

// -------------------------------------------------------------------------------------------- MXM

Cycle ChipScheduler::install(Plane plane, const Tile& tile, std::span<const Cycle> group_ready) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.mxm, width = machine_.geometry.load_streams;
  PlaneState& state = planes_[plane.hemisphere * machine_.geometry.planes + plane.index];
  LOCKSTEP_CHECK(tile.hemisphere == plane.hemisphere);
  Queue& queue = mxm_[plane.hemisphere][3 * plane.index];
  const uint32_t first = plane.index * width % machine_.geometry.streams;
  Cycle from = std::max(state.buffer_free, earliest_);
  // Groups in the order in which they may be read.
  std::vector<uint16_t> order(tile.groups);
  for (size_t g = 0; g < order.size(); ++g) order[g] = static_cast<uint16_t>(g);
  if (!group_ready.empty()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](uint16_t a, uint16_t b) { return group_ready[a] < group_ready[b]; });
  }
  uint32_t nearest = hop;
  for (uint16_t slice : tile.slices) nearest = std::min(nearest, machine_.mem_hop(slice));
  for (const uint16_t group : order) {
    const Cycle ready = group_ready.empty() ? 0 : group_ready[group];
    from = std::max(from, std::max(ready, earliest_) + latency.mem_read + distance(hop, nearest));
    for (bool placed = false; !placed; ++from) {
      Attempt attempt(*this);
      if (!attempt.take_queue(queue, from)) continue;
      if (!attempt.take_these(plane.hemisphere, kOutward, from - hop, first, width)) continue;
      bool fits = true;
      for (uint32_t k = 0; k < width && fits; ++k) {
        const Cycle read = from - distance(hop, machine_.mem_hop(tile.slices[k])) - latency.mem_read;
        fits = read >= ready && attempt.take_queue(mem(plane.hemisphere, tile.slices[k]), read);
        if (!fits) break;
        attempt.issue(mem(plane.hemisphere, tile.slices[k]), read, LpuOp::Read,
                      {tile.bases[k] + group * tile.step, stream(plane.hemisphere, kOutward, first + k), 0},
                      read + latency.mem_read);
      }
      if (!fits) continue;
      attempt.issue(queue, from, LpuOp::LoadWeights, {stream(plane.hemisphere, kOutward, first), group},
                    from + latency.mxm_load);
      attempt.commit();
      state.loaded = std::max(state.loaded, from);
      placed = true;
    }
  }
  Cycle at = std::max(state.loaded + latency.mxm_load, state.installed + latency.mxm_install);
  at = std::max(at, state.last_activation + 1 - static_cast<Cycle>(latency.mxm_install));
  while (true) {
    Attempt attempt(*this);
    if (attempt.take_queue(queue, at)) {
      attempt.issue(queue, at, LpuOp::InstallWeights, {}, at + latency.mxm_install);
      attempt.commit();
      break;
    }
    ++at;
  }
  state.installed = at;
  state.array_ready = at + latency.mxm_install;
  state.buffer_free = at + 1;
  return state.loaded;
}

Term ChipScheduler::product(Plane plane, const Term& activation, uint32_t byte, Term into) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.mxm;
  PlaneState& state = planes_[plane.hemisphere * machine_.geometry.planes + plane.index];
  LOCKSTEP_CHECK(activation->kind == Value::Kind::Memory && activation->copies[plane.hemisphere].there);
  const Value::Copy& copy = activation->copies[plane.hemisphere];
  Queue& queue = mxm_[plane.hemisphere][3 * plane.index + 1];
  uint32_t entry = 0;
  if (into != nullptr) {
    entry = into->entry;
  } else {
    // The free one whose old sums are done with first.
    entry = machine_.geometry.accumulators;
    for (uint32_t e = 0; e < machine_.geometry.accumulators; ++e) {
      if (state.entry_taken[e]) continue;
      if (entry == machine_.geometry.accumulators || state.entry_free[e] < state.entry_free[entry]) entry = e;
    }
    LOCKSTEP_CHECK(entry < machine_.geometry.accumulators);
  }
  Cycle from = std::max({state.array_ready, earliest_,
                         copy.ready + latency.mem_read + distance(hop, machine_.mem_hop(copy.slice))});
  // A new sum sets out after the old one is read for the last time, an added one arrives after the one that
  // it adds to.
  from = std::max(from, into != nullptr ? into->ready + 1 - static_cast<Cycle>(latency.mxm_product)
                                        : state.entry_free[entry] + 1);
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    Attempt attempt(*this);
    uint32_t first = 0;
    if (!attempt.take_queue(queue, at)) continue;
    if (!bring_outward(attempt, *activation, byte, 1, plane.hemisphere, hop, at, first)) continue;
    attempt.issue(queue, at, LpuOp::ActivationControl,
                  {stream(plane.hemisphere, kOutward, first), entry, into != nullptr ? 1u : 0u, 0},
                  at + latency.mxm_product);
    attempt.commit();
    state.last_activation = std::max(state.last_activation, at);
    if (into != nullptr) {
      into->ready = std::max<Cycle>(into->ready, at + latency.mxm_product);
      return into;
    }
    state.entry_taken[entry] = true;
    auto sums = std::make_shared<Value>();
    sums->scheduler = this;
    sums->kind = Value::Kind::Accumulator;
    sums->plane = plane;
    sums->entry = entry;
    sums->ready = at + latency.mxm_product;
    return sums;
  }
  internal_error("no place for a product");
}

Cycle ChipScheduler::result_to_row(const Term& accumulator, Place place, Cycle free_from) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.mem_hop(place.slice);
  const Hemisphere hemisphere = accumulator->plane.hemisphere;
  LOCKSTEP_CHECK(hemisphere == place.hemisphere);
  const Cycle from =
      std::max({accumulator->ready, earliest_,
                free_from - static_cast<Cycle>(latency.mxm_result) - distance(machine_.hops.mxm, hop)});
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    const Cycle write = at + latency.mxm_result + distance(machine_.hops.mxm, hop);
    Attempt attempt(*this);
    Queue& queue = mxm_[hemisphere][3 * accumulator->plane.index + 2];
    uint32_t first = 0;
    if (!attempt.take_queue(queue, at) || !attempt.take_queue(mem(hemisphere, place.slice), write)) continue;
    if (!attempt.take_streams(hemisphere, kInward, at + latency.mxm_result + machine_.hops.mxm, 4, 1, first))
      continue;
    attempt.issue(queue, at, LpuOp::Accumulate, {accumulator->entry, stream(hemisphere, kInward, first), 0},
                  at + latency.mxm_result);
    attempt.issue(mem(hemisphere, place.slice), write, LpuOp::Write,
                  {place.row, stream(hemisphere, kInward, first), 0}, write + latency.mem_write);
    attempt.accumulator_read(*accumulator, at);
    attempt.commit();
    return write + latency.mem_write;
  }
  internal_error("no place for sums on their way to memory");
}

// ------------------------------------------------------------------------------- SXM, gather, scatter

namespace {

Term through_switch(Value::Kind kind, const Term& source, uint32_t map) {
  auto value = std::make_shared<Value>();
  value->kind = kind;
  value->source = source;
  value->map = map;
  return value;
}

}  // namespace

Term ChipScheduler::permuted(const Term& source, uint32_t map) {
  return through_switch(Value::Kind::Permuted, source, map);
}

Term ChipScheduler::distributed(const Term& source, uint32_t map) {
  return through_switch(Value::Kind::Distributed, source, map);
}

std::vector<Term> ChipScheduler::rotated(const Term& source, uint32_t first, uint32_t count) {
  const Term rotation = through_switch(Value::Kind::Rotation, source, 0);
  rotation->first = first;
  rotation->count = count;
  std::vector<Term> all;
  for (uint32_t i = 0; i < count; ++i) {
    all.push_back(through_switch(Value::Kind::Rotated, rotation, 0));
    all.back()->first = i;
  }
  return all;
}

Term ChipScheduler::gathered(Place place, uint32_t bytes, const Term& map, Cycle ready) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::Gathered;
  value->place = place;
  value->bytes = bytes;
  value->source = map;
  value->ready = ready;
  return value;
}

Cycle ChipScheduler::scatter(const Term& value, uint32_t byte, Place place, const Term& map,
                             Cycle free_from) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.mem_hop(place.slice);
  const Value::Copy &data = value->copies[place.hemisphere], &rows = map->copies[place.hemisphere];
  LOCKSTEP_CHECK(data.there && rows.there);
  const uint32_t from_slice = data.slice + byte;
  if (from_slice == rows.slice || from_slice == rows.slice + 1u) {
    // One slice cannot read both at once: the value takes another.
    LOCKSTEP_CHECK(value->bytes == 1);
    Operand bytes(value);
    bytes.form = OperandKind::Uint8;
    avoided_slices_ = 3u << rows.slice;
    const Term moved = store(op(LpuOp::Move, bytes), place.hemisphere == kEast ? kInEast : kInWest, 1);
    avoided_slices_ = 0;
    return scatter(moved, 0, place, map, free_from);
  }
  const Cycle from = std::max({free_from, data.ready, rows.ready, earliest_});
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    Attempt attempt(*this);
    uint32_t in = 0, map_first = 0;
    if (!attempt.take_queue(mem(place.hemisphere, place.slice), at)) continue;
    if (!bring_outward(attempt, *value, byte, 1, place.hemisphere, hop, at, in)) continue;
    if (!bring_outward(attempt, *map, 0, 2, place.hemisphere, hop, at, map_first)) continue;
    attempt.issue(
        mem(place.hemisphere, place.slice), at, LpuOp::Scatter,
        {place.row, stream(place.hemisphere, kOutward, in), stream(place.hemisphere, kOutward, map_first)},
        at + latency.mem_write);
    attempt.commit();
    return at + latency.mem_write;
  }
  internal_error("no place for a scatter");
}

// -------------------------------------------------------------------------------------------- C2C

ChipScheduler::Sent ChipScheduler::send(const Term& value, std::span<const uint32_t> links) {
  const uint32_t hop = machine_.hops.c2c;
  LOCKSTEP_CHECK(value->kind == Value::Kind::Memory && value->bytes == 4 && !links.empty());
  Cycle from = earliest_;
  std::array<bool, 2> sides{};
  for (const uint32_t link : links) {
    const Value::Copy& copy = value->copies[link_side(link)];
    LOCKSTEP_CHECK(copy.there);
    sides[link_side(link)] = true;
    from =
        std::max(from, copy.ready + machine_.latency.mem_read + distance(hop, machine_.mem_hop(copy.slice)));
  }
  Sent sent{};
  for (uint32_t byte = 0; byte < 4; ++byte) {
    for (const uint32_t link : links)
      from = std::max(from, link_sent_[link] + static_cast<Cycle>(machine_.packet_cycles()));
    const Cycle end = from + kSearchMax_cycles;
    for (; from < end; ++from) {
      Attempt attempt(*this);
      bool fits = true;
      for (const uint32_t link : links) fits = fits && attempt.take_queue(links_[link], from);
      std::array<uint32_t, 2> first{};
      for (const Hemisphere h : {kEast, kWest})
        fits = fits && (!sides[h] || bring_outward(attempt, *value, byte, 1, h, hop, from, first[h]));
      if (!fits) continue;
      for (const uint32_t link : links) {
        const Hemisphere h = link_side(link);
        attempt.issue(links_[link], from, LpuOp::Send, {stream(h, kOutward, first[h])}, from);
        link_sent_[link] = from;
      }
      attempt.commit();
      break;
    }
    if (from == end) internal_error("no place for a send");
    sent[byte] = from;
  }
  return sent;
}

Term ChipScheduler::receive(uint32_t link, const Sent& sent, const Place* fixed) {
  const Hemisphere hemisphere = link_side(link);
  const uint32_t hop = machine_.hops.c2c;
  auto stored = std::make_shared<Value>();
  stored->kind = Value::Kind::Memory;
  Place place{hemisphere, 0, 0};
  if (fixed != nullptr) {
    place = *fixed;
  } else {
    const auto row = word_rows_[hemisphere][0].take(sent[0]);
    LOCKSTEP_CHECK(row.has_value());
    place.row = *row;
  }
  LOCKSTEP_CHECK(place.hemisphere == hemisphere);
  Value::Copy& copy = stored->copies[hemisphere];
  copy = {true, fixed == nullptr, place.slice, place.row, 0, 0};
  for (uint32_t byte = 0; byte < 4; ++byte) {
    const uint32_t slice = place.slice + byte;
    for (Cycle at =
             std::max(sent[byte] + static_cast<Cycle>(machine_.latency.c2c_link), link_received_[link] + 1);
         ; ++at) {
      const Cycle write = at + distance(hop, machine_.mem_hop(slice));
      Attempt attempt(*this);
      uint32_t first = 0;
      if (!attempt.take_queue(links_[link], at) || !attempt.take_queue(mem(hemisphere, slice), write))
        continue;
      if (!attempt.take_streams(hemisphere, kInward, at + hop, 1, 1, first)) continue;
      const uint32_t on = stream(hemisphere, kInward, first);
      attempt.issue(links_[link], at, LpuOp::Receive, {on}, at);
      attempt.issue(mem(hemisphere, slice), write, LpuOp::Write, {place.row, on, 0},
                    write + machine_.latency.mem_write);
      attempt.commit();
      link_received_[link] = at;
      copy.ready = std::max<Cycle>(copy.ready, write + machine_.latency.mem_write);
      break;
    }
  }
  stored->scheduler = this;
  return stored;
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
