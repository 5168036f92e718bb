// What the scheduler's files share: values, planes, rows of scratch, and attempts at a place.
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "compiler/lpu/chip_scheduler.h"

namespace lockstep::compiler::lpu {

using program::isa::encode_operand;
using program::isa::LpuUnit;
using program::isa::OperandKind;
using program::isa::SxmPlace;

inline constexpr Cycle kSearchMax_cycles = 1 << 18;

// Cycles from a copy's first read to its words at a position outward or at the VXM.
constexpr Cycle distance(uint32_t a, uint32_t b) {
  return a > b ? a - b : b - a;
}

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

}  // namespace lockstep::compiler::lpu
