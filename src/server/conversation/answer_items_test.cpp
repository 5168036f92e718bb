#include "server/conversation/answer_items.h"

#include <gtest/gtest.h>

#include "constrain/answer_walk.h"

namespace lockstep::server {
namespace {

using constrain::AnswerRules;
using constrain::ContentKind;

constexpr const char* kCall = "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"b\":\"}\"}}\n</tool_call>";

AnswerRules rules_of(ContentKind content) {
  return {.content = content, .tools = constrain::walk_tools()};
}

// "text" or "name(arguments)", by item, whatever the pieces that the answer comes in.
std::vector<std::string> told(const std::string& answer, const std::optional<AnswerRules>& rules) {
  std::vector<std::string> in_bytes, whole;
  for (auto* list : {&in_bytes, &whole}) {
    const size_t piece = list == &in_bytes ? 1 : answer.size() + 1;
    AnswerItems items(constrain::hermes_format(), rules);
    for (size_t i = 0; i < answer.size(); i += piece) items.push(answer.substr(i, piece), false);
    items.push("", true);
    for (const AnswerItem& item : items.list()) {
      list->push_back(item.is_call ? item.name + "(" + item.text + ")" : item.text);
    }
  }
  EXPECT_EQ(in_bytes, whole) << answer;
  return whole;
}

using List = std::vector<std::string>;

TEST(AnswerItems, ATextIsAllThereIs) {
  EXPECT_EQ(told("Hello\n", {}), List{"Hello\n"});
  EXPECT_EQ(told(" \nHello", {}), List{" \nHello"});
  EXPECT_EQ(told("", {}), List{""});
  EXPECT_EQ(told(" \n", {}), List{" \n"});
  EXPECT_EQ(told(kCall, {}), List{kCall});
}

TEST(AnswerItems, TextsAndCalls) {
  const AnswerRules rules = rules_of(ContentKind::Text);
  const std::string call = kCall;
  EXPECT_EQ(told("So:\n" + call, rules), (List{"So:\n", "get({\"b\":\"}\"})"}));
  EXPECT_EQ(told(call + "\n" + call, rules), (List{"get({\"b\":\"}\"})", "get({\"b\":\"}\"})"}));
  EXPECT_EQ(told(" \n" + call, rules), List{"get({\"b\":\"}\"})"});
  EXPECT_EQ(told(" \n" + call + "x", rules), (List{"get({\"b\":\"}\"})", "x"}));  // as no grammar has it
}

TEST(AnswerItems, CutOffAnswers) {
  EXPECT_EQ(told("<tool_ca", rules_of(ContentKind::Text)), List{"<tool_ca"});
  EXPECT_EQ(told("<tool_call>\n{\"name\": \"get\", \"arguments\": {\"b\":", rules_of(ContentKind::Text)),
            List{"get({\"b\":)"});
  EXPECT_EQ(told("<tool_ca", rules_of(ContentKind::Absent)), List{});
}

TEST(AnswerItems, TheTextsTogether) {
  AnswerItems items(constrain::hermes_format(), rules_of(ContentKind::Text));
  items.push("So:", false);
  items.push(kCall, true);
  EXPECT_EQ(items.text(), "So:");
  EXPECT_EQ(items.calls(), 1u);
  AnswerItems calls(constrain::hermes_format(), rules_of(ContentKind::Text));
  calls.push(kCall, true);
  EXPECT_EQ(calls.text(), std::nullopt);
}

}  // namespace
}  // namespace lockstep::server
