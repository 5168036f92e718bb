// The body of a request for completions of plain text: what it may hold, and what the engine is to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/generation_fields.h"
#include "server/prompt_fields.h"

namespace lockstep::server {

struct CompletionRequest {
  std::string model;
  std::vector<Prompt> prompts;
  engine::Request generation;  // without prompt; its seed is the client's or a new one
  uint32_t choices = 1;        // of each prompt
  bool echo = false;           // the text begins with the prompt, and so do the log-probabilities
  StreamFields stream;
};

inline constexpr size_t kPromptsMax = 2048;         // OpenAI's limit
inline constexpr uint32_t kCompletionTokens = 16;   // OpenAI's, where the request names no number
inline constexpr uint32_t kCompletionLogprobs = 5;  // OpenAI's limit of `logprobs`

// Every field is honoured or refused by name. Throws an ApiError that says which and what would be right.
CompletionRequest parse_completion_request(std::string_view body);

}  // namespace lockstep::server
