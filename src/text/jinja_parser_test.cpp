#include "text/jinja_parser.h"

#include "text/jinja_test_support.h"

namespace lockstep::text {
namespace {

TEST(JinjaParser, KnowsPrecedence) {
  EXPECT_EQ(render("{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 10 - 2 - 3 }}"),
            "7 9 64 4 5");
  EXPECT_EQ(render("{{ 'a' ~ 1 * 2 }} {{ not 1 in [1] }} {{ 1 and 0 or 3 }} {{ 1 < 2 < 3 }}"),
            "a2 False 3 True");
  EXPECT_EQ(render("{{ -1|abs }} {{ 1 is defined and 2 is even }} {{ 1 if 0 else 2 if 0 else 3 }}"),
            "1 True 3");
}

TEST(JinjaParser, RefusesWrongGrammar) {
  EXPECT_FAILS_WITH("{{ 1 + }}", "an expression is expected");
  EXPECT_FAILS_WITH("{% if true %}", "'{% endif %}' should be");
  EXPECT_FAILS_WITH("{% endif %}", "'endif' is not one that chat templates may use");
  EXPECT_FAILS_WITH("{% for x y %}{% endfor %}", "'in' is expected");
  EXPECT_FAILS_WITH("{% set true = 1 %}", "cannot be assigned");
  EXPECT_FAILS_WITH("{{ f(a=1, 2) }}", "out of order");
  EXPECT_FAILS_WITH("{{ f(a=1, a=2) }}", "given twice");
  EXPECT_FAILS_WITH("{% macro m(a=1, b) %}{% endmacro %}", "needs a default");
  EXPECT_FAILS_WITH("{% break %}", "outside of a loop");
  EXPECT_FAILS_WITH("{% for x in [1] %}{% set loop = 1 %}{% endfor %}", "'loop' cannot be assigned");
}

TEST(JinjaParser, RefusesStatementsThatNeedOtherTemplates) {
  for (const char* tag : {"include 'x'", "extends 'x'", "import 'x' as y", "block b", "do x"}) {
    EXPECT_FAILS_WITH(std::string("{% ") + tag + " %}", "is not one that chat templates may use");
  }
}

TEST(JinjaParser, TellsTheLine) {
  EXPECT_EQ(failure("a\nb\n{{ 1 + }}"),
            "the test's template, line 3: an expression is expected, not the end of the tag");
}

TEST(JinjaParser, RefusesUnknownFiltersUnlessTheyMayNotBeReached) {
  EXPECT_FAILS_WITH("{% for x in [] %}{{ 1|wrong }}{% endfor %}", "there is no filter named 'wrong'");
  EXPECT_FAILS_WITH("{{ 1 is wrong }}", "there is no test named 'wrong'");
  EXPECT_EQ(render("{% if false %}{{ 1|wrong }}{% endif %}{{ 1|wrong if false else 2 }}"), "2");
  EXPECT_FAILS_WITH("{% if true %}{{ 1|wrong }}{% endif %}", "there is no filter named 'wrong'");
}

TEST(JinjaParser, BoundsNesting) {
  auto nested = [](const std::string& open, const std::string& middle, const std::string& close, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += open;
    text += middle;
    for (int i = 0; i < count; ++i) text += close;
    return text;
  };
  EXPECT_EQ(render("{{ " + nested("(", "1", ")", 50) + " }}"), "1");
  for (int count : {300, 100000}) {
    EXPECT_FAILS_WITH("{{ " + nested("(", "1", ")", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ " + nested("[", "1", "]", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ " + nested("- ", "1", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ " + nested("not ", "1", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ 1" + nested("+1", "", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ x" + nested(".a", "", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ x" + nested("|trim", "", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH("{{ " + nested("1 if 1 else ", "1", "", count) + " }}", "nested more than 200 levels");
    EXPECT_FAILS_WITH(nested("{% if true %}", "", "{% endif %}", count), "nested more than 200 levels");
    EXPECT_FAILS_WITH("{% set " + nested("(", "a", ")", count) + " = 1 %}", "nested more than 200 levels");
  }
}

}  // namespace
}  // namespace lockstep::text
