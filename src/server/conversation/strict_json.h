// What GroqCloud refuses together with JSON.
#pragma once

#include <span>

#include "server/conversation/output_reader.h"
#include "text/chat_template.h"

namespace lockstep::server {

// The names that an API has for them.
struct JsonFieldNames {
  const char* format;
  const char* messages;
};

// JSON beside tools, a stream of a schema's JSON, and JSON without a schema of which no message says a word.
// Throws an ApiError in Groq's words.
void check_json_as_groq(const OutputFields& output, bool stream, std::span<const text::ChatMessage> messages,
                        const JsonFieldNames& names);

}  // namespace lockstep::server
