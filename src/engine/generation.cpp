#include "engine/generation.h"

#include <algorithm>
#include <cmath>

#include "base/stopwatch.h"

namespace lockstep::engine {

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::None:
      return "none";
    case FinishReason::Stop:
      return "stop";
    case FinishReason::Length:
    case FinishReason::ContextFull:
      return "length";
    case FinishReason::Cancelled:
      return "cancelled";
    case FinishReason::Failed:
      return "failed";
  }
  return "none";
}

Generation::Generation(targets::Target& target, const text::Tokenizer& tokenizer, Request request,
                       std::span<const int32_t> kept)
    : target_(target),
      tokenizer_(tokenizer),
      request_(std::move(request)),
      decoder_(tokenizer),
      stop_filter_(request_.stop) {
  // The last token of the prompt always runs: its logits are needed.
  const size_t most = std::min(kept.size(), request_.prompt.size() - 1);
  while (position_ < most && kept[position_] == request_.prompt[position_]) ++position_;
  for (int32_t token : request_.prompt) {
    ++counts_.seen[token];
    digest_.token(token);
  }
}

std::vector<int32_t> Generation::kept_tokens() const {
  std::vector<int32_t> all = request_.prompt;
  all.insert(all.end(), tokens_.begin(), tokens_.end());
  all.resize(std::min<size_t>(position_, all.size()));
  return all;
}

std::string Generation::advance() {
  if (finished()) return {};
  const Stopwatch watch;
  const bool prefill = position_ < request_.prompt.size();
  try {
    std::string text = prefill ? prefill_chunk() : decode_token();
    if (prefill) {
      timing_.prefill_s += watch.seconds();
    } else {
      timing_.decode_s += watch.seconds();
      timing_.token_s.push_back(watch.seconds());
    }
    return text;
  } catch (...) {
    finish_ = FinishReason::Failed;
    throw;
  }
}

std::string Generation::prefill_chunk() {
  const uint32_t count = std::min(
      {request_.chunk, target_.rows_max(), static_cast<uint32_t>(request_.prompt.size()) - position_});
  const bool last = position_ + count == request_.prompt.size();
  const int32_t wanted = static_cast<int32_t>(count) - 1;
  target_.step({.tokens = std::span(request_.prompt).subspan(position_, count),
                .position = position_,
                .wanted = std::span(&wanted, last ? 1 : 0)});
  position_ += count;
  if (!last) return {};
  return sample();
}

std::string Generation::decode_token() {
  const int32_t wanted = 0;
  target_.step(
      {.tokens = std::span(&tokens_.back(), 1), .position = position_, .wanted = std::span(&wanted, 1)});
  ++position_;
  return sample();
}

// Samples from the logits of the step that just ran.
std::string Generation::sample() {
  const std::span<const float> raw = target_.logits(0);
  digest_.logits(raw);
  int32_t token = 0;
  if (numerics::takes_argmax(request_.sampling)) {
    token = numerics::argmax(raw);
  } else {
    logits_.assign(raw.begin(), raw.end());
    token = sampler_.sample(logits_, request_.sampling, counts_, position_, request_.choice);
  }
  tokens_.push_back(token);
  ++counts_.seen[token];
  ++counts_.generated[token];
  digest_.token(token);

  if (!request_.ignore_end && tokenizer_.is_end_of_generation(token)) return finish_with(FinishReason::Stop);
  std::string text = stop_filter_.push(decoder_.push(token));
  if (stop_filter_.stopped()) {
    finish_ = FinishReason::Stop;
  } else if (request_.tokens_max != 0 && tokens_.size() >= request_.tokens_max) {
    text += finish_with(FinishReason::Length);
  } else if (position_ >= target_.context()) {
    text += finish_with(FinishReason::ContextFull);
  }
  return text;
}

std::string Generation::finish_with(FinishReason reason) {
  finish_ = reason;
  std::string text = stop_filter_.push(decoder_.flush());
  return text + stop_filter_.flush();
}

void check_request(const Request& request, uint32_t vocabulary, uint32_t context) {
  if (request.prompt.empty()) user_error("the prompt is empty; at least one token is wanted");
  if (request.prompt.size() > context) {
    user_error("the prompt has {} tokens and the context holds {}: shorten it or raise --context",
               request.prompt.size(), context);
  }
  for (int32_t token : request.prompt) {
    if (token < 0 || static_cast<uint32_t>(token) >= vocabulary) {
      user_error("token {} is not in the vocabulary of {} tokens", token, vocabulary);
    }
  }
  const numerics::SamplingParameters& s = request.sampling;
  auto require = [](bool holds, const char* name, float value, const char* range) {
    if (!holds) user_error("{} is {}; {} is possible", name, value, range);
  };
  require(s.temperature >= 0 && s.temperature <= 100, "temperature", s.temperature, "0 to 100");
  require(s.top_p >= 0 && s.top_p <= 1, "top-p", s.top_p, "0 to 1");
  require(s.min_p >= 0 && s.min_p <= 1, "min-p", s.min_p, "0 to 1");
  require(s.top_k >= 0, "top-k", static_cast<float>(s.top_k), "0 (all) or more");
  require(s.repetition_penalty > 0 && s.repetition_penalty <= 1000, "repetition penalty",
          s.repetition_penalty, "above 0, up to 1000");
  require(std::fabs(s.frequency_penalty) <= 1000, "frequency penalty", s.frequency_penalty, "-1000 to 1000");
  require(std::fabs(s.presence_penalty) <= 1000, "presence penalty", s.presence_penalty, "-1000 to 1000");
  for (auto [id, bias] : s.logit_bias) {
    require(id >= 0 && static_cast<uint32_t>(id) < vocabulary, "the id of a logit bias",
            static_cast<float>(id), "an id of the vocabulary");
    require(std::fabs(bias) <= 1e6f, "a logit bias", bias, "-1000000 to 1000000");
  }
  if (request.chunk == 0) user_error("a chunk of 0 tokens is not possible; 1 or more is");
}

}  // namespace lockstep::engine
