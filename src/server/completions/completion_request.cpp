#include "server/completions/completion_request.h"

#include "server/api_error.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

void read_fields(JsonFields& fields, CompletionRequest& request) {
  request.model = fields.required_text("model");
  request.prompts = read_prompts(fields, "prompt", kPromptsMax);
  read_generation_fields(fields, request.generation);
  if (request.generation.tokens_max == 0) request.generation.tokens_max = kCompletionTokens;
  if (const auto logprobs = fields.integer("logprobs", 0, kCompletionLogprobs)) {
    request.generation.top_logprobs = static_cast<uint32_t>(*logprobs);
  }
  request.choices = static_cast<uint32_t>(fields.integer("n", 1, kChoicesMax).value_or(1));
  if (fields.integer("best_of", 1, kChoicesMax).value_or(request.choices) != request.choices) {
    bad_field("best_of", "it must be as large as 'n': the likeliest of several texts are not chosen");
  }
  request.echo = fields.boolean("echo").value_or(false);
  if (request.echo && request.generation.top_logprobs) {
    bad_field("echo", "log-probabilities of the prompt are not known; leave out 'echo' or 'logprobs'");
  }
  request.stream = read_stream_fields(fields);
  fields.refuse("suffix", "text is not written in front of a suffix; leave it out");
  fields.text("user");  // of whom nothing is kept
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view body) {
  return read_body<CompletionRequest>(body, read_fields);
}

}  // namespace lockstep::server
