// What the engine, the journal and the endpoints tell the thread that runs batches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace lockstep::server {

// Shared by those who tell: the engine and the journal may outlive the thread. THREAD: any.
class BatchInbox {
 public:
  struct News {
    std::vector<uint64_t> woken;                      // lines whose reply has something
    std::vector<std::pair<uint64_t, bool>> recorded;  // lines, and whether it worked
    bool look = false;
    bool stop = false;  // stays
  };

  // `add`(News&) must be quick.
  template <class Add>
  void tell(Add add) {
    {
      const std::lock_guard lock(mutex_);
      add(news_);
    }
    changed_.notify_one();
  }

  // Waits for news, at the most until `deadline`.
  News take(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] {
      return !news_.woken.empty() || !news_.recorded.empty() || news_.look || news_.stop;
    });
    News news = std::exchange(news_, {});
    news_.stop = news.stop;
    return news;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  News news_;
};

}  // namespace lockstep::server
