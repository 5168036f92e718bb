#include "server/ollama/ollama_request.h"

#include <limits>

#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/generation_fields.h"
#include "server/json_fields.h"
#include "server/ollama/ollama_messages.h"

namespace lockstep::server {

namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

// What the request leaves out is as Ollama has it, but that repetition is not penalized.
void read_sampling_options(JsonFields& options, numerics::SamplingParameters& sampling) {
  auto number = [&](const char* name, double least, double most, double otherwise) {
    return static_cast<float>(options.number(name, least, most).value_or(otherwise));
  };
  sampling.temperature = number("temperature", 0, 100, 0.8);
  sampling.top_k = static_cast<int32_t>(options.integer("top_k", 0, kMost).value_or(40));
  sampling.top_p = number("top_p", 0, 1, 0.9);
  sampling.min_p = number("min_p", 0, 1, 0);
  sampling.repetition_penalty = number("repeat_penalty", 0.01, 100, 1);
  sampling.presence_penalty = number("presence_penalty", -2, 2, 0);
  sampling.frequency_penalty = number("frequency_penalty", -2, 2, 0);
  const std::optional<uint64_t> seed = read_seed(options);
  sampling.seed = seed && *seed != ~uint64_t{0} ? *seed : new_seed();
}

// Options that may only have the value that changes nothing.
void read_options_that_must_be_off(JsonFields& options, const numerics::SamplingParameters& sampling) {
  auto must_be = [&](const char* name, double off) {
    if (options.number(name, -1e9, 1e9).value_or(off) != off) {
      bad_field(options.path(name), "it is not supported; leave it out or say {}", off);
    }
  };
  must_be("mirostat", 0);
  must_be("tfs_z", 1);
  must_be("typical_p", 1);
  if (!options.boolean("penalize_newline").value_or(true)) {
    bad_field(options.path("penalize_newline"), "value must be true: penalties treat all tokens alike");
  }
  const int64_t penalized = options.integer("repeat_last_n", -1, kMost).value_or(-1);
  if (penalized != -1 && sampling.repetition_penalty != 1) {
    bad_field(options.path("repeat_last_n"), "value must be -1: 'repeat_penalty' looks at all tokens");
  }
}

// What says how the model is to be loaded and run, and changes no text.
void read_options_of_machines(JsonFields& options) {
  for (const char* name : {"num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread"}) {
    options.integer(name, -kMost, kMost);
  }
  for (const char* name : {"numa", "low_vram", "use_mmap", "use_mlock", "f16_kv", "vocab_only", "logits_all",
                           "embedding_only"}) {
    options.boolean(name);
  }
  for (const char* name : {"mirostat_tau", "mirostat_eta"}) options.number(name, 0, 1e9);
}

void read_options(const RequestJson& json, OllamaRequest& request) {
  JsonFields options(json, "options");
  engine::Request& generation = request.generation;
  // -1 and -2 are Ollama's words for no limit.
  const int64_t tokens_max = options.integer("num_predict", -2, kMost).value_or(-1);
  if (tokens_max == 0) bad_field("options.num_predict", "value must be 1 or more, or -1 for no limit");
  generation.tokens_max = static_cast<uint32_t>(std::max<int64_t>(tokens_max, 0));
  generation.stop = read_stop(options);
  request.context = options.integer("num_ctx", 1, kMost).value_or(0);
  read_sampling_options(options, generation.sampling);
  read_options_that_must_be_off(options, generation.sampling);
  read_options_of_machines(options);
  options.finish();
}

// What all requests have.
void read_common_fields(JsonFields& fields, OllamaRequest& request) {
  request.model = without_latest(fields.required_text("model"));
  const RequestJson* options = fields.find("options");
  read_options(options == nullptr ? RequestJson::object() : *options, request);
  read_keep_alive(fields);
}

// What requests for text have.
void read_text_fields(JsonFields& fields, OllamaRequest& request) {
  read_common_fields(fields, request);
  request.stream = fields.boolean("stream").value_or(true);
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, engine::kTopLogprobsMax).value_or(0);
  if (!logprobs && top != 0) bad_field("top_logprobs", "it needs 'logprobs' to be true");
  if (logprobs) request.generation.top_logprobs = static_cast<uint32_t>(top);
  fields.refuse("think", "the model has no reasoning apart from its text");
  for (const char* name : {"template", "context", "suffix", "width", "height", "steps"}) {
    fields.refuse(name, "it is not supported; leave it out");
  }
}

// "json" or a schema; "" says nothing.
void read_format(JsonFields& fields, OutputReader& reader) {
  const RequestJson* format = fields.find("format");
  if (format == nullptr || *format == "") return;
  if (*format == "json") return reader.want_json();
  if (!format->is_object()) bad_field("format", "value must be \"json\" or a JSON schema: an object");
  reader.want_json_of("format");
}

// Only chats have tools.
void read_output(JsonFields& fields, std::string_view body, OllamaRequest& request) {
  OutputReader reader(fields, body, {"tools", "format"}, Form::Nested);
  if (request.is_chat) reader.read_tools();
  read_format(fields, reader);
  request.output = reader.take();
  check_end(request.output, request.generation, "options.stop");
}

void read_chat(JsonFields& fields, std::string_view body, OllamaRequest& request) {
  request.is_chat = true;
  read_text_fields(fields, request);
  request.messages = read_ollama_messages(fields, body);
  read_output(fields, body, request);
}

void read_generate(JsonFields& fields, std::string_view body, OllamaRequest& request) {
  read_text_fields(fields, request);
  const std::string prompt = fields.text("prompt").value_or("");
  const std::string system = fields.text("system").value_or("");
  const bool raw = fields.boolean("raw").value_or(false);
  if (raw && !system.empty()) bad_field("system", "it needs a template; leave out 'raw' or 'system'");
  if (raw && !prompt.empty()) request.raw_prompt = prompt;
  if (!raw && !prompt.empty()) {
    if (!system.empty()) request.messages.push_back({"system", system});
    request.messages.push_back({"user", prompt});
  }
  fields.refuse("images", kNoImages);
  read_output(fields, body, request);
}

void read_embed(JsonFields& fields, OllamaEmbedRequest& request) {
  OllamaRequest common;  // its options say how to choose tokens, of which there are none
  read_common_fields(fields, common);
  request.model = common.model;
  request.context = common.context;
  request.inputs = read_prompts(fields, "input", kInputsMax);
  request.truncate = fields.boolean("truncate").value_or(true);
  fields.refuse("dimensions", "vectors have the size that the model gives them; leave it out");
}

}  // namespace

OllamaRequest parse_ollama_chat(std::string_view body) {
  return read_body<OllamaRequest>(
      body, [&](JsonFields& fields, OllamaRequest& request) { read_chat(fields, body, request); });
}

OllamaRequest parse_ollama_generate(std::string_view body) {
  return read_body<OllamaRequest>(
      body, [&](JsonFields& fields, OllamaRequest& request) { read_generate(fields, body, request); });
}

OllamaEmbedRequest parse_ollama_embed(std::string_view body) {
  return read_body<OllamaEmbedRequest>(body, read_embed);
}

std::string without_latest(std::string name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  return name;
}

}  // namespace lockstep::server
