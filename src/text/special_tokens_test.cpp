#include "text/special_tokens.h"

#include <gtest/gtest.h>

namespace lockstep::text {
namespace {

std::string found(const SpecialTokenMatcher& matcher, std::string_view text) {
  std::string result;
  size_t offset = 0;
  while (const auto match = matcher.find(text, offset)) {
    result += std::to_string(match->begin) + ":" + std::to_string(match->id) + " ";
    offset = match->begin + match->length;
  }
  return result;
}

TEST(SpecialTokenMatcher, LeftmostThenLongest) {
  const std::vector<std::string> tokens = {"<a>", "<a>b", "a>", "abc", "cdefg", "", "<a>", "x"};
  const SpecialTokenMatcher matcher(tokens, {0, 1, 2, 3, 4, 5, 6});
  EXPECT_EQ(found(matcher, "<a>c"), "0:0 ");
  EXPECT_EQ(found(matcher, "<a>b<a>"), "0:1 4:0 ");
  EXPECT_EQ(found(matcher, "<<a>"), "1:0 ");
  EXPECT_EQ(found(matcher, "<b>a>"), "3:2 ");
  EXPECT_EQ(found(matcher, "abcdefg"), "0:3 ");  // leftmost before longest
  EXPECT_EQ(found(matcher, "x<a"), "");          // not asked for, and cut off
  EXPECT_EQ(found(matcher, ""), "");
}

TEST(SpecialTokenMatcher, NothingToFind) {
  const SpecialTokenMatcher matcher({}, {});
  EXPECT_EQ(found(matcher, "text"), "");
}

}  // namespace
}  // namespace lockstep::text
