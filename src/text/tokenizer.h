// Text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/special_tokens.h"
#include "text/subword_model.h"
#include "text/vocabulary.h"

namespace lockstep::text {

// How control and unknown tokens that are spelled out in a text are read. User-defined tokens are always
// recognised.
enum class SpecialTokens : uint8_t {
  Parse,  // as those tokens: for what a chat template wrote
  Plain,  // as ordinary text: for what a user wrote
};

enum class SequenceMarks : uint8_t {
  Omit,         // nothing is added
  AsModelAsks,  // the begin and end ids, as add_bos and add_eos say
};

struct DecodeOptions {
  bool show_control = false;  // give the text of control and unknown tokens; otherwise they are silent
  bool continues = false;     // the text goes on from an earlier one: keep the space that Spm puts in front
};

// THREAD: const methods may run in many threads at once.
class Tokenizer {
 public:
  // Throws a user's error if the vocabulary does not pass check_vocabulary(), names an unknown
  // pre-tokenizer, has a merge of unknown tokens, or (Spm) could not encode every text.
  explicit Tokenizer(Vocabulary vocabulary);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Special tokens are found leftmost first, the longest where several begin; what stands between them goes
  // through the model's BPE. Bytes that are not valid UTF-8 are encoded as bytes. Throws a user's error for
  // more than 1 GiB of text.
  std::vector<int32_t> encode(std::string_view text, SpecialTokens special,
                              SequenceMarks marks = SequenceMarks::Omit) const;

  // The text of `ids`, always valid UTF-8: see StreamDecoder. Throws a user's error for an id outside the
  // vocabulary.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  // The bytes that a token stands for, which need not be whole characters: a space for U+2581, one byte for
  // a byte token, its own text for a special one. Throws a user's error for an id outside the vocabulary.
  std::string token_bytes(int32_t id) const;
  // The type of a token. Throws as token_bytes() does.
  TokenType token_type(int32_t id) const;

  // True for the vocabulary's end-of-sequence and end-of-turn ids and for control tokens with a name that
  // models end their answers with ("<|im_end|>", "</s>", ...). False for an id outside the vocabulary.
  bool is_end_of_generation(int32_t id) const;
  // Those ids, ascending.
  std::span<const int32_t> end_of_generation_ids() const { return end_ids_; }
  // The ids of all control tokens, ascending.
  std::span<const int32_t> control_ids() const { return control_ids_; }

  // The id of the token with exactly this spelling among control, user-defined and unknown tokens.
  std::optional<int32_t> find_special(std::string_view spelling) const;

  const Vocabulary& vocabulary() const { return *vocabulary_; }

 private:
  void check_id(int32_t id) const;

  std::unique_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<const SubwordModel> model_;
  std::unique_ptr<const SpecialTokenMatcher> all_special_;
  std::unique_ptr<const SpecialTokenMatcher> user_defined_;
  std::vector<int32_t> control_ids_;
  std::vector<int32_t> end_ids_;
};

}  // namespace lockstep::text
