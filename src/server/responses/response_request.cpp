#include "server/responses/response_request.h"

#include <limits>

#include "server/api_error.h"
#include "server/conversation/strict_json.h"
#include "server/generation_fields.h"
#include "server/responses/response_fields.h"
#include "server/responses/response_input.h"
#include "text/utf8.h"

namespace lockstep::server {

namespace {

// OpenAI's limits of metadata.
constexpr size_t kPairsMax = 16, kNameMax = 64, kValueMax = 512;

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

// What the answer may be, and what the reply repeats of that.
void read_output(JsonFields& fields, std::string_view body, ResponseRequest& request) {
  OutputReader reader(fields, body, {"tools", "text"}, Form::Flat);
  reader.read_parallel_tool_calls();
  reader.read_tools();
  reader.read_tool_choice();
  if (const RequestJson* text = fields.find("text")) {
    JsonFields inside(*text, "text");
    reader.read_format(inside.find("format"), "text.format");
    if (inside.find("format") != nullptr) request.format = reader.ordered()["text"]["format"];
    inside.refuse("verbosity", "it is not supported; leave it out");
    inside.finish();
  }
  if (reader.list_of("tools") != nullptr) request.tools = reader.ordered()["tools"];
  if (const RequestJson* choice = fields.find("tool_choice")) request.tool_choice = *choice;
  request.parallel_tool_calls = fields.boolean("parallel_tool_calls").value_or(true);
  request.output = reader.take();
  check_end(request.output, request.generation, "stop");
}

// Fields that may only say what holds anyway.
void read_what_holds(JsonFields& fields) {
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

void read_fields(JsonFields& fields, std::string_view body, Mode mode, ResponseRequest& request) {
  apply_field_rules(fields, response_field_rules(), mode);
  request.model = fields.required_text("model");
  request.instructions = fields.text("instructions");
  request.messages = read_conversation(fields);
  read_sampling_fields(fields, request.generation);
  const auto tokens_max = fields.integer("max_output_tokens", 1, std::numeric_limits<int32_t>::max());
  request.generation.tokens_max = static_cast<uint32_t>(tokens_max.value_or(0));
  request.generation.top_logprobs = read_logprobs(fields);
  request.stream = fields.boolean("stream").value_or(false);
  request.user = fields.text("user");
  request.metadata = read_metadata(fields);
  read_asides(fields);
  request.service_tier = read_service_tier(fields);
  read_output(fields, body, request);
  read_what_holds(fields);
}

}  // namespace

ResponseRequest parse_response_request(std::string_view body, Mode mode) {
  auto request = read_body<ResponseRequest>(
      body, [&](JsonFields& fields, ResponseRequest& into) { read_fields(fields, body, mode, into); });
  if (mode == Mode::Strict) {
    check_json_as_groq(request.output, request.stream, request.messages,
                       {.format = "text.format", .messages = "input"});
  }
  return request;
}

}  // namespace lockstep::server
