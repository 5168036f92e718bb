// What the engine makes of one request, for a reply that tells it to the client in its own format.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "http/service.h"

namespace lockstep::server {

// One of a request's answers.
struct Answer {
  std::shared_ptr<engine::Ticket> ticket;
  std::string text;                            // new; the reply takes it out
  std::vector<engine::TokenLogprob> logprobs;  // likewise
  uint32_t tokens = 0;                         // so far
  uint32_t prompt_tokens = 0;                  // likewise: computed or there before
  uint32_t prompt_tokens_cached = 0;           // there before
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
  unsigned status = 200;                // 499: the client went before the end
  std::string error_code;               // empty where all is well
  Usage usage;                          // of what was computed
  std::optional<double> first_token_s;  // since the request came
  std::vector<std::string> texts;       // of the answers, if they were to be kept
  std::vector<double> token_s;          // of each token but the first of each answer that has ended
};

// Says that a request is recorded, so that the client may be told of its end, or that it could not be. Called
// from any thread, at once or later, once.
using Recorded = std::function<void(bool recorded)>;
// Told once of every request, perhaps while the last reply is destroyed.
using Settle = std::function<void(Outcome outcome, Recorded recorded)>;

// What answers need to know of their request.
struct AnswersOrigin {
  uint32_t prompt_tokens = 0;  // of all prompts
  uint32_t choices = 1;        // tickets of each prompt
  double received_s = 0;       // http::Request::received_s
  bool keep_texts = false;     // for the outcome
  http::Wake wake = {};
  Settle settle = {};  // may be empty
};

// THREAD: one thread at a time.
class Answers {
 public:
  Answers(std::vector<std::shared_ptr<engine::Ticket>> tickets, AnswersOrigin origin);
  // Ends what still runs.
  ~Answers();

  // Takes what has come since the last call, without waiting. Throws an ApiError when an answer failed, or
  // could not be recorded.
  void take_news();
  // All answers have ended and the request is recorded: nothing more comes.
  bool finished() const;
  bool ended() const;  // all answers have; news may still be told
  // Ends what still runs, which the next news tell. THREAD: any.
  void cancel();

  std::vector<Answer>& list() { return answers_; }
  const std::vector<Answer>& list() const { return answers_; }
  Usage usage() const;  // so far

 private:
  void take_news_of(Answer& answer, std::string& kept);
  void settle(unsigned status, const std::string& error_code);
  Usage computed() const;

  enum class Record : uint8_t { Open, Kept, Lost };
  // Outlives the answers: whoever records may be slower than a client that goes.
  struct Recording {
    explicit Recording(http::Wake given) : wake(std::move(given)) {}
    const http::Wake wake;
    std::atomic<Record> state{Record::Open};
  };
  std::vector<Answer> answers_;
  std::vector<std::string> texts_;  // kept, by answer
  AnswersOrigin origin_;
  std::optional<double> first_token_s_;
  std::shared_ptr<Recording> recording_;
};

}  // namespace lockstep::server
