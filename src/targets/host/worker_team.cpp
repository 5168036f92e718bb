#include "targets/host/worker_team.h"

#include <sched.h>

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

constexpr uint32_t kSpinsBetweenRuns = 20000;  // some tens of microseconds, then sleep
constexpr uint32_t kSpinsInBarrier = 2000;     // with a core for every worker

uint32_t available_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return static_cast<uint32_t>(CPU_COUNT(&set));
  return std::thread::hardware_concurrency();
}

}  // namespace

void set_floating_point_control() {
#if defined(__x86_64__)
  _mm_setcsr(0x1f80);
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
#endif
}

WorkerTeam::WorkerTeam(uint32_t workers)
    : workers_(workers), spins_before_yield_(available_cores() >= workers ? kSpinsInBarrier : 16) {
  for (uint32_t worker = 1; worker < workers; ++worker) {
    threads_.emplace_back([this, worker] { thread_main(worker); });
  }
}

WorkerTeam::~WorkerTeam() {
  stop_ = true;
  ++generation_;
  generation_.notify_all();
}

void WorkerTeam::wait_for_change(std::atomic<uint32_t>& word, uint32_t old) const {
  for (uint32_t spin = 1; word.load(std::memory_order_acquire) == old; ++spin) {
    if (spin % spins_before_yield_ == 0) {
      ::sched_yield();
    } else {
      relax();
    }
  }
}

void WorkerTeam::thread_main(uint32_t worker) {
  set_floating_point_control();
  uint32_t seen = 0;
  while (true) {
    for (uint32_t spin = 0; generation_.load(std::memory_order_acquire) == seen; ++spin) {
      if (spin < kSpinsBetweenRuns && spins_before_yield_ == kSpinsInBarrier) {
        relax();
      } else {
        generation_.wait(seen, std::memory_order_acquire);
      }
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stop_) return;
    (*work_)(worker);
    barrier();
  }
}

void WorkerTeam::run(const std::function<void(uint32_t)>& work) {
  set_floating_point_control();
  if (workers_ == 1) return work(0);
  work_ = &work;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(0);
  barrier();
}

void WorkerTeam::barrier() {
  if (workers_ == 1) return;
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
  } else {
    wait_for_change(phase_, phase);
  }
}

}  // namespace lockstep::targets::host
