#include "text/spm.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/test_vocabularies.h"

namespace lockstep::text {
namespace {

// The tokens' spellings with a bar after each.
std::string encode(const Vocabulary& vocabulary, std::string_view text) {
  std::vector<int32_t> ids;
  SentencePieceBpe(vocabulary).encode(text, ids);
  std::string result;
  for (const int32_t id : ids) result.append(vocabulary.tokens[id]).append("|");
  return result;
}

TEST(SentencePieceBpe, MergesTheHighestScoreFirst) {
  const Vocabulary vocabulary = make_spm_vocabulary({"ab", "bc", "▁ab", "▁", "a", "b", "c"});
  EXPECT_EQ(encode(vocabulary, "abc"), "▁ab|c|");
  EXPECT_EQ(encode(vocabulary, "bc"), "▁|bc|");
  EXPECT_EQ(encode(vocabulary, "a ab  b"), "▁|a|▁ab|▁|▁|b|");
  EXPECT_EQ(encode(vocabulary, ""), "");
}

TEST(SentencePieceBpe, EqualScoresMergeFromTheLeft) {
  Vocabulary vocabulary = make_spm_vocabulary({"ab", "bc", "a", "b", "c", "▁"});
  for (float& score : vocabulary.scores) score = 0;
  vocabulary.scores[vocabulary.scores.size() - 5] = -0.0f;
  EXPECT_EQ(encode(vocabulary, "abc"), "▁|ab|c|");
}

TEST(SentencePieceBpe, ScoresOfBothSignsAreOrdered) {
  Vocabulary vocabulary = make_spm_vocabulary({"ab", "bc", "cd", "a", "b", "c", "d", "▁"});
  const size_t first = vocabulary.tokens.size() - 8;
  vocabulary.scores[first] = -2;
  vocabulary.scores[first + 1] = -1;
  vocabulary.scores[first + 2] = 1;
  EXPECT_EQ(encode(vocabulary, "abcd"), "▁|ab|cd|");
  vocabulary.scores[first + 2] = -3;
  EXPECT_EQ(encode(vocabulary, "abcd"), "▁|a|bc|d|");
}

TEST(SentencePieceBpe, TheSpacePrefixIsOptional) {
  Vocabulary vocabulary = make_spm_vocabulary({"a", "▁"});
  vocabulary.add_space_prefix = false;
  EXPECT_EQ(encode(vocabulary, "a a"), "a|▁|a|");
}

TEST(SentencePieceBpe, TokensWithInnerSpacesMergeAcrossWords) {
  const Vocabulary vocabulary = make_spm_vocabulary({"a▁", "a▁b", "▁", "a", "b"});
  EXPECT_EQ(encode(vocabulary, "a b"), "▁|a▁b|");
}

TEST(SentencePieceBpe, CharactersWithoutTokensFallBackToBytes) {
  const Vocabulary vocabulary = make_spm_vocabulary({"▁", "a"});
  EXPECT_EQ(encode(vocabulary, "aé\n"), "▁|a|<0xC3>|<0xA9>|<0x0A>|");
  EXPECT_EQ(encode(vocabulary, "\xFF\xE2\x82"), "▁|<0xFF>|<0xE2>|<0x82>|");
}

TEST(SentencePieceBpe, WithoutBytesNeighboursShareOneUnknown) {
  const Vocabulary vocabulary = make_spm_vocabulary({"▁", "a"}, false);
  EXPECT_EQ(encode(vocabulary, "ébcaé"), "▁|<unk>|a|<unk>|");
}

TEST(SentencePieceBpe, ControlAndByteTokensAreNotMadeByMerging) {
  Vocabulary vocabulary = make_spm_vocabulary({"▁", "s"});
  add_token(vocabulary, "ss", TokenType::Control, 5);
  add_token(vocabulary, "▁s", TokenType::Unused, 5);
  EXPECT_EQ(encode(vocabulary, "ss"), "▁|s|s|");
  EXPECT_EQ(encode(vocabulary, "<0x41>"), "▁|<0x3C>|<0x30>|<0x78>|<0x34>|<0x31>|<0x3E>|");
}

TEST(SentencePieceBpe, TokenBytes) {
  const Vocabulary vocabulary = make_spm_vocabulary({"▁▁a▁"});
  const SentencePieceBpe model(vocabulary);
  EXPECT_EQ(model.token_bytes(259), "  a ");
  EXPECT_EQ(model.token_bytes(3), std::string(1, '\0'));
  EXPECT_EQ(model.token_bytes(258), "\xFF");
}

TEST(SentencePieceBpe, VocabulariesThatCannotEncodeEverythingAreUserErrors) {
  const auto error_of = [](const Vocabulary& vocabulary) -> std::string {
    try {
      SentencePieceBpe model(vocabulary);
      return "none";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      return error.what();
    }
  };
  Vocabulary vocabulary = make_spm_vocabulary({"a"}, false);
  EXPECT_EQ(error_of(vocabulary), "none");
  vocabulary.unknown_id.reset();
  EXPECT_NE(error_of(vocabulary).find("neither an unknown token nor all 256"), std::string::npos);
  vocabulary = make_spm_vocabulary({"a"});
  vocabulary.unknown_id.reset();
  EXPECT_EQ(error_of(vocabulary), "none");
  for (const char* spelling : {"<0x4>", "<0x4G>", "<0x041>", "0x41", "<0x-1>", ""}) {
    vocabulary.tokens[10] = spelling;
    EXPECT_NE(error_of(vocabulary).find("byte token 10"), std::string::npos) << spelling;
  }
}

}  // namespace
}  // namespace lockstep::text
