// Ollama's replies to requests for text: lines of JSON, or one object.
#pragma once

#include <memory>
#include <string>

#include "constrain/call_format.h"
#include "server/answers.h"
#include "server/api_error.h"
#include "server/ollama/ollama_request.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// `model` is its name as the client has it. `tokenizer` and `calls` must outlive the reply.
std::unique_ptr<http::Reply> make_ollama_reply(const OllamaRequest& request, std::unique_ptr<Answers> answers,
                                               const text::Tokenizer& tokenizer,
                                               const constrain::CallFormat& calls);

std::unique_ptr<http::Reply> make_ollama_embed_reply(const OllamaEmbedRequest& request,
                                                     std::unique_ptr<Answers> answers);

// The reply to a request that asks nothing.
std::unique_ptr<http::Reply> make_ollama_loaded_reply(const OllamaRequest& request);

// {"error": what is wrong}, with the error's status and headers.
std::unique_ptr<http::Reply> ollama_error_reply(const ApiError& error);

// Now, in UTC: "2026-11-22T16:08:50.123456Z".
std::string ollama_time();

}  // namespace lockstep::server
