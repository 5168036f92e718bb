#include "server/housekeeping.h"

#include "base/error.h"

namespace lockstep::server {

Housekeeping::Housekeeping(std::vector<Task> tasks, std::chrono::milliseconds period)
    : tasks_(std::move(tasks)), period_(period), thread_([this] { main(); }) {}

Housekeeping::~Housekeeping() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
}

void Housekeeping::main() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    for (const Task& task : tasks_) {
      try {
        task();
      } catch (const Error&) {  // the database cannot be reached, most likely
      }
    }
    lock.lock();
    stopped_.wait_for(lock, period_, [this] { return stop_; });
  }
}

}  // namespace lockstep::server
