#include "targets/host/worker_team.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/floating_point.h"
#include "targets/host/topology.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep::targets::host {

namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long a wait spins before it lets go of the core: longer than a wait takes in a step whose workers all
// run, shorter than a scheduler's slice.
constexpr uint32_t kSpinInBarrierUs = 50;
constexpr uint32_t kSpinBetweenRunsUs = 500;  // sampling, digests and the caller's own work pass meanwhile

// How often a wait may look in a microsecond: what relax() takes differs by a factor of ten between CPUs.
uint32_t spins_per_us() {
  static const uint32_t spins = [] {
    using Clock = std::chrono::steady_clock;
    constexpr uint32_t kTries = 1000;
    double least_us = 1e9;  // the least of a few, for the thread may lose its core in one
    for (int round = 0; round < 3; ++round) {
      const Clock::time_point begin = Clock::now();
      for (uint32_t i = 0; i < kTries; ++i) relax();
      least_us = std::min(least_us, std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    return static_cast<uint32_t>(std::clamp(kTries / std::max(least_us, 1e-3), 1.0, 1000.0));
  }();
  return spins;
}

}  // namespace

WorkerTeam::WorkerTeam(uint32_t workers)
    : workers_(workers), spins_per_us_(spins_per_us()), states_(workers) {
  for (uint32_t worker = 1; worker < workers; ++worker) {
    threads_.emplace_back([this, worker] { thread_main(worker); });
  }
}

WorkerTeam::~WorkerTeam() {
  stop_ = true;
  ++generation_;
  generation_.notify_all();
}

WorkerTeam::State WorkerTeam::state(uint32_t worker) const {
  return std::bit_cast<State>(states_[worker].word.load(std::memory_order_acquire));
}

// Whether the worker last arrived on the core where this thread runs: it can go on only when this one lets
// go.
bool WorkerTeam::on_this_core(State peer) {
  return peer.cpu == static_cast<uint32_t>(::sched_getcpu());
}

void WorkerTeam::thread_main(uint32_t worker) {
  settle_on_core(worker, workers_);
  set_floating_point_control();
  uint32_t seen = 0, arrivals = 0;
  while (true) {
    for (uint32_t spin = 0; generation_.load(std::memory_order_acquire) == seen; ++spin) {
      const Absent absent = absent_peers(arrivals);
      if (absent == Absent::OnThisCore) {
        ::sched_yield();
      } else if (spin < kSpinBetweenRunsUs * spins_per_us_ && !on_this_core(state(0))) {
        relax();
      } else {
        generation_.wait(seen, std::memory_order_acquire);
      }
    }
    ++seen;
    if (stop_) return;
    (*work_)(worker);
    arrivals = arrive(worker);
  }
}

void WorkerTeam::run(const std::function<void(uint32_t)>& work) {
  set_floating_point_control();
  if (workers_ == 1) return work(0);
  if (settled_ != std::this_thread::get_id()) {
    settle_on_core(0, workers_);
    settled_ = std::this_thread::get_id();
  }
  work_ = &work;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(0);
  barrier(0);
}

void WorkerTeam::barrier(uint32_t worker) {
  if (workers_ == 1) return;
  const uint32_t arrivals = arrive(worker);
  uint32_t spin = 0;
  while (true) {
    const Absent absent = absent_peers(arrivals);
    if (absent == Absent::None) return;
    if (absent == Absent::Elsewhere && spin++ < kSpinInBarrierUs * spins_per_us_) {
      relax();
    } else {
      ::sched_yield();
      spin = 0;
    }
  }
}

uint32_t WorkerTeam::arrive(uint32_t worker) {
  const State next = {state(worker).arrivals + 1, static_cast<uint32_t>(::sched_getcpu())};
  states_[worker].word.store(std::bit_cast<uint64_t>(next), std::memory_order_release);
  return next.arrivals;
}

// A worker may be one ahead already.
bool WorkerTeam::has_come(State peer, uint32_t arrivals) {
  return static_cast<int32_t>(peer.arrivals - arrivals) >= 0;
}

// Who has not arrived as often.
WorkerTeam::Absent WorkerTeam::absent_peers(uint32_t arrivals) const {
  Absent absent = Absent::None;
  for (uint32_t peer = 0; peer < workers_; ++peer) {
    const State now = state(peer);
    if (has_come(now, arrivals)) continue;
    if (on_this_core(now)) return Absent::OnThisCore;
    absent = Absent::Elsewhere;
  }
  return absent;
}

}  // namespace lockstep::targets::host
