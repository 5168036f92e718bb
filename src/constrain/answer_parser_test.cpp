#include "constrain/answer_parser.h"

#include <gtest/gtest.h>

#include "constrain/answer_walk.h"

namespace lockstep::constrain {
namespace {

using Parts = std::vector<AnswerPart>;
constexpr auto kContent = AnswerPart::Kind::Content;
constexpr auto kCall = AnswerPart::Kind::Call;
constexpr auto kArguments = AnswerPart::Kind::Arguments;

const CallFormat& format(std::string_view name) {
  for (const CallFormat& one : call_formats()) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no such format");
}

// Read whole, byte by byte, and in two pieces cut at every place: all the same.
Parts parse(const CallFormat& format, const AnswerRules& rules, std::string_view text) {
  auto in_pieces = [&](size_t cut, size_t piece) {
    AnswerParser parser(format, rules);
    Parts parts;
    parser.push(text.substr(0, cut), parts);
    for (size_t at = cut; at < text.size(); at += piece) parser.push(text.substr(at, piece), parts);
    parser.finish(parts);
    return parts;
  };
  const Parts whole = in_pieces(0, text.size() + 1);
  EXPECT_EQ(in_pieces(0, 1), whole);
  for (size_t cut = 1; cut < text.size(); ++cut) EXPECT_EQ(in_pieces(cut, text.size()), whole) << cut;
  return whole;
}

const AnswerRules kText = {.tools = walk_tools()};

TEST(AnswerParser, Hermes) {
  const std::string call =
      "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"b\": \"}\\\"<tool_call>\"}}\n</tool_call>";
  const Parts one = {{kContent, "See: <b> "}, {kCall, "get"}, {kArguments, "{\"b\": \"}\\\"<tool_call>\"}"}};
  EXPECT_EQ(parse(hermes_format(), kText, "See: <b> " + call), one);
  Parts two = one;
  two.insert(two.end(), one.begin() + 1, one.end());
  EXPECT_EQ(parse(hermes_format(), kText, "See: <b> " + call + "\n" + call), two);
}

TEST(AnswerParser, OtherFormats) {
  const Parts two = {{kCall, "get_more"}, {kArguments, "{}"}, {kCall, "x"}, {kArguments, R"({"a": [{}]})"}};
  const Parts one = {{kCall, "x"}, {kArguments, R"({"a": [{}]})"}};
  for (const char* begin : {"", "<|python_tag|>"}) {
    const std::string text = std::string(begin) + R"({"name": "x", "parameters": {"a": [{}]}})";
    EXPECT_EQ(parse(format("llama"), kText, text), one);
  }
  EXPECT_EQ(
      parse(
          format("mistral"), kText,
          R"([TOOL_CALLS][{"name": "get_more", "arguments": {}}, {"name": "x", "arguments": {"a": [{}]}}])"),
      two);
  EXPECT_EQ(
      parse(format("mistral-args"), kText, R"([TOOL_CALLS]get_more[ARGS]{}[TOOL_CALLS]x[ARGS]{"a": [{}]})"),
      two);
}

TEST(AnswerParser, TextThatIsNoCall) {
  const AnswerRules json = {.content = ContentKind::Json, .tools = walk_tools()};
  for (const char* text : {"", "Hello", "<tool_cal", "{\"name\": \"", "{\"name", "a [TOOL_CALL"}) {
    for (const CallFormat& one : call_formats()) {
      if (std::string_view(text).starts_with(opening(one)) && can_be_bare(one, kText)) continue;
      const Parts content = *text == 0 ? Parts{} : Parts{{kContent, text}};
      EXPECT_EQ(parse(one, kText, text), content) << one.name;
      EXPECT_EQ(parse(one, json, text), content) << one.name;
      EXPECT_EQ(parse(one, {}, text), content) << one.name;
    }
  }
  // Where none may be called, and inside JSON.
  const std::string call = "<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>";
  EXPECT_EQ(parse(hermes_format(), {}, call), (Parts{{kContent, call}}));
  EXPECT_EQ(parse(hermes_format(), json, "{\"a\": \"" + call + "\"}"),
            (Parts{{kContent, "{\"a\": \"" + call + "\"}"}}));
}

TEST(AnswerParser, CallsThatAreCutOff) {
  const std::string call = "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"b\": \"x\"}}\n</tool_call>";
  for (size_t end = 0; end <= call.size(); ++end) {
    const Parts parts = parse(hermes_format(), kText, call.substr(0, end));
    if (end < 11) {
      const Parts content = {{kContent, call.substr(0, end)}};
      EXPECT_EQ(parts, end == 0 ? Parts{} : content);
    } else if (end <= call.find("\", \"arg")) {
      EXPECT_EQ(parts, Parts{}) << end;
    } else {
      ASSERT_FALSE(parts.empty());
      EXPECT_EQ(parts[0], (AnswerPart{kCall, "get"}));
      if (parts.size() == 1) continue;
      EXPECT_TRUE(std::string_view("{\"b\": \"x\"}").starts_with(parts[1].text));
    }
  }
}

TEST(AnswerParser, WhatBreaksACallIsContent) {
  EXPECT_EQ(parse(hermes_format(), kText, "<tool_call>hello"), (Parts{{kContent, "hello"}}));
  EXPECT_EQ(parse(hermes_format(), kText, "<tool_call>\n{\"name\": \"get\", \"arguments\": []}"),
            (Parts{{kCall, "get"}, {kContent, "[]}"}}));
}

}  // namespace
}  // namespace lockstep::constrain
