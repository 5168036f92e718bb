#include "server/chat/output_fields.h"

#include "server/api_error.h"

namespace lockstep::server {

namespace {

// Whether a choice, which may be null, asks for nothing.
bool leaves_free(const RequestJson* choice) {
  return choice == nullptr || *choice == "none" || *choice == "auto";
}

// The old name of tools. False where there are none.
bool read_functions(OutputReader& reader) {
  const RequestJson* functions = reader.list_of("functions");
  if (functions == nullptr) return false;
  if (reader.has_tools()) {
    bad_field("functions", "it is the old name of 'tools', which is there: leave it out");
  }
  for (size_t i = 0; i < functions->size(); ++i) {
    JsonFields function((*functions)[i], fmt::format("functions.{}", i));
    reader.read_function(function);
    function.finish();
  }
  reader.allow_one_call();
  return true;
}

// The old name of tool_choice.
void read_function_call(JsonFields& fields, OutputReader& reader) {
  const RequestJson* call = fields.find("function_call");
  if (call == nullptr) return;
  if (leaves_free(call)) return reader.apply_mode(call->get<std::string>(), "function_call", true);
  if (!call->is_object()) {
    bad_field("function_call", "value must be 'none', 'auto' or an object with a name");
  }
  JsonFields inside(*call, "function_call");
  reader.choose(inside.required_text("name"), "function_call.name");
  inside.finish();
}

}  // namespace

OutputFields read_output_fields(JsonFields& fields, std::string_view body) {
  OutputReader reader(fields, body, {"tools", "functions", "response_format"}, Form::Nested);
  if (fields.boolean("disable_tool_validation").value_or(false)) reader.leave_arguments_open();
  reader.read_parallel_tool_calls();
  reader.read_tools();
  const bool old_functions = read_functions(reader);
  const RequestJson* choice = fields.find("tool_choice");
  const RequestJson* old_choice = fields.find("function_call");
  if (old_functions) {
    if (!leaves_free(choice)) bad_field("tool_choice", "it needs 'tools'");
    read_function_call(fields, reader);
  } else {
    if (!leaves_free(old_choice)) bad_field("function_call", "it needs 'functions'");
    reader.read_tool_choice();
  }
  reader.read_format(fields.find("response_format"), "response_format");
  OutputFields output = reader.take();
  output.old_functions = old_functions;
  output.schema_hint = "; with 'disable_tool_validation' the arguments are any JSON object";
  return output;
}

}  // namespace lockstep::server
