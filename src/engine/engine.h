// The engine: one thread that owns the target and serves requests in the order of their coming.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/generation.h"

namespace lockstep::engine {

// What a request's owner learns, in order. The last one has finished set.
struct Event {
  std::string text;  // new text of the answer, perhaps empty
  uint32_t prompt_tokens_done = 0;
  bool finished = false;
  // Set with finished:
  FinishReason reason = FinishReason::None;
  std::vector<int32_t> tokens;
  std::string digest;
  Timing timing;
  std::optional<Error> error;  // with FinishReason::Failed
};

// A request that was handed in. THREAD: poll by one thread, cancel by any.
class Ticket {
 public:
  // The next event; nothing when none came within the time.
  std::optional<Event> poll(std::chrono::milliseconds timeout);
  // The engine stops the answer after the step that runs; the last event then says Cancelled.
  void cancel() { cancelled_ = true; }

 private:
  friend class Engine;
  void push(Event event);

  Request request_;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Event> events_;
};

// THREAD: submit by any thread. The destructor cancels what runs and joins.
class Engine {
 public:
  // Both must outlive the engine.
  Engine(targets::Target& target, const text::Tokenizer& tokenizer, uint32_t vocabulary);
  ~Engine();

  // Throws the user's error of check_request at once.
  std::shared_ptr<Ticket> submit(Request request);

 private:
  void thread_main();
  void serve(Ticket& ticket);

  targets::Target& target_;
  const text::Tokenizer& tokenizer_;
  const uint32_t vocabulary_;
  std::vector<int32_t> kept_;  // tokens whose state the target holds
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Ticket>> queue_;
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

}  // namespace lockstep::engine
