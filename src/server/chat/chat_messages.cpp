#include "server/chat/chat_messages.h"

#include <utility>

#include "server/api_error.h"
#include "server/conversation/message_fields.h"

namespace lockstep::server {

namespace {

const TextParts kTextParts = {{"text"}};

std::string read_content(JsonFields& fields) {
  return read_text(fields, "content", kTextParts);
}

// "name" and "arguments" of a call.
text::ChatToolCall read_function(JsonFields fields) {
  text::ChatToolCall call;
  call.name = fields.required_text("name");
  call.arguments = read_arguments(fields.required_text("arguments"), fields.path("arguments"));
  fields.finish();
  return call;
}

void read_tool_calls(JsonFields& fields, text::ChatMessage& message) {
  const RequestJson* calls = fields.find("tool_calls");
  if (calls == nullptr) return;
  if (!calls->is_array()) bad_field(fields.path("tool_calls"), "value must be an array of tool calls");
  for (size_t i = 0; i < calls->size(); ++i) {
    JsonFields item((*calls)[i], fmt::format("{}.{}", fields.path("tool_calls"), i));
    const std::string id = item.required_text("id");
    if (item.required_text("type") != "function") {
      bad_field(item.path("type"), "only calls of type 'function' are supported");
    }
    item.find("index");  // what a stream's pieces have besides
    const RequestJson* function = item.find("function");
    if (function == nullptr) bad_field(item.path("function"), "property 'function' is missing");
    text::ChatToolCall call = read_function(JsonFields(*function, item.path("function")));
    item.finish();
    call.id = id;
    message.tool_calls.push_back(std::move(call));
  }
}

// What clients send back of an earlier answer that the next one does not build on.
void read_asides(JsonFields& fields, Mode mode) {
  fields.text("reasoning");
  if (mode == Mode::Strict) return;
  for (const char* name : {"refusal", "reasoning_content"}) fields.text(name);
  if (const RequestJson* annotations = fields.find("annotations");
      annotations != nullptr && !annotations->is_array()) {
    bad_field(fields.path("annotations"), "value must be an array");
  }
  fields.refuse("audio", "the model hears no audio; leave it out");
}

void read_assistant(JsonFields& fields, text::ChatMessage& message, Mode mode) {
  if (mode == Mode::Strict && fields.has("function_call") && fields.find("function_call") == nullptr) {
    bad_field(fields.path("function_call"), "value must be an object");
  }
  read_tool_calls(fields, message);
  if (const RequestJson* function = fields.find("function_call")) {
    if (!message.tool_calls.empty()) bad_field(fields.path("function_call"), "it stands beside 'tool_calls'");
    message.tool_calls.push_back(read_function(JsonFields(*function, fields.path("function_call"))));
  }
  const bool has_content = fields.find("content") != nullptr;
  if (has_content || message.tool_calls.empty()) message.content = read_content(fields);
  read_asides(fields, mode);
}

text::ChatMessage read_message(const RequestJson& json, size_t index, Mode mode) {
  JsonFields fields(json, fmt::format("messages.{}", index));
  text::ChatMessage message;
  message.role = fields.required_text("role");
  if (message.role == "developer") message.role = "system";  // OpenAI's newer name for it
  if (message.role == "assistant") {
    read_assistant(fields, message, mode);
  } else if (message.role == "tool") {
    message.content = read_content(fields);
    message.tool_call_id = fields.required_text("tool_call_id");
    if (mode == Mode::Lenient) fields.text("name");  // the call says it
  } else if (message.role == "function") {
    message.role = "tool";  // its newer name
    message.content = read_content(fields);
    message.name = fields.required_text("name");
  } else if (message.role == "system" || message.role == "user") {
    message.content = read_content(fields);
  } else {
    bad_field(fields.path("role"),
              "value must be 'system', 'developer', 'user', 'assistant', 'tool' or 'function'");
  }
  if (mode == Mode::Lenient) {
    fields.refuse("name", "the chat template has no place for a name; leave it out");
  }
  fields.finish();
  return message;
}

// The same, with errors in Groq's words.
text::ChatMessage read_message_as_groq(const RequestJson& json, size_t index) {
  try {
    return read_message(json, index, Mode::Strict);
  } catch (const ApiError& error) {
    const auto role = json.is_object() ? json.find("role") : json.end();
    if (!json.is_object() || role == json.end() || !role->is_string()) throw;
    throw ApiError(error.status(), error.code(), error.param(),
                   fmt::format("'messages.{}' : for 'role:{}' the following must be satisfied[({})]", index,
                               role->get<std::string>().substr(0, 64), error.what()));
  }
}

}  // namespace

std::vector<text::ChatMessage> read_messages(JsonFields& fields, Mode mode) {
  const RequestJson* messages = fields.find("messages");
  if (messages == nullptr) bad_field("messages", "property 'messages' is missing");
  if (!messages->is_array() || messages->empty()) {
    bad_field("messages", "value must be an array of at least one message");
  }
  std::vector<text::ChatMessage> list;
  OpenCalls calls("a message with role 'tool' and that 'tool_call_id'");
  for (size_t i = 0; i < messages->size(); ++i) {
    const RequestJson& json = (*messages)[i];
    const std::string place = fmt::format("messages.{}", i);
    text::ChatMessage message =
        mode == Mode::Strict ? read_message_as_groq(json, i) : read_message(json, i, mode);
    if (message.role == "tool") {
      calls.close(message,
                  fmt::format("{}.{}", place, message.tool_call_id.empty() ? "name" : "tool_call_id"));
    } else {
      calls.check_none();
      for (const text::ChatToolCall& call : message.tool_calls) calls.open(call, place);
    }
    list.push_back(std::move(message));
  }
  calls.check_none();
  return list;
}

}  // namespace lockstep::server
