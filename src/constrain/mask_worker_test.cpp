// Slow masks cost their own answers' time alone. Also run under the thread sanitizer.
#include "constrain/mask_worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/stopwatch.h"
#include "constrain/answer_walk.h"
#include "constrain/constraints.h"

namespace lockstep::constrain {
namespace {

using std::chrono::microseconds;

// A name of quick masks, and a value that may be one of many kinds of texts: each of its masks takes long.
AnswerRules slow_rules() {
  const std::string name = "quick_masks";
  nlohmann::ordered_json texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back({{"type", "string"}, {"minLength", i / 20}, {"maxLength", 10 + i % 20}});
  }
  AnswerRules rules = {.content = ContentKind::Json};
  rules.schema = {{"type", "object"}, {"properties", {{name, {{"anyOf", texts}}}}}, {"required", {name}}};
  return rules;
}

AnswerRules quick_rules() {
  AnswerRules rules = {.content = ContentKind::Json};
  rules.schema = grammar::read_schema(R"({"type": "boolean"})");
  return rules;
}

// With long tokens of every printable character.
text::Vocabulary long_vocabulary() {
  text::Vocabulary vocabulary = walk_vocabulary();
  std::mt19937 random(1);
  for (int i = 0; i < 4000; ++i) {
    std::string token;
    for (int at = 0; at < 24; ++at) token += static_cast<char>('!' + random() % 94);
    vocabulary.tokens.push_back(token);
    vocabulary.types.push_back(text::TokenType::Normal);
  }
  return vocabulary;
}

class MaskWorkerTest : public testing::Test {
 protected:
  std::unique_ptr<engine::TokenConstraint> answer(const AnswerRules& rules) {
    return constraints_->maker(rules)();
  }
  // Takes the answer on, each of its masks worked out as in an engine.
  void write(engine::TokenConstraint& answer, std::string_view text) {
    for (const char byte : text) {
      answer.prepare({});
      while (!answer.ready(microseconds(100000)))
        ;
      answer.accept(tokenizer_.encode(std::string(1, byte), text::SpecialTokens::Plain).at(0));
    }
  }
  // Seconds until the answer's mask is there.
  static double wait(engine::TokenConstraint& answer) {
    const Stopwatch watch;
    answer.prepare({});
    while (!answer.ready(microseconds(1000)))
      ;
    return watch.seconds();
  }
  // Seconds that the mask of the slow value takes. What was worked out for it is not kept.
  double slow_s() {
    Constraints others(tokenizer_, hermes_format());
    const auto slow = others.maker(slow_rules())();
    write(*slow, kBefore);
    const double seconds = wait(*slow);
    EXPECT_GT(seconds, 0.02);
    return seconds;
  }

  // Expects that what gives its seconds takes less than half of `long_s`, in one of some tries with
  // constraints that know nothing yet: other work on the machine only prolongs them.
  template <class F>
  void expect_quick(double long_s, F&& seconds) {
    double least = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 8 && least >= long_s / 2; ++i) {
      constraints_ = std::make_unique<Constraints>(tokenizer_, hermes_format());
      least = std::min(least, seconds());
    }
    EXPECT_LT(least, long_s / 2);
  }

  static constexpr std::string_view kBefore = R"({"quick_masks": ")";
  const text::Tokenizer tokenizer_{long_vocabulary()};
  std::unique_ptr<Constraints> constraints_ = std::make_unique<Constraints>(tokenizer_, hermes_format());
};

TEST_F(MaskWorkerTest, AKnownMaskWaitsForNoSlowOneOfTheSameRules) {
  const double long_s = slow_s();
  expect_quick(long_s, [&] {
    const auto slow = answer(slow_rules());
    const auto other = answer(slow_rules());
    write(*slow, kBefore);
    slow->prepare({});
    const Stopwatch watch;
    for (const char byte : kBefore) {
      other->prepare({});
      EXPECT_TRUE(other->ready({}));
      EXPECT_FALSE(other->allowed().empty());
      other->accept(tokenizer_.encode(std::string(1, byte), text::SpecialTokens::Plain).at(0));
    }
    return watch.seconds();
  });
}

TEST_F(MaskWorkerTest, WhoAsksWorksOutOnlyWhatIsQuick) {
  const double long_s = slow_s();
  expect_quick(long_s, [&] {
    const auto slow = answer(slow_rules());
    write(*slow, kBefore);  // more than enough quick masks
    // Without prepare() too, as after a draft that was not taken.
    const Stopwatch watch;
    EXPECT_FALSE(slow->ready({}));
    return watch.seconds();
  });
}

TEST_F(MaskWorkerTest, AJustMadeMaskIsNotForgottenBeforeItsUse) {
  const double long_s = slow_s();
  expect_quick(long_s, [&] {
    const auto slow = answer(slow_rules());
    const auto other = answer(slow_rules());
    write(*slow, kBefore);
    wait(*slow);
    write(*other, kBefore);
    wait(*other);
    // A draft is prepared where the mask before it is known.
    const std::vector<int32_t> draft = {42, 42};
    slow->prepare(draft);
    EXPECT_TRUE(slow->ready({}));
    EXPECT_TRUE(slow->ready({}));
    const Stopwatch watch;
    EXPECT_FALSE(slow->allowed().empty());
    return watch.seconds();
  });
}

TEST_F(MaskWorkerTest, RulesTakeTurns) {
  const double long_s = slow_s();
  expect_quick(long_s, [&] {
    const auto slow = answer(slow_rules());
    write(*slow, kBefore);
    slow->prepare({});
    const double seconds = wait(*answer(quick_rules()));
    EXPECT_GT(wait(*slow), long_s / 8) << "was not slow";
    return seconds;
  });
}

TEST_F(MaskWorkerTest, AbandonedWorkEnds) {
  const double long_s = slow_s();
  const auto begin_slow = [&] {
    auto slow = answer(slow_rules());
    write(*slow, kBefore);
    slow->prepare({});
    std::this_thread::sleep_for(microseconds(3000));  // the worker has begun
    return slow;
  };
  expect_quick(long_s, [&] {
    for (int i = 0; i < 3; ++i) begin_slow();
    const auto next = answer(slow_rules());
    write(*next, "{");
    return wait(*next);
  });
  expect_quick(long_s, [&] {
    auto slow = begin_slow();
    const Stopwatch watch;
    slow.reset();
    constraints_.reset();
    return watch.seconds();
  });  // the destructor does not wait for the mask
}

TEST_F(MaskWorkerTest, WhatGoesWrongIsThrownToWhoAsks) {
  const std::vector<std::string> bytes = {"", "t", "r", "u", "e"};
  const auto tokens = std::make_shared<const TokenTable>(bytes, std::vector<int32_t>{0});
  AnswerGrammar grammar = answer_grammar(hermes_format(), quick_rules());
  const auto shared = std::make_shared<SharedMasks>(tokens, std::move(grammar));
  const grammar::Readings first = grammar::first_readings(shared->grammar());
  MaskJob job(shared, first, {});
  EXPECT_TRUE(job.run([]() -> bool { throw std::bad_alloc(); }));
  ASSERT_TRUE(job.has(0, {}));
  EXPECT_THROW(job.mask(0), std::bad_alloc);
  // And nothing else suffers.
  MaskJob again(shared, first, std::vector<int32_t>{1, 2, 1, 1});
  EXPECT_TRUE(again.run([] { return false; }));
  EXPECT_EQ(again.mask(0)->at(0), 0b00010u);
  EXPECT_EQ(again.mask(2)->at(0), 0b01000u);
  EXPECT_FALSE(again.has(3, {})) << "after what no text has";
}

TEST_F(MaskWorkerTest, AJobRunsUnlessItWasWithdrawn) {
  const auto tokens =
      std::make_shared<const TokenTable>(std::vector<std::string>{"", "t"}, std::vector<int32_t>{0});
  const auto shared = std::make_shared<SharedMasks>(tokens, answer_grammar(hermes_format(), quick_rules()));
  MaskJob begun(shared, grammar::first_readings(shared->grammar()), {});
  EXPECT_TRUE(begun.begin());
  EXPECT_TRUE(begun.begin());
  EXPECT_FALSE(begun.withdraw());
  MaskJob withdrawn(shared, grammar::first_readings(shared->grammar()), {});
  EXPECT_TRUE(withdrawn.withdraw());
  EXPECT_FALSE(withdrawn.begin());
}

}  // namespace
}  // namespace lockstep::constrain
