#include "server/chat/chat_request.h"

#include <gtest/gtest.h>

#include <string>

#include "server/api_error.h"

namespace lockstep::server {
namespace {

// A request with one message and these further fields.
ChatRequest parse(const std::string& fields) {
  return parse_chat_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" +
                            (fields.empty() ? "" : "," + fields) + "}");
}

// The message of the error that a body is refused with, which must be a 400.
std::string refusal(const std::string& body) {
  try {
    parse_chat_request(body);
  } catch (const ApiError& error) {
    EXPECT_EQ(400u, error.status()) << body;
    return error.what();
  }
  return "taken: " + body;
}
std::string refusal_of_field(const std::string& fields) {
  return refusal(R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + fields + "}");
}
std::string refusal_of_message(const std::string& message) {
  return refusal(R"({"model":"m","messages":[)" + message + "]}");
}

TEST(ChatRequest, DefaultsAreOpenAis) {
  const ChatRequest request = parse("");
  EXPECT_EQ("m", request.model);
  ASSERT_EQ(1u, request.messages.size());
  EXPECT_EQ("user", request.messages[0].role);
  EXPECT_EQ("hi", request.messages[0].content);
  EXPECT_EQ(1.0f, request.generation.sampling.temperature);
  EXPECT_EQ(1.0f, request.generation.sampling.top_p);
  EXPECT_EQ(0u, request.generation.tokens_max);
  EXPECT_EQ(1u, request.choices);
  EXPECT_FALSE(request.stream.stream);
  EXPECT_FALSE(request.generation.top_logprobs.has_value());
}

TEST(ChatRequest, EveryFieldArrives) {
  const ChatRequest request = parse(
      R"("temperature":0.5,"top_p":0.25,"seed":7,"max_tokens":3,"stop":["a","b"],"n":2,"logprobs":true,)"
      R"("top_logprobs":4,"logit_bias":{"42":-1.5},"frequency_penalty":0.125,"presence_penalty":-2,)"
      R"("top_k":9,"min_p":0.0625,"repetition_penalty":1.5,"ignore_eos":true,"service_tier":"auto",)"
      R"("stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true})");
  const engine::Request& generation = request.generation;
  EXPECT_EQ(0.5f, generation.sampling.temperature);
  EXPECT_EQ(0.25f, generation.sampling.top_p);
  EXPECT_EQ(7u, generation.sampling.seed);
  EXPECT_EQ(3u, generation.tokens_max);
  EXPECT_EQ((std::vector<std::string>{"a", "b"}), generation.stop);
  EXPECT_EQ(2u, request.choices);
  EXPECT_EQ(4u, generation.top_logprobs);
  EXPECT_EQ((std::vector<std::pair<int32_t, float>>{{42, -1.5f}}), generation.sampling.logit_bias);
  EXPECT_EQ(0.125f, generation.sampling.frequency_penalty);
  EXPECT_EQ(-2.0f, generation.sampling.presence_penalty);
  EXPECT_EQ(9, generation.sampling.top_k);
  EXPECT_EQ(0.0625f, generation.sampling.min_p);
  EXPECT_EQ(1.5f, generation.sampling.repetition_penalty);
  EXPECT_TRUE(generation.ignore_end);
  EXPECT_EQ("auto", request.service_tier);
  EXPECT_TRUE(request.stream.stream && request.stream.usage_at_end && request.stream.usage_always);
}

TEST(ChatRequest, TheNewerNameOfTheTokenLimitWins) {
  EXPECT_EQ(5u, parse(R"("max_tokens":3,"max_completion_tokens":5)").generation.tokens_max);
}

TEST(ChatRequest, SeedsOfAllIntegersAndNewOnes) {
  EXPECT_EQ(~uint64_t{0}, parse(R"("seed":-1)").generation.sampling.seed);
  EXPECT_EQ(~uint64_t{0}, parse(R"("seed":18446744073709551615)").generation.sampling.seed);
  EXPECT_NE(parse("").generation.sampling.seed, parse("").generation.sampling.seed);
}

// Clients send many fields that say nothing.
TEST(ChatRequest, FieldsThatSayNothingAreTaken) {
  parse(R"("stop":[],"tools":[],"tool_choice":"none","functions":null,"logit_bias":null,"store":false,)"
        R"("user":"u","metadata":{},"response_format":{"type":"text"},"reasoning_effort":"none","n":null,)"
        R"("parallel_tool_calls":true,"top_logprobs":0)");
  parse_chat_request(
      R"({"model":"m","messages":[{"role":"assistant","content":"a","refusal":null,"tool_calls":null,)"
      R"("annotations":[],"name":null}]})");
}

TEST(ChatRequest, PartsAreJoinedAndDevelopersAreTheSystem) {
  const ChatRequest request = parse_chat_request(
      R"({"model":"m","messages":[{"role":"developer","content":"s"},)"
      R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  EXPECT_EQ("system", request.messages[0].role);
  EXPECT_EQ("ab", request.messages[1].content);
}

TEST(ChatRequest, ErrorsNameTheField) {
  EXPECT_EQ("'temperature' : value must be a number", refusal_of_field(R"("temperature":"hot")"));
  EXPECT_EQ("'temperature' : value must be a number from 0 to 2", refusal_of_field(R"("temperature":2.5)"));
  EXPECT_EQ("'max_tokens' : value must be an integer", refusal_of_field(R"("max_tokens":1.5)"));
  EXPECT_EQ("'n' : value must be an integer from 1 to 128", refusal_of_field(R"("n":0)"));
  EXPECT_EQ("'n' : value must be an integer from 1 to 128", refusal_of_field(R"("n":18446744073709551615)"));
  EXPECT_EQ("'stream' : value must be true or false", refusal_of_field(R"("stream":1)"));
  EXPECT_EQ("'top_logprobs' : it needs 'logprobs' to be true", refusal_of_field(R"("top_logprobs":1)"));
  EXPECT_EQ("'stream_options' : it needs 'stream' to be true", refusal_of_field(R"("stream_options":{})"));
  EXPECT_EQ("'logit_bias' : every name must be a token id, such as \"42\"",
            refusal_of_field(R"("logit_bias":{"foo":0})"));
  EXPECT_EQ("'tools.0.function' : property 'function' is missing",
            refusal_of_field(R"("tools":[{"type":"function"}])"));
  EXPECT_EQ("property 'temprature' is unsupported, did you mean 'temperature'?",
            refusal_of_field(R"("temprature":1)"));
  EXPECT_EQ("property 'zzz' is unsupported", refusal_of_field(R"("zzz":1)"));
}

TEST(ChatRequest, WhatTheEngineGoesThroughIsBounded) {
  EXPECT_EQ("'stop' : a string has 1025 bytes; up to 1024 are possible",
            refusal_of_field(fmt::format(R"("stop":["{}"])", std::string(1025, 'a'))));
  std::string stops = R"("a")", biases = R"("0":1)";
  for (int i = 1; i <= 16; ++i) stops += R"(,"a")";
  for (int i = 1; i <= 1024; ++i) biases += fmt::format(R"(,"{}":1)", i);
  EXPECT_EQ("'stop' : 17 strings were given; up to 16 are possible",
            refusal_of_field(fmt::format(R"("stop":[{}])", stops)));
  EXPECT_EQ("'logit_bias' : 1025 tokens were given; up to 1024 are possible",
            refusal_of_field(fmt::format(R"("logit_bias":{{{}}})", biases)));
}

TEST(ChatRequest, ResultsOfCallsMayTellTheirName) {
  const ChatRequest request = parse_chat_request(
      R"({"model":"m","messages":[{"role":"user","content":"hi"},)"
      R"({"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},)"
      R"({"role":"function","name":"f","content":"1"},)"
      R"({"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"g","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"a","name":"g","content":"2"}]})");
  ASSERT_EQ(5u, request.messages.size());
  EXPECT_EQ("tool", request.messages[2].role);
  EXPECT_EQ("f", request.messages[2].name);
  EXPECT_EQ("2", request.messages[4].content);
  EXPECT_EQ("'messages.0.name' : the chat template has no place for a name; leave it out",
            refusal_of_message(R"({"role":"user","content":"a","name":"b"})"));
}

TEST(ChatRequest, ErrorsOfMessagesNameTheirPlace) {
  EXPECT_EQ("'messages.0.role' : property 'role' is missing", refusal_of_message(R"({"content":"a"})"));
  EXPECT_EQ("'messages.0.content' : property 'content' is missing", refusal_of_message(R"({"role":"user"})"));
  EXPECT_EQ("'messages.0' : value must be an object", refusal_of_message("3"));
  EXPECT_EQ("'messages.0.content.0.type' : only parts of type 'text' are supported",
            refusal_of_message(R"({"role":"user","content":[{"type":"image_url"}]})"));
  EXPECT_EQ("'messages.0' : property 'foo' is unsupported",
            refusal_of_message(R"({"role":"user","content":"a","foo":1})"));
  EXPECT_EQ("'messages' : value must be an array of at least one message",
            refusal(R"({"model":"m","messages":[]})"));
}

TEST(ChatRequest, BodiesThatAreNoRequest) {
  EXPECT_EQ("the body must be a JSON object", refusal("[]"));
  EXPECT_EQ("the body is no valid JSON: look at byte 1", refusal(""));
  EXPECT_EQ("the body is no valid JSON: look at byte 3", refusal("{\"\xff\"}"));
  EXPECT_EQ("the body's JSON is nested more than 64 deep", refusal(std::string(100000, '[')));
  EXPECT_EQ("the body has a number that is too large for JSON's readers",
            refusal_of_field(R"("temperature":1e999)"));
  EXPECT_EQ("'model' : property 'model' is missing", refusal("{}"));
}

}  // namespace
}  // namespace lockstep::server
