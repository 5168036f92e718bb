// Answers that must follow a schema, in the engine: with drafts, beside others, in too little memory.
#include <gtest/gtest.h>

#include <random>

#include "constrain/constraints.h"
#include "engine/engine.h"
#include "grammar/schema.h"
#include "small_model.h"
#include "targets/host/host_target.h"

namespace lockstep::tests {
namespace {

using engine::Event;
using engine::FinishReason;
using engine::Request;

Event finish(engine::Ticket& ticket, std::string& text) {
  while (true) {
    const Event event = ticket.poll(std::chrono::milliseconds(10000)).value();
    text += event.text;
    if (event.finished) return event;
  }
}

const nlohmann::ordered_json kSchema = grammar::read_schema(
    R"({"type": "object", "properties": {"city": {"type": "string", "maxLength": 6}, "warm": {"type": "boolean"},
        "days": {"type": "array", "items": {"enum": [1, 2, 3]}, "maxItems": 4}}, "required": ["city", "warm"]})");

class ConstrainedTest : public testing::Test {
 protected:
  ConstrainedTest()
      : model_(make_small_model()), constraints_(*model_->tokenizer, constrain::hermes_format()) {}

  Request request(uint64_t seed) {
    Request r;
    r.prompt = small_tokens(12);
    r.tokens_max = 200;
    r.sampling.temperature = 1.3f;
    r.sampling.seed = seed;
    r.constraint = constraints_.maker({.content = constrain::ContentKind::Json, .schema = kSchema});
    return r;
  }

  // The answers to all seeds at once.
  std::vector<Event> answers(const engine::BatchOptions& options, uint32_t positions, uint32_t count,
                             std::vector<std::string>& texts) {
    const auto target = targets::host::load(model_->compiled.program, {"", 2, 256, positions});
    engine::Engine engine(*target, *model_->tokenizer, model_->graph.vocabulary, options);
    std::vector<std::shared_ptr<engine::Ticket>> tickets;
    for (uint64_t seed = 0; seed < count; ++seed) tickets.push_back(engine.submit(request(seed)));
    std::vector<Event> events;
    texts.assign(count, "");
    for (uint32_t i = 0; i < count; ++i) events.push_back(finish(*tickets[i], texts[i]));
    return events;
  }

  std::unique_ptr<SmallModel> model_;
  constrain::Constraints constraints_;
};

TEST_F(ConstrainedTest, FinishedAnswersFollowTheSchemaWhateverTheDrafts) {
  constexpr uint32_t kCount = 12;
  std::vector<std::string> texts;
  const std::vector<Event> plain = answers({.drafts_max = 0}, 4096, kCount, texts);
  const grammar::Grammar grammar = grammar::schema_grammar(kSchema);
  for (uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(plain[i].reason, FinishReason::Stop) << texts[i];
    grammar::Matcher matcher(grammar);
    EXPECT_TRUE(matcher.accept(texts[i]) && matcher.can_finish()) << texts[i];
    EXPECT_TRUE(nlohmann::json::accept(texts[i])) << texts[i];
  }
  for (const uint32_t drafts : {0u, 1u, 7u}) {  // 0: as many as pay
    for (const uint32_t positions : {512u, 4096u}) {
      std::vector<std::string> again;
      const std::vector<Event> drafted = answers({.drafts_fixed = drafts}, positions, kCount, again);
      EXPECT_EQ(again, texts);
      uint32_t taken = 0;
      for (uint32_t i = 0; i < kCount; ++i) {
        EXPECT_EQ(drafted[i].tokens, plain[i].tokens);
        EXPECT_EQ(drafted[i].digest, plain[i].digest);
        taken += drafted[i].drafts_taken;
      }
      if (drafts == 7 && positions == 4096) {
        EXPECT_GT(taken, 10 * kCount);  // names of properties are forced
      }
    }
  }
}

TEST_F(ConstrainedTest, AnswersThatAreCutOffSaySo) {
  const auto target = targets::host::load(model_->compiled.program, {"", 1, 256});
  engine::Engine engine(*target, *model_->tokenizer, model_->graph.vocabulary);
  Request r = request(1);
  r.tokens_max = 9;
  std::string text;
  EXPECT_EQ(finish(*engine.submit(r), text).reason, FinishReason::Length);
  EXPECT_EQ(text.size(), 9u);
  EXPECT_TRUE(text.starts_with("{")) << text;
  r.ignore_end = true;
  EXPECT_THROW(engine.submit(r), Error);
}

TEST_F(ConstrainedTest, LikeliestTokensFollowTheSchemaToo) {
  const auto target = targets::host::load(model_->compiled.program, {"", 1, 256});
  engine::Engine engine(*target, *model_->tokenizer, model_->graph.vocabulary);
  Request r = request(1);
  r.sampling.temperature = 0;
  std::string text;
  const Event event = finish(*engine.submit(r), text);
  const grammar::Grammar grammar = grammar::schema_grammar(kSchema);
  grammar::Matcher matcher(grammar);
  EXPECT_TRUE(matcher.accept(text)) << text;
  EXPECT_EQ(matcher.can_finish(), event.reason == FinishReason::Stop);
}

// Is seldom ready in time.
class Slow : public engine::TokenConstraint {
 public:
  Slow(std::unique_ptr<engine::TokenConstraint> rules, uint32_t seed)
      : rules_(std::move(rules)), random_(seed) {}

  void prepare(std::span<const int32_t> draft) override { rules_->prepare(draft); }
  bool ready(std::chrono::microseconds) override { return random_() % 4 == 0; }
  std::span<const uint64_t> allowed() override { return rules_->allowed(); }
  void accept(int32_t token) override { rules_->accept(token); }
  std::span<const int32_t> forced() override { return rules_->forced(); }
  bool is_free() const override { return rules_->is_free(); }

 private:
  const std::unique_ptr<engine::TokenConstraint> rules_;
  std::mt19937 random_;
};

TEST_F(ConstrainedTest, NobodyWaitsForRulesThatAreSlow) {
  constexpr uint32_t kCount = 8;
  std::vector<std::string> texts;
  const std::vector<Event> expected = answers({.drafts_max = 0}, 4096, kCount, texts);
  for (const uint32_t drafts : {0u, 5u}) {
    const auto target = targets::host::load(model_->compiled.program, {"", 2, 256, 4096});
    engine::Engine engine(*target, *model_->tokenizer, model_->graph.vocabulary, {.drafts_fixed = drafts});
    std::vector<std::shared_ptr<engine::Ticket>> tickets;
    for (uint32_t i = 0; i < kCount; ++i) {
      Request r = request(i);
      if (i % 2 == 1) {
        r.constraint = [rules = r.constraint, i] { return std::make_unique<Slow>(rules(), i); };
      }
      tickets.push_back(engine.submit(r));
    }
    for (uint32_t i = 0; i < kCount; ++i) {
      std::string text;
      const Event event = finish(*tickets[i], text);
      EXPECT_EQ(text, texts[i]);
      EXPECT_EQ(event.digest, expected[i].digest);
      EXPECT_EQ(event.timing.token_s.size() + 1, event.tokens.size());
    }
  }
}

// What allows nothing.
class Nothing : public engine::TokenConstraint {
 public:
  void prepare(std::span<const int32_t>) override {}
  bool ready(std::chrono::microseconds) override { return true; }
  std::span<const uint64_t> allowed() override { return words_; }
  void accept(int32_t) override {}
  std::span<const int32_t> forced() override { return {}; }
  bool is_free() const override { return false; }

 private:
  std::vector<uint64_t> words_ = {0, 0};
};

TEST_F(ConstrainedTest, AnAnswerThatCanNotGoOnFailsAlone) {
  const auto target = targets::host::load(model_->compiled.program, {"", 1, 256});
  engine::Engine engine(*target, *model_->tokenizer, model_->graph.vocabulary);
  Request r = request(1);
  r.constraint = [] { return std::make_unique<Nothing>(); };
  const auto nothing = engine.submit(r);
  const auto good = engine.submit(request(2));
  std::string text;
  EXPECT_EQ(finish(*nothing, text).reason, FinishReason::Failed);
  EXPECT_EQ(text, "");
  EXPECT_EQ(finish(*good, text).reason, FinishReason::Stop);
}

}  // namespace
}  // namespace lockstep::tests
