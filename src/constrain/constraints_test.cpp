// Answers made of allowed tokens at random are what the rules say, in every format.
#include "constrain/constraints.h"

#include <gtest/gtest.h>

#include "constrain/answer_parser.h"
#include "constrain/answer_walk.h"

namespace lockstep::constrain {
namespace {

struct Call {
  std::string name, arguments;
};

struct Parsed {
  std::string content;
  std::vector<Call> calls;
};

// Pushed in pieces of random length.
Parsed parse(const CallFormat& format, const AnswerRules& rules, const std::string& text,
             std::mt19937& random) {
  AnswerParser parser(format, rules);
  std::vector<AnswerPart> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t count = std::min<size_t>(1 + random() % 9, text.size() - at);
    parser.push(std::string_view(text).substr(at, count), parts);
    at += count;
  }
  parser.finish(parts);
  Parsed parsed;
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::Content) parsed.content += part.text;
    if (part.kind == AnswerPart::Kind::Call) parsed.calls.push_back({part.text, ""});
    if (part.kind == AnswerPart::Kind::Arguments) parsed.calls.back().arguments += part.text;
  }
  EXPECT_EQ(parser.calls(), parsed.calls.size());
  return parsed;
}

class ConstraintsTest : public testing::Test {
 protected:
  // Checks `walks` finished answers; returns how many of them had calls.
  int check(const CallFormat& format, const AnswerRules& rules, int walks) {
    Constraints constraints(tokenizer_, format);
    int with_calls = 0, finished = 0;
    for (int walk = 0; walk < walks; ++walk) {
      const auto constraint = constraints.maker(rules)();
      const WalkedAnswer answer = walk_answer(*constraint, tokenizer_, random_, 3000);
      finished += answer.finished;
      const Parsed parsed = parse(format, rules, answer.text, random_);
      with_calls += !parsed.calls.empty();
      if (answer.finished) check_answer(format, rules, parsed, answer.text);
    }
    EXPECT_GT(finished, walks / 2);
    return with_calls;
  }

  void check_answer(const CallFormat& format, const AnswerRules& rules, const Parsed& parsed,
                    const std::string& text) {
    SCOPED_TRACE(std::string(format.name) + ": " + text);
    for (const Call& call : parsed.calls) {
      const auto tool = std::find_if(rules.tools.begin(), rules.tools.end(),
                                     [&](const CallableTool& one) { return one.name == call.name; });
      ASSERT_NE(tool, rules.tools.end()) << call.name;
      EXPECT_TRUE(satisfies(tool->parameters, call.arguments)) << call.arguments;
    }
    if (rules.one_call) {
      EXPECT_LE(parsed.calls.size(), 1u);
    }
    if (rules.content == ContentKind::Absent) {
      EXPECT_FALSE(parsed.calls.empty());
    }
    if (rules.content != ContentKind::Text && !parsed.calls.empty()) {
      EXPECT_EQ(parsed.content, "");
    }
    if (rules.content == ContentKind::Json && parsed.calls.empty()) {
      EXPECT_TRUE(satisfies(rules.schema, parsed.content));
    }
    if (rules.content == ContentKind::Text) {
      EXPECT_EQ(parsed.content.find(format.begin), std::string::npos);
      if (parsed.calls.empty()) {
        EXPECT_EQ(parsed.content, text);
      }
    }
  }

  const text::Tokenizer tokenizer_{walk_vocabulary()};
  std::mt19937 random_{5};
};

TEST_F(ConstraintsTest, TextAndCallsInEveryFormat) {
  for (const CallFormat& format : call_formats()) {
    AnswerRules rules = {.tools = walk_tools()};
    EXPECT_GT(check(format, rules, 60), 12) << format.name;
    rules.one_call = true;
    EXPECT_GT(check(format, rules, 40), 8) << format.name;
    rules.tools.clear();
    EXPECT_EQ(check(format, rules, 20), 0) << format.name;
  }
}

TEST_F(ConstraintsTest, CallsAlone) {
  for (const CallFormat& format : call_formats()) {
    AnswerRules rules = {.content = ContentKind::Absent, .tools = walk_tools()};
    EXPECT_EQ(check(format, rules, 60), 60) << format.name;
    rules.one_call = true;
    rules.tools.erase(rules.tools.begin() + 1, rules.tools.end());
    check(format, rules, 40);
  }
}

TEST_F(ConstraintsTest, JsonOrCalls) {
  for (const CallFormat& format : call_formats()) {
    AnswerRules rules = {.content = ContentKind::Json};
    EXPECT_EQ(check(format, rules, 20), 0) << format.name;
    // What looks like a call, and has what begins one inside.
    rules.schema = grammar::read_schema(
        R"({"type": "object", "properties": {"name": {"enum": ["<tool_call>", "[TOOL_CALLS]", "<|python_tag|>"]},
            "parameters": {"type": "string", "maxLength": 3}}, "required": ["name", "parameters"]})");
    EXPECT_EQ(check(format, rules, 20), 0) << format.name;
    rules.tools = walk_tools();
    EXPECT_GT(check(format, rules, 40), 2) << format.name;
  }
}

TEST_F(ConstraintsTest, StopStringsCountInTextAlone) {
  Constraints constraints(tokenizer_, hermes_format());
  const auto constraint = constraints.maker({.tools = walk_tools()})();
  EXPECT_TRUE(constraint->is_free());
  for (const int32_t token : tokenizer_.encode("a <tool", text::SpecialTokens::Plain))
    constraint->accept(token);
  EXPECT_TRUE(constraint->is_free());
  for (const int32_t token : tokenizer_.encode("_call>", text::SpecialTokens::Plain))
    constraint->accept(token);
  EXPECT_FALSE(constraint->is_free());
}

TEST_F(ConstraintsTest, SpellsWhatIsForced) {
  Constraints constraints(tokenizer_, hermes_format());
  AnswerRules rules = {.content = ContentKind::Absent, .tools = walk_tools()};
  rules.tools.erase(rules.tools.begin());
  rules.tools.erase(rules.tools.begin());
  const auto constraint = constraints.maker(rules)();
  EXPECT_EQ(tokenizer_.decode(constraint->forced()),
            "<tool_call>\n{\"name\": \"any-thing\", \"arguments\": {");
  rules.content = ContentKind::Text;
  EXPECT_TRUE(constraints.maker(rules)()->forced().empty());
}

TEST_F(ConstraintsTest, NamesTheSchemaThatIsRefused) {
  Constraints constraints(tokenizer_, hermes_format());
  AnswerRules rules = {.tools = walk_tools()};
  for (const char* schema :
       {R"({"type": "object", "patternProperties": {}})",
        R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})"}) {
    rules.tools[1].parameters = grammar::read_schema(schema);
    try {
      constraints.maker(rules);
      ADD_FAILURE() << "taken: " << schema;
    } catch (const SchemaError& error) {
      EXPECT_EQ(error.place(), "tools.1");
    }
  }
}

TEST_F(ConstraintsTest, KeepsWhatWasMadeAndOutlivesItsMaker) {
  auto constraints = std::make_unique<Constraints>(tokenizer_, hermes_format());
  std::vector<std::unique_ptr<engine::TokenConstraint>> answers;
  for (int i = 0; i < 40; ++i) {
    AnswerRules rules = {.content = ContentKind::Json};
    rules.schema = grammar::read_schema(fmt::format(R"({{"type": "integer", "minimum": {}}})", i % 20));
    answers.push_back(constraints->maker(rules)());
  }
  constraints.reset();
  for (const auto& answer : answers) {
    EXPECT_TRUE(walk_answer(*answer, tokenizer_, random_, 500).finished);
  }
}

}  // namespace
}  // namespace lockstep::constrain
