#include "server/chat/chat_request.h"

#include "server/api_error.h"
#include "server/generation_fields.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

constexpr const char* kNoTools = "tools are not supported yet; leave it out";

// "content": a string, or a list of text parts, which are joined.
std::string read_content(JsonFields& fields) {
  const RequestJson* content = fields.find("content");
  const std::string path = fields.path("content");
  if (content == nullptr) bad_field(path, "property 'content' is missing");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) bad_field(path, "value must be a string or an array of text parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    JsonFields part((*content)[i], fmt::format("{}.{}", path, i));
    const std::string type = part.required_text("type");
    if (type != "text") bad_field(part.path("type"), "only parts of type 'text' are supported");
    text += part.required_text("text");
    part.finish();
  }
  return text;
}

text::ChatMessage read_message(const RequestJson& json, size_t index) {
  JsonFields fields(json, fmt::format("messages.{}", index));
  text::ChatMessage message;
  message.role = fields.required_text("role");
  if (message.role == "developer") message.role = "system";  // OpenAI's newer name for it
  if (message.role == "tool" || message.role == "function") bad_field(fields.path("role"), "{}", kNoTools);
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    bad_field(fields.path("role"), "value must be 'system', 'developer', 'user' or 'assistant'");
  }
  message.content = read_content(fields);
  fields.refuse("name", "the chat template has no place for a name; leave it out");
  if (message.role == "assistant") {
    fields.refuse("tool_calls", kNoTools);
    fields.refuse("function_call", kNoTools);
    for (const char* name : {"refusal", "reasoning", "reasoning_content", "audio", "annotations"}) {
      fields.refuse(name, "the chat template has no place for it; leave it out");
    }
  }
  fields.finish();
  return message;
}

std::vector<text::ChatMessage> read_messages(JsonFields& fields) {
  const RequestJson* messages = fields.find("messages");
  if (messages == nullptr) bad_field("messages", "property 'messages' is missing");
  if (!messages->is_array() || messages->empty()) {
    bad_field("messages", "value must be an array of at least one message");
  }
  std::vector<text::ChatMessage> list;
  for (size_t i = 0; i < messages->size(); ++i) list.push_back(read_message((*messages)[i], i));
  return list;
}

std::optional<uint32_t> read_logprobs(JsonFields& fields) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, engine::kTopLogprobsMax);
  if (!wanted && top.value_or(0) != 0) bad_field("top_logprobs", "it needs 'logprobs' to be true");
  if (!wanted) return std::nullopt;
  return static_cast<uint32_t>(top.value_or(0));
}

// What says nothing here but is no reason to refuse: nothing is kept.
void read_without_effect(JsonFields& fields) {
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) fields.text(name);
  if (const RequestJson* metadata = fields.find("metadata"); metadata != nullptr && !metadata->is_object()) {
    bad_field("metadata", "value must be an object");
  }
  fields.boolean("parallel_tool_calls");
  fields.boolean("disable_tool_validation");
}

void refuse_what_is_missing(JsonFields& fields) {
  for (const char* name : {"tools", "functions"}) fields.refuse(name, kNoTools);
  for (const char* name : {"tool_choice", "function_call"}) {
    const RequestJson* choice = fields.find(name);
    if (choice != nullptr && *choice != "none" && *choice != "auto") bad_field(name, "{}", kNoTools);
  }
  if (const RequestJson* format = fields.find("response_format"); format != nullptr) {
    JsonFields inside(*format, "response_format");
    if (inside.required_text("type") != "text") {
      bad_field("response_format.type", "only 'text' is supported yet");
    }
    inside.finish();
  }
  fields.refuse("store", "completions are not stored; leave it out");
  if (fields.text("reasoning_effort").value_or("none") != "none") {
    bad_field("reasoning_effort", "only 'none' is supported: the model has no reasoning apart from its text");
  }
  for (const char* name :
       {"reasoning_format", "include_reasoning", "reasoning", "documents", "audio", "search_settings",
        "prediction", "web_search_options", "modalities", "verbosity"}) {
    fields.refuse(name, "it is not supported; leave it out");
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
  request.service_tier = fields.text("service_tier").value_or("");
  request.tier = tier_named(request.service_tier);
  read_without_effect(fields);
  refuse_what_is_missing(fields);
  fields.finish();
  return request;
}

}  // namespace lockstep::server
