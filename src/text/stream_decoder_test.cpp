#include "text/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "text/test_vocabularies.h"
#include "text/utf8.h"

namespace lockstep::text {
namespace {

using Ids = std::vector<int32_t>;

// Every piece must be valid UTF-8; the pieces joined are returned.
std::string stream(const Tokenizer& tokenizer, const Ids& ids, DecodeOptions options = {}) {
  StreamDecoder decoder(tokenizer, options);
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    EXPECT_EQ(find_invalid_utf8(piece), std::nullopt);
    text += piece;
  }
  return text + decoder.flush();
}

// Cuts `text` into tokens of bytes at every set of places and streams them.
TEST(StreamDecoder, EverySplitOfMultiByteCharactersGivesTheText) {
  const std::string text = "aé漢😀z";  // 11 bytes, 10 places to cut
  for (unsigned cuts = 0; cuts < 1u << (text.size() - 1); ++cuts) {
    Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {});
    Ids ids;
    size_t begin = 0;
    for (size_t end = 1; end <= text.size(); ++end) {
      if (end < text.size() && !(cuts >> (end - 1) & 1)) continue;
      ids.push_back(add_token(vocabulary, spell_bytes(text.substr(begin, end - begin)), TokenType::Normal));
      begin = end;
    }
    EXPECT_EQ(stream(Tokenizer(std::move(vocabulary)), ids), text);
  }
}

TEST(StreamDecoder, HoldsBackUntilTheCharacterIsWhole) {
  const Tokenizer tokenizer(make_bpe_vocabulary("gpt-2", {}));
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x80), "😀");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(StreamDecoder, BrokenSequencesBecomeReplacements) {
  const Tokenizer tokenizer(make_bpe_vocabulary("gpt-2", {}));
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push('a'), "\uFFFDa");
  EXPECT_EQ(decoder.push(0x80), "\uFFFD");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
  EXPECT_EQ(decoder.flush(), "");
  EXPECT_EQ(decoder.push('b'), "b");
}

// Control tokens that are not shown do not part the bytes around them.
TEST(StreamDecoder, SilentTokensAreAsIfAbsent) {
  Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {});
  const int32_t control = add_token(vocabulary, "<c>", TokenType::Control);
  const Tokenizer tokenizer(std::move(vocabulary));
  EXPECT_EQ(stream(tokenizer, {0xC3, control, 0xA9}), "é");
  EXPECT_EQ(stream(tokenizer, {0xC3, control, 0xA9}, {.show_control = true}), "\uFFFD<c>\uFFFD");
}

TEST(StreamDecoder, DropsTheFirstSpaceOfSpmOnly) {
  const Tokenizer tokenizer(make_spm_vocabulary({"▁", "▁▁a", "b"}));
  const int32_t space = 259;
  EXPECT_EQ(stream(tokenizer, {space, space, 261}), " b");
  EXPECT_EQ(stream(tokenizer, {260, space}), " a ");
  EXPECT_EQ(stream(tokenizer, {261, space}), "b ");
  EXPECT_EQ(stream(tokenizer, {1, space, 261}), "b");
  EXPECT_EQ(stream(tokenizer, {space, 261}, {.continues = true}), " b");
  EXPECT_EQ(stream(tokenizer, {3 + 0xC3, 3 + 0xA9, 261}), "éb");
  StreamDecoder decoder(tokenizer);
  for (int round = 0; round < 2; ++round) {  // as new after flush
    EXPECT_EQ(decoder.push(space), "");
    EXPECT_EQ(decoder.push(261), "b");
    EXPECT_EQ(decoder.flush(), "");
  }
}

// Against another way to the same text: all bytes first, then one pass of replacement.
TEST(StreamDecoder, RandomTokensAgreeWithDecodingTheirBytesAtOnce) {
  const Tokenizer tokenizer(make_bpe_vocabulary("gpt-2", {"Ã ©", "â Ĥ", "ð Ł"}));
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    Ids ids(random() % 12);
    const Ids likely = {'a', 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, 256, 257, 258};
    std::string bytes;
    for (int32_t& id : ids) {
      id = likely[random() % likely.size()];
      bytes += tokenizer.token_bytes(id);
    }
    std::string expected;
    if (append_valid_utf8(bytes, expected) < bytes.size()) expected += "\uFFFD";
    EXPECT_EQ(stream(tokenizer, ids), expected);
    EXPECT_EQ(tokenizer.decode(ids), expected);
  }
}

TEST(StreamDecoder, AnIdOutsideTheVocabularyIsAUserError) {
  const Tokenizer tokenizer(make_bpe_vocabulary("gpt-2", {}));
  StreamDecoder decoder(tokenizer);
  EXPECT_THROW(decoder.push(256), Error);
  EXPECT_THROW(decoder.push(-1), Error);
}

}  // namespace
}  // namespace lockstep::text
