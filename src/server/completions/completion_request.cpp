#include "server/completions/completion_request.h"

#include "server/api_error.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

void read_fields(JsonFields& fields, CompletionRequest& request) {
  request.model = fields.required_text("model");
  request.prompts = read_prompts(fields, "prompt", kPromptsMax);
  read_sampling_fields(fields, request.generation);
  request.generation.tokens_max = read_tokens_max(fields, 0).value_or(kCompletionTokens);
  request.generation.prompt_only = request.generation.tokens_max == 0;
  if (const auto logprobs = fields.integer("logprobs", 0, kCompletionLogprobs)) {
    request.generation.top_logprobs = static_cast<uint32_t>(*logprobs);
  }
  request.choices = static_cast<uint32_t>(fields.integer("n", 1, kChoicesMax).value_or(1));
  if (fields.integer("best_of", 1, kChoicesMax).value_or(request.choices) != request.choices) {
    bad_field("best_of", "it must be as large as 'n': the likeliest of several texts are not chosen");
  }
  request.echo = fields.boolean("echo").value_or(false);
  request.generation.prompt_logprobs = request.echo && request.generation.top_logprobs;
  request.stream = read_stream_fields(fields);
  fields.refuse("suffix", "text is not written in front of a suffix; leave it out");
  fields.text("user");  // of whom nothing is kept
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view body) {
  return read_body<CompletionRequest>(body, read_fields);
}

}  // namespace lockstep::server
