#include "text/jinja_builtins.h"

#include "text/jinja_test_support.h"

namespace lockstep::text {
namespace {

using Json = nlohmann::ordered_json;

TEST(JinjaMethods, OfStrings) {
  EXPECT_EQ(render("{{ '  a b '.strip() }}|{{ 'xax'.strip('x') }}|{{ 'a,b,c'.split(',', 1) }}|{{ ' a  b "
                   "'.split() }}|{{ 'a.b.c'.rsplit('.', 1) }}"),
            "a b|a|['a', 'b,c']|['a', 'b']|['a.b', 'c']");
  EXPECT_EQ(render("{{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('c') }} {{ 'éabc'.find('b') }} {{ "
                   "'aaa'.replace('a', 'b', 2) }}"),
            "True True 2 bba");
  EXPECT_EQ(
      render("{{ 'hello wORLD'.title() }} {{ 'äÖ'.upper() }} {{ 'äÖ'.lower() }} {{ 'straße'.upper() }}"),
      "Hello World ÄÖ äö STRASSE");
  EXPECT_EQ(render("{{ '42'.zfill(5) }} {{ 'ab'.center(5, '*') }} {{ 'a-b'.partition('-') }} {{ "
                   "'x.txt'.removesuffix('.txt') }}"),
            "00042 **ab* ('a', '-', 'b') x");
  EXPECT_EQ(render("{{ 'a1'.isalnum() }} {{ '1'.isdigit() }} {{ ' '.isspace() }} {{ 'Ab'.isupper() }} {{ "
                   "','.join(['a', 'b']) }}"),
            "True True True False a,b");
  EXPECT_EQ(render("{{ 'a\\nb\\r\\nc'.splitlines() }}"), "['a', 'b', 'c']");
  EXPECT_FAILS_WITH("{{ 'a'.split('') }}", "separator that is not empty");
  EXPECT_FAILS_WITH("{{ 'a'.index('x') }}", "does not find");
  EXPECT_FAILS_WITH("{{ 'a'.encode() }}", "'encode' of strings is not supported");
}

TEST(JinjaMethods, OfListsAndDicts) {
  EXPECT_EQ(render("{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }} {{ {'a': 1}.get('b', 5) }} {{ {'a': "
                   "1}.items() }} {{ {'a': 1}.keys()|list }}"),
            "2 1 5 dict_items([('a', 1)]) ['a']");
  EXPECT_EQ(render("{{ d.items is callable }} {{ d['items'] }}", {{"d", {{"items", 3}}}}), "True 3");
}

TEST(JinjaFormat, Percent) {
  EXPECT_EQ(render("{{ '%s|%5.2f|%-4d|%05d|%x|%r|%%' % ('a', 3.14159, 7, -42, 255, 'q') }}"),
            "a| 3.14|7   |-0042|ff|'q'|%");
  EXPECT_EQ(render("{{ '%(a)s' % {'a': 1} }}"), "1");
  EXPECT_FAILS_WITH("{{ '%s %s' % 'a' }}", "more fields than values");
  EXPECT_FAILS_WITH("{{ '%s' % (1, 2) }}", "fewer fields than values");
  EXPECT_FAILS_WITH("{{ '%d' % 'a' }}", "needs a number");
}

TEST(JinjaFormat, Braces) {
  EXPECT_EQ(render("{{ '{} {a} {0!r:>5} {{}}'.format('x', a=2) if false else '{} {a}'.format('x', a=2) }}"),
            "x 2");
  EXPECT_EQ(render("{{ '{:>4}|{:^5}|{:,}|{:.2f}|{:#x}'.format('a', 'b', 1234567, 2.5, 255) }}"),
            "   a|  b  |1,234,567|2.50|0xff");
  EXPECT_FAILS_WITH("{{ '{} {}'.format(1) }}", "more fields than values");
}

TEST(JinjaFilters, OnTexts) {
  EXPECT_EQ(
      render("{{ ' a '|trim }}|{{ 'a\\n\\nb'|indent(2) }}|{{ '<&\"'|e }}|{{ \"they're on-line\"|title }}"),
      "a|a\n\n  b|&lt;&amp;&#34;|They're On-Line");
  EXPECT_EQ(render("{{ 'foo bar baz qux'|truncate(9) }} {{ 'a b'|wordcount }} {{ 'a b/é'|urlencode }}"),
            "foo... 2 a%20b/%C3%A9");
}

TEST(JinjaFilters, OnNumbers) {
  EXPECT_EQ(render("{{ '42.7'|int }} {{ 'x'|int(7) }} {{ '1f'|int(base=16) }} {{ '1e3'|float }} {{ 2.5|round "
                   "}} {{ 2.675|round(2) }} {{ -5.5|abs }}"),
            "42 7 31 1000.0 2.0 2.67 5.5");
}

TEST(JinjaFilters, OnSequences) {
  Json users = Json::array({{{"n", "b"}, {"a", 2}}, {{"n", "A"}, {"a", 1}}, {{"n", "c"}}});
  EXPECT_EQ(render("{{ u|map(attribute='n')|join(',') }} {{ u|sort(attribute='n')|map(attribute='n')|list }} "
                   "{{ u|selectattr('a')|list|length }} "
                   "{{ u|selectattr('n', 'gt', 'a')|map(attribute='n')|first }} {{ u|rejectattr('a', "
                   "'defined')|map(attribute='n')|list }}",
                   {{"u", users}}),
            "b,A,c ['A', 'b', 'c'] 2 b ['c']");
  EXPECT_EQ(render("{{ [1, 2, 3]|batch(2)|list }} {{ [3, 1]|sort }} {{ [1, 1.0, 2]|unique|list }} {{ [1, "
                   "2]|sum }} {{ ['b', 'A']|max }} {{ [1, 2]|last }}"),
            "[[1, 2], [3]] [1, 3] [1, 2] 3 b 2");
  EXPECT_EQ(render("{% for k, v in [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]|groupby('a') %}{{ k }}{{ "
                   "v|map(attribute='b')|list }}{% endfor %}"),
            "1[2, 3]");
  EXPECT_FAILS_WITH("{{ [1, 'a']|sort }}", "have no order");
  EXPECT_FAILS_WITH("{{ 5|length }}", "has no length");
}

TEST(JinjaFilters, GeneratorsGiveTheirItemsOnce) {
  EXPECT_EQ(render("{% set g = [1, 2]|map('string') %}{{ g|list }}{{ g|list }}"), "['1', '2'][]");
  EXPECT_FAILS_WITH("{{ [1]|map('string')|length }}", "has no length");
}

TEST(JinjaFilters, ToJson) {
  Json variables = {
      {"x", {{"a", {1, 2.0, nullptr, true, "é\"\n<"}}, {"b", Json::object()}, {"c", Json::array()}}}};
  EXPECT_EQ(render("{{ x|tojson }}", variables),
            R"({"a": [1, 2.0, null, true, "é\"\n<"], "b": {}, "c": []})");
  EXPECT_EQ(render("{{ {'b': [1], 'a': {}}|tojson(indent=2, sort_keys=true) }}"),
            "{\n  \"a\": {},\n  \"b\": [\n    1\n  ]\n}");
  EXPECT_EQ(render("{{ {'a': [1, 2]}|tojson(separators=(',', ':')) }} {{ 'é😀'|tojson(ensure_ascii=true) }}"),
            R"({"a":[1,2]} "\u00e9\ud83d\ude00")");
  EXPECT_FAILS_WITH("{{ x|tojson }}", "has no form in JSON");
}

TEST(JinjaTests, LookAtValues) {
  EXPECT_EQ(render("{{ 'a' is string }} {{ {} is mapping }} {{ [] is sequence }} {{ 5 is iterable }} {{ true "
                   "is integer }} {{ true is number }} {{ x is undefined }}"),
            "True True True False False True True");
  EXPECT_EQ(render("{{ 3 is odd }} {{ 6 is divisibleby 3 }} {{ 1 is in [1] }} {{ 'A' is upper }} {{ 1 is eq "
                   "1.0 }} {{ none is not none }}"),
            "True True True True True False");
}

TEST(JinjaFunctions, AreThere) {
  EXPECT_EQ(render("{{ range(1, 7, 2)|list }} {{ range(3) }} {{ dict(a=1) }} {% set c = cycler('a', 'b') "
                   "%}{{ c.next() ~ c.next() ~ c.next() }}"),
            "[1, 3, 5] range(0, 3) {'a': 1} aba");
  EXPECT_EQ(render("{% set j = joiner('-') %}{% for x in 'abc' %}{{ j() }}{{ x }}{% endfor %}"), "a-b-c");
  EXPECT_EQ(failure("\n{{ raise_exception('No ' ~ 'way') }}"),
            "the test's template, line 2: the template refuses this conversation: No way");
}

TEST(JinjaFunctions, ShowTheTimeThatIsGiven) {
  RenderOptions options;
  std::tm now = {};
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  options.now = now;
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y') }}", Json::object(), options), "26 Jul 2024");
  EXPECT_EQ(render("{{ strftime_now('%Y')|length }}"), "4");
}

}  // namespace
}  // namespace lockstep::text
