// The bodies of Ollama's requests for text: https://github.com/ollama/ollama/blob/main/docs/api.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/conversation/output_reader.h"
#include "server/prompt_fields.h"
#include "text/chat_template.h"

namespace lockstep::server {

struct OllamaRequest {
  std::string model;
  bool is_chat = false;
  // What is asked: a conversation, or a prompt without a template. With neither the model is only loaded,
  // which it is already.
  std::vector<text::ChatMessage> messages;
  std::optional<std::string> raw_prompt;
  engine::Request generation;  // without prompt and constraint; its seed is the client's or a new one
  OutputFields output;
  int64_t context = 0;  // options.num_ctx; 0: not asked for
  bool stream = true;

  bool asks_nothing() const { return messages.empty() && !raw_prompt; }
};

struct OllamaEmbedRequest {
  std::string model;
  std::vector<Prompt> inputs;
  int64_t context = 0;   // options.num_ctx; 0: not asked for
  bool truncate = true;  // inputs longer than the context
};

// Every field is honoured or refused by name. Throw an ApiError that says which and what would be right.
OllamaRequest parse_ollama_chat(std::string_view body);
OllamaRequest parse_ollama_generate(std::string_view body);
OllamaEmbedRequest parse_ollama_embed(std::string_view body);

// A model's name without the tag ":latest", which Ollama's clients add.
std::string without_latest(std::string name);

}  // namespace lockstep::server
