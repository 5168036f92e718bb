#include "engine/request.h"

#include <algorithm>
#include <cmath>

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
    case FinishReason::Embedded:
      return "embedded";
  }
  return "none";
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
  if (request.constraint && request.ignore_end) {
    user_error("an answer that must follow rules ends where they say; leave ignoring its end out");
  }
  if (request.prompt_logprobs && (!request.top_logprobs || request.embed)) {
    user_error("log-probabilities of the prompt come with those of an answer; ask for both");
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
  if (request.top_logprobs) {
    require(*request.top_logprobs <= std::min(kTopLogprobsMax, vocabulary), "top_logprobs",
            static_cast<float>(*request.top_logprobs), "0 to 20 and no more than the vocabulary has");
  }
  for (auto [id, bias] : s.logit_bias) {
    if (id < 0 || static_cast<uint32_t>(id) >= vocabulary) {
      user_error("token {} of a logit bias is not in the vocabulary of {} tokens", id, vocabulary);
    }
    require(std::fabs(bias) <= 1e6f, "a logit bias", bias, "-1000000 to 1000000");
  }
}

}  // namespace lockstep::engine
