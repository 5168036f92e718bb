#include "server/completions/token_texts.h"

#include <fmt/format.h>

#include "text/utf8.h"

namespace lockstep::server {

namespace {

std::string name_of(const std::string& bytes) {
  if (!text::find_invalid_utf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (const char byte : bytes) name += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return name;
}

}  // namespace

void TokenTexts::skip(std::string_view told) {
  offset_ += text::count_characters(told);
}

ReplyJson TokenTexts::next(const std::vector<engine::TokenLogprob>& logprobs) {
  ReplyJson json;
  for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    json[name] = ReplyJson::array();
  }
  for (const engine::TokenLogprob& one : logprobs) {
    const std::string bytes = tokenizer_.token_bytes(one.token);
    ReplyJson top = ReplyJson::object();
    for (auto [token, logprob] : one.top) top[name_of(tokenizer_.token_bytes(token))] = logprob;
    json["tokens"].push_back(name_of(bytes));
    json["token_logprobs"].push_back(one.logprob);
    json["top_logprobs"].push_back(std::move(top));
    json["text_offset"].push_back(offset_);
    skip(bytes);
  }
  return json;
}

}  // namespace lockstep::server
