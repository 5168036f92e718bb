#include "server/responses/response_request.h"

#include <limits>

#include "server/api_error.h"
#include "server/generation_fields.h"
#include "server/responses/response_fields.h"
#include "text/utf8.h"

namespace lockstep::server {

namespace {

// OpenAI's limits of metadata.
constexpr size_t kPairsMax = 16, kNameMax = 64, kValueMax = 512;
constexpr const char* kNoTools = "tools are not supported yet; leave it out";

// A message's text: a string, or a list of parts, which are joined.
std::string read_content(JsonFields& item) {
  const RequestJson* content = item.find("content");
  const std::string path = item.path("content");
  if (content == nullptr) bad_field(path, "property 'content' is missing");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) bad_field(path, "value must be a string or an array of text parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    JsonFields part((*content)[i], fmt::format("{}.{}", path, i));
    const std::string type = part.required_text("type");
    if (type != "input_text" && type != "output_text") {
      bad_field(part.path("type"), "only parts of type 'input_text' and 'output_text' are supported");
    }
    text += part.required_text("text");
    for (const char* told : {"annotations", "logprobs"}) part.find(told);  // of an earlier reply
    part.finish();
  }
  return text;
}

text::ChatMessage read_item(const RequestJson& json, size_t index) {
  JsonFields item(json, fmt::format("input.{}", index));
  const std::string type = item.text("type").value_or("message");
  if (type == "function_call" || type == "function_call_output") bad_field(item.path("type"), "{}", kNoTools);
  if (type != "message") bad_field(item.path("type"), "only items of type 'message' are supported");
  text::ChatMessage message;
  message.role = item.required_text("role");
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    bad_field(item.path("role"), "value must be 'system', 'developer', 'user' or 'assistant'");
  }
  message.content = read_content(item);
  for (const char* told : {"id", "status", "phase"}) item.text(told);  // of an earlier reply
  item.finish();
  return message;
}

void read_input(JsonFields& fields, std::vector<text::ChatMessage>& messages) {
  const RequestJson* input = fields.find("input");
  if (input == nullptr) bad_field("input", "property 'input' is missing");
  if (input->is_string()) {
    messages.push_back({"user", input->get<std::string>()});
    return;
  }
  if (!input->is_array() || input->empty()) {
    bad_field("input", "value must be a string or an array of at least one item");
  }
  for (size_t i = 0; i < input->size(); ++i) messages.push_back(read_item((*input)[i], i));
}

RequestJson read_metadata(JsonFields& fields) {
  const RequestJson* metadata = fields.find("metadata");
  if (metadata == nullptr) return RequestJson::object();
  if (!metadata->is_object()) bad_field("metadata", "value must be an object");
  if (metadata->size() > kPairsMax) {
    bad_field("metadata", "{} pairs were given; up to {} are possible", metadata->size(), kPairsMax);
  }
  for (const auto& [key, value] : metadata->items()) {
    const bool good = text::count_characters(key) <= kNameMax && value.is_string() &&
                      text::count_characters(value.get_ref<const std::string&>()) <= kValueMax;
    if (!good) {
      bad_field("metadata", "names are up to {} characters and values strings of up to {}", kNameMax,
                kValueMax);
    }
  }
  return *metadata;
}

// Log-probabilities, where "include" asks for them.
std::optional<uint32_t> read_logprobs(JsonFields& fields) {
  constexpr const char* kLogprobs = "message.output_text.logprobs";
  const auto top =
      static_cast<uint32_t>(fields.integer("top_logprobs", 0, engine::kTopLogprobsMax).value_or(0));
  const RequestJson* include = fields.find("include");
  if (include != nullptr && !include->is_array()) bad_field("include", "value must be an array of names");
  const bool wanted = include != nullptr && !include->empty();
  if (wanted && *include != RequestJson::array({kLogprobs})) {
    bad_field("include", "only ['{}'] is supported", kLogprobs);
  }
  if (top != 0 && !wanted) bad_field("top_logprobs", "it needs 'include' to be ['{}']", kLogprobs);
  return wanted ? std::optional(top) : std::nullopt;
}

// Fields that may only say what holds anyway.
void read_what_holds(JsonFields& fields) {
  fields.refuse("tools", kNoTools);
  if (const RequestJson* choice = fields.find("tool_choice")) {
    if (*choice != "none" && *choice != "auto") bad_field("tool_choice", "{}", kNoTools);
  }
  if (const RequestJson* text = fields.find("text")) {
    JsonFields inside(*text, "text");
    if (const RequestJson* format = inside.find("format")) {
      JsonFields of_format(*format, "text.format");
      if (of_format.required_text("type") != "text")
        bad_field("text.format.type", "only 'text' is supported yet");
      of_format.finish();
    }
    inside.refuse("verbosity", "it is not supported; leave it out");
    inside.finish();
  }
  if (const RequestJson* reasoning = fields.find("reasoning")) {
    JsonFields inside(*reasoning, "reasoning");
    if (inside.text("effort").value_or("none") != "none") {
      bad_field("reasoning.effort",
                "only 'none' is supported: the model has no reasoning apart from its text");
    }
    for (const char* name : {"summary", "generate_summary"}) inside.refuse(name, "there is no reasoning");
    inside.finish();
  }
  if (fields.text("truncation").value_or("disabled") != "disabled") {
    bad_field("truncation", "only 'disabled' is supported: nothing of the input is left out");
  }
  if (const RequestJson* options = fields.find("stream_options")) {
    JsonFields inside(*options, "stream_options");
    inside.refuse("include_obfuscation", "nothing is added to the events; leave it out");
    inside.finish();
  }
  for (const char* name : {"store", "background"}) {
    if (fields.boolean(name).value_or(false)) bad_field(name, "responses are not stored; leave it out");
  }
}

}  // namespace

ResponseRequest parse_response_request(std::string_view body, Mode mode) {
  const RequestJson json = parse_json(body);
  JsonFields fields(json, "");
  apply_field_rules(fields, response_field_rules(), mode);
  ResponseRequest request;
  request.model = fields.required_text("model");
  request.instructions = fields.text("instructions");
  if (request.instructions) request.messages.push_back({"system", *request.instructions});
  read_input(fields, request.messages);
  read_sampling_fields(fields, request.generation);
  const auto tokens_max = fields.integer("max_output_tokens", 1, std::numeric_limits<int32_t>::max());
  request.generation.tokens_max = static_cast<uint32_t>(tokens_max.value_or(0));
  request.generation.top_logprobs = read_logprobs(fields);
  request.stream = fields.boolean("stream").value_or(false);
  request.user = fields.text("user");
  request.metadata = read_metadata(fields);
  request.service_tier = read_service_tier(fields);
  request.parallel_tool_calls = fields.boolean("parallel_tool_calls").value_or(true);
  read_what_holds(fields);
  fields.finish();
  return request;
}

}  // namespace lockstep::server
