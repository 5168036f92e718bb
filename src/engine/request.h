// What a caller asks of the engine, and what it learns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/token_constraint.h"
#include "numerics/sampling.h"

namespace lockstep::engine {

// Who goes first in the batch, never what is answered. Idle requests run only while there are no others.
enum class ServiceClass : uint8_t { Performance, OnDemand, Flex, Idle };
inline constexpr size_t kServiceClasses = 4;

struct Request {
  std::vector<int32_t> prompt;
  uint32_t tokens_max = 0;  // 0: as many as the context holds
  numerics::SamplingParameters sampling;
  std::vector<std::string> stop;
  bool ignore_end = false;  // go on past the model's end-of-answer tokens
  uint32_t chunk = 0;       // prompt tokens a step at the most; 0: the engine's choice
  uint32_t choice = 0;      // number of this answer among those of one request
  ServiceClass service = ServiceClass::OnDemand;
  // Ends with the prompt's embedding instead of an answer; what is said of an answer has then no meaning.
  bool embed = false;
  // End where the prompt does, without an answer; what is said of an answer has then no meaning.
  bool prompt_only = false;
  // Report every token's log-probability and those of so many of the most likely ones.
  std::optional<uint32_t> top_logprobs;
  // These also of the prompt's tokens but the first, and of the end mark. Needs top_logprobs.
  bool prompt_logprobs = false;
  // What the answer must be like; empty: any text. Control tokens that it allows are shown by their names.
  ConstraintMaker constraint;
};

// How likely a token was after those before it, as the natural logarithm at temperature 1, before bias and
// penalties.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;  // the most likely tokens, the likeliest first, then by id
};

enum class FinishReason : uint8_t { None, Stop, Length, ContextFull, Cancelled, Failed, Embedded };
const char* finish_reason_name(FinishReason reason);  // "stop", "length", ...

// What an answer has cost; seconds as a clock on the wall shows them.
struct Timing {
  double queue_s = 0;           // from submit to the first step
  double prefill_s = 0;         // from there to the first token
  double decode_s = 0;          // from there to the last
  std::vector<double> token_s;  // of each token but the first
};

// What a request's owner learns, in order. The last one has finished set.
struct Event {
  std::string text;  // new text of the answer, perhaps empty
  // Of the tokens whose text begins in what has been told by now, where they were asked for; none of a stop
  // string. Those of the prompt come together, when it is done, and only with them that of the end mark.
  std::vector<TokenLogprob> logprobs;
  uint32_t prompt_tokens_done = 0;
  uint32_t prompt_tokens_reused = 0;  // of them: whose state was there before
  uint32_t answer_tokens_done = 0;
  bool finished = false;
  // Set with finished:
  FinishReason reason = FinishReason::None;
  std::vector<int32_t> tokens;
  std::string digest;
  // With FinishReason::Embedded: the final norm's output of the last token, of length 1.
  std::vector<float> embedding;
  Timing timing;
  uint32_t drafts_tried = 0, drafts_taken = 0;
  std::optional<Error> error;  // with FinishReason::Failed
};

// Throws a user's error that says what is wrong with a request and what would be right: an empty prompt, one
// longer than the context, ids outside the vocabulary, numbers out of range, a constraint that may not end.
inline constexpr uint32_t kTopLogprobsMax = 20;
void check_request(const Request& request, uint32_t vocabulary, uint32_t context);

}  // namespace lockstep::engine
