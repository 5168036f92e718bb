#include "text/jinja_lexer.h"

#include <gtest/gtest.h>

#include "text/jinja_test_support.h"

namespace lockstep::text {
namespace {

TEST(JinjaLexer, CutsTagsIntoTokens) {
  auto tokens = jinja::tokenize("a{{ b.c|d(1, 2.5, 'x') }}");
  std::vector<std::string> texts;
  for (const auto& token : tokens) texts.push_back(token.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"a", "", "b", ".", "c", "|", "d", "(", "1", ",", "2.5", ",", "x",
                                             ")", "", ""}));
  EXPECT_EQ(tokens[10].number, 2.5);
}

TEST(JinjaLexer, CountsLines) {
  auto tokens = jinja::tokenize("a\n\n{{\n b }}");
  ASSERT_EQ(tokens.size(), 5U);
  EXPECT_EQ(tokens[1].line, 3);
  EXPECT_EQ(tokens[2].line, 4);
}

TEST(JinjaLexer, ReadsNumbers) {
  EXPECT_EQ(render("{{ 0x1F }} {{ 0b11 }} {{ 0o17 }} {{ 1_000 }} {{ 1e3 }} {{ 1.5e-7 }}"),
            "31 3 15 1000 1000.0 1.5e-07");
  EXPECT_EQ(render("{{ 18446744073709551615 }}"), "18446744073709551615");
  EXPECT_FAILS_WITH("{{ 18446744073709551616 }}", "does not fit in 64 bits");
}

TEST(JinjaLexer, ReadsEscapesInStrings) {
  EXPECT_EQ(render(R"({{ 'a\n\t\\\'\x41\u00e9\101\q' }})"), "a\n\t\\'A\u00e9A\\q");
  EXPECT_FAILS_WITH(R"({{ '\xg1' }})", "hexadecimal");
  EXPECT_FAILS_WITH(R"({{ '\ud800' }})", "no Unicode character");
}

TEST(JinjaLexer, TrimsAroundBlocksAsTransformersDoes) {
  EXPECT_EQ(render("  {% if true %}\n  x\n  {% endif %}\n  y\n"), "  x\n  y");
  EXPECT_EQ(render("  {%+ if true +%}\nx{% endif %}"), "  \nx");
  EXPECT_EQ(render("a {%- if true -%}  b  {%- endif -%}  c"), "abc");
  EXPECT_EQ(render("a {{- 'b' -}} c {{ 'd' }} e"), "abc d e");
  EXPECT_EQ(render("  {{ 1 }}\n"), "  1");
  EXPECT_EQ(render("x\n\n"), "x\n");
}

TEST(JinjaLexer, DropsCommentsAndKeepsRawText) {
  EXPECT_EQ(render("a{# {{ x }} #}b {#- c -#} d"), "abd");
  EXPECT_EQ(render("{% raw %}{{ x }} {% if %}{% endraw %}"), "{{ x }} {% if %}");
  EXPECT_EQ(render("a {%- raw -%}  {{ y }}  {%- endraw -%}  b"), "a{{ y }}b");
}

TEST(JinjaLexer, BracketsInTagsHideTheirEnd) {
  EXPECT_EQ(render("{{ {'a': {'b': 1}} }}"), "{'a': {'b': 1}}");
}

TEST(JinjaLexer, RefusesWhatIsNotClosed) {
  EXPECT_FAILS_WITH("a\n{# x", "line 2: a comment is not closed");
  EXPECT_FAILS_WITH("{% raw %}x", "a raw block is not closed");
  EXPECT_FAILS_WITH("{{ 'x }}", "a string is not closed");
  EXPECT_FAILS_WITH("{{ x", "ends inside a tag");
  EXPECT_FAILS_WITH("{{ (1] }}", "']' stands where ')' should be");
  EXPECT_FAILS_WITH("{{ 1) }}", "')' closes nothing");
  EXPECT_FAILS_WITH("{{ $ }}", "'$' has no meaning");
}

}  // namespace
}  // namespace lockstep::text
