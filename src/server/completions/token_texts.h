// Log-probabilities of tokens as completions of plain text have them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
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

  // The text begins with the prompt, told as `told`, and next() tells its tokens too: the first without a
  // log-probability, as nothing is before it. REQUIRES: called first; the prompt is not empty.
  void begin_with(std::string_view told, std::span<const int32_t> prompt);

  // {"tokens","token_logprobs","top_logprobs","text_offset"} of the next tokens. Offsets count characters;
  // a begin mark that the prompt's text does not have takes none. Bytes that are no whole characters are told
  // as "bytes:\xe2\x80".
  ReplyJson next(const std::vector<engine::TokenLogprob>& logprobs);

 private:
  void tell(ReplyJson& json, int32_t token, ReplyJson logprob, ReplyJson top);

  const text::Tokenizer& tokenizer_;
  size_t offset_ = 0;
  std::deque<size_t> prompt_offsets_;  // of the prompt's tokens that are not told yet
  std::optional<int32_t> first_;       // of them, the one that has no log-probability
};

}  // namespace lockstep::server
