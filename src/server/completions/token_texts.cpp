#include "server/completions/token_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/stream_decoder.h"
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

void TokenTexts::begin_with(std::string_view told, std::span<const int32_t> prompt) {
  const size_t told_size = text::count_characters(told);
  first_ = prompt.front();
  // A text's special tokens are in it, and silent where the prompt came as ids.
  const bool show_control = tokenizer_.decode(prompt) != told;
  text::StreamDecoder decoder(tokenizer_, {.show_control = show_control});
  size_t decoded_size = 0;
  for (const int32_t token : prompt) {
    prompt_offsets_.push_back(decoded_size);
    decoded_size += text::count_characters(decoder.push(token));
  }
  const size_t begin_mark_size = decoded_size - std::min(decoded_size, told_size);
  for (size_t& offset : prompt_offsets_) {
    offset = std::min(offset - std::min(offset, begin_mark_size), told_size);
  }
  offset_ = told_size;
}

ReplyJson TokenTexts::next(const std::vector<engine::TokenLogprob>& logprobs) {
  ReplyJson json;
  for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    json[name] = ReplyJson::array();
  }
  if (first_) tell(json, *std::exchange(first_, std::nullopt), nullptr, nullptr);
  for (const engine::TokenLogprob& one : logprobs) {
    ReplyJson top = ReplyJson::object();
    for (auto [token, logprob] : one.top) top[name_of(tokenizer_.token_bytes(token))] = logprob;
    tell(json, one.token, one.logprob, std::move(top));
  }
  return json;
}

void TokenTexts::tell(ReplyJson& json, int32_t token, ReplyJson logprob, ReplyJson top) {
  const std::string bytes = tokenizer_.token_bytes(token);
  json["tokens"].push_back(name_of(bytes));
  json["token_logprobs"].push_back(std::move(logprob));
  json["top_logprobs"].push_back(std::move(top));
  if (prompt_offsets_.empty()) {
    json["text_offset"].push_back(offset_);
    offset_ += text::count_characters(bytes);
  } else {
    json["text_offset"].push_back(prompt_offsets_.front());
    prompt_offsets_.pop_front();
  }
}

}  // namespace lockstep::server
