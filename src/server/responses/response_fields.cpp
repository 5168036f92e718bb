#include "server/responses/response_fields.h"

namespace lockstep::server {

namespace {

using enum Handling;

constexpr const char* kNothingIsKept =
    "nothing is kept between requests: give the whole conversation as 'input'";

constexpr FieldRule kRules[] = {
    // name, lenient, strict
    {"input", Honoured, Honoured},
    {"model", Honoured, Honoured},
    {"instructions", Honoured, Honoured},
    {"max_output_tokens", Honoured, Honoured},
    {"temperature", Honoured, Honoured},
    {"top_p", Honoured, Honoured},
    {"stream", Honoured, Honoured},
    {"text", Honoured, Honoured},
    {"tools", Honoured, Honoured},
    {"tool_choice", Honoured, Honoured},
    {"parallel_tool_calls", Honoured, Honoured},
    {"reasoning", Honoured, Honoured},
    {"metadata", Honoured, Honoured},
    {"user", Honoured, Honoured},
    {"service_tier", Honoured, Honoured},
    {"store", Honoured, Honoured},       // false
    {"truncation", Honoured, Honoured},  // "disabled"
    {"previous_response_id", Refused, Refused, kNothingIsKept},
    {"prompt", Refused, Refused},
    {"include", Honoured, Refused},  // log-probabilities
    {"top_logprobs", Honoured, Refused},
    {"safety_identifier", Honoured, Refused},
    {"prompt_cache_key", Honoured, Refused},
    // OpenAI's, which Groq does not know.
    {"prompt_cache_retention", Honoured, Unknown},
    {"stream_options", Honoured, Unknown},  // without obfuscation
    {"background", Honoured, Unknown},      // false
    {"conversation", Refused, Unknown, kNothingIsKept},
    {"max_tool_calls", Refused, Unknown},
    {"context_management", Refused, Unknown},
    {"moderation", Refused, Unknown},
    // As chat completions have them here.
    {"seed", Honoured, Unknown},
    {"stop", Honoured, Unknown},
    {"frequency_penalty", Honoured, Unknown},
    {"presence_penalty", Honoured, Unknown},
    {"logit_bias", Honoured, Unknown},
    {"top_k", Honoured, Unknown},
    {"min_p", Honoured, Unknown},
    {"repetition_penalty", Honoured, Unknown},
    {"ignore_eos", Honoured, Unknown},
};

}  // namespace

std::span<const FieldRule> response_field_rules() {
  return kRules;
}

}  // namespace lockstep::server
