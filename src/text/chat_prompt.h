// From a conversation to the ids that a model reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lockstep::text {

// The prompt for an answer to the messages. `tools`: an array of them, or null. Control tokens that a message
// or a tool spells are marked so that tokenize_prompt reads them as text, not as the template's own.
std::string render_chat(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                        std::span<const ChatMessage> messages, const nlohmann::ordered_json& tools = nullptr);

// A prompt's ids. `special`: special tokens are parsed. The begin mark is added where the model asks for it
// and the text does not start with it. Throws a user's error for text that is not UTF-8.
std::vector<int32_t> tokenize_prompt(const Tokenizer& tokenizer, std::string_view text, bool special);

}  // namespace lockstep::text
