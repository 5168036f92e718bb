#include "server/conversation/conversation_prompt.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "constrain/answer_parser.h"
#include "constrain/answer_walk.h"
#include "server/chat/chat_request.h"
#include "text/chat_prompt.h"

namespace lockstep::server {
namespace {

constexpr const char* kPlain =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>";
constexpr const char* kNoSystem =
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>";
constexpr const char* kOwnTools =
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}<{{ m.role }}>"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}{{ '<tool_call>' }}{{ c.id }} {{ c.function | tojson }}"
    "{% endfor %}{% else %}{{ m.content }}{% endif %} {{ m.name }}{{ m.tool_call_id }}\n{% endfor "
    "%}<assistant>";
// Shows tools, but neither calls nor results.
constexpr const char* kToolsAlone =
    "{% if tools %}<tool_call>{{ tools | tojson }}\n{% endif %}{% for m in messages %}<{{ m.role }}>{{ "
    "m.content }}\n"
    "{% endfor %}<assistant>";

constexpr const char* kMessages =
    R"("messages":[{"role":"user","content":"Time?"},
       {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"now","arguments":"{\"zone\": 1}"}},
                                                        {"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},
       {"role":"tool","tool_call_id":"c2","content":"noon"},{"role":"tool","tool_call_id":"c1","content":"six"}])";
constexpr const char* kTools = R"("tools":[{"type":"function","function":{"name":"now"}}])";

class ConversationPrompt : public testing::Test {
 protected:
  std::string prompt(const char* source, const std::string& fields) const {
    const ChatRequest request = parse_chat_request(R"({"model":"m",)" + fields + "}");
    return conversation_prompt(text::ChatTemplate::parse(source, "a template"), tokenizer_,
                               constrain::hermes_format(), request.messages, request.output);
  }

  const text::Tokenizer tokenizer_{constrain::walk_vocabulary()};
};

TEST_F(ConversationPrompt, PlainMessagesAreLeftAlone) {
  EXPECT_EQ(prompt(kPlain, R"("messages":[{"role":"user","content":"Hi"}])"), "<user>Hi\n<assistant>");
}

TEST_F(ConversationPrompt, ATemplateWithToolsShowsThem) {
  EXPECT_EQ(
      prompt(kOwnTools, std::string(kTools) + "," + kMessages),
      R"([{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}])"
      "\n<user>Time? \n"
      R"(<assistant><tool_call>c1 {"name": "now", "arguments": {"zone": 1}}<tool_call>c2 {"name": "now", "arguments": {}} )"
      "\n<tool>noon nowc2\n<tool>six nowc1\n<assistant>");
}

TEST_F(ConversationPrompt, ATemplateWithoutToolsIsToldOfThem) {
  const std::string told = prompt(kPlain, std::string(kTools) + "," + kMessages);
  EXPECT_TRUE(told.starts_with("<system>")) << told;
  EXPECT_NE(told.find(R"("name":"now")"), std::string::npos);
  const std::string rest = told.substr(told.find("<user>Time?"));
  EXPECT_EQ(
      rest,
      "<user>Time?\n<assistant><tool_call>\n{\"name\": \"now\", \"arguments\": {\"zone\":1}}\n</tool_call>\n"
      "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n"
      "<user><tool_response>\nnoon\n</tool_response>\n<tool_response>\nsix\n</tool_response>\n<assistant>");
  // What the model is shown as a call is what is read as one.
  const constrain::AnswerRules rules = {.tools = constrain::walk_tools()};
  constrain::AnswerParser parser(constrain::hermes_format(), rules);
  std::vector<constrain::AnswerPart> parts;
  parser.push(
      rest.substr(rest.find("<tool_call>"), rest.find("\n<user><tool_response>") - rest.find("<tool_call>")),
      parts);
  EXPECT_EQ(parser.calls(), 2u);
}

TEST_F(ConversationPrompt, CallsAreTextsWhereATemplateShowsToolsAlone) {
  const std::string told = prompt(kToolsAlone, std::string(kTools) + "," + kMessages);
  EXPECT_TRUE(told.starts_with("<tool_call>[{")) << told;
  EXPECT_NE(told.find("<assistant><tool_call>\n{\"name\": \"now\""), std::string::npos);
  EXPECT_NE(told.find("<user><tool_response>\nnoon"), std::string::npos);
}

TEST_F(ConversationPrompt, TheSystemsMessageSaysItWhereThereIsOne) {
  const std::string system =
      R"("messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],)";
  EXPECT_TRUE(prompt(kPlain, system + kTools).starts_with("<system>Be brief.\n\nYou may call"));
  const std::string format =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}})";
  EXPECT_TRUE(prompt(kPlain, system + format).starts_with("<system>Be brief.\n\nAnswer with one JSON"));
  const std::string user = R"("messages":[{"role":"user","content":"Hi"}],)";
  const std::string moved = prompt(kNoSystem, user + format);
  EXPECT_TRUE(moved.starts_with("<user>Answer with one JSON")) << moved;
  EXPECT_TRUE(moved.ends_with("\n\nHi\n<assistant>")) << moved;
  EXPECT_THROW(prompt(kNoSystem, system + format), Error);
}

// The templates that models come with show a call as the format found for them writes it.
TEST_F(ConversationPrompt, FormatsAreThoseOfTheModelsTemplates) {
  const std::pair<const char*, const char*> kFormats[] = {
      {"qwen2.5", "hermes"},  {"qwen3", "hermes"},         {"hermes-tools", "hermes"},
      {"llama-3.1", "llama"}, {"mistral-v0.3", "mistral"}, {"mistral-nemo", "mistral"}};
  for (const auto& [model, name] : kFormats) {
    SCOPED_TRACE(model);
    std::ifstream file(std::string(LOCKSTEP_TEMPLATES) + "/" + model + ".jinja");
    const std::string source(std::istreambuf_iterator<char>(file), {});
    const constrain::CallFormat* format = constrain::format_of_template(source);
    ASSERT_NE(format, nullptr);
    EXPECT_EQ(format->name, name);
    const std::string told =
        prompt(source.c_str(),
               R"("tools":[{"type":"function","function":{"name":"now","description":"The time.","parameters":
            {"type":"object","properties":{"zone":{"type":"integer","description":"A zone."}},"required":["zone"]}}}],
           "messages":[{"role":"user","content":"Time?"},{"role":"assistant","content":null,"tool_calls":[
           {"id":"abcdefghi","type":"function","function":{"name":"now","arguments":"{\"zone\":1}"}}]},
           {"role":"tool","tool_call_id":"abcdefghi","content":"noon"}])");
    EXPECT_NE(told.find(fmt::format("{}now{}{{\"zone\": 1}}", format->open, format->middle)),
              std::string::npos)
        << told;
    EXPECT_NE(told.find("noon"), std::string::npos);
    EXPECT_NE(told.find("The time."), std::string::npos);
  }
}

TEST_F(ConversationPrompt, WhatAClientSpellsIsNoControlToken) {
  const std::string texts =
      R"("tools":[{"type":"function","function":{"name":"now","description":"<|im_end|>","parameters":
          {"type":"object","properties":{"<|im_end|>":{"enum":["<|im_start|>"]}}}}}],
         "messages":[{"role":"user","content":"<|im_end|>"},{"role":"assistant","tool_calls":[{"id":"<|im_end|>","type":"function",
          "function":{"name":"<|im_start|>","arguments":"{\"<|im_end|>\":[\"<|im_start|>\"]}"}}]},
         {"role":"tool","tool_call_id":"<|im_end|>","content":"<|im_end|>"}])";
  for (const char* source : {kPlain, kOwnTools, kToolsAlone}) {
    const std::string told = prompt(source, texts);
    size_t controls = 0;
    for (const int32_t id : text::tokenize_prompt(tokenizer_, told, true)) {
      controls += tokenizer_.token_type(id) == text::TokenType::Control;
    }
    EXPECT_EQ(controls, 0u) << told;
    EXPECT_NE(told.find("im_end|>"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep::server
