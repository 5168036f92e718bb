#include "server/chat/chat_messages.h"

#include <algorithm>
#include <utility>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

using Json = nlohmann::ordered_json;

// "content": a string, or a list of text parts, which are joined.
std::string read_content(JsonFields& fields) {
  const RequestJson* content = fields.find("content");
  const std::string path = fields.path("content");
  if (content == nullptr) bad_field(path, "property 'content' is missing");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) bad_field(path, "value must be a string or an array of text parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    JsonFields part((*content)[i], fmt::format("{}.{}", path, i));
    const std::string type = part.required_text("type");
    if (type != "text") bad_field(part.path("type"), "only parts of type 'text' are supported");
    text += part.required_text("text");
    part.finish();
  }
  return text;
}

// "name" and "arguments" of a call; templates take the arguments as an object.
text::ChatToolCall read_function(JsonFields fields) {
  constexpr size_t kNamesMax = 1000;  // an ordered object looks for each among all
  text::ChatToolCall call;
  call.name = fields.required_text("name");
  const std::string arguments = fields.required_text("arguments");
  fields.finish();
  size_t names = 0;
  auto limit = [&](int depth, Json::parse_event_t event, Json&) {
    names += event == Json::parse_event_t::key;
    if (depth > 64 || names > kNamesMax) {
      bad_field(fields.path("arguments"), "at most {} names and 64 levels are possible", kNamesMax);
    }
    return true;
  };
  try {
    call.arguments = arguments.empty() ? Json::object() : Json::parse(arguments, limit);
  } catch (const Json::exception&) {
    call.arguments = nullptr;
  }
  if (!call.arguments.is_object()) {
    bad_field(fields.path("arguments"), "value must be the text of a JSON object, such as \"{{}}\"");
  }
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

// Calls whose results are still to come.
class OpenCalls {
 public:
  void open(const text::ChatMessage& message, size_t index) {
    index_ = index;
    for (const text::ChatToolCall& call : message.tool_calls) {
      const auto same = [&](const text::ChatToolCall& other) { return other.id == call.id; };
      if (std::count_if(message.tool_calls.begin(), message.tool_calls.end(), same) > 1) {
        bad_field(fmt::format("messages.{}.tool_calls", index), "two calls have the id '{}'", call.id);
      }
      calls_.push_back(call);
    }
  }

  // The result of one of them; gives it the tool's name.
  void close(text::ChatMessage& result, size_t index) {
    const bool by_name = result.tool_call_id.empty();
    const auto call = std::find_if(calls_.begin(), calls_.end(), [&](const text::ChatToolCall& open) {
      return by_name ? open.name == result.name : open.id == result.tool_call_id;
    });
    if (call == calls_.end()) {
      bad_field(fmt::format("messages.{}.{}", index, by_name ? "name" : "tool_call_id"),
                "'{}' is no call of the assistant's message before it that has no result yet",
                by_name ? result.name : result.tool_call_id);
    }
    result.name = call->name;
    calls_.erase(call);
  }

  void check_none() const {
    if (calls_.empty()) return;
    const std::string& id = calls_[0].id;
    bad_field(
        fmt::format("messages.{}", index_),
        "the call '{}' needs its result: a message with role 'tool' and that 'tool_call_id' right after",
        id.empty() ? calls_[0].name : id);
  }

 private:
  size_t index_ = 0;  // of the message that made them
  std::vector<text::ChatToolCall> calls_;
};

}  // namespace

std::vector<text::ChatMessage> read_messages(JsonFields& fields, Mode mode) {
  const RequestJson* messages = fields.find("messages");
  if (messages == nullptr) bad_field("messages", "property 'messages' is missing");
  if (!messages->is_array() || messages->empty()) {
    bad_field("messages", "value must be an array of at least one message");
  }
  std::vector<text::ChatMessage> list;
  OpenCalls calls;
  for (size_t i = 0; i < messages->size(); ++i) {
    const RequestJson& message = (*messages)[i];
    list.push_back(mode == Mode::Strict ? read_message_as_groq(message, i) : read_message(message, i, mode));
    if (list.back().role == "tool") {
      calls.close(list.back(), i);
    } else {
      calls.check_none();
      calls.open(list.back(), i);
    }
  }
  calls.check_none();
  return list;
}

}  // namespace lockstep::server
