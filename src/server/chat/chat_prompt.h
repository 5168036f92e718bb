// The prompt of a chat request: its messages and tools as the model's template shows them.
#pragma once

#include <string>

#include "constrain/call_format.h"
#include "server/chat/chat_request.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// Where a template shows no tools, or no calls and results, texts tell them in the format's form.
std::string chat_prompt(const text::ChatTemplate& chat_template, const text::Tokenizer& tokenizer,
                        const constrain::CallFormat& format, const ChatRequest& request);

}  // namespace lockstep::server
