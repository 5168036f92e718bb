#include "engine/generation.h"

#include <algorithm>
#include <utility>

namespace lockstep::engine {

Generation::Generation(const text::Tokenizer& tokenizer, Request request, uint32_t context)
    : tokenizer_(tokenizer),
      request_(std::move(request)),
      context_(context),
      tokens_(request_.prompt),
      decoder_(tokenizer),
      stop_filter_(request_.stop) {
  const size_t room = context + size_t{1};
  tokens_.reserve(request_.tokens_max == 0 ? room : std::min(room, tokens_.size() + request_.tokens_max));
  for (int32_t token : request_.prompt) digest_.token(token);
  if (numerics::needs_counts(request_.sampling)) {
    for (int32_t token : request_.prompt) ++counts_.seen[token];
  }
}

void Generation::sample(std::span<const float> raw) {
  digest_.logits(raw);
  int32_t token = 0;
  if (numerics::takes_argmax(request_.sampling)) {
    token = numerics::argmax(raw);
  } else {
    logits_.assign(raw.begin(), raw.end());
    token = sampler_.sample(logits_, request_.sampling, counts_, static_cast<uint32_t>(tokens_.size()),
                            request_.choice);
    if (numerics::needs_counts(request_.sampling)) {
      ++counts_.seen[token];
      ++counts_.generated[token];
    }
  }
  tokens_.push_back(token);
  digest_.token(token);

  if (!request_.ignore_end && tokenizer_.is_end_of_generation(token)) return finish_with(FinishReason::Stop);
  text_ += stop_filter_.push(decoder_.push(token));
  if (stop_filter_.stopped()) {
    finish_ = FinishReason::Stop;
  } else if (request_.tokens_max != 0 && answer().size() >= request_.tokens_max) {
    finish_with(FinishReason::Length);
  } else if (tokens_.size() > context_) {
    finish_with(FinishReason::ContextFull);
  }
}

void Generation::fail(Error error) {
  error_ = std::move(error);
  finish_ = FinishReason::Failed;
}

std::string Generation::take_text() {
  return std::exchange(text_, {});
}

void Generation::finish_with(FinishReason reason) {
  finish_ = reason;
  text_ += stop_filter_.push(decoder_.flush());
  text_ += stop_filter_.flush();
}

}  // namespace lockstep::engine
