// Where the time of a target's steps goes: for every instruction of the program's queue, how often each
// worker ran it and how long that took. A Sync's time is the worker's waiting.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ticks.h"

namespace lockstep::targets::host {

// THREAD: while a step runs each worker writes its own cells; else one thread at a time.
class StepProfile {
 public:
  struct Cell {
    uint64_t calls = 0, ticks = 0;
  };

  StepProfile(uint32_t instructions, uint32_t workers) : cells_(workers, std::vector<Cell>(instructions)) {}

  uint32_t workers() const { return static_cast<uint32_t>(cells_.size()); }
  // By instruction.
  std::vector<Cell>& of_worker(uint32_t worker) { return cells_[worker]; }
  double seconds(uint32_t instruction, uint32_t worker) const {
    return static_cast<double>(cells_[worker][instruction].ticks) * tick_s();
  }

 private:
  std::vector<std::vector<Cell>> cells_;
};

// One worker's walk through its list: the time since the last lap belongs to the instruction that ended. Does
// nothing without a profile.
class InstructionTimer {
 public:
  InstructionTimer(StepProfile* profile, uint32_t worker)
      : cells_(profile == nullptr ? nullptr : profile->of_worker(worker).data()),
        last_(cells_ == nullptr ? 0 : ticks()) {}

  void lap(uint32_t instruction) {
    if (cells_ == nullptr) return;
    const uint64_t now = ticks();
    ++cells_[instruction].calls;
    cells_[instruction].ticks += now - last_;
    last_ = now;
  }

 private:
  StepProfile::Cell* cells_;
  uint64_t last_;
};

}  // namespace lockstep::targets::host
