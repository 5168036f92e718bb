// Log-probabilities of tokens as completions of plain text have them.
#pragma once

#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/json_reply.h"
#include "text/tokenizer.h"

namespace lockstep::server {

// Tells one text's tokens, perhaps in several parts.
class TokenTexts {
 public:
  // `tokenizer` must outlive this.
  explicit TokenTexts(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Goes on past text of which no tokens are told.
  void skip(std::string_view told);

  // {"tokens","token_logprobs","top_logprobs","text_offset"} of the next tokens. Offsets count characters.
  // Bytes that are no whole characters are told as "bytes:\xe2\x80".
  ReplyJson next(const std::vector<engine::TokenLogprob>& logprobs);

 private:
  const text::Tokenizer& tokenizer_;
  size_t offset_ = 0;
};

}  // namespace lockstep::server
