// Log-probabilities of tokens as chat completions have them.
#pragma once

#include <vector>

#include "engine/request.h"
#include "server/json_reply.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// {"content":[{"token","logprob","bytes","top_logprobs"}]}
ReplyJson logprobs_json(const std::vector<engine::TokenLogprob>& logprobs, const text::Tokenizer& tokenizer);

}  // namespace lockstep::server
