#include "server/chat/output_fields.h"

#include <gtest/gtest.h>

#include "base/stopwatch.h"
#include "server/api_error.h"

namespace lockstep::server {
namespace {

using constrain::ContentKind;

OutputFields read(const std::string& fields) {
  const std::string body = "{" + fields + "}";
  const RequestJson json = parse_json(body);
  JsonFields reader(json, "");
  OutputFields output = read_output_fields(reader, body);
  reader.finish();
  return output;
}

std::string refusal(const std::string& fields) {
  try {
    read(fields);
  } catch (const ApiError& error) {
    EXPECT_EQ(400u, error.status()) << fields;
    return error.what();
  }
  return "taken: " + fields;
}

constexpr const char* kTools =
    R"("tools":[{"type":"function","function":{"name":"b","description":"B.","parameters":)"
    R"({"type":"object","properties":{"z":{"type":"string"},"a":{"type":"null"}},"required":["z"]}}},)"
    R"({"type":"function","function":{"name":"a","strict":null,"parameters":null}}])";

std::string with_tools(const std::string& fields) {
  return std::string(kTools) + "," + fields;
}

std::vector<std::string> names(const OutputFields& output) {
  std::vector<std::string> list;
  for (const constrain::CallableTool& tool : output.rules->tools) list.push_back(tool.name);
  return list;
}

using Names = std::vector<std::string>;

TEST(OutputFields, NothingIsAnyText) {
  for (const char* fields : {"", R"("tools":null)", R"("tools":[],"functions":[])", R"("tool_choice":"none")",
                             R"("tool_choice":"auto")", R"("response_format":{"type":"text"})",
                             R"("parallel_tool_calls":false)"}) {
    const OutputFields output = read(fields);
    EXPECT_FALSE(output.rules) << fields;
    EXPECT_TRUE(output.tools.is_null());
    EXPECT_EQ(output.instruction, "");
  }
}

TEST(OutputFields, ToolsInTheirOrder) {
  const OutputFields output = read(kTools);
  EXPECT_EQ(names(output), (Names{"b", "a"}));
  EXPECT_EQ(output.rules->content, ContentKind::Text);
  EXPECT_FALSE(output.rules->one_call);
  EXPECT_EQ(output.tools.dump(),
            R"([{"type":"function","function":{"name":"b","description":"B.","parameters":{"type":"object",)"
            R"("properties":{"z":{"type":"string"},"a":{"type":"null"}},"required":["z"]}}},)"
            R"({"type":"function","function":{"name":"a","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_EQ(output.rules->tools[0].parameters, output.tools[0]["function"]["parameters"]);
  EXPECT_EQ(output.rules->tools[1].place, "tools.1.function.parameters");
  EXPECT_TRUE(read(with_tools(R"("parallel_tool_calls":false)")).rules->one_call);
}

TEST(OutputFields, Choices) {
  const OutputFields none = read(with_tools(R"("tool_choice":"none")"));
  EXPECT_EQ(names(none), Names{});
  EXPECT_EQ(none.tools.size(), 2u);  // the model still sees them
  const OutputFields required = read(with_tools(R"("tool_choice":"required")"));
  EXPECT_EQ(required.rules->content, ContentKind::Absent);
  EXPECT_EQ(names(required), (Names{"b", "a"}));
  const OutputFields named = read(with_tools(R"("tool_choice":{"type":"function","function":{"name":"a"}})"));
  EXPECT_EQ(named.rules->content, ContentKind::Absent);
  EXPECT_EQ(names(named), Names{"a"});
  EXPECT_TRUE(named.rules->one_call);
  const std::string allowed = R"("tools":[{"type":"function","function":{"name":"b"}}]}})";
  const OutputFields may =
      read(with_tools(R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto",)" + allowed));
  EXPECT_EQ(may.rules->content, ContentKind::Text);
  EXPECT_EQ(names(may), Names{"b"});
  const OutputFields must = read(
      with_tools(R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",)" + allowed));
  EXPECT_EQ(must.rules->content, ContentKind::Absent);
}

TEST(OutputFields, OldFunctions) {
  const std::string functions = R"("functions":[{"name":"f","parameters":{"type":"object"}},{"name":"g"}])";
  const OutputFields output = read(functions);
  EXPECT_TRUE(output.old_functions);
  EXPECT_TRUE(output.rules->one_call);
  EXPECT_EQ(output.tools[0]["function"]["name"], "f");
  EXPECT_EQ(names(read(functions + R"(,"function_call":{"name":"g"})")), Names{"g"});
  EXPECT_EQ(names(read(functions + R"(,"function_call":"none")")), Names{});
  EXPECT_NE(refusal(with_tools(functions)).find("old name"), std::string::npos);
}

TEST(OutputFields, Formats) {
  const OutputFields object = read(R"("response_format":{"type":"json_object"})");
  EXPECT_EQ(object.rules->content, ContentKind::Json);
  EXPECT_TRUE(object.rules->schema.is_null());
  EXPECT_EQ(object.instruction, "");
  const std::string schema = R"({"type":"object","properties":{"z":{},"a":{}}})";
  const std::string format =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"D","schema":)" +
      schema + "}}";
  const OutputFields output = read(format);
  EXPECT_EQ(output.rules->schema.dump(), schema);
  EXPECT_EQ(output.rules->schema_place, "response_format.json_schema.schema");
  EXPECT_NE(output.instruction.find("n: D"), std::string::npos);
  EXPECT_NE(output.instruction.find(schema), std::string::npos);
  EXPECT_EQ(read(with_tools(format)).rules->content, ContentKind::Json);
  EXPECT_EQ(read(with_tools(format + R"(,"tool_choice":"required")")).rules->content, ContentKind::Absent);
}

TEST(OutputFields, WithoutValidationArgumentsAreAnyObject) {
  const OutputFields output = read(with_tools(R"("disable_tool_validation":true)"));
  EXPECT_EQ(output.rules->tools[0].parameters.dump(), R"({"type":"object"})");
  EXPECT_TRUE(output.tools[0]["function"]["parameters"].contains("properties"));
}

TEST(OutputFields, StrictSchemasRequireEverything) {
  auto strict = [](const std::string& schema) {
    return refusal(
        R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":)" +
        schema + "}}");
  };
  const std::string good =
      R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})";
  EXPECT_TRUE(strict(good).starts_with("taken"));
  const std::string open = R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"]})";
  const std::string optional =
      R"({"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false})";
  for (const char* around : {"%", R"({"type":"array","items":%})", R"({"anyOf":[{"type":"null"},%]})",
                             R"({"$ref":"#/$defs/x","$defs":{"x":%}})"}) {
    auto inside = [&](const std::string& schema) {
      std::string text = around;
      return text.replace(text.find('%'), 1, schema);
    };
    EXPECT_TRUE(strict(inside(good)).starts_with("taken")) << around;
    EXPECT_NE(strict(inside(open)).find("\"additionalProperties\": false"), std::string::npos) << around;
    EXPECT_NE(strict(inside(optional)).find("'a' in \"required\""), std::string::npos) << around;
  }
}

TEST(OutputFields, StrictSchemasOfManyNamesAreReadAtOnce) {
  nlohmann::ordered_json schema = {
      {"type", "object"}, {"properties", nlohmann::ordered_json::object()}, {"additionalProperties", false}};
  for (int i = 0; i < 2000; ++i) {
    schema["properties"][std::to_string(i)] = {{"type", "null"}};
    schema["required"].push_back(std::to_string(i));
  }
  schema["required"].insert(schema["required"].begin(), 150000, "0");
  const Stopwatch watch;
  read(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":)" +
       schema.dump() + "}}");
  EXPECT_LT(watch.seconds(), 2);
}

TEST(OutputFields, RefusalsNameThePlace) {
  const std::pair<std::string, const char*> cases[] = {
      {R"("tools":{})", "'tools' : value must be an array"},
      {R"("tools":[{"function":{"name":"f"}}])", "'tools.0.type' : property 'type' is missing"},
      {R"("tools":[{"type":"custom"}])", "'tools.0.type' : only"},
      {R"("tools":[{"type":"function","function":{"name":""}}])", "'tools.0.function.name' : value must be"},
      {R"("tools":[{"type":"function","function":{"name":"f","schema":{}}}])",
       "'tools.0.function' : property 'schema' is unsupported"},
      {R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"string"}}}])",
       "'tools.0.function.parameters' : value must be a schema of type 'object'"},
      {R"("tool_choice":"required")", "'tool_choice' : it needs 'tools'"},
      {with_tools(R"("tool_choice":"any")"), "'tool_choice' : value must be 'none', 'auto'"},
      {with_tools(R"("tool_choice":{"type":"function","function":{"name":"c"}})"),
       "'tool_choice.function.name' : 'c' is not among the tools"},
      {with_tools(R"("tool_choice":{"type":"function"})"),
       "'tool_choice.function' : property 'function' is missing"},
      {with_tools(R"("function_call":{"name":"a"})"), "'function_call' : it needs 'functions'"},
      {R"("response_format":{"type":"xml"})", "'response_format.type' : value must be"},
      {R"("response_format":{"type":"json_schema"})", "'response_format.json_schema' : property"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})",
       "'response_format.json_schema.schema' : property 'schema' is missing"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{}}})",
       "'response_format.json_schema.name' : property 'name' is missing"},
  };
  for (const auto& [fields, begin] : cases)
    EXPECT_TRUE(refusal(fields).starts_with(begin)) << refusal(fields);
  std::string many;
  for (size_t i = 0; i <= kOrderedNamesMax; ++i) many += fmt::format("{}\"{}\":1", i == 0 ? "" : ",", i);
  EXPECT_NE(refusal(R"("response_format":{"type":"json_object"},"tools":[{)" + many + "}]").find("names"),
            std::string::npos);
}

}  // namespace
}  // namespace lockstep::server
