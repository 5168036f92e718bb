// One answer as it grows: its tokens, how the next is chosen, and the text that may be shown.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "engine/stop_filter.h"
#include "numerics/digest.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace lockstep::engine {

// THREAD: one thread at a time.
class Generation {
 public:
  // `context`: positions that a sequence may have. REQUIRES: a request that check_request let pass.
  Generation(const text::Tokenizer& tokenizer, Request request, uint32_t context);

  // Told before a step that gives the logits of the last token, and of those of `draft` after it.
  void prepare(std::span<const int32_t> draft);
  // What may come next is known within `patience`, so that sample() keeps nobody waiting.
  bool ready(std::chrono::microseconds patience);
  // Tokens that spell what the request's constraint leaves no choice about, perhaps none.
  std::span<const int32_t> forced();
  // The logits of the prompt's token at `position` are wanted beside those of its last.
  bool scores(uint32_t position) const;
  // The first of tokens(), down to one: the state of all but the last of them may be known from elsewhere,
  // as no logits of theirs are wanted any more.
  std::span<const int32_t> reusable() const;
  // Takes the logits of the next position that scores().
  void score(std::span<const float> logits);
  // Chooses the token that follows tokens() by the logits of the last of them, or ends without an answer.
  void sample(std::span<const float> logits);
  // Ends a request for an embedding with the hidden state of its last token, a Q16 vector.
  void embed(std::span<const int16_t> hidden);
  // Ends the answer; what was held back is dropped.
  void cancel() { finish_ = finished() ? finish_ : FinishReason::Cancelled; }
  void fail(Error error);

  const Request& request() const { return request_; }
  // The prompt and the answer so far.
  std::span<const int32_t> tokens() const { return tokens_; }
  uint32_t prompt_size() const { return static_cast<uint32_t>(request_.prompt.size()); }
  std::span<const int32_t> answer() const { return tokens().subspan(prompt_size()); }
  bool finished() const { return finish_ != FinishReason::None; }
  FinishReason finish_reason() const { return finish_; }
  const std::optional<Error>& error() const { return error_; }
  // The text that is new since the last call, perhaps none.
  std::string take_text();
  // And the log-probabilities that belong to it.
  std::vector<TokenLogprob> take_logprobs();
  std::vector<float> take_embedding() { return std::move(embedding_); }
  std::string digest() const { return digest_.text(); }

 private:
  int32_t choose(std::span<const float> raw);
  void finish_with(FinishReason reason);
  void show(const std::string& text);
  TokenLogprob logprob_of(std::span<const float> raw, int32_t token);

  const text::Tokenizer& tokenizer_;
  const Request request_;
  const uint32_t context_;
  std::vector<int32_t> tokens_;
  numerics::TokenCounts counts_;
  numerics::Sampler sampler_;
  std::vector<float> logits_;
  const std::unique_ptr<TokenConstraint> constraint_;  // none: any text
  text::StreamDecoder decoder_;
  StopFilter stop_filter_;
  std::string text_;
  // Log-probabilities of tokens whose text is not shown yet, each with where in the text its token begins.
  struct HeldLogprob {
    size_t begin = 0;
    TokenLogprob of;
  };
  std::deque<HeldLogprob> held_logprobs_;
  std::vector<TokenLogprob> logprobs_;
  std::vector<TokenLogprob> prompt_logprobs_;  // until the prompt is done
  uint32_t scored_ = 0;                        // positions of the prompt that have been
  size_t decoded_bytes_ = 0, shown_bytes_ = 0;
  std::vector<float> embedding_;
  numerics::Digest digest_;
  FinishReason finish_ = FinishReason::None;
  std::optional<Error> error_;
};

}  // namespace lockstep::engine
