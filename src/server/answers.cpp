#include "server/answers.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "server/api_error.h"
#include "server/request_trace.h"

namespace lockstep::server {

using engine::Event;

// Outlives the answers: whoever records may be slower than a client that goes.
struct Answers::Recorded {
  explicit Recorded(http::Wake given) : wake(std::move(given)) {}
  const http::Wake wake;
  std::atomic<bool> done{false};
};

Answers::Answers(std::vector<std::shared_ptr<engine::Ticket>> tickets, uint32_t prompt_tokens,
                 http::Wake wake, Settle settle, std::shared_ptr<RequestTrace> trace)
    : prompt_tokens_(prompt_tokens),
      settle_(std::move(settle)),
      trace_(std::move(trace)),
      recorded_(std::make_shared<Recorded>(std::move(wake))) {
  for (std::shared_ptr<engine::Ticket>& ticket : tickets) answers_.emplace_back().ticket = std::move(ticket);
  if (!settle_) recorded_->done = true;
}

Answers::~Answers() {
  for (const Answer& answer : answers_) answer.ticket->cancel();
  settle(499, "client_closed_request");
}

void Answers::take_news() {
  const uint32_t tokens_before = tokens();
  try {
    for (Answer& answer : answers_) {
      while (!answer.last) {
        std::optional<Event> event = answer.ticket->poll(std::chrono::milliseconds(0));
        if (!event) break;
        answer.text += event->text;
        answer.tokens = event->answer_tokens_done;
        std::move(event->logprobs.begin(), event->logprobs.end(), std::back_inserter(answer.logprobs));
        if (!event->finished) continue;
        if (event->error) throw ApiError(*event->error);
        if (event->reason == engine::FinishReason::Cancelled) {
          throw ApiError(503, "", "", "the server is stopping; send the request again");
        }
        answer.last = std::move(event);
        if (trace_) trace_->answer_ended(answer.last->timing);
      }
    }
  } catch (const ApiError& error) {
    settle(error.status(), error.code());
    throw;
  }
  if (trace_) trace_->generated(tokens() - tokens_before);
  if (ended()) settle(200, "");
}

uint32_t Answers::tokens() const {
  uint32_t tokens = 0;
  for (const Answer& answer : answers_) tokens += answer.tokens;
  return tokens;
}

bool Answers::ended() const {
  return std::all_of(answers_.begin(), answers_.end(),
                     [](const Answer& answer) { return answer.last.has_value(); });
}

bool Answers::finished() const {
  return ended() && recorded_->done;
}

Usage Answers::usage() const {
  Usage usage;
  usage.prompt_tokens = prompt_tokens_;
  usage.completion_tokens = tokens();
  for (const Answer& answer : answers_) {
    if (!answer.last) continue;
    const engine::Timing& timing = answer.last->timing;
    usage.queue_s = std::max(usage.queue_s, timing.queue_s);
    usage.prompt_s = std::max(usage.prompt_s, timing.prefill_s);
    usage.completion_s = std::max(usage.completion_s, timing.decode_s);
  }
  if (const auto& first = answers_.front().last) usage.cached_tokens = first->prompt_tokens_reused;
  return usage;
}

void Answers::settle(unsigned status, const std::string& error_code) {
  if (std::exchange(settled_, true)) return;
  const Outcome outcome = {status, error_code, usage()};
  if (trace_) trace_->settle(outcome);
  const Settle settle = std::exchange(settle_, {});
  if (!settle) return;
  settle(outcome, [recorded = recorded_] {
    recorded->done = true;
    recorded->wake();
  });
}

}  // namespace lockstep::server
