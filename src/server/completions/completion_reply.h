// The reply to a request for completions of plain text: one JSON object, or server-sent events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/answers.h"
#include "server/completions/completion_request.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// What a choice's text begins with.
struct Echo {
  std::string text;
  std::vector<int32_t> tokens;  // where their log-probabilities are told; else none
};

// What the replies of one request have in common.
struct CompletionReplyHead {
  std::string request_id;  // req_...
  std::string model;       // as the client named it
  std::string fingerprint;
  uint64_t seed = 0;
  std::vector<Echo> echoes;  // of each choice
};

// `tokenizer` must outlive the reply.
std::unique_ptr<http::Reply> make_completion_reply(const CompletionRequest& request, CompletionReplyHead head,
                                                   std::unique_ptr<Answers> answers,
                                                   const text::Tokenizer& tokenizer);

}  // namespace lockstep::server
