#include "grammar/pattern.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>

#include "base/error.h"
#include "grammar/formats.h"

namespace lockstep::grammar {
namespace {

Automaton automaton_of(std::string_view pattern) {
  Effort effort(10'000'000);
  return pattern_automaton(pattern, effort);
}

bool has(std::string_view pattern, std::string_view text) {
  return automaton_of(pattern).has(characters_of(text));
}

void expect_refusal(std::string_view pattern, std::string_view words) {
  try {
    automaton_of(pattern);
    ADD_FAILURE() << "taken: " << pattern;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_NE(std::string_view(error.what()).find(words), std::string_view::npos) << error.what();
  }
}

TEST(Pattern, MatchesAnywhereWithoutAnchors) {
  for (const char* text : {"b", "ab", "bc", "abc", "b\n", "éb€"}) EXPECT_TRUE(has("b", text)) << text;
  for (const char* text : {"", "a", "B"}) EXPECT_FALSE(has("b", text)) << text;
  EXPECT_TRUE(has("^b", "bc"));
  EXPECT_FALSE(has("^b", "abc"));
  EXPECT_TRUE(has("b$", "ab"));
  EXPECT_FALSE(has("b$", "abc"));
  EXPECT_TRUE(has("^a|c$", "axx"));
  EXPECT_TRUE(has("^a|c$", "xxc"));
  EXPECT_FALSE(has("^a|c$", "xax"));
  EXPECT_TRUE(has("^$", ""));
  EXPECT_FALSE(has("^$", "a"));
  EXPECT_TRUE(has("", "anything"));
  EXPECT_TRUE(automaton_of("a^").empty());
  EXPECT_TRUE(automaton_of("$a").empty());
  EXPECT_TRUE(has("(^|-)a($|-)", "x-a"));
}

TEST(Pattern, Parts) {
  EXPECT_TRUE(has(R"(^[A-Z]{2}\d{3,4}$)", "AB123"));
  EXPECT_FALSE(has(R"(^[A-Z]{2}\d{3,4}$)", "AB12345"));
  EXPECT_TRUE(has(R"(^(?:ab|c(?<name>d))*?x{2,}y{0}$)", "abcdabxxx"));
  EXPECT_FALSE(has(R"(^(?:ab|cd)*x{2,}$)", "abx"));
  EXPECT_TRUE(has(R"(^[^"\\-]+$)", "a€😀\n"));
  EXPECT_FALSE(has(R"(^[^"\\-]+$)", "a\"b"));
  EXPECT_FALSE(has(R"(^[^"\\-]+$)", "a-b"));
  EXPECT_TRUE(has(R"(^[\]a\-z^-]+$)", "]a-z^"));
  EXPECT_FALSE(has(R"(^[\]a\-z^-]+$)", "b"));
  EXPECT_TRUE(has(R"(^\u00e9\u{1F600}\ud83d\ude00\x41\/\.\t$)", "é😀😀A/.\t"));
  EXPECT_TRUE(has("^.$", "😀"));
  EXPECT_FALSE(has("^.$", "\n"));
  EXPECT_TRUE(has("^[à-ÿ€]$", "é"));
  EXPECT_FALSE(has("^[à-ÿ€]$", "\xC4\x80"));
}

// Where dialects differ about a character, no side has it.
TEST(Pattern, ClassesAreWhatAllReadersMean) {
  const std::string arabic_three = "\u0663";
  EXPECT_FALSE(has(R"(^\d$)", arabic_three));
  EXPECT_FALSE(has(R"(^\D$)", arabic_three));
  EXPECT_FALSE(has(R"(^[^\d]$)", arabic_three));
  EXPECT_FALSE(has(R"(^\W$)", "é"));
  EXPECT_TRUE(has(R"(^\S+$)", "é€😀"));
  EXPECT_FALSE(has(R"(^\S$)", "\u0085"));
  EXPECT_FALSE(has(R"(^\s$)", "\u0085"));
  EXPECT_TRUE(has(R"(^\s\s$)", " \u00A0"));
  EXPECT_TRUE(has(R"(^[\s\S]*$)", "a \n"));
  EXPECT_TRUE(has(R"(^[\w.-]+$)", "a_B.9-"));
}

TEST(Pattern, RefusesTheRest) {
  expect_refusal("a(?=b)", "looks ahead");
  expect_refusal("(?<!b)", "looks ahead");
  expect_refusal(R"((a)\1)", "refers back");
  expect_refusal(R"(\bword)", "word boundary");
  expect_refusal(R"(\p{L})", "property");
  expect_refusal("(?i)a", "ECMA-262");
  expect_refusal("(?P<n>a)", "ECMA-262");
  expect_refusal("a**", "nothing to repeat");
  expect_refusal("*", "nothing to repeat");
  expect_refusal("^*", "repeats");
  expect_refusal("(a", "')'");
  expect_refusal("a)", "')'");
  expect_refusal("[a", "']'");
  expect_refusal("[]", "empty class");
  expect_refusal("[z-a]", "ascend");
  expect_refusal("[a-\\d]", "ascend");
  expect_refusal("a{3,2}", "quantifier");
  expect_refusal("a{,2}", "number");
  expect_refusal("a{2", "quantifier");
  expect_refusal("{", "nothing to repeat");
  expect_refusal("}", "closes nothing");
  expect_refusal("\\", "ends");
  expect_refusal("\\Z", "\\Z");
  expect_refusal("\\xg0", "hexadecimal");
  expect_refusal("\\ud83d", "surrogate");
  expect_refusal("\\u{110000}", "10FFFF");
  expect_refusal("a{1001}", "1000");
  expect_refusal("((a{1000}){1000}){1000}", "too large");
  expect_refusal("(a|b)*a(a|b){40}", "too large");
  expect_refusal(std::string(100, '('), "groups");
}

// Random patterns and texts: what std::regex matches, and nothing else.
TEST(Pattern, IsWhatAnotherReaderMatches) {
  std::mt19937 random(5);
  auto pick = [&](const auto& list) { return std::string(list[random() % std::size(list)]); };
  static constexpr const char* kAtoms[] = {"a",   "b",    "c",  ".",    "[ab]",      "[^a]",    "[b-c]",
                                           "\\d", "\\W+", "1",  "^",    "$",         "\\w",     "(?:a|bc)",
                                           "a*",  "b+",   "c?", "a{2}", "(ab){1,2}", "(?:a|)*c"};
  static constexpr const char* kBetween[] = {"", "", "", "|", "(?:", ")", ")*"};
  int taken = 0;
  int matched = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string pattern;
    int open = 0;
    for (size_t i = 0; i < 1 + random() % 6; ++i) {
      pattern += pick(kAtoms);
      const std::string between = pick(kBetween);
      if (between[0] == ')' && open == 0) continue;
      open += between == "(?:" ? 1 : between.starts_with(')') ? -1 : 0;
      pattern += between;
    }
    pattern.append(static_cast<size_t>(open), ')');
    const Automaton automaton = automaton_of(pattern);
    const std::regex other(pattern);
    for (int i = 0; i < 40; ++i) {
      std::string text;
      for (size_t length = random() % 8; text.size() < length;) text += "abc1-"[random() % 5];
      const bool expected = std::regex_search(text, other);
      ASSERT_EQ(automaton.has(characters_of(text)), expected) << pattern << " " << text;
      ++taken;
      matched += expected;
    }
  }
  EXPECT_GT(matched, taken / 5);
  EXPECT_LT(matched, taken * 4 / 5);
}

TEST(Formats, Examples) {
  const std::vector<std::tuple<const char*, std::vector<const char*>, std::vector<const char*>>> all = {
      {"date",
       {"2024-02-29", "2000-02-29", "2023-02-28", "0001-01-01", "9999-12-31", "2024-04-30"},
       {"2023-02-29", "1900-02-29", "0000-01-01", "0000-02-29", "2024-04-31", "2024-13-01", "2024-00-10",
        "2024-01-00", "2024-1-1", "2024-01-01 ", "x2024-01-01"}},
      {"time",
       {"00:00:00Z", "23:59:59.123456+23:59", "12:30:01-00:00"},
       {"24:00:00Z", "12:60:00Z", "12:00:60Z", "12:00:00", "12:00:00.Z", "12:00:00z", "12:00:00+24:00"}},
      {"date-time",
       {"2024-02-29T23:59:59Z", "1999-12-31T00:00:00.5+01:00"},
       {"2023-02-29T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00"}},
      {"duration",
       {"P1D", "PT1H30M", "P2W", "P1Y2M3DT4H5M6S", "PT5S"},
       {"P", "PT", "P1YT", "P1Y1D", "P1W1D", "1D"}},
      {"uuid",
       {"123e4567-E89b-12d3-a456-426614174000"},
       {"123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"}},
      {"uuid2",
       {"000003e8-e89b-21d3-a456-426614174000"},
       {"000003e8-e89b-11d3-a456-426614174000", "000003e8-e89b-21d3-c456-426614174000"}},
      {"uuid4",
       {"123e4567-e89b-42d3-a456-426614174000"},
       {"123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-42d3-c456-426614174000"}},
      {"ipv4",
       {"0.0.0.0", "255.255.255.255", "10.1.20.199"},
       {"256.1.1.1", "01.1.1.1", "1.1.1", "1.1.1.1.1"}},
      {"ipv6",
       {"::", "::1", "1:2:3:4:5:6:7:8", "fe80::1:2", "1:2:3:4:5:6::", "::2:3:4:5:6:7"},
       {":", "1:2:3:4:5:6:7", "1::2::3", ":::", "12345::", "1:2:3:4:5:6:7:8:9", "::2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::"}},
      {"hostname",
       {"localhost", "a.b-c.example", "3com.net"},
       {"", "-a", "a-", "a..b", "a_b", ".a", "1.2.3.4", "xn--a"}},
      {"email",
       {"a@b.co", "x.y+z-1@mail.example.org"},
       {"a@b", "@b.co", "a@", "a..b@c.de", ".a@b.de", "a@b.c1", "a b@c.de"}},
      {"uri",
       {"https://example.org", "s3://bucket/key%20x?a=b#c", "http://h:8080/"},
       {"example.org", "http://", "http://a b", "http://h/%2", "://h"}},
  };
  for (const auto& [format, good, bad] : all) {
    const std::string* pattern = format_pattern(format);
    ASSERT_NE(pattern, nullptr) << format;
    const Automaton automaton = automaton_of(*pattern);
    for (const char* text : good) EXPECT_TRUE(automaton.has(characters_of(text))) << format << " " << text;
    for (const char* text : bad) EXPECT_FALSE(automaton.has(characters_of(text))) << format << " " << text;
  }
  EXPECT_EQ(format_pattern("colour"), nullptr);
}

}  // namespace
}  // namespace lockstep::grammar
