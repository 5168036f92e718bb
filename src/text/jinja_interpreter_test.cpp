#include "text/jinja_interpreter.h"

#include "text/jinja_test_support.h"

namespace lockstep::text {
namespace {

using Json = nlohmann::ordered_json;

TEST(JinjaInterpreter, PrintsValuesAsPythonDoes) {
  EXPECT_EQ(render("{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 0.1 + 0.2 }} {{ 1/3 }} {{ 0.00001 }}"),
            "True None 1.0 1e+16 0.30000000000000004 0.3333333333333333 1e-05");
  EXPECT_EQ(render("{{ [1, 'it\\'s', none] }} {{ {'a': (1,), 2: 'q\"'} }} {{ () }}"),
            "[1, \"it's\", None] {'a': (1,), 2: 'q\"'} ()");
  EXPECT_EQ(render("{{ ['\\n', '\\x7f', '\\u200b', 'é'] }}"), "['\\n', '\\x7f', '\\u200b', 'é']");
}

TEST(JinjaInterpreter, ComputesAsPythonDoes) {
  EXPECT_EQ(render("{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** -1 }} {{ -7.5 % 2 }}"),
            "-4 2 -2 3.5 0.5 0.5");
  EXPECT_EQ(render("{{ 'ab' * 2 }} {{ [1] + [2] }} {{ True + 1 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }}"),
            "abab [1, 2] 2 True True");
  EXPECT_FAILS_WITH("{{ 'a' + 1 }}", "cannot join a value of type str and one of type int");
  EXPECT_FAILS_WITH("{{ 1 // 0 }}", "divided by zero");
  EXPECT_FAILS_WITH("{{ 1 < 'a' }}", "have no order");
  EXPECT_FAILS_WITH("{{ 18446744073709551615 + 1 }}", "does not fit in 64 bits");
  EXPECT_FAILS_WITH("{{ 18446744073709551615 * 18446744073709551615 }}", "does not fit in 64 bits");
}

TEST(JinjaInterpreter, TreatsUndefinedValuesAsJinjaDoes) {
  EXPECT_EQ(render("[{{ x }}] {{ x or 'd' }} {{ x is defined }} {% for y in x %}{% endfor %}{{ x == z }}"),
            "[] d False True");
  EXPECT_EQ(render("{{ a.b }}|{{ a['c'] }}", {{"a", Json::object()}}), "|");
  EXPECT_FAILS_WITH("{{ x.y }}", "'x' is undefined");
  EXPECT_FAILS_WITH("{{ {}.y.z }}", "'dict object' has no attribute 'y'");
  EXPECT_FAILS_WITH("{{ x + 1 }}", "'x' is undefined");
  EXPECT_FAILS_WITH("{{ x() }}", "'x' is undefined");
}

TEST(JinjaInterpreter, SlicesAndIndexesByCodePoint) {
  Json variables = {{"s", "Ünï😀"}, {"l", {1, 2, 3, 4}}};
  EXPECT_EQ(
      render("{{ s[3] }} {{ s[::-1] }} {{ s[-2:] }} {{ s|length }} {{ l[::-2] }} {{ l[1:-1] }}", variables),
      "😀 😀ïnÜ ï😀 4 [4, 2] [2, 3]");
}

TEST(JinjaInterpreter, LoopsWithTheirVariable) {
  EXPECT_EQ(render("{% for x in 'abc' %}{{ loop.index }}{{ x }}{{ loop.revindex0 }}{{ loop.last }}[{{ "
                   "loop.previtem }}{{ loop.nextitem }}]{% endfor %}"),
            "1a2False[b]2b1False[ac]3c0True[b]");
  EXPECT_EQ(render("{% for x in range(6) if x is odd %}{{ x }}{{ ',' if not loop.last }}{% endfor %}"),
            "1,3,5");
  EXPECT_EQ(render("{% for x in [] %}x{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(render("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break "
                   "%}{% endif %}{{ x }}{% endfor %}"),
            "023");
  EXPECT_EQ(render("{% for k, (a, b) in {'x': (1, 2)}.items() %}{{ k }}{{ a }}{{ b }}{% endfor %}"), "x12");
}

TEST(JinjaInterpreter, CountsFromTheEndForNegativeIndices) {
  EXPECT_EQ(render("{{ l[-1] }} {{ l[-3] }} [{{ l[-4] }}] [{{ l[3] }}] {{ 'abc'[-2] }}", {{"l", {1, 2, 3}}}),
            "3 1 [] [] b");
}

TEST(JinjaInterpreter, RunsElseIfNoIterationWasCompleted) {
  EXPECT_EQ(render("{% for x in [1] %}{% break %}{% else %}else{% endfor %}"), "else");
  EXPECT_EQ(render("{% for x in [1] %}{% continue %}{% else %}else{% endfor %}"), "else");
  EXPECT_EQ(render("{% for x in [1, 2] %}{% if x == 2 %}{% break %}{% endif %}{% else %}else{% endfor %}"),
            "");
}

TEST(JinjaInterpreter, TestsLoopItemsOnlyWhenTheyAreReached) {
  EXPECT_EQ(render("{% set ns = namespace(stop=false) %}{% for x in range(9) if not ns.stop %}{{ x }}{% set "
                   "ns.stop = x == 2 %}{% endfor %}"),
            "012");
}

TEST(JinjaInterpreter, KeepsScopesAsJinjaDoes) {
  EXPECT_EQ(render("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}"),
            "231");
  EXPECT_EQ(render("{% if true %}{% set x = 9 %}{% endif %}{{ x }}"), "9");
  EXPECT_EQ(render("{% set q = 1 %}{% with q = 2, r = q %}{{ q }}{{ r }}{% endwith %}{{ q }}"), "211");
  EXPECT_EQ(render("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor "
                   "%}{{ ns.n }}"),
            "3");
  EXPECT_FAILS_WITH("{% set x = 1 %}{% set x.y = 1 %}", "is no namespace");
}

TEST(JinjaInterpreter, CallsMacros) {
  EXPECT_EQ(render("{% macro m(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(b=3, a=4) }}{{ m() }}"),
            "[12][43][2]");
  EXPECT_EQ(render("{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}"),
            "(2,){'x': 3}");
  EXPECT_EQ(
      render("{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(a) m(5) %}{{ a + 1 }}{% endcall %}"),
      "<6>");
  EXPECT_EQ(render("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}"),
            "3210");
  EXPECT_EQ(render("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}"), "B");
  EXPECT_FAILS_WITH("{% macro m() %}{% endmacro %}{{ m(1) }}", "takes at most 0 arguments");
}

TEST(JinjaInterpreter, RunsBlocks) {
  EXPECT_EQ(render("{% filter upper|replace('B', 'x') %}abc{% endfilter %}"), "AxC");
  EXPECT_EQ(render("{% set x | trim %} a {% endset %}[{{ x }}]"), "[a]");
  EXPECT_EQ(render("{% generation %}a{% set g = 1 %}{% endgeneration %}{{ g }}"), "a");
}

TEST(JinjaInterpreter, KeepsItsVariablesUnchanged) {
  EXPECT_FAILS_WITH("{% set l = [] %}{{ l.append(1) }}", "may not change its values: 'append'");
  EXPECT_FAILS_WITH("{{ {}.update({'a': 1}) }}", "may not change its values: 'update'");
}

TEST(JinjaInterpreter, BoundsWhatATemplateUses) {
  EXPECT_FAILS_WITH("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested more than 800 levels");
  EXPECT_FAILS_WITH("{{ 'x' * 100000000 }}", "more than 16777216 bytes");
  EXPECT_FAILS_WITH("{{ [1] * 1000000000 }}", "repeated too often");
  EXPECT_FAILS_WITH("{{ range(1000000000) }}", "at most 100000 numbers");
  EXPECT_FAILS_WITH("{{ '%99999999999d' % 1 }}", "too large");
  EXPECT_FAILS_WITH("{{ 'a'.center(99999999999) }}", "bytes would be made");
  EXPECT_FAILS_WITH("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                    "more than 10000000 steps");
  EXPECT_FAILS_WITH("{% for a in range(99999) %}{{ 'x' * 10000 }}{% endfor %}", "longer than 16777216 bytes");
  EXPECT_FAILS_WITH(
      "{% set n = namespace(x='aa') %}{% for a in range(99) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor "
      "%}",
      "bytes would be made");
  RenderOptions options;
  options.maximum_steps = 100;
  EXPECT_NE(
      failure("{% for a in range(99) %}x{% endfor %}", Json::object(), options).find("more than 100 steps"),
      std::string::npos);
  options = {};
  options.maximum_bytes = 10;
  EXPECT_NE(failure("12345678901", Json::object(), options).find("longer than 10 bytes"), std::string::npos);
}

TEST(JinjaInterpreter, BoundsNestingOfValues) {
  EXPECT_FAILS_WITH(
      "{% set n = namespace(x=[]) %}{% for a in range(9999) %}{% set n.x = [n.x] %}{% endfor %}",
      "nested more than 200 levels");
  EXPECT_FAILS_WITH(
      "{% set n = namespace(x=1) %}{% for a in range(9999) %}{% set n.x = cycler(n.x) %}{% endfor %}",
      "nested more than 200 levels");
  EXPECT_FAILS_WITH("{% set n = namespace() %}{% set n.x = [n] %}{{ n }}", "nested more than 200 levels");
  EXPECT_FAILS_WITH(
      "{% set n = namespace(x=[]) %}{% for a in range(150) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
      "steps");
  EXPECT_FAILS_WITH(
      "{% set n = namespace(x=[], y=[]) %}{% for a in range(150) %}{% set n.x = [n.x, n.x] %}{% set n.y = "
      "[n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
      "steps");
  std::string deep(1000, '[');
  deep += std::string(1000, ']');
  EXPECT_NE(failure("{{ 1 }}", {{"x", Json::parse(deep)}}).find("nested more than 200 levels"),
            std::string::npos);
}

TEST(JinjaInterpreter, FreesObjectsThatHoldEachOther) {
  EXPECT_EQ(
      render("{% set n = namespace() %}{% for i in range(1000) %}{% set m = namespace(p=n.x) %}{% set n.x = "
             "m %}{% set n.l = loop %}"
             "{% macro f() %}{{ i }}{{ n }}{% endmacro %}{% set n.f = f %}{% endfor %}{% set n.n = n %}ok"),
      "ok");
}

}  // namespace
}  // namespace lockstep::text
