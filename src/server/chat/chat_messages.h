// The messages of a chat request.
#pragma once

#include <vector>

#include "server/json_fields.h"
#include "server/mode.h"
#include "text/chat_template.h"

namespace lockstep::server {

// "messages": of systems, users, assistants and tools, where every call of a tool is followed by its result,
// and every result follows its call. What clients send back of an answer beside its text and its calls
// (reasoning, refusals, annotations) is taken without effect, in the strict mode only what Groq takes.
// Throws an ApiError that names the place.
std::vector<text::ChatMessage> read_messages(JsonFields& fields, Mode mode = Mode::Lenient);

}  // namespace lockstep::server
