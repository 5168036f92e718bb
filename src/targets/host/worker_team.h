// A fixed team of threads that run the same work, each with its own number, and meet at barriers.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace lockstep::targets::host {

// THREAD: run is called by one thread, which is worker 0. OWNS the other threads. A worker spins while it
// waits, for as long as a wait takes on free cores; a longer wait means that somebody else has a worker's
// core, and it yields in a barrier and sleeps between runs. It does so at once when the one waited for shares
// its core.
class WorkerTeam {
 public:
  explicit WorkerTeam(uint32_t workers);
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  uint32_t size() const { return workers_; }

  // Calls work(worker) on every worker and returns when all have returned. Neither allocates nor locks.
  void run(const std::function<void(uint32_t worker)>& work);

  // Called by every worker inside run: returns when all have called it.
  void barrier(uint32_t worker);

 private:
  struct State {
    uint32_t arrivals = 0;  // at barriers and ends of runs, modulo 2^32
    uint32_t cpu = ~0u;     // where it was then
  };
  // A worker's state, written by that worker alone and read by the others. On two cache lines of its own,
  // because the prefetcher fetches pairs.
  struct alignas(128) StateWord {
    std::atomic<uint64_t> word{std::bit_cast<uint64_t>(State{})};
  };

  enum class Absent : uint8_t { None, Elsewhere, OnThisCore };

  void thread_main(uint32_t worker);
  State state(uint32_t worker) const;
  static bool on_this_core(State peer);
  static bool has_come(State peer, uint32_t arrivals);
  uint32_t arrive(uint32_t worker);
  Absent absent_peers(uint32_t arrivals) const;

  const uint32_t workers_;
  const uint32_t spins_per_us_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  std::thread::id settled_;  // the caller of run that is on its core
  std::atomic<bool> stop_{false};
  alignas(128) std::atomic<uint32_t> generation_{0};  // counts runs
  std::vector<StateWord> states_;                     // by worker
  std::vector<std::jthread> threads_;
};

}  // namespace lockstep::targets::host
