// The model that the server serves, as its loader hands it over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lockstep::server {

struct ServedModel {
  std::vector<std::string> ids;  // names that requests may use; the first is its own
  std::string fingerprint;       // 64 hexadecimal digits
  uint32_t context = 0;          // positions
  uint64_t file_bytes = 0;
  uint32_t chunk = 0;  // prompt tokens a step at the most; 0: the engine's choice
  engine::Engine& engine;
  const text::Tokenizer& tokenizer;
  const text::ChatTemplate* chat_template = nullptr;  // none: the model has no chat

  // system_fingerprint: what is computed, in the length that Groq's has.
  std::string short_fingerprint() const { return "fp_" + fingerprint.substr(0, 10); }
};

}  // namespace lockstep::server
