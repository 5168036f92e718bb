// What each mode makes of the fields of a chat request.
#include "server/chat/chat_fields.h"

#include <gtest/gtest.h>

#include <string>

#include "server/chat/chat_request.h"
#include "server/request_test.h"

namespace lockstep::server {
namespace {

std::string body_of(const std::string& fields, const std::string& messages) {
  return R"({"model":"m","messages":[)" + messages + "]" + (fields.empty() ? "" : "," + fields) + "}";
}
constexpr const char* kHello = R"({"role":"user","content":"hi"})";

// "taken", or the message of the error.
std::string verdict(Mode mode, const std::string& fields, const std::string& messages = kHello) {
  const std::string body = body_of(fields, messages);
  const std::string said =
      refusal_by([mode](const std::string& given) { parse_chat_request(given, mode); }, body);
  return said.starts_with("taken: ") ? "taken" : said;
}
std::string strict(const std::string& fields, const std::string& messages = kHello) {
  return verdict(Mode::Strict, fields, messages);
}
std::string lenient(const std::string& fields, const std::string& messages = kHello) {
  return verdict(Mode::Lenient, fields, messages);
}

TEST(ChatFields, FieldsOfOthersAreUnknownToGroq) {
  for (const char* field : {R"("top_k":3)", R"("min_p":0.5)", R"("repetition_penalty":1.5)",
                            R"("ignore_eos":true)", R"("cache_prompt":true)", R"("safety_identifier":"a")",
                            R"("modalities":["text"])", R"("verbosity":null)"}) {
    EXPECT_EQ("taken", lenient(field)) << field;
    EXPECT_NE(std::string::npos, strict(field).find("is unsupported")) << field;
  }
  EXPECT_EQ("property 'top_k' is unsupported, did you mean 'top_p'?", strict(R"("top_k":3)"));
  EXPECT_EQ("property 'zzz' is unsupported", lenient(R"("zzz":null)"));
}

TEST(ChatFields, WhatNoModelOfGroqsSupports) {
  for (const char* field : {R"("logprobs":true)", R"("logit_bias":{"1":2})"}) {
    EXPECT_EQ("taken", lenient(field)) << field;
    EXPECT_NE(std::string::npos, strict(field).find(" : it is not supported with this model")) << field;
  }
  EXPECT_EQ("taken", strict(R"("logprobs":false,"top_logprobs":null,"logit_bias":{})"));
}

TEST(ChatFields, LimitsOfGroq) {
  EXPECT_EQ("taken", strict(R"("n":1,"stop":["a","b","c","d"])"));
  EXPECT_EQ("'n' : number must be at most 1", strict(R"("n":2)"));
  EXPECT_EQ("'stop' : maximum number of items is 4", strict(R"("stop":["a","b","c","d","e"])"));
  EXPECT_EQ("taken", lenient(R"("n":2,"stop":["a","b","c","d","e"])"));
}

TEST(ChatFields, WhatIsStoredAndWhatIsNot) {
  EXPECT_EQ("taken", strict(R"("store":true,"metadata":{"a":"b"},"user":"u")"));
  EXPECT_EQ("'store' : completions are not stored; leave it out", lenient(R"("store":true)"));
  EXPECT_EQ("taken", lenient(R"("store":false,"metadata":{"a":"b"},"user":"u")"));
}

TEST(ChatFields, WhatHasNoEffectIsChecked) {
  EXPECT_EQ(
      "taken",
      lenient(R"("cache_prompt":true,"keep_alive":300,"citation_options":"disabled","safety_identifier":"u",)"
              R"("prompt_cache_key":"k","prompt_cache_retention":"in_memory")"));
  EXPECT_EQ("taken", lenient(R"("cache_prompt":null,"keep_alive":"5m","prompt_cache_retention":"24h")"));
  EXPECT_EQ("'cache_prompt' : value must be true or false", lenient(R"("cache_prompt":"nonsense")"));
  EXPECT_EQ("'cache_prompt' : value must be true: what was computed of a prompt is kept; leave it out",
            lenient(R"("cache_prompt":false)"));
  EXPECT_EQ("'keep_alive' : value must be a number of seconds or a duration such as \"5m\"",
            lenient(R"("keep_alive":[1])"));
  EXPECT_EQ("'prompt_cache_retention' : value must be a string", lenient(R"("prompt_cache_retention":7)"));
  EXPECT_EQ("'prompt_cache_retention' : value must be 'in_memory' or '24h'",
            lenient(R"("prompt_cache_retention":"1h")"));
  EXPECT_EQ("'prompt_cache_key' : value must be a string", lenient(R"("prompt_cache_key":[])"));
  EXPECT_EQ("'safety_identifier' : value must be a string", lenient(R"("safety_identifier":5)"));
  for (auto said : {lenient, strict}) {
    EXPECT_EQ("'citation_options' : value must be a string", said(R"("citation_options":{"a":1})", kHello));
    EXPECT_EQ("'citation_options' : value must be 'enabled' or 'disabled'",
              said(R"("citation_options":"on")", kHello));
  }
  EXPECT_EQ("'store' : value must be true or false", strict(R"("store":"yes")"));
}

TEST(ChatFields, ReasoningIsPartOfTheText) {
  EXPECT_EQ("taken",
            lenient(R"("reasoning_format":"raw","include_reasoning":true,"reasoning_effort":"none")"));
  EXPECT_EQ("'reasoning_format' : only 'raw' is supported: the model has no reasoning apart from its text",
            lenient(R"("reasoning_format":"parsed")"));
  EXPECT_EQ("'include_reasoning' : it can not stand beside 'reasoning_format'",
            strict(R"("reasoning_format":"raw","include_reasoning":true)"));
  const std::string asks = R"({"role":"user","content":"Answer in JSON."})";
  for (const char* other : {R"(,"response_format":{"type":"json_object"})",
                            R"(,"tools":[{"type":"function","function":{"name":"f"}}])"}) {
    EXPECT_EQ("'reasoning_format' : 'raw' can not stand beside JSON or tools; leave it out",
              strict(R"("reasoning_format":"raw")" + std::string(other), asks));
    EXPECT_EQ("taken", lenient(R"("reasoning_format":"raw")" + std::string(other), asks));
  }
  EXPECT_EQ("taken", strict(R"("reasoning_format":"raw","response_format":{"type":"text"})"));
}

TEST(ChatFields, WhatClientsSendBackOfAnAnswer) {
  const std::string history =
      R"({"role":"assistant","content":"a","refusal":null,"reasoning":"r","reasoning_content":"r",)"
      R"("annotations":[],"audio":null,"tool_calls":null,"function_call":null})";
  EXPECT_EQ("taken", lenient("", history));
  EXPECT_EQ("taken", strict("", R"({"role":"assistant","content":"a","reasoning":"r"})"));
  EXPECT_EQ(
      "'messages.0' : for 'role:assistant' the following must be satisfied[('messages.0' : property "
      "'refusal' is "
      "unsupported)]",
      strict("", R"({"role":"assistant","content":"a","refusal":null})"));
  EXPECT_EQ(
      "'messages.0' : for 'role:assistant' the following must be satisfied[('messages.0.function_call' : "
      "value "
      "must be an object)]",
      strict("", R"({"role":"assistant","content":"a","function_call":null})"));
  EXPECT_EQ(
      "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'name' is "
      "unsupported)]",
      strict("", R"({"role":"user","content":"a","name":"n"})"));
  EXPECT_EQ(
      "'messages.0' : for 'role:assistant' the following must be satisfied[('messages.0.tool_calls.0.type' : "
      "property 'type' is missing)]",
      strict("",
             R"({"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]})"));
}

TEST(ChatFields, JsonAsGroqHasIt) {
  const std::string object = R"("response_format":{"type":"json_object"})";
  const std::string schema =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}})";
  const std::string tools = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
  const std::string asks = R"({"role":"user","content":"Answer in JSON."})";
  EXPECT_EQ("taken", strict(object, asks));
  EXPECT_EQ("taken", strict(schema));
  EXPECT_EQ(
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      strict(object));
  EXPECT_EQ("response_format `json_object` cannot be combined with tool/function calling",
            strict(object + tools, asks));
  EXPECT_EQ("response_format `json_schema` cannot be combined with streaming",
            strict(schema + R"(,"stream":true)"));
  EXPECT_EQ("taken", lenient(object + tools));
  EXPECT_EQ("taken", lenient(schema + R"(,"stream":true)"));
}

}  // namespace
}  // namespace lockstep::server
