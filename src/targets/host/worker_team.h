// A fixed team of threads that run the same work, each with its own number, and meet at barriers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace lockstep::targets::host {

// THREAD: run is called by one thread, which is worker 0. OWNS the other threads. Between runs they spin for
// a short while and then sleep; in a barrier they spin, and yield when there are more workers than cores.
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
  void barrier();

 private:
  void thread_main(uint32_t worker);
  void wait_for_change(std::atomic<uint32_t>& word, uint32_t old) const;

  const uint32_t workers_;
  uint32_t spins_before_yield_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> generation_{0};  // counts runs
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};  // counts barriers
  std::vector<std::jthread> threads_;
};

// Sets this thread's floating-point control: to nearest even, subnormals kept. NUMERICS.md section 1.
void set_floating_point_control();

}  // namespace lockstep::targets::host
