#include "text/chat_template.h"

#include "base/error.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_parser.h"

namespace lockstep::text {

struct ChatTemplate::Parsed {
  std::string source;
  std::string what;
  jinja::Body body;
};

ChatTemplate ChatTemplate::parse(std::string source, std::string what) {
  auto parsed = std::make_shared<Parsed>();
  try {
    parsed->body = jinja::parse_template(source);
  } catch (const jinja::Failure& failure) {
    user_error("{}, line {}: {}", what, failure.line(), failure.what());
  }
  parsed->source = std::move(source);
  parsed->what = std::move(what);
  return ChatTemplate(std::move(parsed));
}

std::string ChatTemplate::render(const nlohmann::ordered_json& variables,
                                 const RenderOptions& options) const {
  if (!variables.is_object()) user_error("{}: the variables must be a JSON object", parsed_->what);
  jinja::Limits inner;
  inner.maximum_steps = options.maximum_steps;
  inner.maximum_string_bytes = options.maximum_bytes;
  jinja::CallContext context{jinja::Budget(inner), options.now, {}, 0};
  jinja::Interpreter interpreter(context);
  try {
    for (const auto& [name, value] : variables.items()) {
      interpreter.set_variable(name, jinja::Value::from_json(value, context.budget));
    }
    return interpreter.render(parsed_->body);
  } catch (const jinja::Failure& failure) {
    user_error("{}, line {}: {}", parsed_->what, interpreter.line(), failure.what());
  }
}

namespace {

// As transformers hands messages to a template.
nlohmann::ordered_json message_json(const ChatMessage& message) {
  nlohmann::ordered_json json = {{"role", message.role}, {"content", message.content}};
  for (const ChatToolCall& call : message.tool_calls) {
    json["tool_calls"].push_back({{"id", call.id},
                                  {"type", "function"},
                                  {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  if (!message.tool_calls.empty() && message.content.empty()) json["content"] = nullptr;
  if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) json["name"] = message.name;
  return json;
}

}  // namespace

std::string ChatTemplate::render_chat(std::span<const ChatMessage> messages,
                                      const ChatOptions& options) const {
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  auto& list = variables["messages"] = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) list.push_back(message_json(message));
  variables["add_generation_prompt"] = options.add_generation_prompt;
  variables["bos_token"] = options.bos_token;
  variables["eos_token"] = options.eos_token;
  variables["tools"] = options.tools;
  variables["documents"] = nullptr;
  for (const auto& [name, value] : options.extra.items()) variables[name] = value;
  return render(variables);
}

const std::string& ChatTemplate::source() const {
  return parsed_->source;
}

}  // namespace lockstep::text
