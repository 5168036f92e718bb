// The reply to a request for a response: one JSON object, or events.
#pragma once

#include <memory>

#include "constrain/call_format.h"
#include "server/answers.h"
#include "server/responses/response_request.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// `with_metrics`: the metadata tells the four times too, as Groq's do for the header
// "Groq-Beta: inference-metrics". `tokenizer` and `calls` must outlive the
// reply.
std::unique_ptr<http::Reply> make_response_reply(ResponseRequest request, bool with_metrics,
                                                 std::unique_ptr<Answers> answers,
                                                 const text::Tokenizer& tokenizer,
                                                 const constrain::CallFormat& calls);

}  // namespace lockstep::server
