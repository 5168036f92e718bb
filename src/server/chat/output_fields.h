// What a chat's answer may be: its tools and their choice, and the format of its text.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "constrain/answer_grammar.h"
#include "server/json_fields.h"

namespace lockstep::server {

inline constexpr size_t kToolsMax = 128;

struct OutputFields {
  nlohmann::ordered_json tools;                 // as chat templates have them; null: none
  std::optional<constrain::AnswerRules> rules;  // none: any text
  bool asks_for_json = false;                   // its text; calls may take its place
  bool old_functions = false;                   // 'functions': a reply has 'function_call'
  std::string instruction;  // what the model is told about its answer's JSON; perhaps empty
};

// tools, tool_choice, parallel_tool_calls, disable_tool_validation, functions and function_call,
// response_format. `body` is what the fields were parsed from. Throws an ApiError that names the field; what
// a schema says is checked where a grammar is made of it.
OutputFields read_output_fields(JsonFields& fields, std::string_view body);

}  // namespace lockstep::server
