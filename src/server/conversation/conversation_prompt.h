// The prompt of a conversation: its messages and tools as the model's template shows them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "constrain/call_format.h"
#include "server/conversation/output_reader.h"
#include "server/served_model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// Where a template shows no tools, or no calls and results, texts tell them in the format's form. Throws the
// template's error where it refuses the messages. REQUIRES: there is a message.
std::string conversation_prompt(const text::ChatTemplate& chat_template, const text::Tokenizer& tokenizer,
                                const constrain::CallFormat& format,
                                std::span<const text::ChatMessage> messages, const OutputFields& output);

// Its ids. Throws an ApiError where the model has no template.
std::vector<int32_t> conversation_tokens(const ServedModel& model, const constrain::CallFormat& format,
                                         std::span<const text::ChatMessage> messages,
                                         const OutputFields& output = {});

}  // namespace lockstep::server
