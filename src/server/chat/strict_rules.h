// What GroqCloud refuses of chat requests beyond their single fields.
#pragma once

#include "server/chat/chat_request.h"

namespace lockstep::server {

inline constexpr size_t kStrictStopsMax = 4;

// More than one choice or four stops, and JSON together with what cannot be together there. Throws an
// ApiError in Groq's words.
void check_as_groq(const ChatRequest& request);

// What cannot stand beside reasoning_format 'raw': include_reasoning, JSON and tools.
void check_reasoning_as_groq(bool includes_reasoning, const OutputFields& output);

}  // namespace lockstep::server
