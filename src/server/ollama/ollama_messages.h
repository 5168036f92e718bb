// The messages of Ollama's chats.
#pragma once

#include <string_view>
#include <vector>

#include "server/json_fields.h"
#include "text/chat_template.h"

namespace lockstep::server {

// What is said of images wherever they may be sent.
inline constexpr const char* kNoImages = "the model reads no images; leave it out";

// "messages": of systems, users, assistants and tools; empty where there are none. A result names its call by
// its tool, or follows the order of the calls. `body`: what the fields were parsed from. Throws an ApiError
// that names the place.
std::vector<text::ChatMessage> read_ollama_messages(JsonFields& fields, std::string_view body);

}  // namespace lockstep::server
