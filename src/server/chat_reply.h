// The reply to a request for chat completions: one JSON object, or server-sent events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/chat_request.h"
#include "server/http.h"
#include "server/served_model.h"

namespace lockstep::server {

// What the replies of one request have in common.
struct ChatReplyHead {
  std::string request_id;  // req_...
  std::string model;       // as the client named it
  std::string fingerprint;
  std::string service_tier;
  uint64_t seed = 0;
  uint32_t prompt_tokens = 0;
};

// `answers` has a ticket a choice. The reply cancels what still runs of them when it is destroyed.
// `tokenizer` must outlive it.
std::unique_ptr<HttpReply> make_chat_reply(const ChatRequest& request, ChatReplyHead head,
                                           std::vector<std::shared_ptr<engine::Ticket>> answers,
                                           const text::Tokenizer& tokenizer);

}  // namespace lockstep::server
