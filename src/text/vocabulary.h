// A tokenizer's data as a model file carries it: tokens, merges, scores and the special ids. It travels
// inside a compiled program as an asset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace lockstep::text {

enum class TokenizerKind : uint8_t {
  Bpe = 1,  // byte-level BPE with ranked merges (GGUF tokenizer.ggml.model "gpt2")
  Spm = 2,  // SentencePiece BPE with scores (GGUF "llama")
};

// The values are those of GGUF's tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6
};

struct Vocabulary {
  TokenizerKind kind = TokenizerKind::Bpe;
  // How text is cut before merging (GGUF tokenizer.ggml.pre); used by Bpe alone. See pretokenizer.h.
  std::string pre_tokenizer;
  // By id, in the spelling of the file: Bpe spells bytes by GPT-2's printable characters ("Ġthe"), Spm
  // spells a space as U+2581 and a byte as "<0x0A>"; control and user-defined tokens are plain text.
  std::vector<std::string> tokens;
  std::vector<TokenType> types;     // one a token
  std::vector<float> scores;        // one a token for Spm (the higher is merged first); empty for Bpe
  std::vector<std::string> merges;  // "left right", the first has the lowest rank; empty for Spm
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
  std::optional<int32_t> eot_id;
  std::optional<int32_t> unknown_id;
  std::optional<int32_t> padding_id;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = true;  // Spm alone: a space before the text and after every special token

  bool operator==(const Vocabulary&) const = default;
};

// Throws a user's error that starts with `what` unless there are tokens, every list has its length, every
// type is known, every score is finite and every id is inside the vocabulary.
void check_vocabulary(const Vocabulary& vocabulary, const std::string& what);

// The asset's bytes, and back. Decoding accepts exactly what encoding writes and checks it as
// check_vocabulary() does; `what` names the bytes in the user's error.
std::vector<std::byte> encode_vocabulary(const Vocabulary& vocabulary);
Vocabulary decode_vocabulary(Bytes bytes, const std::string& what);

}  // namespace lockstep::text
