// One answer as it grows: prefill in chunks, then a token a step.
#pragma once

#include <string>
#include <vector>

#include "engine/stop_filter.h"
#include "numerics/digest.h"
#include "numerics/sampling.h"
#include "targets/target.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace lockstep::engine {

struct Request {
  std::vector<int32_t> prompt;
  uint32_t tokens_max = 0;  // 0: as many as the context holds
  numerics::SamplingParameters sampling;
  std::vector<std::string> stop;
  bool ignore_end = false;  // go on past the model's end-of-answer tokens
  uint32_t chunk = 64;      // prompt tokens a step
  uint32_t choice = 0;      // number of this answer among those of one request
};

enum class FinishReason : uint8_t { None, Stop, Length, ContextFull, Cancelled, Failed };
const char* finish_reason_name(FinishReason reason);  // "stop", "length", ...

// What a finished or running answer has cost; seconds.
struct Timing {
  double prefill_s = 0;
  double decode_s = 0;
  std::vector<double> token_s;  // of each decode step
};

// THREAD: one thread at a time. The target belongs to this generation until it is finished.
class Generation {
 public:
  // `kept` are tokens that the target's state already holds from position 0 on; the common beginning with the
  // prompt is not computed again. REQUIRES: a prompt checked by check_request.
  Generation(targets::Target& target, const text::Tokenizer& tokenizer, Request request,
             std::span<const int32_t> kept);

  // Runs one step: a chunk of the prompt or one token. Returns the text that is new, perhaps none. Throws a
  // user's error when the numerics refuse a value; the generation is then finished as Failed.
  std::string advance();
  // Ends the answer; what was held back is dropped.
  void cancel() { finish_ = finish_ == FinishReason::None ? FinishReason::Cancelled : finish_; }

  bool finished() const { return finish_ != FinishReason::None; }
  FinishReason finish_reason() const { return finish_; }
  uint32_t prompt_tokens_done() const {
    return position_ < request_.prompt.size() ? position_ : prompt_size();
  }
  uint32_t prompt_size() const { return static_cast<uint32_t>(request_.prompt.size()); }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  // The tokens whose state the target holds now.
  std::vector<int32_t> kept_tokens() const;
  std::string digest() const { return digest_.text(); }
  const Timing& timing() const { return timing_; }

 private:
  std::string prefill_chunk();
  std::string decode_token();
  std::string sample();
  std::string finish_with(FinishReason reason);

  targets::Target& target_;
  const text::Tokenizer& tokenizer_;
  Request request_;
  uint32_t position_ = 0;  // tokens in the target's state
  std::vector<int32_t> tokens_;
  numerics::TokenCounts counts_;
  numerics::Sampler sampler_;
  std::vector<float> logits_;
  text::StreamDecoder decoder_;
  StopFilter stop_filter_;
  numerics::Digest digest_;
  Timing timing_;
  FinishReason finish_ = FinishReason::None;
};

// Throws a user's error that says what is wrong with a request and what would be right: an empty prompt, one
// longer than the context, ids outside the vocabulary, sampling numbers out of range.
void check_request(const Request& request, uint32_t vocabulary, uint32_t context);

}  // namespace lockstep::engine
