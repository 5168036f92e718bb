#include "server/housekeeping.h"

#include <exception>
#include <utility>

namespace lockstep::server {

namespace {

constexpr std::chrono::milliseconds kPause{20};  // between parts, for others who want the database

}  // namespace

Housekeeping::Housekeeping(std::vector<Task> tasks, std::chrono::milliseconds period,
                           std::function<void(const char* what)> failed)
    : tasks_(std::move(tasks)), period_(period), failed_(std::move(failed)), thread_([this] { main(); }) {}

Housekeeping::~Housekeeping() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
}

bool Housekeeping::more(const Task& task) const {
  try {
    return task();
  } catch (const std::exception& error) {  // the database cannot be reached, most likely
    failed_(error.what());
    return false;
  }
}

bool Housekeeping::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return stopped_.wait_for(lock, time, [this] { return stop_; });
}

void Housekeeping::main() {
  do {
    for (const Task& task : tasks_) {
      while (more(task)) {
        if (wait(kPause)) return;
      }
    }
  } while (!wait(period_));
}

}  // namespace lockstep::server
