#include "server/responses/response_input.h"

#include <utility>

#include "server/api_error.h"
#include "server/conversation/message_fields.h"

namespace lockstep::server {

namespace {

const TextParts kTextParts = {.types = {"input_text", "output_text"},
                              // of an earlier reply, as clients send it back
                              .asides = {"annotations", "logprobs", "parsed"}};

class ConversationReader {
 public:
  void read_item(const RequestJson& json, size_t index) {
    JsonFields item(json, fmt::format("input.{}", index));
    const std::string type = item.text("type").value_or("message");
    if (type == "message") {
      read_message(item);
    } else if (type == "function_call") {
      read_call(item);
    } else if (type == "function_call_output") {
      read_result(item);
    } else if (type == "reasoning") {
      for (const char* name : {"summary", "content", "encrypted_content"}) item.find(name);
    } else {
      bad_field(item.path("type"),
                "only items of type 'message', 'function_call', 'function_call_output' and 'reasoning' are "
                "supported");
    }
    for (const char* told : {"id", "status"}) item.text(told);  // of an earlier reply
    item.finish();
  }

  void add(std::string role, std::string content) {
    calls_.check_none();
    messages_.push_back({std::move(role), std::move(content)});
  }

  std::vector<text::ChatMessage> take() {
    calls_.check_none();
    return std::move(messages_);
  }

 private:
  void read_message(JsonFields& item) {
    std::string role = item.required_text("role");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant") {
      bad_field(item.path("role"), "value must be 'system', 'developer', 'user' or 'assistant'");
    }
    add(std::move(role), read_text(item, "content", kTextParts));
    item.text("phase");
  }

  void read_call(JsonFields& item) {
    text::ChatToolCall call;
    call.id = item.required_text("call_id");
    call.name = item.required_text("name");
    call.arguments = read_arguments(item.required_text("arguments"), item.path("arguments"));
    for (const char* told : {"caller", "parsed_arguments"}) item.find(told);
    for (const char* name : {"namespace", "async", "async_"}) {
      item.refuse(name, "calls have none here; leave it out");
    }
    if (messages_.empty() || messages_.back().role != "assistant") messages_.push_back({"assistant", ""});
    calls_.open(call, item.path("call_id"));
    messages_.back().tool_calls.push_back(std::move(call));
  }

  void read_result(JsonFields& item) {
    text::ChatMessage result = {"tool", read_text(item, "output", kTextParts)};
    result.tool_call_id = item.required_text("call_id");
    calls_.close(result, item.path("call_id"));
    for (const char* name : {"name", "caller"}) item.find(name);
    messages_.push_back(std::move(result));
  }

  OpenCalls calls_{"an item of type 'function_call_output' with that 'call_id'"};
  std::vector<text::ChatMessage> messages_;
};

}  // namespace

std::vector<text::ChatMessage> read_conversation(JsonFields& fields) {
  ConversationReader reader;
  if (const auto instructions = fields.text("instructions")) reader.add("system", *instructions);
  const RequestJson* input = fields.find("input");
  if (input == nullptr) bad_field("input", "property 'input' is missing");
  if (input->is_string()) {
    reader.add("user", input->get<std::string>());
  } else if (!input->is_array() || input->empty()) {
    bad_field("input", "value must be a string or an array of at least one item");
  } else {
    for (size_t i = 0; i < input->size(); ++i) reader.read_item((*input)[i], i);
  }
  return reader.take();
}

}  // namespace lockstep::server
