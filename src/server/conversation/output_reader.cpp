#include "server/conversation/output_reader.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;
using constrain::ContentKind;

constexpr size_t kShownMax = 64;  // bytes of a client's text that an error repeats

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
  for (const char* list : {"properties", "$defs", "definitions", "anyOf", "oneOf", "allOf", "prefixItems"}) {
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

Json any_object() {
  return {{"type", "object"}};
}

}  // namespace

TypedFields::TypedFields(const RequestJson& json, std::string where, Form form)
    : form_(form), outer_(json, std::move(where)), type_(outer_.required_text("type")) {}

void TypedFields::require_function() const {
  if (type_ == "function") return;
  bad_field(outer_.path("type"), "only tools of type 'function' are supported, and this is of type '{}'",
            type_.substr(0, kShownMax));
}

JsonFields& TypedFields::parts() {
  if (form_ == Form::Flat) return outer_;
  if (!inner_) {
    const RequestJson* member = outer_.find(type_.c_str());
    if (member == nullptr) bad_field(outer_.path(type_), "property '{}' is missing", type_);
    inner_.emplace(*member, outer_.path(type_));
  }
  return *inner_;
}

void TypedFields::finish() const {
  outer_.finish();
  if (inner_) inner_->finish();
}

OutputReader::OutputReader(JsonFields& fields, std::string_view body,
                           const std::vector<std::string>& with_schemas, Form form)
    : fields_(fields), form_(form) {
  const bool any = std::any_of(with_schemas.begin(), with_schemas.end(),
                               [&](const std::string& name) { return fields_.has(name.c_str()); });
  if (any) ordered_ = parse_ordered(body, with_schemas);
}

const RequestJson* OutputReader::list_of(const char* name) {
  const RequestJson* list = fields_.find(name);
  if (list == nullptr) return nullptr;
  if (!list->is_array()) bad_field(name, "value must be an array");
  if (list->size() > kToolsMax) {
    bad_field(name, "{} were given; up to {} are possible", list->size(), kToolsMax);
  }
  return list->empty() ? nullptr : list;
}

void OutputReader::read_tools() {
  const RequestJson* tools = list_of("tools");
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    TypedFields tool((*tools)[i], fmt::format("tools.{}", i), form_);
    tool.require_function();
    read_function(tool.parts());
    tool.finish();
  }
}

void OutputReader::read_function(JsonFields& fields) {
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
  Json parameters = ordered_at(tool.place);
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

void OutputReader::read_parallel_tool_calls() {
  if (!fields_.boolean("parallel_tool_calls").value_or(true)) allow_one_call();
}

void OutputReader::read_tool_choice() {
  const RequestJson* choice = fields_.find("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_string()) return apply_mode(choice->get<std::string>(), "tool_choice", true);
  TypedFields typed(*choice, "tool_choice", form_);
  if (typed.type() == "allowed_tools") {
    read_allowed_tools(typed.parts());
  } else if (typed.type() == "function") {
    JsonFields& parts = typed.parts();
    choose(parts.required_text("name"), parts.path("name"));
    allow_one_call();
  } else {
    bad_field("tool_choice.type", "value must be 'function' or 'allowed_tools'");
  }
  typed.finish();
}

void OutputReader::read_allowed_tools(JsonFields& fields) {
  const std::string mode = fields.required_text("mode");
  const RequestJson* tools = fields.find("tools");
  const std::string place = fields.path("tools");
  if (tools == nullptr || !tools->is_array() || tools->empty()) {
    bad_field(place, "value must be an array of at least one tool");
  }
  std::set<std::string> names;
  for (size_t i = 0; i < tools->size(); ++i) {
    TypedFields tool((*tools)[i], fmt::format("{}.{}", place, i), form_);
    tool.require_function();
    names.insert(tool.parts().required_text("name"));
    tool.finish();
  }
  keep_tools(names, place);
  apply_mode(mode, fields.path("mode"), false);
}

void OutputReader::apply_mode(const std::string& mode, const std::string& place, bool may_be_none) {
  if (mode == "auto") return;
  if (mode == "required") return require_call();
  if (mode != "none" || !may_be_none) {
    bad_field(place, "value must be {}'auto' or 'required'{}", may_be_none ? "'none', " : "",
              may_be_none ? ", or an object that names a function" : "");
  }
  rules_.tools.clear();
}

void OutputReader::choose(const std::string& name, const std::string& place) {
  keep_tools({name}, place);
  require_call();
}

void OutputReader::require_call() {
  if (rules_.tools.empty()) bad_field("tool_choice", "it needs 'tools' to choose from");
  rules_.content = ContentKind::Absent;
}

void OutputReader::keep_tools(const std::set<std::string>& names, const std::string& place) {
  for (const std::string& name : names) {
    const bool known = std::any_of(rules_.tools.begin(), rules_.tools.end(),
                                   [&](const constrain::CallableTool& tool) { return tool.name == name; });
    if (!known) bad_field(place, "'{}' is not among the tools", name);
  }
  std::erase_if(rules_.tools,
                [&](const constrain::CallableTool& tool) { return !names.contains(tool.name); });
}

void OutputReader::read_format(const RequestJson* format, const std::string& place) {
  if (format == nullptr) return;
  TypedFields typed(*format, place, form_);
  if (typed.type() == "json_schema") {
    read_json_schema(typed.parts());
  } else if (typed.type() == "json_object") {
    want_json();
  } else if (typed.type() != "text") {
    bad_field(place + ".type", "value must be 'text', 'json_object' or 'json_schema'");
  }
  typed.finish();
}

void OutputReader::read_json_schema(JsonFields& fields) {
  const std::string name = fields.required_text("name");
  check_name(name, fields.path("name"));
  const std::string description = fields.text("description").value_or("");
  const bool strict = fields.boolean("strict").value_or(false);
  const std::string place = fields.path("schema");
  if (fields.find("schema") == nullptr) bad_field(place, "property 'schema' is missing");
  want_json_of(place);
  if (strict) check_strict(rules_.schema, place, "#");
  output_.instruction = fmt::format(
      "Answer with one JSON text and nothing else. It is called {}{}{}, and it must satisfy this JSON "
      "Schema:\n{}",
      name, description.empty() ? "" : ": ", description, rules_.schema.dump());
}

void OutputReader::want_json_of(const std::string& schema_place) {
  rules_.schema = ordered_at(schema_place);
  rules_.schema_place = schema_place;
  if (!rules_.schema.is_object()) bad_field(schema_place, "value must be a schema: an object");
  want_json();
}

void OutputReader::want_json() {
  output_.asks_for_json = true;
  // A call that is required leaves no place for text.
  if (rules_.content == ContentKind::Text) rules_.content = ContentKind::Json;
}

OutputFields OutputReader::take() {
  if (!output_.tools.is_null() || rules_.content != ContentKind::Text) output_.rules = std::move(rules_);
  return std::move(output_);
}

// A value that parse_ordered() has where JsonFields saw one; null where there is none.
Json OutputReader::ordered_at(const std::string& place) const {
  std::string pointer = "/" + place;
  std::replace(pointer.begin(), pointer.end(), '.', '/');  // places are made of the API's own names
  const Json::json_pointer at(pointer);
  return ordered_.contains(at) ? ordered_.at(at) : Json();
}

void check_end(const OutputFields& output, const engine::Request& generation, const std::string& stop_field) {
  if (!output.rules) return;
  const bool has_text = output.rules->content == ContentKind::Text;
  if (!has_text && !generation.stop.empty()) {
    bad_field(stop_field, "an answer of JSON or of calls alone ends by itself; leave it out");
  }
  if (generation.ignore_end) {
    bad_field("ignore_eos", "an answer with tools or of JSON ends by itself; leave it out");
  }
}

}  // namespace lockstep::server
