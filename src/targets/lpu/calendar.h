// What is due in which cycle: a wheel of the near cycles and a heap for the rest, so that empty cycles cost
// nothing.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace lockstep::targets::lpu {

class Calendar {
 public:
  // Forgets everything; items are below `items`, each at most once in the calendar.
  void clear(uint32_t items) {
    next_.assign(items, kNone);
    first_.fill(kNone);
    occupied_.fill(0);
    far_ = {};
    now_ = 0;
  }

  // REQUIRES: a cycle not before the last one taken.
  void add(uint32_t item, uint64_t cycle) {
    if (cycle >= now_ + kNear) {
      far_.push({cycle, item});
    } else {
      add_near(item, cycle);
    }
  }

  // The next cycle in which anything is due, and what, ascending. False when there is nothing left.
  bool take(uint64_t& cycle, std::vector<uint32_t>& items);

 private:
  static constexpr uint32_t kNone = ~0u;
  static constexpr uint64_t kNear = 1024, kWordBits = 64;
  struct Far {
    uint64_t cycle;
    uint32_t item;
    bool operator>(const Far& other) const { return cycle > other.cycle; }
  };

  void add_near(uint32_t item, uint64_t cycle) {
    const uint64_t slot = cycle % kNear;
    next_[item] = first_[slot];
    first_[slot] = item;
    occupied_[slot / kWordBits] |= uint64_t{1} << slot % kWordBits;
  }
  bool next_near(uint64_t& cycle) const;

  uint64_t now_ = 0;  // no near item is due before this
  std::array<uint32_t, kNear> first_{};
  std::array<uint64_t, kNear / kWordBits> occupied_{};
  std::vector<uint32_t> next_;  // by item: the next one of the same cycle
  std::priority_queue<Far, std::vector<Far>, std::greater<>> far_;
};

}  // namespace lockstep::targets::lpu
