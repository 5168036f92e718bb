#include "server/chat/chat_request.h"

#include "server/api_error.h"
#include "server/chat/chat_messages.h"
#include "server/generation_fields.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

std::optional<uint32_t> read_logprobs(JsonFields& fields) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, engine::kTopLogprobsMax);
  if (!wanted && top.value_or(0) != 0) bad_field("top_logprobs", "it needs 'logprobs' to be true");
  if (!wanted) return std::nullopt;
  return static_cast<uint32_t>(top.value_or(0));
}

// What says nothing here but is no reason to refuse: nothing is kept.
void read_without_effect(JsonFields& fields, ChatRequest& request) {
  request.service_tier = read_service_tier(fields);
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) fields.text(name);
  if (const RequestJson* metadata = fields.find("metadata"); metadata != nullptr && !metadata->is_object()) {
    bad_field("metadata", "value must be an object");
  }
}

void refuse_what_is_missing(JsonFields& fields) {
  if (fields.boolean("store").value_or(false)) bad_field("store", "completions are not stored; leave it out");
  if (fields.text("reasoning_effort").value_or("none") != "none") {
    bad_field("reasoning_effort", "only 'none' is supported: the model has no reasoning apart from its text");
  }
  for (const char* name :
       {"reasoning_format", "include_reasoning", "reasoning", "documents", "audio", "search_settings",
        "prediction", "web_search_options", "modalities", "verbosity"}) {
    fields.refuse(name, "it is not supported; leave it out");
  }
}

// An answer that follows rules ends where they say.
void check_end(const ChatRequest& request) {
  if (!request.output.rules) return;
  const bool has_text = request.output.rules->content == constrain::ContentKind::Text;
  if (!has_text && !request.generation.stop.empty()) {
    bad_field("stop", "an answer of JSON or of calls alone ends by itself; leave it out");
  }
  if (request.generation.ignore_end) {
    bad_field("ignore_eos", "an answer with tools or a response_format ends by itself; leave it out");
  }
}

}  // namespace

ChatRequest parse_chat_request(std::string_view body) {
  const RequestJson json = parse_json(body);
  JsonFields fields(json, "");
  ChatRequest request;
  request.model = fields.required_text("model");
  request.messages = read_messages(fields);
  read_generation_fields(fields, request.generation);
  request.generation.top_logprobs = read_logprobs(fields);
  request.choices = static_cast<uint32_t>(fields.integer("n", 1, kChoicesMax).value_or(1));
  request.stream = read_stream_fields(fields);
  request.output = read_output_fields(fields, body);
  check_end(request);
  read_without_effect(fields, request);
  refuse_what_is_missing(fields);
  fields.finish();
  return request;
}

}  // namespace lockstep::server
