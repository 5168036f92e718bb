#include "text/stream_decoder.h"

#include "text/utf8.h"

namespace lockstep::text {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options)
    : tokenizer_(&tokenizer), options_(options), drop_space_(drops_space()) {}

bool StreamDecoder::drops_space() const {
  const Vocabulary& vocabulary = tokenizer_->vocabulary();
  return vocabulary.kind == TokenizerKind::Spm && vocabulary.add_space_prefix && !options_.continues;
}

std::string StreamDecoder::push(int32_t id) {
  const TokenType type = tokenizer_->token_type(id);
  const bool control = type == TokenType::Control || type == TokenType::Unknown;
  if (control && !options_.show_control) return {};
  const std::string bytes = tokenizer_->token_bytes(id);
  if (bytes.empty()) return {};
  const bool drop = drop_space_ && bytes[0] == ' ';
  drop_space_ = false;
  pending_.append(bytes, drop ? 1 : 0);
  std::string text;
  pending_.erase(0, append_valid_utf8(pending_, text));
  return text;
}

std::string StreamDecoder::flush() {
  std::string text;
  if (!pending_.empty()) append_utf8(text, kReplacementCharacter);
  pending_.clear();
  drop_space_ = drops_space();
  return text;
}

}  // namespace lockstep::text
