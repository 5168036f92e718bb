#include "server/chat_request.h"

#include <charconv>
#include <limits>

#include "server/api_error.h"
#include "server/identifiers.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

constexpr const char* kNoTools = "tools are not supported yet; leave it out";

std::string require_text(JsonFields& fields, const char* name) {
  std::optional<std::string> text = fields.text(name);
  if (!text) bad_field(fields.path(name), "property '{}' is missing", name);
  return *std::move(text);
}

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
    const std::string type = require_text(part, "type");
    if (type != "text") bad_field(part.path("type"), "only parts of type 'text' are supported");
    text += require_text(part, "text");
    part.finish();
  }
  return text;
}

text::ChatMessage read_message(const RequestJson& json, size_t index) {
  JsonFields fields(json, fmt::format("messages.{}", index));
  text::ChatMessage message;
  message.role = require_text(fields, "role");
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

std::vector<std::string> read_stop(JsonFields& fields) {
  const RequestJson* stop = fields.find("stop");
  if (stop == nullptr) return {};
  std::vector<std::string> list;
  auto add = [&](const RequestJson& item) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
      bad_field("stop", "value must be a string that is not empty, or an array of such strings");
    }
    list.push_back(item.get<std::string>());
    if (list.back().size() > kStopBytesMax) {
      bad_field("stop", "a string has {} bytes; up to {} are possible", list.back().size(), kStopBytesMax);
    }
  };
  if (!stop->is_array()) {
    add(*stop);
  } else if (stop->size() > kStopsMax) {
    bad_field("stop", "{} strings were given; up to {} are possible", stop->size(), kStopsMax);
  } else {
    for (const RequestJson& item : *stop) add(item);
  }
  return list;
}

std::vector<std::pair<int32_t, float>> read_logit_bias(JsonFields& fields) {
  const RequestJson* map = fields.find("logit_bias");
  if (map == nullptr) return {};
  if (!map->is_object()) bad_field("logit_bias", "value must be an object of token ids and numbers");
  if (map->size() > kBiasesMax) {
    bad_field("logit_bias", "{} tokens were given; up to {} are possible", map->size(), kBiasesMax);
  }
  std::vector<std::pair<int32_t, float>> list;
  for (const auto& [key, value] : map->items()) {
    int32_t token = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), token);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || token < 0) {
      bad_field("logit_bias", "every name must be a token id, such as \"42\"");
    }
    const bool good = value.is_number() && value.get<double>() >= -100 && value.get<double>() <= 100;
    if (!good) bad_field("logit_bias", "the bias of token {} must be a number from -100 to 100", token);
    list.emplace_back(token, value.get<float>());
  }
  return list;
}

// The two names of the same limit; the newer one wins, as with OpenAI.
uint32_t read_tokens_max(JsonFields& fields) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const std::optional<int64_t> older = fields.integer("max_tokens", 1, kMost);
  const std::optional<int64_t> newer = fields.integer("max_completion_tokens", 1, kMost);
  return static_cast<uint32_t>(newer ? *newer : older.value_or(0));
}

uint64_t read_seed(JsonFields& fields) {
  const RequestJson* seed = fields.find("seed");
  if (seed == nullptr) return new_seed();
  if (!seed->is_number_integer()) bad_field("seed", "value must be an integer");
  return seed->is_number_unsigned() ? seed->get<uint64_t>() : static_cast<uint64_t>(seed->get<int64_t>());
}

void read_sampling(JsonFields& fields, engine::Request& generation) {
  auto& sampling = generation.sampling;
  auto number = [&](const char* name, double least, double most, double otherwise) {
    return static_cast<float>(fields.number(name, least, most).value_or(otherwise));
  };
  sampling.temperature = number("temperature", 0, 2, 1);
  sampling.top_p = number("top_p", 0, 1, 1);
  sampling.frequency_penalty = number("frequency_penalty", -2, 2, 0);
  sampling.presence_penalty = number("presence_penalty", -2, 2, 0);
  sampling.seed = read_seed(fields);
  sampling.logit_bias = read_logit_bias(fields);
  // What local servers have beside OpenAI's fields.
  sampling.top_k =
      static_cast<int32_t>(fields.integer("top_k", 0, std::numeric_limits<int32_t>::max()).value_or(0));
  sampling.min_p = number("min_p", 0, 1, 0);
  sampling.repetition_penalty = number("repetition_penalty", 0.01, 100, 1);
  generation.ignore_end = fields.boolean("ignore_eos").value_or(false);
}

std::optional<uint32_t> read_logprobs(JsonFields& fields) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, engine::kTopLogprobsMax);
  if (!wanted && top.value_or(0) != 0) bad_field("top_logprobs", "it needs 'logprobs' to be true");
  if (!wanted) return std::nullopt;
  return static_cast<uint32_t>(top.value_or(0));
}

void read_stream(JsonFields& fields, ChatRequest& request) {
  request.stream = fields.boolean("stream").value_or(false);
  const RequestJson* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!request.stream) bad_field("stream_options", "it needs 'stream' to be true");
  JsonFields stream(*options, "stream_options");
  request.usage_at_end = stream.boolean("include_usage").value_or(false);
  request.usage_always = stream.boolean("continuous_usage_stats").value_or(false);
  stream.finish();
}

// What says nothing here but is no reason to refuse: there is one tier, and nothing is kept.
void read_without_effect(JsonFields& fields, ChatRequest& request) {
  request.service_tier = fields.text("service_tier").value_or("");
  const std::string& tier = request.service_tier;
  if (!tier.empty() && tier != "auto" && tier != "default" && tier != "on_demand") {
    bad_field("service_tier", "value must be 'auto', 'default' or 'on_demand': there are no other tiers");
  }
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
    if (require_text(inside, "type") != "text") {
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
  request.model = require_text(fields, "model");
  request.messages = read_messages(fields);
  request.generation.tokens_max = read_tokens_max(fields);
  request.generation.stop = read_stop(fields);
  request.generation.top_logprobs = read_logprobs(fields);
  request.choices = static_cast<uint32_t>(fields.integer("n", 1, kChoicesMax).value_or(1));
  read_sampling(fields, request.generation);
  read_stream(fields, request);
  read_without_effect(fields, request);
  refuse_what_is_missing(fields);
  fields.finish();
  return request;
}

}  // namespace lockstep::server
