#include "server/ollama/ollama_request.h"

#include <gtest/gtest.h>

#include <string>

#include "server/request_test.h"

namespace lockstep::server {
namespace {

constexpr const char* kNothing = R"({"model":"m"})";

std::string with_options(const std::string& options) {
  return R"({"model":"m","prompt":"a","options":{)" + options + "}}";
}
std::string refusal_of_options(const std::string& options) {
  return refusal_by(parse_ollama_generate, with_options(options));
}
std::string refusal_of_chat(const std::string& fields) {
  return refusal_by(parse_ollama_chat, R"({"model":"m",)" + fields + "}");
}

TEST(OllamaRequest, DefaultsAreOllamas) {
  const OllamaRequest request = parse_ollama_chat(kNothing);
  EXPECT_TRUE(request.stream && request.is_chat && request.asks_nothing());
  EXPECT_EQ(0.8f, request.generation.sampling.temperature);
  EXPECT_EQ(0.9f, request.generation.sampling.top_p);
  EXPECT_EQ(40, request.generation.sampling.top_k);
  EXPECT_EQ(0u, request.generation.tokens_max);
  EXPECT_TRUE(parse_ollama_generate(kNothing).asks_nothing());
}

TEST(OllamaRequest, EveryOptionArrives) {
  const OllamaRequest request = parse_ollama_generate(with_options(
      R"("temperature":0.5,"top_p":0.25,"top_k":3,"min_p":0.125,"seed":7,"num_predict":9,"stop":["x"],)"
      R"("repeat_penalty":1.5,"presence_penalty":0.25,"frequency_penalty":-0.5,"num_ctx":64,"num_gpu":1)"));
  const auto& sampling = request.generation.sampling;
  EXPECT_EQ(0.5f, sampling.temperature);
  EXPECT_EQ(0.25f, sampling.top_p);
  EXPECT_EQ(3, sampling.top_k);
  EXPECT_EQ(0.125f, sampling.min_p);
  EXPECT_EQ(7u, sampling.seed);
  EXPECT_EQ(9u, request.generation.tokens_max);
  EXPECT_EQ(std::vector<std::string>{"x"}, request.generation.stop);
  EXPECT_EQ(1.5f, sampling.repetition_penalty);
  EXPECT_EQ(0.25f, sampling.presence_penalty);
  EXPECT_EQ(-0.5f, sampling.frequency_penalty);
  EXPECT_EQ(64, request.context);
}

TEST(OllamaRequest, PromptsWithAndWithoutATemplate) {
  const OllamaRequest plain = parse_ollama_generate(R"({"model":"m:latest","prompt":"a","system":"s"})");
  EXPECT_EQ("m", plain.model);
  ASSERT_EQ(2u, plain.messages.size());
  EXPECT_EQ("system", plain.messages[0].role);
  EXPECT_EQ("a", plain.messages[1].content);
  const OllamaRequest raw = parse_ollama_generate(R"({"model":"m","prompt":"a","raw":true,"stream":false})");
  EXPECT_TRUE(raw.messages.empty());
  EXPECT_EQ("a", raw.raw_prompt);
  EXPECT_FALSE(raw.stream);
}

TEST(OllamaRequest, Embeddings) {
  const OllamaEmbedRequest request =
      parse_ollama_embed(R"({"model":"m:latest","input":["a","b"],"options":{"num_ctx":null}})");
  EXPECT_EQ("m", request.model);
  EXPECT_EQ((std::vector<Prompt>{"a", "b"}), request.inputs);
  EXPECT_TRUE(request.truncate);
  EXPECT_FALSE(parse_ollama_embed(R"({"model":"m","input":"a","truncate":false})").truncate);
}

TEST(OllamaRequest, FieldsThatSayNothingAreTaken) {
  parse_ollama_chat(
      R"({"model":"m","messages":[{"role":"assistant","content":"a","thinking":"t","images":[],)"
      R"("tool_calls":null}],"tools":[],"format":"","think":false,"keep_alive":"5m","options":null})");
  parse_ollama_generate(with_options(R"("mirostat":0,"tfs_z":1,"repeat_last_n":64,"penalize_newline":true)"));
  EXPECT_NE(~uint64_t{0}, parse_ollama_generate(with_options(R"("seed":-1)")).generation.sampling.seed);
}

TEST(OllamaRequest, ToolsAndFormats) {
  const OllamaRequest request = parse_ollama_chat(
      R"({"model":"m","tools":[{"type":"function","function":{"name":"f","description":"F.","parameters":)"
      R"({"type":"object","required":["z"],"properties":{"z":{"type":"string"},"a":{"type":"null"}}}}}]})");
  ASSERT_EQ(1u, request.output.rules->tools.size());
  EXPECT_EQ("f", request.output.rules->tools[0].name);
  EXPECT_EQ(constrain::ContentKind::Text, request.output.rules->content);
  EXPECT_FALSE(request.output.rules->one_call);
  const std::string schema = R"({"type":"object","properties":{"z":{},"a":{}}})";
  for (const auto parse : {parse_ollama_chat, parse_ollama_generate}) {
    EXPECT_FALSE(parse(R"({"model":"m","format":""})").output.rules);
    const OllamaRequest any = parse(R"({"model":"m","format":"json"})");
    EXPECT_EQ(constrain::ContentKind::Json, any.output.rules->content);
    EXPECT_TRUE(any.output.rules->schema.is_null());
    const OllamaRequest of_schema = parse(R"({"model":"m","format":)" + schema + "}");
    EXPECT_EQ(schema, of_schema.output.rules->schema.dump());
    EXPECT_EQ("format", of_schema.output.rules->schema_place);
    EXPECT_EQ("", of_schema.output.instruction);  // Ollama leaves telling the model to the client
  }
}

TEST(OllamaRequest, CallsAndResults) {
  const OllamaRequest request = parse_ollama_chat(
      R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[)"
      R"({"function":{"name":"f","arguments":{"z":1,"a":2}}},{"function":{"index":1,"name":"g","arguments":{}}},)"
      R"({"id":"c","function":{"name":"f"}}]},{"role":"tool","content":"1","tool_name":"g"},)"
      R"({"role":"tool","content":"2"},{"role":"tool","content":"3","tool_call_id":"c"}]})");
  ASSERT_EQ(5u, request.messages.size());
  const auto& calls = request.messages[1].tool_calls;
  ASSERT_EQ(3u, calls.size());
  EXPECT_EQ(R"({"z":1,"a":2})", calls[0].arguments.dump());
  EXPECT_EQ("{}", calls[2].arguments.dump());
  EXPECT_EQ("000000001", calls[0].id);
  EXPECT_EQ("c", calls[2].id);
  EXPECT_EQ("000000002", request.messages[2].tool_call_id);
  EXPECT_EQ("000000001", request.messages[3].tool_call_id);  // the first without a result
  EXPECT_EQ("f", request.messages[3].name);
  EXPECT_EQ("c", request.messages[4].tool_call_id);
}

TEST(OllamaRequest, OfAFieldThatIsThereTwiceTheLastCounts) {
  const std::string call = R"({"function":{"name":"f","arguments":{"a":1},"arguments":{"b":2}}})";
  const OllamaRequest request = parse_ollama_chat(
      R"({"model":"m","messages":[],"messages":[{"role":"assistant","tool_calls":[{}],"tool_calls":[)" +
      call + R"(]},{"role":"tool"}]})");
  ASSERT_EQ(2u, request.messages.size());
  EXPECT_EQ(R"({"b":2})", request.messages[0].tool_calls.at(0).arguments.dump());
}

TEST(OllamaRequest, HistoriesHaveAResultForEachCall) {
  const std::string call = R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]})";
  const auto said = [](const std::string& messages) {
    return refusal_of_chat(R"("messages":[)" + messages + "]");
  };
  EXPECT_EQ("'messages.0.tool_name' : 'f' is no call of the assistant's before it that has no result yet",
            said(R"({"role":"tool","content":"1","tool_name":"f"})"));
  EXPECT_EQ("'messages.0.role' : no call of the assistant's before it is without a result",
            said(R"({"role":"tool","content":"1"})"));
  EXPECT_TRUE(said(call).starts_with("'messages.0' : the call of 'f' (000000001) needs its result"))
      << said(call);
  EXPECT_TRUE(said(call + R"(,{"role":"tool","content":"1","tool_name":"f"})").starts_with("taken"));
  EXPECT_EQ("'messages.0.tool_calls.0.function.arguments' : value must be an object",
            said(R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]})"));
}

TEST(OllamaRequest, ErrorsNameTheField) {
  EXPECT_EQ("'options.stop' : value must be a string that is not empty, or an array of such strings",
            refusal_of_options(R"("stop":[1])"));
  EXPECT_EQ("'options.num_predict' : value must be 1 or more, or -1 for no limit",
            refusal_of_options(R"("num_predict":0)"));
  EXPECT_EQ("'options.mirostat' : it is not supported; leave it out or say 0",
            refusal_of_options(R"("mirostat":2)"));
  EXPECT_EQ("'options.repeat_last_n' : value must be -1: 'repeat_penalty' looks at all tokens",
            refusal_of_options(R"("repeat_last_n":64,"repeat_penalty":1.1)"));
  EXPECT_EQ("'options' : property 'zzz' is unsupported", refusal_of_options(R"("zzz":1)"));
  EXPECT_EQ("'messages.0.images' : the model reads no images; leave it out",
            refusal_of_chat(R"("messages":[{"role":"user","content":"a","images":["AAAA"]}])"));
  EXPECT_EQ("'format' : value must be \"json\" or a JSON schema: an object",
            refusal_of_chat(R"("format":"xml")"));
  EXPECT_EQ("'options.stop' : an answer of JSON or of calls alone ends by itself; leave it out",
            refusal_of_chat(R"("format":"json","options":{"stop":["a"]})"));
  EXPECT_EQ("'tools.0.type' : only tools of type 'function' are supported, and this is of type 'mcp'",
            refusal_of_chat(R"("tools":[{"type":"mcp"}])"));
  EXPECT_EQ("property 'tools' is unsupported",
            refusal_by(parse_ollama_generate, R"({"model":"m","tools":[{"type":"function"}]})"));
  EXPECT_EQ("'messages.0.tool_calls' : a message of this role has none; leave it out",
            refusal_of_chat(R"("messages":[{"role":"user","content":"a","tool_calls":[{}]}])"));
  EXPECT_EQ("'think' : the model has no reasoning apart from its text", refusal_of_chat(R"("think":"high")"));
  EXPECT_EQ("'model' : property 'model' is missing", refusal_by(parse_ollama_chat, "{}"));
}

}  // namespace
}  // namespace lockstep::server
