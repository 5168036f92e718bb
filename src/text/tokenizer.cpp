#include "text/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/bpe.h"
#include "text/spm.h"
#include "text/stream_decoder.h"

namespace lockstep::text {
namespace {

// Offsets into a text, and into one whose spaces take three bytes, fit into 32 bits.
constexpr size_t kMostTextBytes = size_t{1} << 30;

constexpr std::array<std::string_view, 10> kEndNames = {
    "</s>",       "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>",
    "<|eom_id|>", "<|end|>",       "<end_of_turn>",   "<EOT>",      "<｜end▁of▁sentence｜>"};

std::vector<int32_t> find_ids(const Vocabulary& vocabulary, std::initializer_list<TokenType> types) {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (std::find(types.begin(), types.end(), vocabulary.types[id]) != types.end()) {
      ids.push_back(static_cast<int32_t>(id));
    }
  }
  return ids;
}

std::vector<int32_t> find_end_ids(const Vocabulary& vocabulary, std::span<const int32_t> control_ids) {
  std::vector<int32_t> ids;
  for (const int32_t id : control_ids) {
    if (std::find(kEndNames.begin(), kEndNames.end(), vocabulary.tokens[id]) != kEndNames.end())
      ids.push_back(id);
  }
  for (const std::optional<int32_t> id : {vocabulary.eos_id, vocabulary.eot_id}) {
    if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::unique_ptr<const SpecialTokenMatcher> make_matcher(const Vocabulary& vocabulary,
                                                        std::initializer_list<TokenType> types) {
  return std::make_unique<const SpecialTokenMatcher>(vocabulary.tokens, find_ids(vocabulary, types));
}

std::unique_ptr<const SubwordModel> make_model(const Vocabulary& vocabulary) {
  if (vocabulary.kind == TokenizerKind::Spm) return std::make_unique<const SentencePieceBpe>(vocabulary);
  return std::make_unique<const ByteLevelBpe>(vocabulary);
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) {
  check_vocabulary(vocabulary, "the vocabulary");
  vocabulary_ = std::make_unique<const Vocabulary>(std::move(vocabulary));
  model_ = make_model(*vocabulary_);
  all_special_ = make_matcher(*vocabulary_, {TokenType::Control, TokenType::UserDefined, TokenType::Unknown});
  user_defined_ = make_matcher(*vocabulary_, {TokenType::UserDefined});
  control_ids_ = find_ids(*vocabulary_, {TokenType::Control});
  end_ids_ = find_end_ids(*vocabulary_, control_ids_);
}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special,
                                       SequenceMarks marks) const {
  if (text.size() > kMostTextBytes) {
    user_error("the text has {} bytes; at most {} can be encoded at once", text.size(), kMostTextBytes);
  }
  std::vector<int32_t> ids;
  const bool marked = marks == SequenceMarks::AsModelAsks;
  if (marked && vocabulary_->add_bos && vocabulary_->bos_id) ids.push_back(*vocabulary_->bos_id);
  const SpecialTokenMatcher& matcher = special == SpecialTokens::Parse ? *all_special_ : *user_defined_;
  size_t offset = 0;
  while (const auto match = matcher.find(text, offset)) {
    if (match->begin > offset) model_->encode(text.substr(offset, match->begin - offset), ids);
    ids.push_back(match->id);
    offset = match->begin + match->length;
  }
  if (offset < text.size()) model_->encode(text.substr(offset), ids);
  if (marked && vocabulary_->add_eos && vocabulary_->eos_id) ids.push_back(*vocabulary_->eos_id);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  StreamDecoder decoder(*this, options);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  text += decoder.flush();
  return text;
}

void Tokenizer::check_id(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocabulary_->tokens.size()) {
    user_error("token id {} is outside the vocabulary of {} tokens", id, vocabulary_->tokens.size());
  }
}

std::string Tokenizer::token_bytes(int32_t id) const {
  switch (token_type(id)) {
    case TokenType::Control:
    case TokenType::UserDefined:
    case TokenType::Unknown:
      return vocabulary_->tokens[id];
    default:
      return model_->token_bytes(id);
  }
}

TokenType Tokenizer::token_type(int32_t id) const {
  check_id(id);
  return vocabulary_->types[id];
}

bool Tokenizer::is_end_of_generation(int32_t id) const {
  return std::binary_search(end_ids_.begin(), end_ids_.end(), id);
}

std::optional<int32_t> Tokenizer::find_special(std::string_view spelling) const {
  const auto match = all_special_->find(spelling, 0);
  if (!match || match->begin != 0 || match->length != spelling.size()) return std::nullopt;
  return match->id;
}

}  // namespace lockstep::text
