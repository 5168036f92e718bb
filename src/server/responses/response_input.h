// The conversation of a request for a response.
#pragma once

#include <vector>

#include "server/json_fields.h"
#include "text/chat_template.h"

namespace lockstep::server {

// "instructions" and "input": a text, or items: messages, calls and their results. Calls belong to the
// assistant's message before them; earlier reasoning is taken without effect. Throws an ApiError that names
// the item.
std::vector<text::ChatMessage> read_conversation(JsonFields& fields);

}  // namespace lockstep::server
