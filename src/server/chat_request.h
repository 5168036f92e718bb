// The body of a request for chat completions: what it may hold, and what the engine is to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "text/chat_template.h"

namespace lockstep::server {

struct ChatRequest {
  std::string model;
  std::vector<text::ChatMessage> messages;
  engine::Request generation;  // without prompt; its seed is the client's or a new one
  uint32_t choices = 1;
  bool stream = false;
  bool usage_at_end = false;      // stream_options.include_usage: a chunk of its own with the usage
  bool usage_always = false;      // stream_options.continuous_usage_stats: the usage so far in every chunk
  std::string service_tier = "";  // empty: not asked for
};

inline constexpr uint32_t kChoicesMax = 128;
// What the engine goes through for every token of an answer is bounded.
inline constexpr size_t kStopsMax = 16;  // OpenAI's clients send up to 4
inline constexpr size_t kStopBytesMax = 1024;
inline constexpr size_t kBiasesMax = 1024;

// Every field is honoured or refused by name. Throws an ApiError that says which and what would be right.
// Ids of logit_bias are not checked against a vocabulary: the engine does that.
ChatRequest parse_chat_request(std::string_view body);

}  // namespace lockstep::server
