#include "grammar/token_masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/error.h"
#include "grammar/schema.h"

namespace lockstep::grammar {
namespace {

constexpr int32_t kEnd = 0;

// An end token, a token that no text holds, one for each byte, and pieces of JSON and of prose.
std::vector<std::string> vocabulary() {
  std::vector<std::string> tokens = {"", ""};
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  const std::vector<std::string> pieces = {
      "{\"",  "\":",  "\": ",  "\", \"", "\"}",   "},",       "}}",         "[[",  "]]",
      "],",   ", ",   "\n",    "\n  ",   "true",  "null",     "\\u",        "\\n", "12",
      ".5",   "e1",   "é",     "€",      "😀",     "abc",      " the",       "a\"", "name",
      "kind", "x\",", "\"a\"", "\"name", "\":\"", "\xE2\x82", "\x82\xAC\"", "a",   "\\\""};
  tokens.insert(tokens.end(), pieces.begin(), pieces.end());
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::string first = pieces[random() % pieces.size()];
    tokens.push_back(first + pieces[random() % pieces.size()]);
  }
  return tokens;
}

std::vector<uint64_t> tried_one_by_one(const Matcher& matcher, const std::vector<std::string>& tokens) {
  std::vector<uint64_t> bits((tokens.size() + 63) / 64);
  for (size_t id = 0; id < tokens.size(); ++id) {
    Matcher next = matcher;
    const bool may = id == kEnd ? matcher.can_finish() : !tokens[id].empty() && next.accept(tokens[id]);
    if (may) bits[id / 64] |= uint64_t{1} << (id % 64);
  }
  return bits;
}

// The part of JSON Schema that the grammars take, as a reader would check it.
bool satisfies(const nlohmann::json& value, const nlohmann::json& schema, const nlohmann::json& root) {
  if (schema == nlohmann::json(true)) return true;
  if (schema.contains("$ref")) {
    const std::string place = schema["$ref"].get<std::string>().substr(1);
    return satisfies(value, root.at(nlohmann::json::json_pointer(place)), root);
  }
  if (schema.contains("anyOf")) {
    return std::any_of(schema["anyOf"].begin(), schema["anyOf"].end(),
                       [&](const nlohmann::json& one) { return satisfies(value, one, root); });
  }
  if (schema.contains("const")) return value == schema["const"];
  if (schema.contains("enum")) {
    return std::find(schema["enum"].begin(), schema["enum"].end(), value) != schema["enum"].end();
  }
  const std::string type = schema.value("type", "");
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (!type.empty() && type != value.type_name()) return false;
  if (type == "string") {
    const std::string text = value.get<std::string>();
    const auto characters = static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
    return characters >= schema.value("minLength", size_t{0}) &&
           characters <= schema.value("maxLength", size_t{1} << 30);
  }
  if (type == "array") {
    return value.size() >= schema.value("minItems", size_t{0}) &&
           value.size() <= schema.value("maxItems", size_t{1} << 30) &&
           std::all_of(value.begin(), value.end(),
                       [&](const nlohmann::json& item) { return satisfies(item, schema["items"], root); });
  }
  if (type == "object" && schema.contains("properties")) {
    for (const auto& item : value.items()) {
      if (!schema["properties"].contains(item.key())) return false;
      if (!satisfies(item.value(), schema["properties"][item.key()], root)) return false;
    }
    for (const auto& name : schema["required"]) {
      if (!value.contains(name.get<std::string>())) return false;
    }
  }
  return true;
}

const char* const kSchemas[] = {
    R"({"type": "object"})",
    R"({"type": "object", "properties": {"name": {"type": "string"}, "kind": {"enum": ["a", "abc", "name"]},
        "size": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3}},
        "required": ["name", "size"], "additionalProperties": false})",
    R"({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 4}, "minItems": 2})",
    R"({"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}, "required": []},
        {"type": "number"}]})",
    R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"name": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["name", "next"]}}})",
};

// Picks allowed tokens at random; brute force agrees on the way, and the text satisfies the schema.
TEST(TokenMasks, RandomWalks) {
  const std::vector<std::string> tokens = vocabulary();
  const TokenTrie trie(tokens);
  std::mt19937 random(1);
  for (const char* text : kSchemas) {
    const nlohmann::ordered_json schema = read_schema(text);
    const Grammar grammar = schema_grammar(schema);
    TokenMasks masks(grammar, trie, {kEnd});
    for (int walk = 0; walk < 30; ++walk) {
      Matcher matcher(grammar);
      std::string written;
      for (int step = 0;; ++step) {
        const std::vector<uint64_t> mask = masks.allowed(matcher.readings()).value();
        if (random() % 8 == 0) {
          ASSERT_EQ(mask, tried_one_by_one(matcher, tokens)) << written;
        }
        std::vector<int32_t> ids;
        for (size_t id = 0; id < tokens.size(); ++id) {
          if (mask[id / 64] >> (id % 64) & 1) ids.push_back(static_cast<int32_t>(id));
        }
        ASSERT_FALSE(ids.empty()) << written;
        int32_t pick = ids[random() % ids.size()];
        if (step > 40) {  // towards the end: whatever closes, where something does
          if (ids[0] == kEnd) pick = kEnd;
          for (const char byte : std::string_view("\"}]")) {
            const int32_t id = 2 + static_cast<uint8_t>(byte);
            if (pick != kEnd && (mask[id / 64] >> (id % 64) & 1) && random() % 2 == 0) pick = id;
          }
        }
        if (pick == kEnd) break;
        ASSERT_TRUE(matcher.accept(tokens[pick]));
        written += tokens[pick];
        ASSERT_LT(step, 5000) << written;
      }
      const nlohmann::json value = nlohmann::json::parse(written, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << written;
      EXPECT_TRUE(satisfies(value, nlohmann::json(schema), nlohmann::json(schema))) << written << "\n"
                                                                                    << text;
    }
  }
}

TEST(TokenMasks, TheEndExactlyWhereTheTextMayEnd) {
  const std::vector<std::string> tokens = vocabulary();
  const TokenTrie trie(tokens);
  const Grammar grammar = schema_grammar(read_schema(R"({"type": "integer"})"));
  TokenMasks masks(grammar, trie, {kEnd, 1});
  Matcher matcher(grammar);
  EXPECT_EQ(masks.allowed(matcher.readings()).value()[0] & 3, 0u);
  ASSERT_TRUE(matcher.accept("12"));
  EXPECT_EQ(masks.allowed(matcher.readings()).value()[0] & 3, 3u);
  EXPECT_THROW(TokenMasks(grammar, trie, {static_cast<int32_t>(tokens.size())}), Error);
}

TEST(TokenMasks, WorkThatIsStoppedGoesOnWhereItWas) {
  const std::vector<std::string> tokens = vocabulary();
  const TokenTrie trie(tokens);
  for (const char* text : kSchemas) {
    const Grammar grammar = schema_grammar(read_schema(text));
    TokenMasks whole(grammar, trie, {kEnd}), stopped(grammar, trie, {kEnd});
    Matcher matcher(grammar);
    for (int place = 0; place < 3; ++place) {
      const std::vector<uint64_t> expected = whole.allowed(matcher.readings()).value();
      std::optional<std::vector<uint64_t>> mask;
      int steps = 0, calls = 0;
      for (; !mask; ++calls) {
        ASSERT_LT(calls, 5000);
        int left = 10;
        mask = stopped.allowed(matcher.readings(), [&] { return left-- == 0 || ++steps == 0; });
      }
      EXPECT_EQ(*mask, expected);
      EXPECT_LE(calls, steps / 10 + 1) << "what was worked out is worked out again";
      for (size_t id = 2; id < tokens.size(); ++id) {
        if ((expected[id / 64] >> (id % 64) & 1) && matcher.accept(tokens[id])) break;
      }
    }
  }
}

TEST(TokenMasks, EqualBytesAreEqualTokens) {
  const std::vector<std::string> tokens = {"", "1", "12", "1", "x", "12"};
  const TokenTrie trie(tokens);
  const Grammar grammar = schema_grammar(read_schema(R"({"type": "integer"})"));
  TokenMasks masks(grammar, trie, {0});
  EXPECT_EQ(masks.allowed(first_readings(grammar)).value()[0], 0b101110u);
}

TEST(Matcher, ARefusedByteChangesNothing) {
  const Grammar grammar = json_object_grammar();
  Matcher matcher(grammar);
  ASSERT_TRUE(matcher.accept("{\"a"));
  const Readings before = matcher.readings();
  EXPECT_FALSE(matcher.accept("b\"]"));
  EXPECT_EQ(matcher.readings(), before);
  Matcher copy = matcher;
  ASSERT_TRUE(copy.accept("\":1}"));
  EXPECT_TRUE(copy.can_finish());
  EXPECT_FALSE(matcher.can_finish());
}

}  // namespace
}  // namespace lockstep::grammar
