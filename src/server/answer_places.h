// How many answers there may be at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace lockstep::server {

// Places of answers, from when they are asked for until the engine has ended them. Batches have an eighth of
// them at the most, so that they keep nobody else out; one request of a batch that is larger has its places
// when no other of a batch has any. One request has up to half, or what one may ask for of a single prompt
// (n: 128) if that is more. THREAD: any.
class AnswerPlaces {
 public:
  explicit AnswerPlaces(uint32_t most) : most_(most) {}

  // Of one request.
  uint32_t request_max() const { return std::min(most_, std::max(most_ / 2, kChoicesMax)); }

  // Takes all or none; gives whether they were there. `idle`: of a batch. `busy_max`: no more than so many
  // are then taken by what is of no batch. REQUIRES: count <= request_max().
  bool take(uint32_t count, bool idle, uint64_t busy_max = UINT64_MAX) {
    const std::lock_guard lock(mutex_);
    const bool idle_full = idle && idle_ != 0 && idle_ + count > most_ / 8;
    if (idle_full || all_ + count > most_ || all_ - idle_ + count > busy_max) return false;
    all_ += count;
    if (idle) idle_ += count;
    return true;
  }
  void give_back(uint32_t count, bool idle) {
    const std::lock_guard lock(mutex_);
    all_ -= count;
    if (idle) idle_ -= count;
  }

  uint32_t taken() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  static constexpr uint32_t kChoicesMax = 128;

  const uint32_t most_;
  mutable std::mutex mutex_;
  uint32_t all_ = 0;
  uint32_t idle_ = 0;  // of these
};

}  // namespace lockstep::server
