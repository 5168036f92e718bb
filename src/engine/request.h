// What a caller asks of the engine, and what it learns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "numerics/sampling.h"

namespace lockstep::engine {

struct Request {
  std::vector<int32_t> prompt;
  uint32_t tokens_max = 0;  // 0: as many as the context holds
  numerics::SamplingParameters sampling;
  std::vector<std::string> stop;
  bool ignore_end = false;  // go on past the model's end-of-answer tokens
  uint32_t chunk = 0;       // prompt tokens a step at the most; 0: the engine's choice
  uint32_t choice = 0;      // number of this answer among those of one request
};

enum class FinishReason : uint8_t { None, Stop, Length, ContextFull, Cancelled, Failed };
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
  uint32_t prompt_tokens_done = 0;
  bool finished = false;
  // Set with finished:
  FinishReason reason = FinishReason::None;
  std::vector<int32_t> tokens;
  std::string digest;
  Timing timing;
  uint32_t prompt_tokens_reused = 0;  // whose state was there before
  uint32_t drafts_tried = 0, drafts_taken = 0;
  std::optional<Error> error;  // with FinishReason::Failed
};

// Throws a user's error that says what is wrong with a request and what would be right: an empty prompt, one
// longer than the context, ids outside the vocabulary, sampling numbers out of range.
void check_request(const Request& request, uint32_t vocabulary, uint32_t context);

}  // namespace lockstep::engine
