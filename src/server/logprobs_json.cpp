#include "server/logprobs_json.h"

namespace lockstep::server {

namespace {

ReplyJson token_json(int32_t token, float logprob, const text::Tokenizer& tokenizer) {
  const std::string bytes = tokenizer.token_bytes(token);
  ReplyJson json;
  json["token"] = bytes;  // bytes that are no whole character become U+FFFD when it is written
  json["logprob"] = logprob;
  json["bytes"] = ReplyJson::array();
  for (const char byte : bytes) json["bytes"].push_back(static_cast<uint8_t>(byte));
  return json;
}

}  // namespace

ReplyJson logprobs_json(const std::vector<engine::TokenLogprob>& logprobs, const text::Tokenizer& tokenizer) {
  ReplyJson content = ReplyJson::array();
  for (const engine::TokenLogprob& one : logprobs) {
    ReplyJson json = token_json(one.token, one.logprob, tokenizer);
    json["top_logprobs"] = ReplyJson::array();
    for (auto [token, logprob] : one.top) {
      json["top_logprobs"].push_back(token_json(token, logprob, tokenizer));
    }
    content.push_back(std::move(json));
  }
  return {{"content", std::move(content)}};
}

}  // namespace lockstep::server
