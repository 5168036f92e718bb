#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::text {
namespace {

// The words with a bar after each.
std::string cut(const char* name, std::string_view text) {
  std::vector<std::string_view> words;
  PreTokenizer(name).split(text, words);
  std::string result;
  for (const std::string_view word : words) result.append(word).append("|");
  return result;
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(cut("gpt-2", "Hello world's 123 +-+!"), "Hello| world|'s| 123| +-+!|");
  EXPECT_EQ(cut("gpt-2", "a   b\n\n c"), "a|  | b|\n\n| c|");
  EXPECT_EQ(cut("gpt-2", "end  "), "end|  |");
  EXPECT_EQ(cut("gpt-2", "I'LL"), "I|'|LL|");
  EXPECT_EQ(cut("gpt-2", ""), "");
}

TEST(PreTokenizer, SmolLmTakesEveryDigitAlone) {
  EXPECT_EQ(cut("smollm", "a 12  3b½"), "a| |1|2|  |3|b|½|");
  EXPECT_EQ(cut("smollm", "it's  ok"), "it|'s| | ok|");
}

TEST(PreTokenizer, Llama3) {
  EXPECT_EQ(cut("llama-bpe", "1234567 I'LL"), "123|456|7| I|'LL|");
  EXPECT_EQ(cut("llama-bpe", "'LLx'ſx'xs"), "'LL|x|'ſ|x|'xs|");  // U+017F is a small s
  EXPECT_EQ(cut("llama-bpe", "f(x);\n\n  y"), "f|(x|);\n\n| | y|");
  EXPECT_EQ(cut("llama-bpe", "a \r\n \n b"), "a| \r\n \n| b|");
}

TEST(PreTokenizer, Qwen2) {
  EXPECT_EQ(cut("qwen2", "1234 I'm"), "1|2|3|4| I|'m|");
}

TEST(PreTokenizer, WhiteSpaceIsUnicodes) {
  EXPECT_EQ(cut("gpt-2", "a\u0085\u2003b"), "a|\u0085|\u2003|b|");
  EXPECT_EQ(cut("gpt-2", "a\u180Eb"), "a|\u180E|b|");
  EXPECT_EQ(cut("gpt-2", " \u180E"), " \u180E|");  // not a space, so it takes one before it
}

// Garay letters and digits came with Unicode 16.
TEST(PreTokenizer, LettersAndNumbersAreThoseOfUnicode16) {
  EXPECT_EQ(cut("gpt-2", "a\U00010D4A\U00010D401"), "a\U00010D4A|\U00010D401|");
  EXPECT_EQ(cut("smollm", "\U00010D401"), "\U00010D40|1|");
  EXPECT_EQ(cut("qwen2", "!\U00010D4A!"), "!\U00010D4A|!|");
}

TEST(PreTokenizer, OnlyLlama3IgnoresMerges) {
  EXPECT_TRUE(PreTokenizer("llama-bpe").ignores_merges());
  EXPECT_FALSE(PreTokenizer("gpt-2").ignores_merges());
  EXPECT_FALSE(PreTokenizer("qwen2").ignores_merges());
}

TEST(PreTokenizer, AnUnknownNameIsAUserErrorThatNamesTheKnown) {
  try {
    PreTokenizer unknown("unheard-of");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    const std::string message = error.what();
    for (const char* part : {"\"unheard-of\"", "gpt-2", "smollm", "llama-bpe", "qwen2"}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

TEST(PreTokenizer, LongRunsCoverTheText) {
  for (const char* name : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    for (const std::string& unit : {std::string("a"), std::string(" "), std::string("7"), std::string("!"),
                                    std::string("\n"), std::string("\u0301"), std::string(" \n")}) {
      std::string text;
      for (int i = 0; i < 200000; ++i) text += unit;
      text += "x";
      std::vector<std::string_view> words;
      PreTokenizer(name).split(text, words);
      size_t covered = 0;
      for (const std::string_view word : words) covered += word.size();
      EXPECT_EQ(covered, text.size());
    }
  }
}

}  // namespace
}  // namespace lockstep::text
