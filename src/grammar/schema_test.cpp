#include "grammar/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "grammar/matcher.h"

namespace lockstep::grammar {
namespace {

bool takes(const Grammar& grammar, std::string_view text) {
  Matcher matcher(grammar);
  return matcher.accept(text) && matcher.can_finish();
}

Grammar grammar_of(std::string_view schema) {
  return schema_grammar(read_schema(schema));
}

bool takes(std::string_view schema, std::string_view text) {
  return takes(grammar_of(schema), text);
}

// The schema is refused in a sentence with these words.
void expect_refusal(std::string_view schema, const std::vector<std::string>& words) {
  try {
    grammar_of(schema);
    ADD_FAILURE() << "taken: " << schema;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    for (const std::string& word : words) {
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
    }
  }
}

TEST(JsonObject, TakesObjects) {
  const Grammar grammar = json_object_grammar();
  for (const char* text :
       {R"({})", R"({"a":1})", R"({"a": [1, -2.5e+10, true, false, null, "x"], "b": {}})",
        "{\n  \"a\": [\n    []\n  ]\n}", R"({"":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é€😀"})",
        R"({"a":0,"b":-0,"c":0.1,"d":1E-7})"}) {
    EXPECT_TRUE(takes(grammar, text)) << text;
    EXPECT_TRUE(nlohmann::json::accept(std::string_view(text))) << text;
  }
}

TEST(JsonObject, RefusesTheRest) {
  const Grammar grammar = json_object_grammar();
  for (const char* text : {"",
                           "1",
                           "[]",
                           "null",
                           " {}",
                           "{} ",
                           "{",
                           "{,}",
                           R"({"a"})",
                           R"({"a":})",
                           R"({"a":1,})",
                           R"({a:1})",
                           R"({"a":01})",
                           R"({"a":1.})",
                           R"({"a":.5})",
                           R"({"a":1e})",
                           R"({"a":1e999})",
                           R"({"a":+1})",
                           R"({"a":"\x"})",
                           R"({"a":"\ud83d"})",
                           R"({"a":"\ude00"})",
                           R"({"a":"\ud83dx"})",
                           "{\"a\":\"\n\"}",
                           R"({"a":tru})",
                           R"({"a":[1,]})",
                           R"({"a":[,1]})",
                           R"({"a":1}})",
                           "{\"a\":\"\xC0\x80\"}",
                           "{\"a\":\"\xED\xA0\x80\"}",
                           "{\"a\":\"\xF4\x90\x80\x80\"}",
                           "{\"a\":\"\xFF\"}",
                           "{\"a\":\"\xC3\"}"}) {
    EXPECT_FALSE(takes(grammar, text)) << text;
  }
}

TEST(JsonObject, NestingIsBoundedAndNeverADeadEnd) {
  const Grammar grammar = json_object_grammar();
  Matcher matcher(grammar);
  ASSERT_TRUE(matcher.accept("{\"a\":"));
  size_t depth = 0;
  while (matcher.accept("[")) ++depth;
  EXPECT_GE(depth, 55u);
  EXPECT_LE(depth, size_t{kDepthMax});
  EXPECT_TRUE(matcher.accept(std::string(depth, ']') + "}"));
  EXPECT_TRUE(matcher.can_finish());
}

TEST(Schema, Object) {
  const Grammar grammar = grammar_of(R"({"type": "object", "additionalProperties": false,
    "properties": {"b": {"type": "integer"}, "a": {"type": "string"}, "c": {"type": "null"}, "q\"é": true},
    "required": ["a"]})");
  for (const char* text : {R"({"a":"x"})", R"({"b": 1, "a": "x"})", R"({"a":"","c":null})",
                           R"({"b":-1,"a":"","c":null,"q\"é":[{}]})", R"({"a":"","q\"é":1})"}) {
    EXPECT_TRUE(takes(grammar, text)) << text;
  }
  for (const char* text :
       {R"({})", R"({"b":1})", R"({"a":"","b":1})", R"({"a":1})", R"({"a":"","d":1})", R"({"b":1.5,"a":""})",
        R"({"b":1,"b":1,"a":""})", R"({,"a":""})", R"({"b":1,,"a":""})", R"({"a":"",})"}) {
    EXPECT_FALSE(takes(grammar, text)) << text;
  }
}

TEST(Schema, ObjectsWithoutProperties) {
  EXPECT_TRUE(takes(R"({"type": "object", "additionalProperties": false})", "{}"));
  EXPECT_FALSE(takes(R"({"type": "object", "additionalProperties": false})", R"({"a":1})"));
  EXPECT_TRUE(takes(R"({"type": "object"})", R"({"a":1})"));
  EXPECT_FALSE(takes(R"({"type": "object", "properties": {}})", R"({"a":1})"));
  const Grammar map = grammar_of(R"({"type": "object", "additionalProperties": {"type": "boolean"}})");
  EXPECT_TRUE(takes(map, R"({"a": true, "b": false})"));
  EXPECT_FALSE(takes(map, R"({"a": 1})"));
}

TEST(Schema, Array) {
  const char* between = R"({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3})";
  EXPECT_FALSE(takes(between, "[]"));
  EXPECT_FALSE(takes(between, "[1]"));
  EXPECT_TRUE(takes(between, "[1,2]"));
  EXPECT_TRUE(takes(between, "[1, 2, 3]"));
  EXPECT_FALSE(takes(between, "[1,2,3,4]"));
  EXPECT_FALSE(takes(between, "[1,\"\"]"));
  const char* least = R"({"type": "array", "items": {"type": "integer"}, "minItems": 1})";
  EXPECT_FALSE(takes(least, "[]"));
  EXPECT_TRUE(takes(least, "[1,2,3,4,5]"));
  EXPECT_TRUE(takes(R"({"type": "array", "maxItems": 0})", "[]"));
  EXPECT_FALSE(takes(R"({"type": "array", "maxItems": 0})", "[1]"));
  EXPECT_TRUE(takes(R"({"type": "array"})", "[[{}], 1]"));
}

TEST(Schema, StringLengthsCountCodePoints) {
  const char* schema = R"({"type": "string", "minLength": 1, "maxLength": 3})";
  for (const char* text :
       {R"("a")", R"("abc")", R"("é€😀")", R"("\n\u00e9\ud83d\ude00")", R"("\ud83d\ude00\ud83d\ude00x")"}) {
    EXPECT_TRUE(takes(schema, text)) << text;
  }
  for (const char* text : {R"("")", R"("abcd")", R"("é€😀x")", R"("abc\n")"}) {
    EXPECT_FALSE(takes(schema, text)) << text;
  }
  EXPECT_TRUE(takes(R"({"type": "string", "minLength": 2})", R"("abcdef")"));
  EXPECT_TRUE(takes(R"({"type": "string", "maxLength": 0})", R"("")"));
}

TEST(Schema, EnumAndConst) {
  const Grammar grammar = grammar_of(R"({"enum": ["a", "ab", 1, 12, null, [1, {"x": "é"}]]})");
  for (const char* text : {R"("a")", R"("ab")", "1", "12", "null", R"([1,{"x":"é"}])"}) {
    EXPECT_TRUE(takes(grammar, text)) << text;
  }
  for (const char* text : {R"("b")", R"("abc")", "2", "122", "true"})
    EXPECT_FALSE(takes(grammar, text)) << text;
  EXPECT_TRUE(takes(R"({"const": "x"})", R"("x")"));
  EXPECT_TRUE(takes(R"({"type": "integer", "enum": ["a", 1, 2.5]})", "1"));
  EXPECT_FALSE(takes(R"({"type": "integer", "enum": ["a", 1, 2.5]})", "2.5"));
  EXPECT_FALSE(takes(R"({"type": "integer", "enum": ["a", 1, 2.5]})", R"("a")"));
}

TEST(Schema, TypesAndAnyOf) {
  EXPECT_TRUE(takes(R"({"type": ["string", "null"]})", "null"));
  EXPECT_TRUE(takes(R"({"type": ["string", "null"]})", R"("x")"));
  EXPECT_FALSE(takes(R"({"type": ["string", "null"]})", "1"));
  EXPECT_TRUE(takes(R"({"type": "number"})", "-12.5e3"));
  EXPECT_FALSE(takes(R"({"type": "integer"})", "12.5"));
  EXPECT_TRUE(takes("{}", R"({"a":[1]})"));
  EXPECT_TRUE(takes("true", "false"));
  // Two objects that begin alike.
  const Grammar grammar = grammar_of(R"({"anyOf": [
    {"type": "object", "properties": {"k": {"const": "a"}, "n": {"type": "integer"}}, "required": ["k", "n"]},
    {"type": "object", "properties": {"k": {"type": "string"}, "t": {"type": "string"}}, "required": ["k"]}]})");
  EXPECT_TRUE(takes(grammar, R"({"k": "a", "n": 1})"));
  EXPECT_TRUE(takes(grammar, R"({"k": "a", "t": ""})"));
  EXPECT_TRUE(takes(grammar, R"({"k": "b"})"));
  EXPECT_FALSE(takes(grammar, R"({"k": "b", "n": 1})"));
}

TEST(Schema, IntegerBounds) {
  for (int least = -120; least <= 120; least += 7) {
    for (int most = least; most <= 1200; most += 1 + (most - least) / 2) {
      const Grammar grammar =
          grammar_of(fmt::format(R"({{"type": "integer", "minimum": {}, "maximum": {}}})", least, most));
      for (int value = -130; value <= 1300; value += 1 + (value > 130 ? 7 : 0)) {
        ASSERT_EQ(takes(grammar, std::to_string(value)), least <= value && value <= most)
            << least << " " << value << " " << most;
      }
      ASSERT_FALSE(takes(grammar, "007"));
    }
  }
  EXPECT_TRUE(takes(R"({"type": "integer", "minimum": 5})", "999999999999999999"));
  EXPECT_FALSE(takes(R"({"type": "integer", "minimum": 5})", "4"));
  EXPECT_TRUE(takes(R"({"type": "integer", "exclusiveMaximum": 5})", "-999999999999999999"));
  EXPECT_FALSE(takes(R"({"type": "integer", "exclusiveMaximum": 5})", "5"));
  EXPECT_TRUE(takes(R"({"type": "integer", "exclusiveMaximum": 5.5})", "5"));
  EXPECT_FALSE(takes(R"({"type": "integer", "exclusiveMinimum": 0})", "0"));
  EXPECT_FALSE(takes(R"({"type": "integer", "minimum": 0.5})", "0"));
  EXPECT_TRUE(takes(R"({"type": "integer", "maximum": 1e300})", "7"));
  expect_refusal(R"({"type": "integer", "minimum": 2, "maximum": 1})", {"minimum", "maximum"});
  expect_refusal(R"({"type": "integer", "minimum": 2e18})", {"minimum"});
  expect_refusal(R"({"type": "integer", "maximum": -18446744073709551615})", {"maximum"});
  expect_refusal(R"({"type": "integer", "minimum": 18446744073709551615})", {"minimum"});
  const char* last = R"({"type": "integer", "exclusiveMaximum": 999999999999999999})";
  EXPECT_TRUE(takes(last, "999999999999999998"));
  EXPECT_FALSE(takes(last, "999999999999999999"));
  expect_refusal(R"({"type": "integer", "minimum": "2"})", {"minimum"});
}

TEST(Schema, NumberBounds) {
  const char* share = R"({"type": "number", "minimum": 0, "exclusiveMaximum": 1})";
  for (const char* text : {"0", "0.0", "0.5", "0.99999999999999", "-0"})
    EXPECT_TRUE(takes(share, text)) << text;
  for (const char* text : {"1", "1.0", "-0.1", "0.", "1e-1", "00", "0.999999999999999", "2", "10"}) {
    EXPECT_FALSE(takes(share, text)) << text;
  }
  const char* around = R"({"type": "number", "minimum": -12.25, "maximum": 3.5})";
  for (const char* text : {"-12.25", "-12.250", "-12", "-3", "3.5", "3.499", "0", "-0.001", "-12.2499"}) {
    EXPECT_TRUE(takes(around, text)) << text;
  }
  for (const char* text : {"-12.2501", "-12.26", "-13", "3.51", "3.6", "4", "12", "100", "-100"}) {
    EXPECT_FALSE(takes(around, text)) << text;
  }
  EXPECT_TRUE(takes(R"({"exclusiveMinimum": 0})", "0.00000000000001"));
  EXPECT_FALSE(takes(R"({"exclusiveMinimum": 0})", "0.000"));
  EXPECT_FALSE(takes(R"({"exclusiveMinimum": 0})", "-0"));
  EXPECT_TRUE(takes(R"({"minimum": -1e300})", "-999999999999999"));
  EXPECT_TRUE(takes(R"({"exclusiveMinimum": 1e-300})", "0.00000000000001"));
  // Every bound, against doubles.
  for (const double least : {-10.5, -1.0, -0.25, 0.0, 0.1, 2.75, 9.99}) {
    for (const double most : {-0.3, 0.2, 3.0, 10.01, 100.0}) {
      if (least > most) continue;
      const Grammar grammar = grammar_of(
          fmt::format(R"({{"type": "number", "exclusiveMinimum": {}, "maximum": {}}})", least, most));
      for (int hundredths = -1200; hundredths <= 11000; hundredths += hundredths < 1200 ? 1 : 7) {
        const std::string text = fmt::format("{:.2f}", hundredths / 100.0);
        const double value = std::stod(text);
        ASSERT_EQ(takes(grammar, text), least < value && value <= most)
            << least << " " << text << " " << most;
      }
    }
  }
}

TEST(Schema, MultipleOf) {
  for (const int step : {1, 2, 5, 7, 10, 12, 97, 1000}) {
    const Grammar grammar = grammar_of(fmt::format(R"({{"type": "integer", "multipleOf": {}}})", step));
    for (int value = -300; value < 3000; ++value) {
      ASSERT_EQ(takes(grammar, std::to_string(value)), value % step == 0) << value << " " << step;
    }
  }
  const char* cents = R"({"type": "number", "multipleOf": 0.01, "minimum": 0})";
  for (const char* text : {"0", "1", "1.1", "1.23", "0.07"}) EXPECT_TRUE(takes(cents, text)) << text;
  for (const char* text : {"0.001", "1.230", "-1"}) EXPECT_FALSE(takes(cents, text)) << text;
  const char* quarters = R"({"type": "number", "multipleOf": 0.25})";
  for (const char* text : {"0.25", "0.5", "-7.75", "3", "1.50"}) EXPECT_TRUE(takes(quarters, text)) << text;
  for (const char* text : {"0.3", "0.26", "1.1"}) EXPECT_FALSE(takes(quarters, text)) << text;
  const char* halves = R"({"type": "integer", "multipleOf": 1.5})";
  EXPECT_TRUE(takes(halves, "3"));
  EXPECT_FALSE(takes(halves, "2"));
  EXPECT_FALSE(takes(halves, "1.5"));
}

// Every character has one writing in a string of a pattern or format.
TEST(Schema, Patterns) {
  const char* code = R"({"type": "string", "pattern": "^[A-Z]{3}-\\d+$", "maxLength": 6})";
  EXPECT_TRUE(takes(code, R"("ABC-12")"));
  for (const char* text : {R"("ABC-")", R"("ABC-123")", R"("ABD-1\u0031")", R"("xABC-1")", "ABC-1"}) {
    EXPECT_FALSE(takes(code, text)) << text;
  }
  const char* any = R"({"pattern": "^[^a]*$"})";
  for (const char* text :
       {R"("")", R"("\"\\/\n\u0001\u001f")", "\"\x7F é€😀\"", "\"\xED\x9F\xBF\xEE\x80\x80\""}) {
    EXPECT_TRUE(takes(any, text)) << text;
    EXPECT_TRUE(nlohmann::json::accept(std::string_view(text))) << text;
  }
  for (const char* text :
       {R"("a")", R"("\u0061")", R"("\/")", R"("\u000a")", R"("\u00e9")", "\"\n\"", "\"\xED\xA0\x80\"",
        "\"\xC0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xC3\"", R"("\u001F")"}) {
    EXPECT_FALSE(takes(any, text)) << text;
  }
  const char* ranges = R"({"pattern": "^[\\u00e9-\\u07fe\\u0901-\\ud7ff\\u{1F601}-\\u{10FFFF}]$"})";
  for (const char* text :
       {"\"\u00e9\"", "\"\u07fe\"", "\"\u0901\"", "\"€\"", "\"\U0001F601\"", "\"\U0010FFFF\""}) {
    EXPECT_TRUE(takes(ranges, text)) << text;
  }
  for (const char* text :
       {"\"\u00e8\"", "\"\u07ff\"", "\"\u0900\"", "\"\uE000\"", "\"\U0001F600\"", "\"a\""}) {
    EXPECT_FALSE(takes(ranges, text)) << text;
  }
  const char* both = R"({"type": "string", "format": "date", "pattern": "^2024-02"})";
  EXPECT_TRUE(takes(both, R"("2024-02-29")"));
  EXPECT_FALSE(takes(both, R"("2024-03-01")"));
  EXPECT_TRUE(takes(R"({"pattern": "b", "minLength": 2})", R"("ab")"));
  EXPECT_FALSE(takes(R"({"pattern": "b", "minLength": 2})", R"("b")"));
  EXPECT_TRUE(takes(R"({"type": ["null", "string"], "format": "uuid"})", "null"));
  // Lengths that a text has anyway, and larger than it will be made.
  EXPECT_TRUE(takes(R"({"format": "email", "maxLength": 320})", R"("a.b@mail.example.org")"));
  EXPECT_FALSE(takes(R"({"format": "email", "maxLength": 10})", R"("a.b@mail.example.org")"));
  EXPECT_TRUE(takes(R"({"format": "uri", "minLength": 1, "maxLength": 2083})", R"("https://example.org/a")"));
  EXPECT_TRUE(takes(R"({"pattern": "^a*$", "minLength": 600, "maxLength": 2000})",
                    '"' + std::string(600, 'a') + '"'));
  EXPECT_FALSE(takes(R"({"pattern": "^a*$", "minLength": 600, "maxLength": 2000})",
                     '"' + std::string(599, 'a') + '"'));
}

TEST(Schema, OneOf) {
  const Grammar pets =
      grammar_of(R"({"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}, {"type": "null"}],
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}}, "$defs": {
    "Cat": {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind"]},
    "Dog": {"type": "object", "properties": {"kind": {"enum": ["dog", "wolf"]}, "age": {"type": "number"}},
      "required": ["kind", "age"]}}})");
  EXPECT_TRUE(takes(pets, R"({"kind": "cat", "lives": 9})"));
  EXPECT_TRUE(takes(pets, R"({"kind": "wolf", "age": 1.5})"));
  EXPECT_TRUE(takes(pets, "null"));
  EXPECT_FALSE(takes(pets, R"({"kind": "cat", "age": 9})"));
  // What a discriminator names is always there, so that defaults do no harm.
  const Grammar defaults =
      grammar_of(R"({"discriminator": {"propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/A"},
    {"type": "object", "properties": {"kind": {"const": "b"}}}], "$defs": {"A": {"type": "object", "properties": {
    "kind": {"const": "a", "default": "a"}, "next": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}}}})");
  EXPECT_TRUE(takes(defaults, R"({"kind": "a"})"));
  EXPECT_TRUE(takes(defaults, R"({"kind": "a", "next": {}})"));
  EXPECT_TRUE(takes(defaults, R"({"kind": "b"})"));
  EXPECT_FALSE(takes(defaults, "{}"));
  auto one_of = [](std::string_view a, std::string_view b) {
    return fmt::format(R"({{"oneOf": [{}, {}]}})", a, b);
  };
  const std::vector<std::pair<const char*, const char*>> disjoint = {
      {R"({"type": "string"})", R"({"type": ["integer", "null"]})"},
      {R"({"type": "integer"})", R"({"const": 1.5})"},
      {R"({"enum": ["a", "b"]})", R"({"enum": ["c", 1]})"},
      {R"({"anyOf": [{"type": "string"}, {"type": "null"}]})", R"({"type": "array"})"},
      // Nested, and one that requires what the other lets not in.
      {R"({"type": "object", "properties": {"a": {"type": "object", "properties": {"k": {"const": 1}}, "required": ["k"]}}, "required": ["a"]})",
       R"({"type": "object", "properties": {"a": {"type": "object", "properties": {"k": {"const": 2}}}}})"},
      {R"({"type": "object", "properties": {"a": {}}, "required": ["a"]})",
       R"({"type": "object", "properties": {"b": {}}, "additionalProperties": false})"}};
  for (const auto& [a, b] : disjoint) {
    EXPECT_NO_THROW(grammar_of(one_of(a, b))) << a;
    EXPECT_NO_THROW(grammar_of(one_of(b, a))) << a;
  }
  const std::vector<std::pair<const char*, const char*>> overlapping = {
      {R"({"type": "number"})", R"({"type": "integer"})"},
      {R"({"enum": [1]})", R"({"enum": [1.0]})"},
      {R"({"const": {"a": 1, "b": 2}})", R"({"const": {"b": 2, "a": 1}})"},
      {R"({"minimum": 1})", R"({"type": "string"})"},  // whose first takes any string
      {"{}", R"({"type": "string"})"},
      {R"({"type": "object", "properties": {"k": {"const": 1}}})",
       R"({"type": "object", "properties": {"k": {"const": 2}}})"},
      {R"({"type": "object", "properties": {"a": {}}, "required": ["a"]})",
       R"({"type": "object", "properties": {"b": {}}})"},
      {R"({"$ref": "#"})", R"({"type": "string"})"}};
  for (const auto& [a, b] : overlapping) {
    expect_refusal(one_of(a, b), {"oneOf", "alternatives 0 and 1", "anyOf"});
    expect_refusal(one_of(b, a), {"oneOf", "alternatives 0 and 1"});
  }
}

TEST(Schema, PrefixItems) {
  const char* pair =
      R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2})";
  EXPECT_TRUE(takes(pair, R"([1, "a"])"));
  for (const char* text : {"[]", "[1]", R"(["a", 1])", R"([1, "a", 1])"})
    EXPECT_FALSE(takes(pair, text)) << text;
  const char* then = R"({"prefixItems": [{"type": "integer"}], "items": {"type": "null"}})";
  for (const char* text : {"[]", "[1]", "[1,null,null]"}) EXPECT_TRUE(takes(then, text)) << text;
  EXPECT_FALSE(takes(then, "[null]"));
  EXPECT_FALSE(takes(then, "[1,1]"));
  const char* closed = R"({"prefixItems": [{"type": "integer"}, {"type": "null"}], "items": false})";
  for (const char* text : {"[]", "[1]", "[1,null]"}) EXPECT_TRUE(takes(closed, text)) << text;
  EXPECT_FALSE(takes(closed, "[1,null,1]"));
}

TEST(Schema, FurtherProperties) {
  const char* open = R"({"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "null"}},
    "required": ["a"], "additionalProperties": {"type": "boolean"}})";
  for (const char* text : {R"({"a":1})", R"({"a":1,"ab":null,"b":true, "abc": false})",
                           R"({"a":1,"":true,"é":true,"\"":true})"}) {
    EXPECT_TRUE(takes(open, text)) << text;
  }
  for (const char* text : {R"({"b":true})", R"({"a":1,"a":true})", R"({"a":1,"ab":true})",
                           R"({"a":1,"\u0061":true})", R"({"a":1,"b":1})", R"({"a":1,"b":true,"ab":null})"}) {
    EXPECT_FALSE(takes(open, text)) << text;
  }
  EXPECT_TRUE(takes(R"({"properties": {"a": {}}, "additionalProperties": true})", R"({"b": [1]})"));
  const char* map =
      R"({"type": "object", "propertyNames": {"pattern": "^[a-z]{1,3}$"}, "additionalProperties":
    {"type": "integer"}, "minProperties": 1, "maxProperties": 2})";
  for (const char* text : {R"({"a":1})", R"({"abc":1, "d":2})"}) EXPECT_TRUE(takes(map, text)) << text;
  for (const char* text : {"{}", R"({"abcd":1})", R"({"a":1,"b":2,"c":3})"})
    EXPECT_FALSE(takes(map, text)) << text;
  const char* some =
      R"({"properties": {"a": {"const": 1}, "b": {"const": 2}}, "minProperties": 1, "maxProperties": 2})";
  EXPECT_TRUE(takes(some, R"({"b":2})"));
  EXPECT_FALSE(takes(some, "{}"));
}

TEST(Schema, AnnotationsSayNothing) {
  EXPECT_TRUE(takes(
      R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x", "title": "T", "description": "d",
    "default": 1, "examples": [1], "deprecated": false, "readOnly": true, "$comment": "c", "type": "integer"})",
      "7"));
}

TEST(Schema, References) {
  const Grammar list = grammar_of(R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"], "additionalProperties": false}}})");
  EXPECT_TRUE(takes(list, R"({"value": 1, "next": {"value": 2, "next": null}})"));
  EXPECT_FALSE(takes(list, R"({"value": 1})"));
  const Grammar tree = grammar_of(R"({"type": "object", "properties": {"children": {"type": "array", "items":
    {"$ref": "#"}}}, "required": ["children"], "additionalProperties": false})");
  EXPECT_TRUE(takes(tree, R"({"children": [{"children": []}, {"children": [{"children": []}]}]})"));
  EXPECT_TRUE(takes(R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "null"));
  EXPECT_TRUE(takes(R"({"allOf": [{"$ref": "#/$defs/a~1b"}], "$defs": {"a/b": {"const": 1}}})", "1"));
}

TEST(Schema, RefusesByNameAndPlace) {
  expect_refusal(R"({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}})",
                 {"'#/properties/a'", "'uniqueItems'"});
  expect_refusal(R"({"anyOf": [{}, {"type": "number", "minimum": "1"}]})", {"'#/anyOf/1'", "minimum"});
  expect_refusal(R"-({"pattern": "a(?=b)"})-", {"'a(?=b)'", "looks ahead", "character 5"});
  expect_refusal(R"({"pattern": 1})", {"pattern"});
  expect_refusal(R"({"type": "string", "format": "colour"})", {"'colour'", "date-time", "uuid"});
  expect_refusal(R"({"type": "integer", "format": "int32"})", {"'int32'"});
  expect_refusal(R"({"pattern": "^a$", "minLength": 2})", {"no string"});
  expect_refusal(R"({"minimum": 1, "maximum": 0.5})", {"minimum", "maximum"});
  expect_refusal(R"({"multipleOf": 0})", {"multipleOf"});
  expect_refusal(R"({"multipleOf": 12.345})", {"multipleOf", "1000"});
  expect_refusal(R"({"anyOf": [{}], "type": "string"})", {"'type' beside 'anyOf'"});
  expect_refusal(R"({"$ref": "#/$defs/none"})", {"#/$defs/none"});
  expect_refusal(R"({"$ref": "http://x/y"})", {"http://x/y"});
  expect_refusal(R"({"type": "object", "required": ["a"]})", {"'a'"});
  expect_refusal(R"({"properties": {"a": {}}, "minProperties": 2})", {"minProperties"});
  expect_refusal(R"({"properties": {"a": {}, "b": {}}, "maxProperties": 1})", {"maxProperties"});
  expect_refusal(R"({"type": "object", "minProperties": 2})", {"minProperties"});
  expect_refusal(R"({"type": "object", "propertyNames": {"type": "integer"}})",
                 {"#/propertyNames", "string"});
  expect_refusal(R"({"type": "object", "patternProperties": {}})", {"patternProperties"});
  expect_refusal(R"({"type": "array", "prefixItems": [{}], "items": false, "minItems": 2})", {"minItems"});
  expect_refusal(R"({"type": "text"})", {"type"});
  expect_refusal(R"({"type": "array", "minItems": 3, "maxItems": 2})", {"maxItems"});
  expect_refusal(R"({"type": "array", "minItems": -1})", {"minItems"});
  expect_refusal(R"({"type": "string", "maxLength": 65536})", {"too large"});
  expect_refusal(R"({"enum": []})", {"enum"});
  expect_refusal(R"({"properties": {"a": false}})", {"#/properties/a"});
  expect_refusal("[]", {"object"});
  expect_refusal("{", {"JSON"});
  expect_refusal(R"({"$ref": "#"})", {"no finite text"});
  expect_refusal(R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})",
                 {"no finite text"});
  expect_refusal(std::string(kSchemaBytesMax + 1, ' '), {"bytes"});
  std::string nested = "{}";
  for (int i = 0; i < 70; ++i) nested = R"({"items": )" + nested + "}";
  expect_refusal(nested, {"nested"});
}

// Goes as deep as it may; what is required further down is still reached.
TEST(Schema, TheDepthLimitIsNeverADeadEnd) {
  for (const char* start : {"a", "b", "c"}) {  // so that the limit comes at each
    const Grammar grammar = grammar_of(fmt::format(R"({{"$ref": "#/$defs/{}", "$defs": {{
      "a": {{"type": "array", "minItems": 1, "maxItems": 1, "items": {{"$ref": "#/$defs/b"}}}},
      "b": {{"type": "array", "minItems": 1, "maxItems": 1, "items": {{"$ref": "#/$defs/c"}}}},
      "c": {{"type": "array", "minItems": 2, "maxItems": 2, "items": {{"anyOf": [{{"type": "null"}},
        {{"$ref": "#/$defs/a"}}]}}}}}}}})",
                                                   start));
    Matcher matcher(grammar);
    std::string text;
    while (text.size() < 300) {  // a tree of 2^20 leaves: the first way down and up is enough
      const std::string_view choices = "[nul,]";
      const auto taken = std::find_if(choices.begin(), choices.end(),
                                      [&](char byte) { return matcher.accept(static_cast<uint8_t>(byte)); });
      ASSERT_NE(taken, choices.end()) << text;
      text += *taken;
    }
    EXPECT_GT(text.find("null"), 50u);
  }
}

// A call is not made where what follows it could not be finished.
TEST(Matcher, WhatFollowsACallMustFitTheDepth) {
  GrammarBuilder builder;
  const StateId end = builder.add_final_state();
  const StateId before_end = builder.add_state();
  builder.take(before_end, 'z', end);
  StateId deep = builder.add_state();  // needs 50 calls
  builder.take(deep, 'd', end);
  for (int i = 0; i < 50; ++i) {
    const StateId outer = builder.add_state();
    builder.call(outer, deep, before_end);
    deep = outer;
  }
  const StateId letter = builder.add_state();
  builder.take(letter, "ab", end);
  const StateId start = builder.add_state();
  builder.take_and_call(start, '[', '[', start, before_end);
  builder.take(start, 'x', end);
  builder.call(start, letter, deep);
  const Grammar grammar = builder.build(start);
  for (const int depth : {10, 14, 15, 30}) {
    Matcher matcher(grammar);
    ASSERT_TRUE(matcher.accept(std::string(depth, '[')));
    ASSERT_TRUE(Matcher(matcher).accept("x" + std::string(depth, 'z')));
    EXPECT_EQ(matcher.accept('a'), depth <= 14) << depth;
    if (depth > 14) continue;
    EXPECT_TRUE(matcher.accept("bd" + std::string(50 + depth, 'z')));
  }
}

// 2^20 ways to read the text, of which kReadingsMax are kept.
TEST(Schema, AmbiguityIsBounded) {
  const Grammar grammar = grammar_of(R"({"anyOf": [{"const": 1},
    {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}, {"type": "array", "items": {"$ref": "#"}}]})");
  Matcher matcher(grammar);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(matcher.accept("["));
  EXPECT_LE(matcher.readings().words.size(), kReadingsMax * (kDepthMax + 2));
  ASSERT_TRUE(matcher.accept("1" + std::string(20, ']')));
  EXPECT_TRUE(matcher.can_finish());
}

}  // namespace
}  // namespace lockstep::grammar
