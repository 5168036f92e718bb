#include "server/completions/completion_request.h"

#include <gtest/gtest.h>

#include <string>

#include "server/request_test.h"

namespace lockstep::server {
namespace {

using Tokens = std::vector<int32_t>;

std::string body_of(const std::string& fields) {
  return R"({"model":"m",)" + fields + "}";
}
CompletionRequest parse(const std::string& fields) {
  return parse_completion_request(body_of(fields));
}
std::string refusal(const std::string& fields) {
  return refusal_by(parse_completion_request, body_of(fields));
}

TEST(CompletionRequest, DefaultsAreOpenAis) {
  const CompletionRequest request = parse(R"("prompt":"a")");
  EXPECT_EQ(16u, request.generation.tokens_max);
  EXPECT_EQ(1.0f, request.generation.sampling.temperature);
  EXPECT_EQ(1u, request.choices);
  EXPECT_FALSE(request.echo || request.stream.stream || request.generation.top_logprobs.has_value());
}

TEST(CompletionRequest, EveryFieldArrives) {
  const CompletionRequest request =
      parse(R"("prompt":"a","max_tokens":3,"n":2,"best_of":2,"logprobs":0,"stop":"x","seed":4,"stream":true,)"
            R"("stream_options":{"include_usage":true},"user":"u","suffix":null,"echo":false)");
  EXPECT_EQ(3u, request.generation.tokens_max);
  EXPECT_EQ(2u, request.choices);
  EXPECT_EQ(0u, request.generation.top_logprobs);
  EXPECT_EQ(std::vector<std::string>{"x"}, request.generation.stop);
  EXPECT_EQ(4u, request.generation.sampling.seed);
  EXPECT_TRUE(request.stream.stream && request.stream.usage_at_end);
  EXPECT_TRUE(parse(R"("prompt":"a","echo":true)").echo);
}

TEST(CompletionRequest, LogProbabilitiesOfThePromptAndNoAnswer) {
  const auto generation = [](const std::string& fields) {
    return parse("\"prompt\":\"a\"," + fields).generation;
  };
  EXPECT_TRUE(generation(R"("echo":true,"logprobs":0)").prompt_logprobs);
  EXPECT_FALSE(generation(R"("echo":true)").prompt_logprobs);
  EXPECT_FALSE(generation(R"("logprobs":1)").prompt_logprobs);
  EXPECT_TRUE(generation(R"("max_tokens":0)").prompt_only);
  EXPECT_FALSE(generation(R"("max_tokens":0,"max_completion_tokens":1)").prompt_only);
  EXPECT_FALSE(generation(R"("max_tokens":1)").prompt_only);
}

TEST(CompletionRequest, PromptsOfAllForms) {
  EXPECT_EQ(std::vector<Prompt>{"a"}, parse(R"("prompt":"a")").prompts);
  EXPECT_EQ((std::vector<Prompt>{"a", "b"}), parse(R"("prompt":["a","b"])").prompts);
  EXPECT_EQ((std::vector<Prompt>{Tokens{1, 2}}), parse(R"("prompt":[1,2])").prompts);
  EXPECT_EQ((std::vector<Prompt>{Tokens{1, 2}, Tokens{3}}), parse(R"("prompt":[[1,2],[3]])").prompts);
}

TEST(CompletionRequest, ErrorsNameTheField) {
  EXPECT_EQ("'prompt' : property 'prompt' is missing", refusal(R"("n":1)"));
  const std::string forms =
      " : value must be a string, an array of strings, an array of token ids or an array of such arrays";
  EXPECT_EQ("'prompt'" + forms, refusal(R"("prompt":3)"));
  EXPECT_EQ("'prompt.1'" + forms, refusal(R"("prompt":["a",3])"));
  EXPECT_EQ("'prompt.1' : value must be a token id, from 0", refusal(R"("prompt":[1,-1])"));
  EXPECT_EQ("'prompt.0.0' : value must be a token id, from 0", refusal(R"("prompt":[[2147483648]])"));
  std::string many = "\"a\"";
  for (int i = 0; i < 2048; ++i) many += ",\"a\"";
  EXPECT_EQ("'prompt' : 2049 were given; up to 2048 are possible", refusal(R"("prompt":[)" + many + "]"));
  EXPECT_EQ("'logprobs' : value must be an integer from 0 to 5", refusal(R"("prompt":"a","logprobs":6)"));
  EXPECT_EQ("'best_of' : it must be as large as 'n': the likeliest of several texts are not chosen",
            refusal(R"("prompt":"a","best_of":2)"));
  EXPECT_EQ("'suffix' : text is not written in front of a suffix; leave it out",
            refusal(R"("prompt":"a","suffix":"b")"));
  EXPECT_EQ("property 'messages' is unsupported", refusal(R"("prompt":"a","messages":[])"));
}

}  // namespace
}  // namespace lockstep::server
