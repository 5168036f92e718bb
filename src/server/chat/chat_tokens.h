// What the model reads of a conversation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/served_model.h"
#include "text/chat_template.h"

namespace lockstep::server {

// Throws an ApiError where the model has none.
const text::ChatTemplate& require_chat_template(const ServedModel& model);

// The prompt for an answer to the messages. Throws the error of
// require_chat_template, and the template's own where it refuses the messages.
std::vector<int32_t> chat_tokens(const ServedModel& model, std::span<const text::ChatMessage> messages);

}  // namespace lockstep::server
