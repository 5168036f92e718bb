// What is to be done from time to time while the server runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lockstep::server {

// A thread that does its tasks one after another, at once and then after every period.
class Housekeeping {
 public:
  // Does a part of what is to be done, a short one; true: there is more. One that throws is done again after
  // the period.
  using Task = std::function<bool()>;

  // `failed` is told what a task threw, by the thread that does them.
  Housekeeping(std::vector<Task> tasks, std::chrono::milliseconds period,
               std::function<void(const char* what)> failed);
  // Waits for the part that runs.
  ~Housekeeping();

 private:
  void main();
  bool more(const Task& task) const;
  // Until the time has passed or the end has come, which it tells.
  bool wait(std::chrono::milliseconds time);

  const std::vector<Task> tasks_;
  const std::chrono::milliseconds period_;
  const std::function<void(const char* what)> failed_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace lockstep::server
