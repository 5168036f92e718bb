// What an answer may be: its tools and their choice, and the format of its text, of whatever API.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "constrain/answer_grammar.h"
#include "engine/request.h"
#include "server/json_fields.h"

namespace lockstep::server {

inline constexpr size_t kToolsMax = 128;

struct OutputFields {
  nlohmann::ordered_json tools;                 // as chat templates have them; null: none
  std::optional<constrain::AnswerRules> rules;  // none: any text
  bool asks_for_json = false;                   // its text; calls may take its place
  bool old_functions = false;                   // 'functions': a reply has 'function_call'
  std::string instruction;       // what the model is told about its answer's JSON; perhaps empty
  const char* schema_hint = "";  // ends the error of a tool's schema that no grammar is made of
};

// Where the parts of a tool, a choice or a format stand.
enum class Form : uint8_t {
  Nested,  // {"type": T, T: {...}}: chat completions
  Flat,    // {"type": T, ...}: responses
};

// An object that says its type, and the parts of that type.
class TypedFields {
 public:
  // Throws an ApiError where there is no type.
  TypedFields(const RequestJson& json, std::string where, Form form);

  const std::string& type() const { return type_; }
  // Throws an ApiError for any type but "function".
  void require_function() const;
  // Throws an ApiError where the form wants an object that is not there.
  JsonFields& parts();
  // Throws an ApiError for the first field that was not asked for.
  void finish() const;

 private:
  const Form form_;
  JsonFields outer_;
  const std::string type_;
  std::optional<JsonFields> inner_;
};

// Puts together what an answer may be. All throw an ApiError that names the field; what a schema says is
// checked where a grammar is made of it.
class OutputReader {
 public:
  // `with_schemas`: those of the fields that may hold schemas; `body`: what the fields were parsed from.
  OutputReader(JsonFields& fields, std::string_view body, const std::vector<std::string>& with_schemas,
               Form form);

  // The fields with schemas, their names in order.
  const nlohmann::ordered_json& ordered() const { return ordered_; }
  bool has_tools() const { return !rules_.tools.empty(); }

  // Arguments are any object, whatever the schemas of the tools that are read from now on.
  void leave_arguments_open() { checked_ = false; }
  // One call at most, rather than one or more.
  void allow_one_call() { rules_.one_call = true; }

  // The fields of these names.
  void read_tools();
  void read_tool_choice();
  void read_parallel_tool_calls();
  // {"type"} "text", "json_object" or "json_schema"; null: none.
  void read_format(const RequestJson* format, const std::string& place);

  // Their parts, for fields of other names. The array of a field, of up to kToolsMax; null for none.
  const RequestJson* list_of(const char* name);
  // name, description, parameters and strict.
  void read_function(JsonFields& fields);
  // "auto" or "required", and "none" where that may be.
  void apply_mode(const std::string& mode, const std::string& place, bool may_be_none);
  // A call of that tool.
  void choose(const std::string& name, const std::string& place);
  // The text is JSON: of the schema at that place of the body, or any object.
  void want_json_of(const std::string& schema_place);
  void want_json();

  OutputFields take();

 private:
  void read_allowed_tools(JsonFields& fields);
  void read_json_schema(JsonFields& fields);
  void require_call();
  void keep_tools(const std::set<std::string>& names, const std::string& place);
  nlohmann::ordered_json ordered_at(const std::string& place) const;

  JsonFields& fields_;
  const Form form_;
  nlohmann::ordered_json ordered_;
  bool checked_ = true;  // arguments follow their schemas
  constrain::AnswerRules rules_;
  OutputFields output_;
};

// Refuses what would end an answer elsewhere than its rules do. `stop_field`: its name in errors.
void check_end(const OutputFields& output, const engine::Request& generation, const std::string& stop_field);

}  // namespace lockstep::server
