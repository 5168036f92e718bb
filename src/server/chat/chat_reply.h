// The reply to a request for chat completions: one JSON object, or server-sent events.
#pragma once

#include <memory>
#include <string>

#include "constrain/call_format.h"
#include "http/service.h"
#include "server/answers.h"
#include "server/chat/chat_request.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// What the replies of one request have in common.
struct ChatReplyHead {
  std::string request_id;  // req_...
  std::string model;       // as the client named it
  std::string fingerprint;
  std::string service_tier;
  uint64_t seed = 0;
};

// `tokenizer` and `calls` must outlive the reply.
std::unique_ptr<http::Reply> make_chat_reply(const ChatRequest& request, ChatReplyHead head,
                                             std::unique_ptr<Answers> answers,
                                             const text::Tokenizer& tokenizer,
                                             const constrain::CallFormat& calls);

}  // namespace lockstep::server
