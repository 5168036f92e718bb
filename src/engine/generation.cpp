#include "engine/generation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "numerics/q16.h"

namespace lockstep::engine {

namespace {

// Makes the logits of all other tokens -infinity. False where no token is left.
bool leave_only(std::span<const uint64_t> allowed, std::span<float> logits) {
  uint64_t left = 0;
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t word = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
    const size_t count = std::min<size_t>(64, logits.size() - begin);
    for (size_t i = 0; i < count && word != ~uint64_t{0}; ++i) {
      if ((word >> i & 1) == 0) logits[begin + i] = -std::numeric_limits<float>::infinity();
    }
    left |= count == 64 ? word : word & ((uint64_t{1} << count) - 1);
  }
  return left != 0;
}

}  // namespace

Generation::Generation(const text::Tokenizer& tokenizer, Request request, uint32_t context)
    : tokenizer_(tokenizer),
      request_(std::move(request)),
      context_(context),
      tokens_(request_.prompt),
      constraint_(request_.constraint ? request_.constraint() : nullptr),
      decoder_(tokenizer, {.show_control = constraint_ != nullptr}),
      stop_filter_(request_.stop) {
  const size_t room = context + size_t{1};
  tokens_.reserve(request_.tokens_max == 0 ? room : std::min(room, tokens_.size() + request_.tokens_max));
  for (int32_t token : request_.prompt) digest_.token(token);
  if (numerics::needs_counts(request_.sampling)) {
    for (int32_t token : request_.prompt) ++counts_.seen[token];
  }
}

void Generation::prepare(std::span<const int32_t> draft) {
  if (constraint_) constraint_->prepare(draft);
}

bool Generation::ready(std::chrono::microseconds patience) {
  return constraint_ == nullptr || constraint_->ready(patience);
}

std::span<const int32_t> Generation::forced() {
  return constraint_ ? constraint_->forced() : std::span<const int32_t>();
}

// The token that follows; -1 where the constraint allows none.
int32_t Generation::choose(std::span<const float> raw) {
  if (!constraint_ && numerics::takes_argmax(request_.sampling)) return numerics::argmax(raw);
  logits_.assign(raw.begin(), raw.end());
  if (constraint_ && !leave_only(constraint_->allowed(), logits_)) return -1;
  const int32_t token = sampler_.sample(logits_, request_.sampling, counts_,
                                        static_cast<uint32_t>(tokens_.size()), request_.choice);
  if (numerics::needs_counts(request_.sampling)) {
    ++counts_.seen[token];
    ++counts_.generated[token];
  }
  return token;
}

bool Generation::scores(uint32_t position) const {
  return request_.prompt_logprobs && position >= scored_ && position + 1 < prompt_size();
}

std::span<const int32_t> Generation::reusable() const {
  return scores(scored_) ? tokens().first(scored_ + size_t{1}) : tokens();
}

void Generation::score(std::span<const float> raw) {
  prompt_logprobs_.push_back(logprob_of(raw, tokens_[++scored_]));
}

void Generation::sample(std::span<const float> raw) {
  digest_.logits(raw);
  if (!prompt_logprobs_.empty()) logprobs_ = std::exchange(prompt_logprobs_, {});
  if (request_.prompt_only) {
    finish_ = FinishReason::Length;
    return;
  }
  const int32_t token = choose(raw);
  if (token < 0) {
    return fail(Error(ErrorKind::User, "the model's vocabulary has no token for what must come next"));
  }
  tokens_.push_back(token);
  digest_.token(token);

  const bool ends = !request_.ignore_end && tokenizer_.is_end_of_generation(token);
  if (request_.top_logprobs && (!ends || request_.prompt_logprobs)) {
    held_logprobs_.push_back({decoded_bytes_, logprob_of(raw, token)});
  }
  if (ends) return finish_with(FinishReason::Stop);
  const std::string text = decoder_.push(token);
  decoded_bytes_ += text.size();
  if (constraint_) constraint_->accept(token);
  if (constraint_ && !constraint_->is_free()) {
    show(stop_filter_.flush() + text);
  } else {
    show(stop_filter_.push(text));
  }
  if (stop_filter_.stopped()) {
    finish_ = FinishReason::Stop;
  } else if (request_.tokens_max != 0 && answer().size() >= request_.tokens_max) {
    finish_with(FinishReason::Length);
  } else if (tokens_.size() > context_) {
    finish_with(FinishReason::ContextFull);
  }
}

void Generation::embed(std::span<const int16_t> hidden) {
  embedding_.resize(hidden.size());
  numerics::unit_length(hidden, embedding_);
  digest_.logits(embedding_);
  finish_ = FinishReason::Embedded;
}

void Generation::fail(Error error) {
  error_ = std::move(error);
  finish_ = FinishReason::Failed;
}

std::string Generation::take_text() {
  return std::exchange(text_, {});
}

std::vector<TokenLogprob> Generation::take_logprobs() {
  return std::exchange(logprobs_, {});
}

void Generation::finish_with(FinishReason reason) {
  finish_ = reason;
  show(stop_filter_.push(decoder_.flush()));
  show(stop_filter_.flush());
  if (stop_filter_.stopped()) return;
  for (HeldLogprob& held : held_logprobs_) logprobs_.push_back(std::move(held.of));
  held_logprobs_.clear();
}

// Adds text that is safe to show, and the log-probabilities of the tokens that begin in it.
void Generation::show(const std::string& text) {
  shown_bytes_ += text.size();
  text_ += text;
  while (!held_logprobs_.empty() && held_logprobs_.front().begin < shown_bytes_) {
    logprobs_.push_back(std::move(held_logprobs_.front().of));
    held_logprobs_.pop_front();
  }
}

TokenLogprob Generation::logprob_of(std::span<const float> raw, int32_t token) {
  logits_.resize(raw.size());
  numerics::log_probabilities(raw, logits_);
  TokenLogprob of{token, logits_[static_cast<size_t>(token)], {}};
  // The likeliest so far in order, one more than wanted for a moment.
  const uint32_t count = *request_.top_logprobs;
  of.top.reserve(count + size_t{1});
  for (size_t id = 0; id < raw.size() && count != 0; ++id) {
    if (of.top.size() == count && !(raw[id] > of.top.back().second)) continue;
    const auto place = std::upper_bound(of.top.begin(), of.top.end(), raw[id],
                                        [](float logit, const auto& other) { return logit > other.second; });
    of.top.emplace(place, static_cast<int32_t>(id), raw[id]);
    if (of.top.size() > count) of.top.pop_back();
  }
  for (auto& [id, value] : of.top) value = logits_[static_cast<size_t>(id)];
  return of;
}

}  // namespace lockstep::engine
