// What is taken when: the tables against which the LPU's scheduler tries a place.
#pragma once

#include <array>
#include <cstdint>
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

 private:
  std::vector<uint64_t> words_;
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
