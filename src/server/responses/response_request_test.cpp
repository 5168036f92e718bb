#include "server/responses/response_request.h"

#include <gtest/gtest.h>

#include <string>

#include "server/request_test.h"

namespace lockstep::server {
namespace {

std::string body_of(const std::string& fields) {
  return R"({"model":"m",)" + fields + "}";
}
ResponseRequest parse(const std::string& fields) {
  return parse_response_request(body_of(fields));
}
std::string refusal(const std::string& fields, Mode mode = Mode::Lenient) {
  return refusal_by([mode](const std::string& body) { parse_response_request(body, mode); }, body_of(fields));
}
std::string refusal_beside_input(const std::string& fields) {
  return refusal(R"("input":"a",)" + fields);
}

TEST(ResponseRequest, EveryFieldArrives) {
  const ResponseRequest request =
      parse(R"("input":"hi","instructions":"Be brief.","max_output_tokens":3,"temperature":0.5,"top_p":0.25,)"
            R"("metadata":{"a":"b"},"user":"u","stream":true,"top_logprobs":2,"service_tier":"auto",)"
            R"("include":["message.output_text.logprobs"],"seed":7)");
  ASSERT_EQ(2u, request.messages.size());
  EXPECT_EQ("system", request.messages[0].role);
  EXPECT_EQ("Be brief.", request.messages[0].content);
  EXPECT_EQ("user", request.messages[1].role);
  EXPECT_EQ("hi", request.messages[1].content);
  EXPECT_EQ(3u, request.generation.tokens_max);
  EXPECT_EQ(0.5f, request.generation.sampling.temperature);
  EXPECT_EQ(0.25f, request.generation.sampling.top_p);
  EXPECT_EQ(7u, request.generation.sampling.seed);
  EXPECT_EQ(2u, request.generation.top_logprobs);
  EXPECT_EQ("b", request.metadata["a"]);
  EXPECT_EQ("u", request.user);
  EXPECT_EQ("auto", request.service_tier);
  EXPECT_TRUE(request.stream);
}

TEST(ResponseRequest, MessagesOfAllForms) {
  const ResponseRequest request = parse(
      R"("input":[{"role":"developer","content":"s"},{"type":"message","role":"user","content":)"
      R"([{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"type":"message","id":"msg_1",)"
      R"("status":"completed","role":"assistant","content":[{"type":"output_text","text":"c","annotations":[],)"
      R"("logprobs":null}]}])");
  ASSERT_EQ(3u, request.messages.size());
  EXPECT_EQ("system", request.messages[0].role);
  EXPECT_EQ("ab", request.messages[1].content);
  EXPECT_EQ("assistant", request.messages[2].role);
  EXPECT_EQ("c", request.messages[2].content);
}

TEST(ResponseRequest, FieldsThatSayNothingAreTaken) {
  parse(R"("input":"a","store":false,"tools":[],"tool_choice":"auto","text":{"format":{"type":"text"}},)"
        R"("reasoning":{"effort":null,"summary":null},"truncation":"disabled","previous_response_id":null,)"
        R"("include":[],"background":false,"top_logprobs":0,"parallel_tool_calls":true)");
}

TEST(ResponseRequest, ErrorsNameTheField) {
  EXPECT_EQ("'input' : property 'input' is missing", refusal(R"("stream":false)"));
  EXPECT_EQ("'input' : value must be a string or an array of at least one item", refusal(R"("input":[])"));
  EXPECT_EQ("'input.0.type' : tools are not supported yet; leave it out",
            refusal(R"("input":[{"type":"function_call_output","call_id":"1","output":""}])"));
  EXPECT_EQ("'input.0.type' : only items of type 'message' are supported",
            refusal(R"("input":[{"type":"item_reference","id":"1"}])"));
  EXPECT_EQ("'input.0.content.0.type' : only parts of type 'input_text' and 'output_text' are supported",
            refusal(R"("input":[{"role":"user","content":[{"type":"input_image"}]}])"));
  EXPECT_EQ("'store' : responses are not stored; leave it out", refusal_beside_input(R"("store":true)"));
  EXPECT_EQ(
      "'previous_response_id' : nothing is kept between requests: give the whole conversation as 'input'",
      refusal_beside_input(R"("previous_response_id":"resp_1")"));
  EXPECT_EQ("'text.format.type' : only 'text' is supported yet",
            refusal_beside_input(R"("text":{"format":{"type":"json_object"}})"));
  EXPECT_EQ("'truncation' : only 'disabled' is supported: nothing of the input is left out",
            refusal_beside_input(R"("truncation":"auto")"));
  EXPECT_EQ("'include' : only ['message.output_text.logprobs'] is supported",
            refusal_beside_input(R"("include":["file_search_call.results"])"));
  EXPECT_EQ("'metadata' : names are up to 64 characters and values strings of up to 512",
            refusal_beside_input(R"("metadata":{"a":1})"));
  EXPECT_EQ("property 'messages' is unsupported", refusal_beside_input(R"("messages":[])"));
}

TEST(ResponseRequest, WhatGroqDoesNotKnow) {
  EXPECT_EQ("property 'seed' is unsupported", refusal(R"("input":"a","seed":1)", Mode::Strict));
  EXPECT_EQ("'include' : it is not supported; leave it out",
            refusal(R"("input":"a","include":["message.output_text.logprobs"])", Mode::Strict));
  EXPECT_EQ("'prompt_cache_key' : it is not supported; leave it out",
            refusal(R"("input":"a","prompt_cache_key":"k")", Mode::Strict));
  EXPECT_EQ(0u, refusal(R"("input":"a","store":false,"include":[])", Mode::Strict).find("taken"));
}

}  // namespace
}  // namespace lockstep::server
