#include "server/ollama/ollama_messages.h"

#include <utility>

#include "server/api_error.h"
#include "server/conversation/message_fields.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNotOfRole = "a message of this role has none; leave it out";

class MessagesReader {
 public:
  explicit MessagesReader(std::string_view body) : body_(body) {}

  void read(const RequestJson& json) {
    const std::string place = fmt::format("messages.{}", messages_.size());
    JsonFields fields(json, place);
    text::ChatMessage message;
    message.role = fields.required_text("role");
    message.content = fields.text("content").value_or("");
    fields.text("thinking");  // of an earlier answer; what comes after it does not build on it
    fields.refuse("images", kNoImages);
    const bool is_result = message.role == "tool", is_answer = message.role == "assistant";
    if (!is_result) calls_.check_none();
    if (is_result) {
      read_result(fields, message);
    } else if (is_answer) {
      read_calls(fields, place, message);
    } else if (message.role != "system" && message.role != "user") {
      bad_field(fields.path("role"), "value must be 'system', 'user', 'assistant' or 'tool'");
    }
    if (!is_answer) fields.refuse("tool_calls", kNotOfRole);
    if (!is_result) {
      for (const char* name : {"tool_name", "tool_call_id"}) fields.refuse(name, kNotOfRole);
    }
    fields.finish();
    messages_.push_back(std::move(message));
  }

  std::vector<text::ChatMessage> take() {
    calls_.check_none();
    return std::move(messages_);
  }

 private:
  void read_calls(JsonFields& fields, const std::string& place, text::ChatMessage& message) {
    const RequestJson* calls = fields.find("tool_calls");
    if (calls == nullptr) return;
    if (!calls->is_array()) bad_field(fields.path("tool_calls"), "value must be an array of tool calls");
    for (size_t i = 0; i < calls->size(); ++i) {
      JsonFields call((*calls)[i], fmt::format("{}.{}", fields.path("tool_calls"), i));
      message.tool_calls.push_back(read_call(call));
      message.tool_calls.back().arguments = arguments_of(i);
      calls_.open(message.tool_calls.back(), place);
    }
  }

  // Without its arguments, whose names a RequestJson has in another order.
  text::ChatToolCall read_call(JsonFields& fields) {
    const std::string id = fields.text("id").value_or("");
    if (fields.text("type").value_or("function") != "function") {
      bad_field(fields.path("type"), "only calls of type 'function' are supported");
    }
    const RequestJson* function = fields.find("function");
    if (function == nullptr) bad_field(fields.path("function"), "property 'function' is missing");
    fields.finish();
    JsonFields inside(*function, fields.path("function"));
    text::ChatToolCall call;
    call.name = inside.required_text("name");
    // Templates may want an id, which most clients do not send: 9 characters, as Mistral's demand.
    call.id = id.empty() ? fmt::format("{:09}", ++calls_read_) : id;
    const RequestJson* arguments = inside.find("arguments");
    if (arguments != nullptr && !arguments->is_object()) {
      bad_field(inside.path("arguments"), "value must be an object");
    }
    inside.find("index");
    inside.finish();
    return call;
  }

  // Of a call of the message that is being read.
  Json arguments_of(size_t call) {
    if (ordered_.is_null()) ordered_ = parse_ordered(body_, {"messages"});
    const Json& function = ordered_["messages"][messages_.size()]["tool_calls"][call]["function"];
    const Json arguments = function.value("arguments", Json());
    return arguments.is_null() ? Json::object() : arguments;
  }

  void read_result(JsonFields& fields, text::ChatMessage& message) {
    message.tool_call_id = fields.text("tool_call_id").value_or("");
    const std::optional<std::string> older = fields.text("name");
    message.name = fields.text("tool_name").value_or(older.value_or(""));
    if (!message.tool_call_id.empty()) {
      calls_.close(message, fields.path("tool_call_id"));
    } else if (!message.name.empty()) {
      calls_.close(message, fields.path("tool_name"));
    } else {
      calls_.close_first(message, fields.path("role"));
    }
  }

  const std::string_view body_;
  Json ordered_;  // of the messages, once there is a call
  size_t calls_read_ = 0;
  OpenCalls calls_{"a message with role 'tool' and its 'tool_name'"};
  std::vector<text::ChatMessage> messages_;
};

}  // namespace

std::vector<text::ChatMessage> read_ollama_messages(JsonFields& fields, std::string_view body) {
  const RequestJson* messages = fields.find("messages");
  if (messages == nullptr) return {};
  if (!messages->is_array()) bad_field("messages", "value must be an array of messages");
  MessagesReader reader(body);
  for (const RequestJson& message : *messages) reader.read(message);
  return reader.take();
}

}  // namespace lockstep::server
