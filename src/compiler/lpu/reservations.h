// What is taken when: the tables against which the LPU's scheduler tries a place.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace lockstep::compiler::lpu {

using Cycle = int64_t;
inline constexpr Cycle kForever = INT64_MAX / 4;

// A set of cycles from 0 on.
class CycleSet {
 public:
  bool has(Cycle cycle) const {
    const auto word = static_cast<size_t>(cycle) / 64;
    return word < words_.size() && (words_[word] >> (cycle % 64) & 1) != 0;
  }
  void add(Cycle cycle) {
    const auto word = static_cast<size_t>(cycle) / 64;
    if (word >= words_.size()) words_.resize(word + word / 2 + 16);
    words_[word] |= uint64_t{1} << (cycle % 64);
  }
  void remove(Cycle cycle) { words_[static_cast<size_t>(cycle) / 64] &= ~(uint64_t{1} << (cycle % 64)); }
  // All from `first` to `last`.
  void remove(Cycle first, Cycle last) {
    first = std::max<Cycle>(first, 0);
    last = std::min(last, static_cast<Cycle>(words_.size()) * 64 - 1);
    for (; first <= last && first % 64 != 0; ++first) remove(first);
    for (; first + 63 <= last; first += 64) words_[static_cast<size_t>(first) / 64] = 0;
    for (; first <= last; ++first) remove(first);
  }
  // The first cycle from `cycle` on that is not in the set.
  Cycle next_absent(Cycle cycle) const {
    for (auto word = static_cast<size_t>(cycle) / 64; word < words_.size(); ++word) {
      const uint64_t absent = ~words_[word] & ~uint64_t{0} << cycle % 64;
      if (absent != 0) return static_cast<Cycle>(word) * 64 + std::countr_zero(absent);
      cycle = (static_cast<Cycle>(word) + 1) * 64;
    }
    return cycle;
  }

 private:
  std::vector<uint64_t> words_;
};

// The results of one ALU: each is kept from the cycle that gives it.
class KeptResults {
 public:
  // Until when a result given in a cycle can be kept; nothing where none can be given then.
  std::optional<Cycle> limit(Cycle gives) const {
    const auto next = from(gives);
    if (next != kept_.end() && next->gives == gives) return std::nullopt;
    if (next != kept_.begin() && std::prev(next)->until >= gives) return std::nullopt;
    return next == kept_.end() ? kForever : next->gives - 1;
  }
  void keep(Cycle gives, Cycle until) { kept_.insert(from(gives), {gives, until}); }
  // Keeps the result given in a cycle no longer than `until`; returns until when it was kept.
  Cycle let_go(Cycle gives, Cycle until) {
    return std::exchange(kept_[static_cast<size_t>(from(gives) - kept_.begin())].until, until);
  }

 private:
  struct Kept {
    Cycle gives, until;
  };
  // The first that is given no earlier.
  std::vector<Kept>::const_iterator from(Cycle gives) const {
    // Most questions are about the end.
    auto begin = kept_.begin();
    for (std::ptrdiff_t near = 8; near < kept_.end() - kept_.begin(); near *= 4) {
      const auto candidate = kept_.end() - near;
      if (candidate->gives >= gives) continue;
      begin = candidate;
      break;
    }
    return std::lower_bound(begin, kept_.end(), gives,
                            [](const Kept& each, Cycle cycle) { return each.gives < cycle; });
  }
  std::vector<Kept> kept_;
};

enum Hemisphere : uint8_t { kEast, kWest };
enum Direction : uint8_t { kOutward, kInward };

// The streams of a chip: which of the 32 of a direction carry a value on a diagonal. A diagonal is the cycle
// less the hops from the VXM (outward) or the cycle plus the hops (inward).
class StreamTable {
 public:
  uint32_t taken(Hemisphere hemisphere, Direction direction, Cycle diagonal) const {
    const std::vector<uint32_t>& masks = masks_[hemisphere][direction];
    const auto index = static_cast<size_t>(diagonal + kBefore);
    return index < masks.size() ? masks[index] : 0;
  }
  void take(Hemisphere hemisphere, Direction direction, Cycle diagonal, uint32_t mask) {
    std::vector<uint32_t>& masks = masks_[hemisphere][direction];
    const auto index = static_cast<size_t>(diagonal + kBefore);
    if (index >= masks.size()) masks.resize(index + index / 2 + 64);
    masks[index] |= mask;
  }
  void give_back(Hemisphere hemisphere, Direction direction, Cycle diagonal, uint32_t mask) {
    masks_[hemisphere][direction][static_cast<size_t>(diagonal + kBefore)] &= ~mask;
  }

 private:
  static constexpr Cycle kBefore = 64;  // outward diagonals begin below zero
  std::array<std::array<std::vector<uint32_t>, 2>, 2> masks_;
};

}  // namespace lockstep::compiler::lpu
