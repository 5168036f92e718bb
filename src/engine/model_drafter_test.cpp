#include "engine/model_drafter.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "engine/token_target.h"

namespace lockstep::engine {
namespace {

// The request's next token, from scratch.
int32_t true_token(const std::vector<int32_t>& tokens, const numerics::SamplingParameters& sampling,
                   uint32_t choice, uint32_t prompt_size) {
  numerics::TokenCounts counts;
  for (size_t i = 0; i < tokens.size(); ++i) {
    ++counts.seen[tokens[i]];
    if (i >= prompt_size) ++counts.generated[tokens[i]];
  }
  std::vector<float> logits = logits_after(tokens);
  return numerics::Sampler().sample(logits, sampling, counts, static_cast<uint32_t>(tokens.size()), choice);
}

std::vector<int32_t> true_draft(std::vector<int32_t> tokens, const numerics::SamplingParameters& sampling,
                                uint32_t choice, uint32_t prompt_size, size_t count) {
  const auto size = static_cast<std::ptrdiff_t>(tokens.size());
  while (count-- > 0) tokens.push_back(true_token(tokens, sampling, choice, prompt_size));
  return {tokens.begin() + size, tokens.end()};
}

struct Case {
  const char* name;
  numerics::SamplingParameters sampling;
};
std::vector<Case> cases() {
  std::vector<Case> all{{"greedy", {}}, {"warm", {}}, {"cut", {}}, {"penalties", {}}};
  for (size_t i = 1; i < all.size(); ++i) all[i].sampling.seed = i;
  all[1].sampling.temperature = 0.8f;
  numerics::SamplingParameters& cut = all[2].sampling;
  cut.temperature = 1.5f;
  cut.top_k = 9;
  cut.top_p = 0.9f;
  cut.min_p = 0.1f;
  numerics::SamplingParameters& penalties = all[3].sampling;
  penalties.temperature = 1;
  penalties.repetition_penalty = 1.2f;
  penalties.frequency_penalty = 0.3f;
  penalties.presence_penalty = 0.4f;
  return all;
}

// Two sequences in turn on one model. What follows a draft is partly what it says and partly not, so that the
// drafter goes back; every draft must be what the same model gives from scratch.
TEST(ModelDrafter, DraftsWhatTheModelSaysWhateverWasRejected) {
  for (const Case& test : cases()) {
    std::mt19937 random(1);
    TokenTarget target(120, 60);
    DraftModel model(target);
    struct Sequence {
      std::vector<int32_t> tokens;
      uint32_t prompt_size;
      std::unique_ptr<ModelDrafter> drafter;
    };
    std::vector<Sequence> sequences(2);
    for (uint32_t s = 0; s < 2; ++s) {
      Sequence& sequence = sequences[s];
      sequence.prompt_size = 5 + 40 * s;  // the second takes several chunks
      for (uint32_t i = 0; i < sequence.prompt_size; ++i) {
        sequence.tokens.push_back(static_cast<int32_t>(random() % kTokenVocabulary));
      }
      sequence.drafter = std::make_unique<ModelDrafter>(model, test.sampling, s, sequence.prompt_size);
    }
    uint32_t drafts = 0;
    for (int step = 0; step < 200; ++step) {
      const uint32_t s = random() % 2;
      Sequence& sequence = sequences[s];
      std::vector<int32_t>& tokens = sequence.tokens;
      if (tokens.size() >= target.context()) continue;
      std::vector<int32_t> draft{-1};
      if (sequence.drafter->match(tokens) != 0 && random() % 4 != 0) {
        const uint32_t count = 1 + random() % 6;
        sequence.drafter->propose(tokens, count, draft);
        const size_t most = std::min<size_t>(count, target.context() - tokens.size() + 1);
        ASSERT_EQ(std::vector<int32_t>(draft.begin() + 1, draft.end()),
                  true_draft(tokens, test.sampling, s, sequence.prompt_size, most))
            << test.name << " step " << step;
        ++drafts;
      }
      const size_t accepted = random() % draft.size();
      tokens.insert(tokens.end(), draft.begin() + 1,
                    draft.begin() + 1 + static_cast<std::ptrdiff_t>(accepted));
      for (uint32_t others = 1 + random() % 3; others > 0; --others) {
        tokens.push_back(static_cast<int32_t>(random() % kTokenVocabulary));
      }
      if (tokens.size() > target.context()) tokens.resize(target.context());
    }
    EXPECT_GT(drafts, 20u);
  }
}

TEST(ModelDrafter, ComputesAcceptedDraftsOnce) {
  TokenTarget target(200, 60);
  DraftModel model(target);
  ModelDrafter drafter(model, {}, 0, 3);
  std::vector<int32_t> tokens{1, 2, 3};
  for (int step = 0; step < 10; ++step) {
    ASSERT_EQ(drafter.match(tokens), 1u);
    std::vector<int32_t> draft;
    drafter.propose(tokens, 4, draft);
    ASSERT_EQ(draft.size(), 4u);
    EXPECT_GT(drafter.token_s(), 0);
    tokens.insert(tokens.end(), draft.begin(), draft.end());
    tokens.push_back(9);
  }
  // The prompt, then four tokens a step, of which the last is not run with its draft, and the one after them.
  EXPECT_EQ(target.counters().rows, 3u + 3 + 9 * 5);
  EXPECT_EQ(target.counters().steps, 10u * 4);
}

TEST(ModelDrafter, TakesALongPromptInChunks) {
  TokenTarget target(200, 60);
  DraftModel model(target);
  ModelDrafter drafter(model, {}, 0, 50);
  const std::vector<int32_t> tokens(50, 4);
  std::vector<uint32_t> matches;
  for (int call = 0; call < 4; ++call) matches.push_back(drafter.match(tokens));
  EXPECT_EQ(matches, (std::vector<uint32_t>{0, 0, 1, 1}));
  EXPECT_EQ(target.counters().rows, 48u);
}

TEST(ModelDrafter, TakesOverWhatAnotherSequenceComputed) {
  TokenTarget target(200, 60);
  DraftModel model(target);
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 14; ++i) tokens.push_back(i);
  std::vector<int32_t> first, second;
  {
    ModelDrafter drafter(model, {}, 0, 14);
    ASSERT_EQ(drafter.match(tokens), 1u);
    drafter.propose(tokens, 3, first);
  }
  const uint64_t rows = target.counters().rows;
  ModelDrafter drafter(model, {}, 0, 14);
  ASSERT_EQ(drafter.match(tokens), 1u);
  drafter.propose(tokens, 3, second);
  EXPECT_EQ(second, first);
  EXPECT_EQ(target.counters().rows - rows, 3u) << "the prompt's last token and two of the draft";
}

TEST(ModelDrafter, HasNoDraftWithoutPages) {
  TokenTarget target(40, 5);
  DraftModel model(target);
  const std::vector<int32_t> tokens(30, 4);
  auto holder = std::make_unique<ModelDrafter>(model, numerics::SamplingParameters{}, 0, 30);
  std::vector<int32_t> draft;
  holder->match(tokens);
  ASSERT_EQ(holder->match(tokens), 1u);
  holder->propose(tokens, 2, draft);
  ASSERT_EQ(draft.size(), 2u);

  const std::vector<int32_t> others{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  ModelDrafter drafter(model, {}, 0, 10);
  draft.clear();
  if (drafter.match(others) != 0) drafter.propose(others, 2, draft);
  EXPECT_TRUE(draft.empty());
  holder.reset();
  ASSERT_EQ(drafter.match(others), 1u);
  drafter.propose(others, 2, draft);
  EXPECT_EQ(draft, true_draft(others, {}, 0, 10, 2));
}

TEST(ModelDrafter, StopsAfterARefusedValue) {
  TokenTarget target(40, 5);
  DraftModel model(target);
  ModelDrafter drafter(model, {}, 0, 2);
  const std::vector<int32_t> tokens{1, 2};
  ASSERT_EQ(drafter.match(tokens), 1u);
  target.refuse = true;
  std::vector<int32_t> draft;
  drafter.propose(tokens, 2, draft);
  EXPECT_TRUE(draft.empty());
  target.refuse = false;
  EXPECT_EQ(drafter.match(tokens), 0u);
}

text::Vocabulary vocabulary(std::vector<std::string> tokens) {
  text::Vocabulary v;
  v.pre_tokenizer = "gpt-2";
  v.types.assign(tokens.size(), text::TokenType::Normal);
  v.tokens = std::move(tokens);
  return v;
}

std::string refusal_of(const text::Tokenizer& model, const text::Tokenizer& draft) {
  try {
    check_draft_vocabulary(model, "big.gguf", draft, "small.gguf");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    return error.what();
  }
  return "";
}

TEST(CheckDraftVocabulary, NamesTheFirstTokenThatDiffers) {
  const text::Tokenizer model(vocabulary({"a", "b", "c"}));
  EXPECT_EQ(refusal_of(model, text::Tokenizer(vocabulary({"a", "b", "c"}))), "");
  EXPECT_EQ(
      refusal_of(model, text::Tokenizer(vocabulary({"a", "\xc4\xa0x", "d"}))),
      "small.gguf cannot draft for big.gguf: token 1 is \" x\" in the one and \"b\" in the other; a draft "
      "model needs the same vocabulary");
  EXPECT_EQ(
      refusal_of(model, text::Tokenizer(vocabulary({"a", "b"}))),
      "small.gguf cannot draft for big.gguf: it has 2 tokens and not 3, token 2 is in one of them alone; a "
      "draft model needs the same vocabulary");
}

}  // namespace
}  // namespace lockstep::engine
