// Small vocabularies for tests and fuzzers.
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "text/bpe.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace lockstep::text {

inline int32_t add_token(Vocabulary& vocabulary, const std::string& token, TokenType type, float score = 0) {
  vocabulary.tokens.push_back(token);
  vocabulary.types.push_back(type);
  if (vocabulary.kind == TokenizerKind::Spm) vocabulary.scores.push_back(score);
  return static_cast<int32_t>(vocabulary.tokens.size() - 1);
}

// The bytes as GPT-2 spells them.
inline std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes) append_utf8(spelling, spelled_byte(static_cast<uint8_t>(byte)));
  return spelling;
}

// Byte-level BPE. Ids 0 to 255 are the bytes; from 256 on follow what the merges ("left right", in GPT-2's
// spelling) make, in order.
inline Vocabulary make_bpe_vocabulary(const std::string& pre_tokenizer,
                                      const std::vector<std::string>& merges) {
  Vocabulary vocabulary;
  vocabulary.kind = TokenizerKind::Bpe;
  vocabulary.pre_tokenizer = pre_tokenizer;
  for (int byte = 0; byte < 256; ++byte) {
    add_token(vocabulary, spell_bytes(std::string(1, static_cast<char>(byte))), TokenType::Normal);
  }
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ');
    add_token(vocabulary, merge.substr(0, space) + merge.substr(space + 1), TokenType::Normal);
  }
  vocabulary.merges = merges;
  return vocabulary;
}

// SentencePiece. Id 0 is <unk>, 1 <s>, 2 </s>; ids 3 to 258 are the bytes if `with_bytes`; then follow the
// pieces, whose scores fall from -1 on in their order.
inline Vocabulary make_spm_vocabulary(const std::vector<std::string>& pieces, bool with_bytes = true) {
  Vocabulary vocabulary;
  vocabulary.kind = TokenizerKind::Spm;
  vocabulary.unknown_id = add_token(vocabulary, "<unk>", TokenType::Unknown);
  vocabulary.bos_id = add_token(vocabulary, "<s>", TokenType::Control);
  vocabulary.eos_id = add_token(vocabulary, "</s>", TokenType::Control);
  for (int byte = 0; with_bytes && byte < 256; ++byte) {
    std::array<char, 8> spelling{};
    std::snprintf(spelling.data(), spelling.size(), "<0x%02X>", byte);
    add_token(vocabulary, spelling.data(), TokenType::Byte);
  }
  float score = 0;
  for (const std::string& piece : pieces) add_token(vocabulary, piece, TokenType::Normal, --score);
  return vocabulary;
}

}  // namespace lockstep::text
