// Chat templates: the Jinja2 programs that come with models and turn a conversation into the model's prompt.
// The language is Jinja2's as Hugging Face transformers sets it up: trim_blocks, lstrip_blocks, loop
// controls, an immutable sandbox, raise_exception, strftime_now, tojson without HTML escapes, and generation
// blocks that change nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text {

// A call of a tool that an assistant's message made.
struct ChatToolCall {
  std::string id;
  std::string name;
  nlohmann::ordered_json arguments;  // an object
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
  std::vector<ChatToolCall> tool_calls =
      {};                         // of an assistant; without content, that is null to the template
  std::string tool_call_id = {};  // of a tool: the call that it answers, and its tool
  std::string name = {};
};

// What a conversation's render takes besides its messages.
struct ChatOptions {
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
  nlohmann::ordered_json tools;                                     // an array of tools, or null
  nlohmann::ordered_json extra = nlohmann::ordered_json::object();  // further variables by name
};

// Bounds of one render, and its time.
struct RenderOptions {
  uint64_t maximum_steps = 10'000'000;      // nodes evaluated, items made, 32-byte pieces written
  size_t maximum_bytes = 16 * 1024 * 1024;  // of the text and of every string on the way
  std::optional<std::tm> now;               // what strftime_now() shows; the local time if it is not set
};

// Immutable once parsed; a copy shares the parsed template, and render() may be called by many threads.
class ChatTemplate {
 public:
  // `what` names the template in messages, such as "the chat template of model.gguf". Throws a user's Error
  // that tells the line and what is wrong there.
  static ChatTemplate parse(std::string source, std::string what);

  // `variables` is an object: messages, add_generation_prompt, tools and so on. Throws a user's Error where
  // the template fails, refuses the conversation (raise_exception) or goes beyond the limits.
  std::string render(const nlohmann::ordered_json& variables, const RenderOptions& options = {}) const;

  // The usual variables from plain messages.
  std::string render_chat(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;

  const std::string& source() const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace lockstep::text
