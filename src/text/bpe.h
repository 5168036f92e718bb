// Byte-level BPE as GPT-2 introduced it: text is cut into words, the bytes of a word are the first tokens,
// and ranked merges join neighbours (Radford et al. 2019, "Language Models are Unsupervised Multitask
// Learners", 2.2).
#pragma once

#include <array>

#include "text/pretokenizer.h"
#include "text/subword_model.h"
#include "text/token_index.h"
#include "text/vocabulary.h"

namespace lockstep::text {

// The printable character by which GPT-2's vocabularies spell a byte: bytes 0x21-0x7E, 0xA1-0xAC and
// 0xAE-0xFF by themselves, the other 68 by U+0100 onwards, in order.
char32_t spelled_byte(uint8_t byte);

class ByteLevelBpe final : public SubwordModel {
 public:
  // Throws a user's error if the pre-tokenizer is unknown or a merge names what is not in the vocabulary.
  // The vocabulary must outlive the model and stay where it is.
  explicit ByteLevelBpe(const Vocabulary& vocabulary);

  // Bytes that are not valid UTF-8 form words of their own. A byte for which the vocabulary has no token
  // is left out, as Hugging Face's tokenizers does.
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string token_bytes(int32_t id) const override;

 private:
  struct Scratch;
  void insert_merges();
  void encode_valid(std::string_view text, Scratch& scratch, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  PreTokenizer pre_tokenizer_;
  TokenIndex index_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_ids_;  // kNoToken: the vocabulary has none
};

}  // namespace lockstep::text
