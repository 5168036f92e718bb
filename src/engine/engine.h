// The engine: one thread that owns the target and serves all requests in one batch.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/batch.h"

namespace lockstep::engine {

// Told by the engine's thread that an event is there, and whether it is the last. Must neither wait nor
// throw.
using Listener = std::function<void(bool finished)>;

// A request that was handed in. THREAD: poll by one thread, cancel by any.
class Ticket {
 public:
  // The next event; nothing when none came within the time.
  std::optional<Event> poll(std::chrono::milliseconds timeout);
  // The engine stops the answer after the step that runs; the last event then says Cancelled.
  void cancel() { sequence_->cancelled = true; }

 private:
  friend class Engine;
  void push(Event event);

  std::shared_ptr<Sequence> sequence_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Event> events_;
  Listener listener_;
};

// THREAD: submit by any thread. The destructor cancels what runs and joins.
class Engine {
 public:
  // Both must outlive the engine.
  Engine(targets::Target& target, const text::Tokenizer& tokenizer, uint32_t vocabulary,
         const BatchOptions& options = {});
  ~Engine();

  // Throws the user's error of check_request at once.
  std::shared_ptr<Ticket> submit(Request request, Listener listener = {});

  // With all that was submitted and without what has ended; totals may lack the step that runs. Costs little.
  // THREAD: any.
  Load load();

 private:
  void thread_main();
  bool take_submitted();
  void tell(Sequence& sequence);
  void fail_all(const Error& error);
  void end_all(const std::function<void(Sequence&)>& end);

  targets::Target& target_;
  const text::Tokenizer& tokenizer_;
  const uint32_t vocabulary_;
  Batch batch_;
  std::unordered_map<const Sequence*, std::shared_ptr<Ticket>> tickets_;  // of the batch
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Ticket>> submitted_;
  std::atomic<bool> news_{false};  // something was submitted, or the engine is to stop
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace lockstep::engine
