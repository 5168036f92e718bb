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
  EXPECT_EQ(
      "'input.0.type' : only items of type 'message', 'function_call', 'function_call_output' and "
      "'reasoning' "
      "are supported",
      refusal(R"("input":[{"type":"item_reference","id":"1"}])"));
  EXPECT_EQ("'input.0.content.0.type' : only parts of type 'input_text' and 'output_text' are supported",
            refusal(R"("input":[{"role":"user","content":[{"type":"input_image"}]}])"));
  EXPECT_EQ("'store' : responses are not stored; leave it out", refusal_beside_input(R"("store":true)"));
  EXPECT_EQ(
      "'previous_response_id' : nothing is kept between requests: give the whole conversation as 'input'",
      refusal_beside_input(R"("previous_response_id":"resp_1")"));
  EXPECT_EQ("'text.verbosity' : it is not supported; leave it out",
            refusal_beside_input(R"("text":{"verbosity":"low"})"));
  EXPECT_EQ("'truncation' : only 'disabled' is supported: nothing of the input is left out",
            refusal_beside_input(R"("truncation":"auto")"));
  EXPECT_EQ("'include' : only ['message.output_text.logprobs'] is supported",
            refusal_beside_input(R"("include":["file_search_call.results"])"));
  EXPECT_EQ("'metadata' : names are up to 64 characters and values strings of up to 512",
            refusal_beside_input(R"("metadata":{"a":1})"));
  EXPECT_EQ("property 'messages' is unsupported", refusal_beside_input(R"("messages":[])"));
}

constexpr const char* kTools =
    R"("tools":[{"type":"function","name":"f","description":"F.","strict":true,"parameters":{"type":"object",)"
    R"("properties":{"z":{"type":"string"},"a":{"type":"null"}},"required":["z","a"],"additionalProperties":false}},)"
    R"({"type":"function","name":"g"}])";

std::string refusal_beside_tools(const std::string& fields) {
  return refusal_beside_input(std::string(kTools) + "," + fields);
}

TEST(ResponseRequest, ToolsAndChoices) {
  const auto beside_tools = [](const std::string& fields) {
    return parse(R"("input":"a",)" + std::string(kTools) + fields);
  };
  const ResponseRequest request = beside_tools("");
  ASSERT_EQ(2u, request.output.rules->tools.size());
  EXPECT_EQ("tools.0.parameters", request.output.rules->tools[0].place);
  EXPECT_EQ("f", request.output.tools[0]["function"]["name"]);  // as templates have them
  EXPECT_EQ("f", request.tools[0]["name"]);                     // as the reply repeats them
  EXPECT_EQ(R"({"z":{"type":"string"},"a":{"type":"null"}})",
            request.tools[0]["parameters"]["properties"].dump());
  EXPECT_EQ("auto", request.tool_choice);
  EXPECT_FALSE(request.output.rules->one_call);
  EXPECT_TRUE(beside_tools(R"(,"parallel_tool_calls":false)").output.rules->one_call);
  EXPECT_TRUE(beside_tools(R"(,"tool_choice":"none")").output.rules->tools.empty());
  const ResponseRequest named = beside_tools(R"(,"tool_choice":{"type":"function","name":"g"})");
  EXPECT_EQ(constrain::ContentKind::Absent, named.output.rules->content);
  ASSERT_EQ(1u, named.output.rules->tools.size());
  EXPECT_EQ("g", named.output.rules->tools[0].name);
  EXPECT_EQ("g", named.tool_choice["name"]);
  const ResponseRequest allowed = beside_tools(
      R"(,"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]})");
  EXPECT_EQ(constrain::ContentKind::Text, allowed.output.rules->content);
  ASSERT_EQ(1u, allowed.output.rules->tools.size());
}

TEST(ResponseRequest, Formats) {
  EXPECT_FALSE(parse(R"("input":"a")").output.rules);
  EXPECT_EQ(constrain::ContentKind::Json,
            parse(R"("input":"a","text":{"format":{"type":"json_object"}})").output.rules->content);
  const std::string schema = R"({"type":"object","properties":{"z":{},"a":{}}})";
  const ResponseRequest request =
      parse(R"("input":"a","text":{"format":{"type":"json_schema","name":"n","schema":)" + schema + "}}");
  EXPECT_EQ(schema, request.output.rules->schema.dump());
  EXPECT_EQ("text.format.schema", request.output.rules->schema_place);
  EXPECT_EQ(schema, request.format["schema"].dump());
  EXPECT_NE(std::string::npos, request.output.instruction.find(schema));
}

TEST(ResponseRequest, CallsAndResults) {
  const ResponseRequest request = parse(
      R"("input":[{"role":"user","content":"Time?"},{"type":"reasoning","id":"rs_1","summary":[],"content":null},)"
      R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"So:"}]},)"
      R"({"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"z\":1,\"a\":2}",)"
      R"("status":"completed","namespace":null,"caller":null,"async_":null},)"
      R"({"type":"function_call","call_id":"c2","name":"g","arguments":""},)"
      R"({"type":"function_call_output","call_id":"c2","output":"six"},)"
      R"({"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"noon"}]},)"
      R"({"type":"function_call","call_id":"c3","name":"g","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c3","output":"one"}])");
  ASSERT_EQ(6u, request.messages.size());
  const text::ChatMessage& asked = request.messages[1];
  EXPECT_EQ("assistant", asked.role);
  EXPECT_EQ("So:", asked.content);
  ASSERT_EQ(2u, asked.tool_calls.size());
  EXPECT_EQ(R"({"z":1,"a":2})", asked.tool_calls[0].arguments.dump());
  EXPECT_EQ("g", asked.tool_calls[1].name);
  EXPECT_EQ("tool", request.messages[2].role);
  EXPECT_EQ("six", request.messages[2].content);
  EXPECT_EQ("g", request.messages[2].name);
  EXPECT_EQ("c1", request.messages[3].tool_call_id);
  EXPECT_EQ("noon", request.messages[3].content);
  EXPECT_EQ("assistant", request.messages[4].role);
  EXPECT_EQ("", request.messages[4].content);
}

TEST(ResponseRequest, ErrorsOfToolsNameTheirPlace) {
  EXPECT_EQ("'tools.0.type' : only tools of type 'function' are supported, and this is of type 'web_search'",
            refusal_beside_input(R"("tools":[{"type":"web_search"}])"));
  EXPECT_EQ("'tools.0.name' : property 'name' is missing",
            refusal_beside_input(R"("tools":[{"type":"function","function":{"name":"f"}}])"));
  EXPECT_EQ("'tool_choice.name' : 'h' is not among the tools",
            refusal_beside_tools(R"("tool_choice":{"type":"function","name":"h"})"));
  EXPECT_EQ(
      "'tool_choice.tools.0.type' : only tools of type 'function' are supported, and this is of type 'mcp'",
      refusal_beside_tools(
          R"("tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp"}]})"));
  EXPECT_EQ("'tool_choice' : it needs 'tools' to choose from",
            refusal_beside_input(R"("tool_choice":"required")"));
  EXPECT_EQ("'text.format.schema' : property 'schema' is missing",
            refusal_beside_input(R"("text":{"format":{"type":"json_schema","name":"n"}})"));
  EXPECT_EQ("'text.format.type' : value must be 'text', 'json_object' or 'json_schema'",
            refusal_beside_input(R"("text":{"format":{"type":"yaml"}})"));
  EXPECT_EQ("'stop' : an answer of JSON or of calls alone ends by itself; leave it out",
            refusal_beside_input(R"("stop":"a","text":{"format":{"type":"json_object"}})"));
}

TEST(ResponseRequest, HistoriesHaveAResultForEachCall) {
  const std::string call = R"({"type":"function_call","call_id":"c1","name":"f","arguments":"{}"})";
  const std::string result = R"({"type":"function_call_output","call_id":"c1","output":""})";
  const auto said = [](const std::string& items) { return refusal(R"("input":[)" + items + "]"); };
  EXPECT_EQ("'input.0.call_id' : 'c1' is no call of the assistant's before it that has no result yet",
            said(result));
  EXPECT_EQ(
      "'input.0.call_id' : the call of 'f' (c1) needs its result: an item of type 'function_call_output' "
      "with that "
      "'call_id' right after",
      said(call));
  EXPECT_TRUE(
      said(call + R"(,{"role":"user","content":"a"})").starts_with("'input.0.call_id' : the call of"));
  EXPECT_EQ("'input.1.call_id' : two calls have the id 'c1'", said(call + "," + call));
  EXPECT_EQ("'input.0.arguments' : value must be the text of a JSON object, such as \"{}\"",
            said(R"({"type":"function_call","call_id":"c1","name":"f","arguments":"["})"));
  EXPECT_EQ("'input.0.namespace' : calls have none here; leave it out",
            said(R"({"type":"function_call","call_id":"c1","name":"f","arguments":"","namespace":"n"})"));
  EXPECT_TRUE(said(call + "," + result).starts_with("taken"));
}

TEST(ResponseRequest, JsonAsGroqHasIt) {
  const std::string object = R"(,"text":{"format":{"type":"json_object"}})";
  const auto said = [](const std::string& fields) { return refusal(fields, Mode::Strict); };
  EXPECT_EQ("'input' must contain the word 'json' in some form, to use 'text.format' of type 'json_object'.",
            said(R"("input":"a")" + object));
  EXPECT_TRUE(said(R"("input":"a","instructions":"Answer in JSON.")" + object).starts_with("taken"));
  EXPECT_EQ("text.format `json_object` cannot be combined with tool/function calling",
            said(R"("input":"json",)" + std::string(kTools) + object));
}

TEST(ResponseRequest, WhatGroqDoesNotKnow) {
  EXPECT_EQ("property 'seed' is unsupported", refusal(R"("input":"a","seed":1)", Mode::Strict));
  EXPECT_EQ("'include' : it is not supported; leave it out",
            refusal(R"("input":"a","include":["message.output_text.logprobs"])", Mode::Strict));
  EXPECT_EQ("'prompt_cache_retention' : value must be a string",
            refusal(R"("input":"a","prompt_cache_retention":7)"));
  EXPECT_EQ("'prompt_cache_key' : it is not supported; leave it out",
            refusal(R"("input":"a","prompt_cache_key":"k")", Mode::Strict));
  EXPECT_EQ(0u, refusal(R"("input":"a","store":false,"include":[])", Mode::Strict).find("taken"));
}

}  // namespace
}  // namespace lockstep::server
