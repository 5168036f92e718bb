// What a chat's answer may be: its tools and their choice, and the format of its text.
#pragma once

#include <string_view>

#include "server/conversation/output_reader.h"
#include "server/json_fields.h"

namespace lockstep::server {

// tools, tool_choice, parallel_tool_calls, disable_tool_validation, functions and function_call,
// response_format. `body` is what the fields were parsed from. Throws an ApiError that names the field; what
// a schema says is checked where a grammar is made of it.
OutputFields read_output_fields(JsonFields& fields, std::string_view body);

}  // namespace lockstep::server
