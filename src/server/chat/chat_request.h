// The body of a request for chat completions: what it may hold, and what the engine is to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/prices.h"
#include "engine/request.h"
#include "server/chat/output_fields.h"
#include "server/generation_fields.h"
#include "server/mode.h"
#include "text/chat_template.h"

namespace lockstep::server {

struct ChatRequest {
  std::string model;
  std::vector<text::ChatMessage> messages;
  engine::Request generation;  // without prompt and constraint; its seed is the client's or a new one
  uint32_t choices = 1;
  StreamFields stream;
  OutputFields output;
  std::string service_tier = "";  // as the client named it; empty: not asked for
};

// Every field is honoured or refused by name: chat_fields.cpp has how each is handled. Throws an ApiError
// that says which and what would be right.
ChatRequest parse_chat_request(std::string_view body, Mode mode = Mode::Lenient);

}  // namespace lockstep::server
