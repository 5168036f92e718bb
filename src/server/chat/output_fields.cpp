#include "server/chat/output_fields.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;
using constrain::ContentKind;

void check_name(const std::string& name, const std::string& place) {
  const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!good) bad_field(place, "value must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -");
}

// What OpenAI asks of a strict schema: no property may be missing, and none added.
void check_strict(const Json& schema, const std::string& param, const std::string& place) {
  if (!schema.is_object()) return;
  const auto properties = schema.find("properties");
  const bool has_properties = properties != schema.end() && properties->is_object();
  if (has_properties || schema.value("type", Json()) == "object") {
    if (schema.value("additionalProperties", Json()) != Json(false)) {
      bad_field(param, "with 'strict' the schema at '{}' must have \"additionalProperties\": false", place);
    }
  }
  std::set<std::string_view> required;
  if (const auto names = schema.find("required"); names != schema.end() && names->is_array()) {
    for (const Json& name : *names) {
      if (name.is_string()) required.insert(name.get_ref<const std::string&>());
    }
  }
  for (const char* list : {"properties", "$defs", "definitions", "anyOf", "allOf"}) {
    const auto members = schema.find(list);
    if (members == schema.end() || !members->is_structured()) continue;
    for (const auto& item : members->items()) {
      const bool missing = std::string_view(list) == "properties" && !required.contains(item.key());
      if (missing) {
        bad_field(param, "with 'strict' the schema at '{}' must have '{}' in \"required\"", place,
                  item.key());
      }
      check_strict(item.value(), param, fmt::format("{}/{}/{}", place, list, item.key()));
    }
  }
  if (const auto items = schema.find("items"); items != schema.end()) {
    check_strict(*items, param, place + "/items");
  }
}

// A value that parse_ordered() has where JsonFields saw one; null where there is none.
Json ordered_at(const Json& ordered, const std::string& pointer) {
  const Json::json_pointer place(pointer);
  return ordered.contains(place) ? ordered.at(place) : Json();
}

Json any_object() {
  return {{"type", "object"}};
}

class OutputReader {
 public:
  OutputReader(JsonFields& fields, std::string_view body) : fields_(fields) {
    for (const char* name : {"tools", "functions", "response_format"}) {
      if (fields_.find(name) == nullptr) continue;
      ordered_ = parse_ordered(body, {"tools", "functions", "response_format"});
      break;
    }
  }

  OutputFields read() {
    checked_ = !fields_.boolean("disable_tool_validation").value_or(false);
    const bool parallel = fields_.boolean("parallel_tool_calls").value_or(true);
    read_tools();
    read_functions();
    rules_.one_call = !parallel || output_.old_functions;
    if (output_.old_functions) {
      read_function_call();
    } else {
      read_tool_choice();
    }
    read_response_format();
    if (!output_.tools.is_null() || rules_.content != ContentKind::Text) output_.rules = std::move(rules_);
    return std::move(output_);
  }

 private:
  const RequestJson* list_of(const char* name) {
    const RequestJson* list = fields_.find(name);
    if (list == nullptr) return nullptr;
    if (!list->is_array()) bad_field(name, "value must be an array");
    if (list->size() > kToolsMax) {
      bad_field(name, "{} were given; up to {} are possible", list->size(), kToolsMax);
    }
    return list->empty() ? nullptr : list;
  }

  void read_tools() {
    const RequestJson* tools = list_of("tools");
    for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
      JsonFields tool((*tools)[i], fmt::format("tools.{}", i));
      if (tool.required_text("type") != "function") {
        bad_field(tool.path("type"), "only tools of type 'function' are supported");
      }
      const RequestJson* function = tool.find("function");
      if (function == nullptr) bad_field(tool.path("function"), "property 'function' is missing");
      tool.finish();
      read_function(JsonFields(*function, tool.path("function")), fmt::format("/tools/{}/function", i));
    }
  }

  void read_functions() {
    const RequestJson* functions = list_of("functions");
    if (functions == nullptr) return;
    if (!rules_.tools.empty())
      bad_field("functions", "it is the old name of 'tools', which is there: leave it out");
    output_.old_functions = true;
    for (size_t i = 0; i < functions->size(); ++i) {
      read_function(JsonFields((*functions)[i], fmt::format("functions.{}", i)),
                    fmt::format("/functions/{}", i));
    }
  }

  void read_function(JsonFields fields, const std::string& pointer) {
    constrain::CallableTool tool;
    tool.name = fields.required_text("name");
    check_name(tool.name, fields.path("name"));
    tool.place = fields.path("parameters");
    for (const constrain::CallableTool& other : rules_.tools) {
      if (other.name == tool.name) bad_field(fields.path("name"), "two tools have the name '{}'", tool.name);
    }
    const std::string description = fields.text("description").value_or("");
    const bool strict = fields.boolean("strict").value_or(false);
    fields.find("parameters");
    fields.finish();
    Json parameters = ordered_at(ordered_, pointer + "/parameters");
    if (parameters.is_null() || parameters == Json::object()) {
      parameters = {{"type", "object"}, {"properties", Json::object()}};
    }
    const bool of_object =
        parameters.is_object() &&
        (parameters.contains("type") ? parameters["type"] == "object" : parameters.contains("properties"));
    if (!of_object) bad_field(tool.place, "value must be a schema of type 'object'");
    if (strict) check_strict(parameters, tool.place, "#");
    Json function = {{"name", tool.name}};
    if (!description.empty()) function["description"] = description;
    function["parameters"] = parameters;
    output_.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
    tool.parameters = checked_ ? std::move(parameters) : any_object();
    rules_.tools.push_back(std::move(tool));
  }

  void read_tool_choice() {
    const RequestJson* choice = fields_.find("tool_choice");
    if (fields_.find("function_call") != nullptr && *fields_.find("function_call") != "none" &&
        *fields_.find("function_call") != "auto") {
      bad_field("function_call", "it needs 'functions'");
    }
    if (choice == nullptr) return;
    if (choice->is_string()) return apply_mode(choice->get<std::string>(), "tool_choice", true);
    JsonFields fields(*choice, "tool_choice");
    const std::string type = fields.required_text("type");
    if (type == "allowed_tools") {
      read_allowed_tools(fields);
    } else if (type == "function") {
      const std::string name = read_name(fields);
      keep_tools({name}, "tool_choice.function.name");
      require_call();
      rules_.one_call = true;
    } else {
      bad_field("tool_choice.type", "value must be 'function' or 'allowed_tools'");
    }
    fields.finish();
  }

  // {"type": "function", "function": {"name"}}, whose type is read.
  static std::string read_name(JsonFields& fields) {
    const RequestJson* function = fields.find("function");
    if (function == nullptr) bad_field(fields.path("function"), "property 'function' is missing");
    JsonFields inside(*function, fields.path("function"));
    std::string name = inside.required_text("name");
    inside.finish();
    return name;
  }

  void read_allowed_tools(JsonFields& fields) {
    const RequestJson* allowed = fields.find("allowed_tools");
    if (allowed == nullptr) bad_field("tool_choice.allowed_tools", "property 'allowed_tools' is missing");
    JsonFields inside(*allowed, "tool_choice.allowed_tools");
    const std::string mode = inside.required_text("mode");
    const RequestJson* tools = inside.find("tools");
    inside.finish();
    if (tools == nullptr || !tools->is_array() || tools->empty()) {
      bad_field("tool_choice.allowed_tools.tools", "value must be an array of at least one tool");
    }
    std::set<std::string> names;
    for (size_t i = 0; i < tools->size(); ++i) {
      JsonFields tool((*tools)[i], fmt::format("tool_choice.allowed_tools.tools.{}", i));
      if (tool.required_text("type") != "function") {
        bad_field(tool.path("type"), "only tools of type 'function' are supported");
      }
      names.insert(read_name(tool));
      tool.finish();
    }
    keep_tools(names, "tool_choice.allowed_tools.tools");
    apply_mode(mode, "tool_choice.allowed_tools.mode", false);
  }

  void apply_mode(const std::string& mode, const char* place, bool may_be_none) {
    if (mode == "auto") return;
    if (mode == "required") return require_call();
    if (mode != "none" || !may_be_none) {
      bad_field(place, "value must be {}'auto' or 'required'{}", may_be_none ? "'none', " : "",
                may_be_none ? ", or an object that names a function" : "");
    }
    rules_.tools.clear();
  }

  void require_call() {
    if (rules_.tools.empty()) bad_field("tool_choice", "it needs 'tools' to choose from");
    rules_.content = ContentKind::Absent;
  }

  void keep_tools(const std::set<std::string>& names, const char* place) {
    for (const std::string& name : names) {
      const bool known = std::any_of(rules_.tools.begin(), rules_.tools.end(),
                                     [&](const constrain::CallableTool& tool) { return tool.name == name; });
      if (!known) bad_field(place, "'{}' is not among the tools", name);
    }
    std::erase_if(rules_.tools,
                  [&](const constrain::CallableTool& tool) { return !names.contains(tool.name); });
  }

  void read_function_call() {
    const RequestJson* call = fields_.find("function_call");
    if (const RequestJson* choice = fields_.find("tool_choice");
        choice != nullptr && *choice != "none" && *choice != "auto") {
      bad_field("tool_choice", "it needs 'tools'");
    }
    if (call == nullptr) return;
    if (*call == "none" || *call == "auto")
      return apply_mode(call->get<std::string>(), "function_call", true);
    if (!call->is_object())
      bad_field("function_call", "value must be 'none', 'auto' or an object with a name");
    JsonFields inside(*call, "function_call");
    keep_tools({inside.required_text("name")}, "function_call.name");
    inside.finish();
    require_call();
  }

  void read_response_format() {
    const RequestJson* format = fields_.find("response_format");
    if (format == nullptr) return;
    JsonFields fields(*format, "response_format");
    const std::string type = fields.required_text("type");
    if (type == "json_schema") {
      const RequestJson* schema = fields.find("json_schema");
      if (schema == nullptr) bad_field("response_format.json_schema", "property 'json_schema' is missing");
      read_json_schema(JsonFields(*schema, "response_format.json_schema"));
    } else if (type != "text" && type != "json_object") {
      bad_field("response_format.type", "value must be 'text', 'json_object' or 'json_schema'");
    }
    fields.finish();
    output_.asks_for_json = type != "text";
    // A call that is required leaves no place for text.
    if (type != "text" && rules_.content == ContentKind::Text) rules_.content = ContentKind::Json;
  }

  void read_json_schema(JsonFields fields) {
    const std::string name = fields.required_text("name");
    check_name(name, fields.path("name"));
    const std::string description = fields.text("description").value_or("");
    const bool strict = fields.boolean("strict").value_or(false);
    rules_.schema_place = fields.path("schema");
    if (fields.find("schema") == nullptr) bad_field(rules_.schema_place, "property 'schema' is missing");
    fields.finish();
    rules_.schema = ordered_at(ordered_, "/response_format/json_schema/schema");
    if (!rules_.schema.is_object()) bad_field(rules_.schema_place, "value must be a schema: an object");
    if (strict) check_strict(rules_.schema, rules_.schema_place, "#");
    output_.instruction = fmt::format(
        "Answer with one JSON text and nothing else. It is called {}{}{}, and it must satisfy this JSON "
        "Schema:\n{}",
        name, description.empty() ? "" : ": ", description, rules_.schema.dump());
  }

  JsonFields& fields_;
  Json ordered_;
  bool checked_ = true;  // arguments follow their schemas
  constrain::AnswerRules rules_;
  OutputFields output_;
};

}  // namespace

OutputFields read_output_fields(JsonFields& fields, std::string_view body) {
  return OutputReader(fields, body).read();
}

}  // namespace lockstep::server
