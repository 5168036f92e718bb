#include "text/utf8.h"

#include <gtest/gtest.h>

namespace lockstep::text {
namespace {

std::string replaced(std::string_view bytes) {
  std::string output;
  const size_t used = append_valid_utf8(bytes, output);
  return output + "|" + std::to_string(bytes.size() - used);
}

TEST(Utf8, EveryScalarValueSurvives) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text;
    append_utf8(text, c);
    const Utf8Step step = decode_utf8(text, 0);
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.length, text.size());
    ASSERT_EQ(step.status, Utf8Status::Valid);
    ASSERT_EQ(find_invalid_utf8(text), std::nullopt);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const Utf8Step part = decode_utf8(text.substr(0, cut), 0);
      ASSERT_EQ(part.status, Utf8Status::Incomplete);
      ASSERT_EQ(part.length, cut);
    }
  }
}

TEST(Utf8, NoScalarValueIsAppendedAsReplacement) {
  for (const char32_t c : {char32_t{0xD800}, char32_t{0xDFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(text, "\xEF\xBF\xBD");
  }
}

TEST(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("plain text that is longer than a word"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("0123456789\xFF"), 10u);
  EXPECT_EQ(find_invalid_utf8("é\xC3"), 2u);
  EXPECT_EQ(find_invalid_utf8("\xC0\x80"), 0u);           // overlong
  EXPECT_EQ(find_invalid_utf8("a\xE0\x9F\xBF"), 1u);      // overlong
  EXPECT_EQ(find_invalid_utf8("a\xED\xA0\x80"), 1u);      // surrogate
  EXPECT_EQ(find_invalid_utf8("a\xF4\x90\x80\x80"), 1u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("12345678\x80"), 8u);       // a continuation alone
}

// The examples of table 3-8 of the Unicode Standard and its neighbours.
TEST(Utf8, ReplacesMaximalSubparts) {
  EXPECT_EQ(replaced("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd|0");
  EXPECT_EQ(replaced("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD|0");
  EXPECT_EQ(replaced("\xC0\xAF\xE0\x80\xBF"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD|0");
  EXPECT_EQ(replaced("ascii only \xF0\x9F\x98"), "ascii only |3");
  EXPECT_EQ(replaced("\xF0\x9F\x98\x80"), "\U0001F600|0");
}

}  // namespace
}  // namespace lockstep::text
