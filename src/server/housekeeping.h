// What is to be done from time to time while the server runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lockstep::server {

// A thread that does its tasks one after another, at once and then after every period. One that throws an
// Error is done again next time.
class Housekeeping {
 public:
  using Task = std::function<void()>;

  Housekeeping(std::vector<Task> tasks, std::chrono::milliseconds period);
  // Waits for the task that runs.
  ~Housekeeping();

 private:
  void main();

  const std::vector<Task> tasks_;
  const std::chrono::milliseconds period_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace lockstep::server
