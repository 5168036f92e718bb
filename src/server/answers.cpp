#include "server/answers.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/api_error.h"

namespace lockstep::server {

using engine::Event;

Answers::Answers(std::vector<std::shared_ptr<engine::Ticket>> tickets, AnswersOrigin origin)
    : texts_(tickets.size()),
      origin_(std::move(origin)),
      recording_(std::make_shared<Recording>(origin_.wake)) {
  for (std::shared_ptr<engine::Ticket>& ticket : tickets) answers_.emplace_back().ticket = std::move(ticket);
  if (!origin_.settle) recording_->state = Record::Kept;
}

void Answers::cancel() {
  for (const Answer& answer : answers_) answer.ticket->cancel();
}

Answers::~Answers() {
  cancel();
  try {  // what was computed and not told counts too
    for (size_t i = 0; i < answers_.size(); ++i) take_news_of(answers_[i], texts_[i]);
  } catch (const ApiError&) {  // as the cancelled ones end
  }
  settle(499, "client_closed_request");
}

void Answers::take_news() {
  try {
    for (size_t i = 0; i < answers_.size(); ++i) take_news_of(answers_[i], texts_[i]);
  } catch (const ApiError& error) {
    settle(error.status(), error.code());
    throw;
  }
  if (ended()) settle(200, "");
  if (recording_->state == Record::Lost) {
    throw ApiError(503, "", "", "the request could not be recorded; send it again");
  }
}

void Answers::take_news_of(Answer& answer, std::string& kept) {
  while (!answer.last) {
    std::optional<Event> event = answer.ticket->poll(std::chrono::milliseconds(0));
    if (!event) return;
    answer.text += event->text;
    if (origin_.keep_texts) kept += event->text;
    answer.tokens = event->answer_tokens_done;
    answer.prompt_tokens = std::max(answer.prompt_tokens, event->prompt_tokens_done);
    answer.prompt_tokens_cached = event->prompt_tokens_reused;
    if (answer.tokens != 0 && !first_token_s_) first_token_s_ = http::clock_s() - origin_.received_s;
    std::move(event->logprobs.begin(), event->logprobs.end(), std::back_inserter(answer.logprobs));
    if (!event->finished) continue;
    if (event->error) throw ApiError(*event->error);
    if (event->reason == engine::FinishReason::Cancelled) throw draining_error();
    answer.last = std::move(event);
  }
}

bool Answers::ended() const {
  return std::all_of(answers_.begin(), answers_.end(),
                     [](const Answer& answer) { return answer.last.has_value(); });
}

bool Answers::finished() const {
  return ended() && recording_->state == Record::Kept;
}

Usage Answers::usage() const {
  Usage usage;
  usage.prompt_tokens = origin_.prompt_tokens;
  for (const Answer& answer : answers_) {
    usage.completion_tokens += answer.tokens;
    if (!answer.last) continue;
    const engine::Timing& timing = answer.last->timing;
    usage.queue_s = std::max(usage.queue_s, timing.queue_s);
    usage.prompt_s = std::max(usage.prompt_s, timing.prefill_s);
    usage.completion_s = std::max(usage.completion_s, timing.decode_s);
  }
  for (size_t i = 0; i < answers_.size(); i += origin_.choices) {
    if (answers_[i].last) usage.cached_tokens += answers_[i].prompt_tokens_cached;
  }
  return usage;
}

// A request that ended early costs the part of its prompts that was computed, each once.
Usage Answers::computed() const {
  Usage computed = usage();
  if (ended()) return computed;
  computed.prompt_tokens = computed.cached_tokens = 0;
  for (size_t i = 0; i < answers_.size(); i += origin_.choices) {
    computed.prompt_tokens += answers_[i].prompt_tokens;
    computed.cached_tokens += std::min(answers_[i].prompt_tokens_cached, answers_[i].prompt_tokens);
  }
  return computed;
}

void Answers::settle(unsigned status, const std::string& error_code) {
  const Settle settle = std::exchange(origin_.settle, {});
  if (!settle) return;
  std::vector<double> token_s;
  for (const Answer& answer : answers_) {
    if (!answer.last) continue;
    const std::vector<double>& times = answer.last->timing.token_s;
    token_s.insert(token_s.end(), times.begin(), times.end());
  }
  settle({status, error_code, computed(), first_token_s_, texts_, std::move(token_s)},
         [recording = recording_](bool recorded) {
           recording->state = recorded ? Record::Kept : Record::Lost;
           recording->wake();
         });
}

}  // namespace lockstep::server
