#include "targets/lpu/calendar.h"

#include <algorithm>

namespace lockstep::targets::lpu {

// The cycle of the nearest item on the wheel.
bool Calendar::next_near(uint64_t& cycle) const {
  const uint64_t start = now_ % kNear;
  // The first word is looked at twice: from the start on, and at last what is before it.
  for (uint64_t i = 0; i <= occupied_.size(); ++i) {
    const uint64_t word = (start / kWordBits + i) % occupied_.size();
    uint64_t bits = occupied_[word];
    if (i == 0) bits &= ~uint64_t{0} << start % kWordBits;
    if (bits == 0) continue;
    const uint64_t slot = word * kWordBits + static_cast<uint64_t>(std::countr_zero(bits));
    cycle = now_ + (slot + kNear - start) % kNear;
    return true;
  }
  return false;
}

bool Calendar::take(uint64_t& cycle, std::vector<uint32_t>& items) {
  items.clear();
  const bool near = next_near(cycle);
  if (!far_.empty() && (!near || far_.top().cycle < cycle)) cycle = far_.top().cycle;
  if (!near && far_.empty()) return false;
  now_ = cycle;
  for (; !far_.empty() && far_.top().cycle < now_ + kNear; far_.pop()) {
    add_near(far_.top().item, far_.top().cycle);
  }
  const uint64_t slot = cycle % kNear;
  for (uint32_t item = first_[slot]; item != kNone; item = next_[item]) items.push_back(item);
  first_[slot] = kNone;
  occupied_[slot / kWordBits] &= ~(uint64_t{1} << slot % kWordBits);
  std::sort(items.begin(), items.end());
  return true;
}

}  // namespace lockstep::targets::lpu
