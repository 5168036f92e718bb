#include "server/completions/token_texts.h"

#include <gtest/gtest.h>

#include "text/test_vocabularies.h"

namespace lockstep::server {
namespace {

using Offsets = std::vector<size_t>;

// What is told of a prompt and an answer, both tokens.
ReplyJson told_of(const text::Tokenizer& tokenizer, std::string_view echo, std::span<const int32_t> prompt,
                  std::span<const int32_t> answer) {
  TokenTexts texts(tokenizer);
  texts.begin_with(echo, prompt);
  std::vector<engine::TokenLogprob> logprobs;
  for (size_t i = 1; i < prompt.size(); ++i) logprobs.push_back({prompt[i], -1.0f, {}});
  for (const int32_t token : answer) logprobs.push_back({token, -2.0f, {{token, -2.0f}}});
  return texts.next(logprobs);
}

Offsets offsets(const ReplyJson& json) {
  return json["text_offset"].get<Offsets>();
}

TEST(TokenTexts, WithoutAPromptOffsetsBeginWithTheAnswer) {
  const text::Tokenizer tokenizer(text::make_bpe_vocabulary("gpt-2", {}));
  TokenTexts texts(tokenizer);
  const ReplyJson json = texts.next({{'a', -2.0f, {{'a', -2.0f}}}, {'b', -1.0f, {}}});
  EXPECT_EQ(offsets(json), (Offsets{0, 1}));
  EXPECT_EQ(json["tokens"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(json["top_logprobs"][0], (ReplyJson{{"a", -2.0f}}));
  EXPECT_EQ(offsets(texts.next({{'c', -1.0f, {}}})), (Offsets{2}));
}

TEST(TokenTexts, APromptsFirstTokenHasNoLogProbability) {
  const text::Tokenizer tokenizer(text::make_bpe_vocabulary("gpt-2", {}));
  const ReplyJson json =
      told_of(tokenizer, "xyz", std::vector<int32_t>{'x', 'y', 'z'}, std::vector<int32_t>{'a'});
  EXPECT_EQ(json["token_logprobs"], ReplyJson({nullptr, -1.0f, -1.0f, -2.0f}));
  EXPECT_TRUE(json["top_logprobs"][0].is_null());
  EXPECT_EQ(offsets(json), (Offsets{0, 1, 2, 3}));
}

TEST(TokenTexts, TheFirstTokenIsToldOnce) {
  const text::Tokenizer tokenizer(text::make_bpe_vocabulary("gpt-2", {}));
  TokenTexts texts(tokenizer);
  texts.begin_with("x", std::vector<int32_t>{'x'});
  EXPECT_EQ(texts.next({})["tokens"], (std::vector<std::string>{"x"}));
  EXPECT_TRUE(texts.next({})["tokens"].empty());
}

TEST(TokenTexts, CharactersOfSeveralTokensBeginWhereTheFirstDoes) {
  const text::Tokenizer tokenizer(text::make_bpe_vocabulary("gpt-2", {}));
  // U+00E9 is the bytes c3 a9.
  const std::vector<int32_t> prompt = {'a', 0xc3, 0xa9, 'b'};
  const ReplyJson json = told_of(tokenizer, "a\u00e9b", prompt, {});
  EXPECT_EQ(offsets(json), (Offsets{0, 1, 1, 2}));
  EXPECT_EQ(json["tokens"][1], "bytes:\\xc3");
}

TEST(TokenTexts, ABeginMarkAndTheSpaceInFrontTakeNoCharacter) {
  const text::Tokenizer tokenizer(text::make_spm_vocabulary({"\u2581ab", "c"}));
  const int32_t begin = 1, ab = 259, c = 260;
  const ReplyJson json =
      told_of(tokenizer, "abc", std::vector<int32_t>{begin, ab, c}, std::vector<int32_t>{c});
  EXPECT_EQ(offsets(json), (Offsets{0, 0, 2, 3}));
  // Written out in the prompt, or given as ids and silent.
  EXPECT_EQ(offsets(told_of(tokenizer, "c</s>c", std::vector<int32_t>{c, 2, c}, {})), (Offsets{0, 1, 5}));
  EXPECT_EQ(offsets(told_of(tokenizer, "cc", std::vector<int32_t>{c, 2, c}, {})), (Offsets{0, 1, 1}));
}

}  // namespace
}  // namespace lockstep::server
