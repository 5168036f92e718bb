// Arbitrary bytes as text, as token ids and as an encoded vocabulary. The first byte says which.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "text/stream_decoder.h"
#include "text/test_vocabularies.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace lockstep;
using namespace lockstep::text;

Vocabulary with_specials(Vocabulary vocabulary) {
  add_token(vocabulary, "<|end|>", TokenType::Control);
  add_token(vocabulary, "<e", TokenType::Control);
  add_token(vocabulary, "<u>", TokenType::UserDefined);
  add_token(vocabulary, "<u>é", TokenType::UserDefined);
  return vocabulary;
}

// Every kind and pattern; merges of letters, spaces, digits and the halves of characters.
const std::vector<Tokenizer>& tokenizers() {
  static const std::vector<Tokenizer> all = [] {
    std::vector<Tokenizer> made;
    const std::vector<std::string> merges = {"a a",  "aa a", "Ġ Ġ", "ĠĠ ĠĠ", "Ġ a", "1 1",
                                             "11 1", "Ã ©",  "Ċ Ċ", "' l",   "a b", "aa aa"};
    for (const char* name : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
      made.emplace_back(with_specials(make_bpe_vocabulary(name, merges)));
    }
    const std::vector<std::string> pieces = {"aa", "aaa", "▁a", "▁▁", "▁▁▁▁", "ab", "é", "a", "b", "▁"};
    made.emplace_back(with_specials(make_spm_vocabulary(pieces)));
    made.emplace_back(with_specials(make_spm_vocabulary(pieces, false)));
    made.emplace_back(with_specials(make_spm_vocabulary({"a▁", "▁a▁b", "a", "b", "▁", "<u>a"})));
    return made;
  }();
  return all;
}

std::string joined_bytes(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string bytes;
  for (const int32_t id : ids) bytes += tokenizer.token_bytes(id);
  return bytes;
}

std::string replace_invalid(std::string_view bytes) {
  std::string text;
  if (append_valid_utf8(bytes, text) < bytes.size()) append_utf8(text, kReplacementCharacter);
  return text;
}

// The pieces are whole characters, and joined they are what decode() and the bytes at once give.
void check_decoding(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  const DecodeOptions options{.show_control = true, .continues = true};
  StreamDecoder decoder(tokenizer, options);
  std::string streamed;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    LOCKSTEP_CHECK(!find_invalid_utf8(piece));
    streamed += piece;
  }
  streamed += decoder.flush();
  LOCKSTEP_CHECK(streamed == replace_invalid(joined_bytes(tokenizer, ids)));
  LOCKSTEP_CHECK(streamed == tokenizer.decode(ids, options));
  LOCKSTEP_CHECK(!find_invalid_utf8(tokenizer.decode(ids)));
}

void fuzz_text(const Tokenizer& tokenizer, std::string_view text) {
  for (const SpecialTokens special : {SpecialTokens::Parse, SpecialTokens::Plain}) {
    const std::vector<int32_t> ids = tokenizer.encode(text, special);
    check_decoding(tokenizer, ids);
    if (tokenizer.vocabulary().kind != TokenizerKind::Bpe) continue;
    LOCKSTEP_CHECK(joined_bytes(tokenizer, ids) == text);
    if (!find_invalid_utf8(text)) LOCKSTEP_CHECK(tokenizer.decode(ids, {.show_control = true}) == text);
  }
}

void fuzz_ids(const Tokenizer& tokenizer, std::string_view bytes) {
  std::vector<int32_t> ids;
  const auto count = static_cast<int32_t>(tokenizer.vocabulary().tokens.size());
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const int32_t value = static_cast<uint8_t>(bytes[i]) | static_cast<uint8_t>(bytes[i + 1]) << 8;
    ids.push_back(value % count);
  }
  check_decoding(tokenizer, ids);
}

void fuzz_vocabulary(Bytes bytes) {
  try {
    const Vocabulary vocabulary = decode_vocabulary(bytes, "fuzz");
    const std::vector<std::byte> again = encode_vocabulary(vocabulary);
    LOCKSTEP_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
    const Tokenizer tokenizer(vocabulary);
    check_decoding(tokenizer, tokenizer.encode("Hello  wörld's 123\n<|end|> \xFF", SpecialTokens::Parse));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::User) throw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Bytes bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const size_t count = tokenizers().size();
  const size_t choice = data[0] % (2 * count + 1);
  if (choice < count) {
    fuzz_text(tokenizers()[choice], as_text(bytes));
  } else if (choice < 2 * count) {
    fuzz_ids(tokenizers()[choice - count], as_text(bytes));
  } else {
    fuzz_vocabulary(bytes);
  }
  return 0;
}
