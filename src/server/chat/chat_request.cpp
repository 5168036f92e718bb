#include "server/chat/chat_request.h"

#include "server/api_error.h"
#include "server/chat/chat_fields.h"
#include "server/chat/chat_messages.h"
#include "server/chat/strict_rules.h"
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

// Of whom and what for: a client's own notes, and what holds anyway.
void read_notes(JsonFields& fields, Mode mode) {
  fields.text("user");
  if (const RequestJson* metadata = fields.find("metadata"); metadata != nullptr && !metadata->is_object()) {
    bad_field("metadata", "value must be an object");
  }
  if (mode == Mode::Strict) fields.boolean("store");
  read_asides(fields);
  read_keep_alive(fields);
  if (!fields.boolean("cache_prompt").value_or(true)) {
    bad_field("cache_prompt", "value must be true: what was computed of a prompt is kept; leave it out");
  }
  const std::string citations = fields.text("citation_options").value_or("enabled");
  if (citations != "enabled" && citations != "disabled") {
    bad_field("citation_options", "value must be 'enabled' or 'disabled'");
  }
}

// The model's reasoning, where it has any, is part of its text.
void read_kinds_of_output(JsonFields& fields, Mode mode, const OutputFields& output) {
  if (fields.text("reasoning_effort").value_or("none") != "none") {
    bad_field("reasoning_effort", "only 'none' is supported: the model has no reasoning apart from its text");
  }
  if (fields.text("reasoning_format").value_or("raw") != "raw") {
    bad_field("reasoning_format", "only 'raw' is supported: the model has no reasoning apart from its text");
  }
  if (!fields.boolean("include_reasoning").value_or(true)) {
    bad_field("include_reasoning", "value must be true: the model has no reasoning apart from its text");
  }
  if (mode == Mode::Strict && fields.find("reasoning_format")) {
    check_reasoning_as_groq(fields.find("include_reasoning") != nullptr, output);
  }
  const RequestJson* modalities = fields.find("modalities");
  if (modalities != nullptr && *modalities != RequestJson::array({"text"})) {
    bad_field("modalities", "only [\"text\"] is supported");
  }
}

void read_fields(JsonFields& fields, std::string_view body, Mode mode, ChatRequest& request) {
  apply_field_rules(fields, chat_field_rules(), mode);
  request.model = fields.required_text("model");
  request.messages = read_messages(fields, mode);
  read_generation_fields(fields, request.generation);
  request.generation.top_logprobs = read_logprobs(fields);
  request.choices = static_cast<uint32_t>(fields.integer("n", 1, kChoicesMax).value_or(1));
  request.stream = read_stream_fields(fields);
  request.output = read_output_fields(fields, body);
  check_end(request.output, request.generation, "stop");
  request.service_tier = read_service_tier(fields);
  read_notes(fields, mode);
  read_kinds_of_output(fields, mode, request.output);
}

}  // namespace

ChatRequest parse_chat_request(std::string_view body, Mode mode) {
  auto request = read_body<ChatRequest>(
      body, [&](JsonFields& fields, ChatRequest& into) { read_fields(fields, body, mode, into); });
  if (mode == Mode::Strict) check_as_groq(request);
  return request;
}

}  // namespace lockstep::server
