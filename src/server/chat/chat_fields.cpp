#include "server/chat/chat_fields.h"

namespace lockstep::server {

namespace {

using enum Handling;

constexpr const char* kNotOfThisModel = "it is not supported with this model";

constexpr FieldRule kRules[] = {
    // name, lenient, strict
    {"messages", Honoured, Honoured},
    {"model", Honoured, Honoured},
    {"temperature", Honoured, Honoured},
    {"top_p", Honoured, Honoured},
    {"max_completion_tokens", Honoured, Honoured},
    {"max_tokens", Honoured, Honoured},
    {"stop", Honoured, Honoured},
    {"seed", Honoured, Honoured},
    {"n", Honoured, Honoured},
    {"stream", Honoured, Honoured},
    {"stream_options", Honoured, Honoured},
    {"tools", Honoured, Honoured},
    {"tool_choice", Honoured, Honoured},
    {"parallel_tool_calls", Honoured, Honoured},
    {"disable_tool_validation", Honoured, Honoured},
    {"functions", Honoured, Honoured},
    {"function_call", Honoured, Honoured},
    {"response_format", Honoured, Honoured},
    {"service_tier", Honoured, Honoured},
    {"frequency_penalty", Honoured, Honoured},
    {"presence_penalty", Honoured, Honoured},
    {"reasoning_effort", Honoured, Honoured},   // "none"
    {"reasoning_format", Honoured, Honoured},   // "raw": reasoning is part of the text
    {"include_reasoning", Honoured, Honoured},  // true: the same
    {"user", Honoured, Honoured},               // a string, of which nothing is kept
    {"metadata", Honoured, Honoured},           // an object, likewise
    {"logprobs", Honoured, Refused, kNotOfThisModel},
    {"top_logprobs", Honoured, Refused, kNotOfThisModel},
    {"logit_bias", Honoured, Refused, kNotOfThisModel},
    {"store", Refused, Honoured, "completions are not stored; leave it out"},  // Groq takes it
    {"citation_options", Honoured, Honoured},  // without documents there is nothing to cite
    {"documents", Refused, Refused},
    {"search_settings", Refused, Refused},
    {"exclude_domains", Refused, Refused},
    {"include_domains", Refused, Refused},
    {"compound_custom", Refused, Refused},
    // OpenAI's, which Groq does not know.
    {"safety_identifier", Honoured, Unknown},  // checked, as are the next two
    {"prompt_cache_key", Honoured, Unknown},
    {"prompt_cache_retention", Honoured, Unknown},
    {"modalities", Honoured, Unknown},  // ["text"]
    {"audio", Refused, Unknown},
    {"prediction", Refused, Unknown},
    {"reasoning", Refused, Unknown},
    {"verbosity", Refused, Unknown},
    {"web_search_options", Refused, Unknown},
    // Of other local servers and those who measure them.
    {"top_k", Honoured, Unknown},
    {"min_p", Honoured, Unknown},
    {"repetition_penalty", Honoured, Unknown},
    {"ignore_eos", Honoured, Unknown},
    {"cache_prompt", Honoured, Unknown},  // true: prefixes are kept
    {"keep_alive", Honoured, Unknown},    // the model stays
};

}  // namespace

std::span<const FieldRule> chat_field_rules() {
  return kRules;
}

}  // namespace lockstep::server
