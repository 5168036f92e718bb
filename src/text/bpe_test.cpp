#include "text/bpe.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/test_vocabularies.h"

namespace lockstep::text {
namespace {

using Ids = std::vector<int32_t>;

Ids encode(const ByteLevelBpe& model, std::string_view text) {
  Ids ids;
  model.encode(text, ids);
  return ids;
}

std::string bytes_of(const ByteLevelBpe& model, const Ids& ids) {
  std::string bytes;
  for (const int32_t id : ids) bytes += model.token_bytes(id);
  return bytes;
}

std::string constructor_error(const Vocabulary& vocabulary) {
  try {
    ByteLevelBpe model(vocabulary);
    return "none";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    return error.what();
  }
}

TEST(ByteLevelBpe, SpellsBytesByPrintableCharacters) {
  EXPECT_EQ(spelled_byte('A'), U'A');
  EXPECT_EQ(spelled_byte(' '), U'Ġ');
  EXPECT_EQ(spelled_byte('\n'), U'Ċ');
  EXPECT_EQ(spelled_byte(0), char32_t{0x100});
  EXPECT_EQ(spelled_byte(0x7F), char32_t{0x121});
  EXPECT_EQ(spelled_byte(0xAD), char32_t{0x143});
  EXPECT_EQ(spelled_byte(0xFF), char32_t{0xFF});
}

TEST(ByteLevelBpe, MergesByRankInsideWords) {
  // "ab" ranks before "bc", so "abc" is "ab" and "c"; "Ġ ab" needs the space of the same word.
  const Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {"a b", "b c", "Ġ ab"});
  const ByteLevelBpe model(vocabulary);
  EXPECT_EQ(encode(model, "abc"), (Ids{256, 'c'}));
  EXPECT_EQ(encode(model, "bc"), (Ids{257}));
  EXPECT_EQ(encode(model, "c ab"), (Ids{'c', 258}));
  EXPECT_EQ(encode(model, "a b"), (Ids{'a', ' ', 'b'}));
  EXPECT_EQ(encode(model, ""), Ids{});
}

TEST(ByteLevelBpe, TakesAWholeWordWithoutMergesWherePatternsAskForIt) {
  // "abcd" is a token that no merge reaches.
  for (const char* name : {"gpt-2", "llama-bpe"}) {
    Vocabulary vocabulary = make_bpe_vocabulary(name, {"b c"});
    const int32_t whole = add_token(vocabulary, "abcd", TokenType::Normal);
    add_token(vocabulary, "xyz", TokenType::Control);
    const ByteLevelBpe model(vocabulary);
    EXPECT_EQ(encode(model, "abcd"), std::string(name) == "llama-bpe" ? Ids{whole} : (Ids{'a', 256, 'd'}));
    EXPECT_EQ(encode(model, "xyz"), (Ids{'x', 'y', 'z'}));
  }
}

TEST(ByteLevelBpe, InvalidUtf8IsEncodedByteByByteInWordsOfItsOwn) {
  const Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {"a b", "Ã ©"});
  const ByteLevelBpe model(vocabulary);
  EXPECT_EQ(encode(model, "\xC3\xA9"), (Ids{257}));
  EXPECT_EQ(encode(model, "ab\xFF\xC3"), (Ids{256, 0xFF, 0xC3}));
  EXPECT_EQ(encode(model,
                   "\xE2\x82"
                   "ab"),
            (Ids{0xE2, 0x82, 256}));
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(bytes_of(model, encode(model, all)), all);
}

TEST(ByteLevelBpe, AByteWithoutATokenIsLeftOut) {
  Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {"a b"});
  vocabulary.tokens['x'] = "no longer a byte";
  const ByteLevelBpe model(vocabulary);
  EXPECT_EQ(encode(model, "axb"), (Ids{256}));
  EXPECT_EQ(encode(model, "x"), Ids{});
}

TEST(ByteLevelBpe, TokensThatAreNotSpelledByBytesStandForThemselves) {
  Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {});
  const int32_t id = add_token(vocabulary, "Ġ漢 \xFF", TokenType::Normal);
  EXPECT_EQ(ByteLevelBpe(vocabulary).token_bytes(id), " 漢 \xFF");
}

TEST(ByteLevelBpe, BadMergesAreUserErrors) {
  const auto with_merge = [](const std::string& merge) {
    Vocabulary vocabulary = make_bpe_vocabulary("gpt-2", {"a b"});
    vocabulary.merges.push_back(merge);
    return constructor_error(vocabulary);
  };
  EXPECT_EQ(with_merge("ab"),
            "merge 1 of the vocabulary is \"ab\"; a merge is two tokens with a space between");
  EXPECT_NE(with_merge("a ").find("merge 1"), std::string::npos);
  EXPECT_NE(with_merge("").find("merge 1"), std::string::npos);
  EXPECT_NE(with_merge("a ab").find("names \"aab\", which is not"), std::string::npos);
  EXPECT_NE(with_merge("ac b").find("names \"ac\", which is not"), std::string::npos);
  EXPECT_NE(with_merge("b ac").find("names \"ac\", which is not"), std::string::npos);
  EXPECT_NE(constructor_error(make_bpe_vocabulary("none", {})).find("\"none\" is not known"),
            std::string::npos);
}

}  // namespace
}  // namespace lockstep::text
