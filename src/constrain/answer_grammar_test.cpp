#include "constrain/answer_grammar.h"

#include <gtest/gtest.h>

#include "constrain/answer_walk.h"

namespace lockstep::constrain {
namespace {

bool takes(const CallFormat& format, const AnswerRules& rules, std::string_view text) {
  const AnswerGrammar answer = answer_grammar(format, rules);
  grammar::Matcher matcher(answer.grammar);
  return matcher.accept(text) && matcher.can_finish();
}

const CallFormat& format(std::string_view name) {
  for (const CallFormat& one : call_formats()) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no such format");
}

TEST(AnswerGrammar, TakesTheModelsOwnForms) {
  const AnswerRules rules = {.tools = walk_tools()};
  const char* const kHermes =
      "Let me see.\n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"b\": \"}\"}}\n</tool_call>";
  EXPECT_TRUE(takes(hermes_format(), rules, kHermes));
  EXPECT_TRUE(takes(hermes_format(), rules, std::string(kHermes) + std::string(kHermes).substr(11)));
  EXPECT_FALSE(takes(hermes_format(), rules, std::string(kHermes) + " "));
  EXPECT_TRUE(takes(hermes_format(), rules, "<tool <<tool_cal"));
  EXPECT_FALSE(takes(hermes_format(), rules, "<<tool_call>"));
  const char* const kBare = R"({"name": "get_more", "parameters": {}})";
  EXPECT_TRUE(takes(format("llama"), rules, kBare));
  EXPECT_FALSE(takes(format("llama"), rules, std::string(kBare) + "; " + kBare));
  EXPECT_TRUE(takes(format("llama"), rules, std::string("<|python_tag|>") + kBare));
  EXPECT_TRUE(takes(format("llama"), rules, R"({"named": 1} is some JSON)"));
  EXPECT_FALSE(takes(format("llama"), rules, R"({"name": "get_other"})"));
  EXPECT_TRUE(takes(
      format("mistral"), rules,
      R"([TOOL_CALLS][{"name": "get_more", "arguments": {}}, {"name": "any-thing", "arguments": {"a":[]}}])"));
  EXPECT_TRUE(takes(format("mistral-args"), rules,
                    R"([TOOL_CALLS]get_more[ARGS]{}[TOOL_CALLS]any-thing[ARGS]{"a": 1})"));
}

TEST(AnswerGrammar, CallsAreRequiredForbiddenOrSingle) {
  AnswerRules rules = {.content = ContentKind::Absent, .tools = walk_tools(), .one_call = true};
  const std::string call = "<tool_call>\n{\"name\": \"get_more\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(takes(hermes_format(), rules, call));
  EXPECT_FALSE(takes(hermes_format(), rules, call + "\n" + call));
  EXPECT_FALSE(takes(hermes_format(), rules, "Hello"));
  EXPECT_FALSE(takes(hermes_format(), rules, ""));
  rules.one_call = false;
  EXPECT_TRUE(takes(hermes_format(), rules, call + "\n" + call));
  rules = {};
  EXPECT_TRUE(takes(hermes_format(), rules, "Hello <tool_call"));
  EXPECT_FALSE(takes(hermes_format(), rules, call));
}

TEST(AnswerGrammar, JsonThatLooksLikeACall) {
  AnswerRules rules = {.content = ContentKind::Json, .tools = walk_tools()};
  const char* const kBare = R"({"name": "get_more", "parameters": {}})";
  EXPECT_TRUE(takes(format("llama"), rules, kBare));
  EXPECT_FALSE(takes(format("llama"), rules, std::string(kBare) + "; " + kBare));
  EXPECT_TRUE(takes(format("llama"), rules, std::string("<|python_tag|>") + kBare));
}

TEST(CallFormat, IsFoundByTheTemplate) {
  auto name = [](std::string_view source) {
    const CallFormat* found = format_of_template(source);
    return found == nullptr ? "" : found->name;
  };
  EXPECT_EQ(name("{{ tools }}{{ '<tool_call>' }}"), "hermes");
  EXPECT_EQ(name("{{ tools }} <|start_header_id|> {\"name\": n, \"parameters\": p}"), "llama");
  EXPECT_EQ(name("{{ tools }}{{ '[TOOL_CALLS] [' }}"), "mistral");
  EXPECT_EQ(name("{{ tools }}{{ '[TOOL_CALLS]' ~ n ~ '[ARGS]' }}"), "mistral-args");
  EXPECT_EQ(name("{{ tools }}<|tool_call|>"), "granite");
  EXPECT_EQ(name("{{ messages }}<tool_call>"), "");
  EXPECT_EQ(name("{{ tools }} Action: call"), "");
}

}  // namespace
}  // namespace lockstep::constrain
