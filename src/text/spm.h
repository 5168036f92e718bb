// SentencePiece's BPE: spaces are written as U+2581, the first symbols are characters, and the neighbours
// whose joined text is the token of the highest score merge first (Kudo and Richardson 2018,
// "SentencePiece"). A character without a token falls back to its bytes.
#pragma once

#include <array>

#include "text/subword_model.h"
#include "text/token_index.h"
#include "text/vocabulary.h"

namespace lockstep::text {

class SentencePieceBpe final : public SubwordModel {
 public:
  // Throws a user's error if the vocabulary has neither an unknown token nor all 256 byte tokens, or a byte
  // token that is not spelled "<0xHH>". The vocabulary must outlive the model and stay where it is.
  explicit SentencePieceBpe(const Vocabulary& vocabulary);

  // Bytes that are not valid UTF-8 are symbols of one byte each. Neighbouring characters without tokens
  // share one unknown token.
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string token_bytes(int32_t id) const override;

 private:
  struct Scratch;
  std::string escape(std::string_view text) const;
  void encode_stretch(std::string_view stretch, Scratch& scratch, std::vector<int32_t>& ids) const;
  void append_fallback(std::string_view character, Scratch& scratch, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  TokenIndex index_;                   // normal and user-defined tokens
  std::array<int32_t, 256> byte_ids_;  // kNoToken: the vocabulary has none
  size_t longest_token_ = 0;           // bytes
  bool splits_at_spaces_ = true;       // no token has U+2581 after another character
};

}  // namespace lockstep::text
