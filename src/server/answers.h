// What the engine makes of one request, for a reply that tells it to the client in its own format.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "http/service.h"

namespace lockstep::server {

class RequestTrace;

// One of a request's answers.
struct Answer {
  std::shared_ptr<engine::Ticket> ticket;
  std::string text;                            // new; the reply takes it out
  std::vector<engine::TokenLogprob> logprobs;  // likewise
  uint32_t tokens = 0;                         // so far
  std::optional<engine::Event> last;           // once it has ended
};

// What a request has cost; times in seconds, of the answer that took longest.
struct Usage {
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // of the prompt: their state was there before
  uint32_t completion_tokens = 0;
  double queue_s = 0, prompt_s = 0, completion_s = 0;

  uint32_t total_tokens() const { return prompt_tokens + completion_tokens; }
};

// How a request ended.
struct Outcome {
  unsigned status = 200;   // 499: the client went before the end
  std::string error_code;  // empty where all is well
  Usage usage;
};

// Told once of every request, perhaps while the last reply is destroyed. Calls `recorded` when the client may
// be told of the end: from any thread, at once or later, never twice.
using Settle = std::function<void(const Outcome& outcome, std::function<void()> recorded)>;

// THREAD: one thread at a time.
class Answers {
 public:
  // `settle` and `trace` may be empty.
  Answers(std::vector<std::shared_ptr<engine::Ticket>> tickets, uint32_t prompt_tokens, http::Wake wake,
          Settle settle, std::shared_ptr<RequestTrace> trace);
  // Ends what still runs.
  ~Answers();

  // Takes what has come since the last call, without waiting. Throws an ApiError when an answer failed.
  void take_news();
  // All answers have ended and the request is recorded: nothing more comes.
  bool finished() const;
  bool ended() const;  // all answers have; news may still be told

  std::vector<Answer>& list() { return answers_; }
  const std::vector<Answer>& list() const { return answers_; }
  Usage usage() const;  // so far

 private:
  uint32_t tokens() const;  // so far, of all answers
  void settle(unsigned status, const std::string& error_code);

  struct Recorded;
  std::vector<Answer> answers_;
  const uint32_t prompt_tokens_;
  Settle settle_;
  std::shared_ptr<RequestTrace> trace_;
  bool settled_ = false;
  std::shared_ptr<Recorded> recorded_;
};

}  // namespace lockstep::server
