#include "server/conversation/conversation_prompt.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "constrain/answer_grammar.h"
#include "server/api_error.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

namespace {

using text::ChatMessage;

constexpr const char* kResultBegin = "<tool_response>\n";
constexpr const char* kResultEnd = "\n</tool_response>";

std::string describe_tools(const constrain::CallFormat& format, const nlohmann::ordered_json& tools) {
  std::string text =
      "You may call functions to help with the user's request. These are the functions, each as JSON between "
      "<tools> and </tools>:\n<tools>\n";
  for (const nlohmann::ordered_json& tool : tools) text += tool.dump() + "\n";
  text += fmt::format(
      "</tools>\nTo call a function, write its name and its arguments in this form and nothing after it:\n"
      "{}{}NAME{}ARGUMENTS{}{}\nIts result comes back between <tool_response> and </tool_response>.",
      format.begin, constrain::opening(format), format.middle, format.close, format.end);
  return text;
}

std::string spell_calls(const constrain::CallFormat& format, const std::vector<text::ChatToolCall>& calls) {
  std::string text(format.begin);
  text += constrain::opening(format);
  for (size_t i = 0; i < calls.size(); ++i) {
    if (i > 0) text += fmt::format("{}{}", format.next, format.open);
    text += fmt::format("{}{}{}{}", calls[i].name, format.middle, calls[i].arguments.dump(), format.close);
  }
  return text.append(format.end);
}

// Calls in the assistant's text, results as a user's message, those that follow each other in one.
std::vector<ChatMessage> without_tools(const constrain::CallFormat& format,
                                       std::span<const ChatMessage> messages) {
  std::vector<ChatMessage> plain;
  bool in_results = false;
  for (const ChatMessage& message : messages) {
    std::string content = message.content;
    const bool is_result = message.role == "tool";
    if (is_result) content = kResultBegin + content + kResultEnd;
    if (!message.tool_calls.empty()) {
      content += (content.empty() ? "" : "\n") + spell_calls(format, message.tool_calls);
    }
    if (is_result && in_results) {
      plain.back().content += "\n" + content;
    } else {
      plain.push_back({is_result ? "user" : message.role, std::move(content)});
    }
    in_results = is_result;
  }
  return plain;
}

std::string joined(const std::string& first, const std::string& second) {
  return first.empty() || second.empty() ? first + second : first + "\n\n" + second;
}

const text::ChatTemplate& require_chat_template(const ServedModel& model) {
  if (model.chat_template != nullptr) return *model.chat_template;
  throw ApiError(400, "", "model",
                 fmt::format("'{}' has no chat template, which a chat needs", model.ids.front()));
}

}  // namespace

std::string conversation_prompt(const text::ChatTemplate& chat_template, const text::Tokenizer& tokenizer,
                                const constrain::CallFormat& format, std::span<const ChatMessage> given,
                                const OutputFields& output) {
  const std::string& source = chat_template.source();
  const bool knows_tools = constrain::format_of_template(source) != nullptr;
  const bool knows_calls = knows_tools && source.find("tool_calls") != std::string::npos;
  const nlohmann::ordered_json& tools = output.tools;
  std::vector<ChatMessage> messages =
      knows_calls ? std::vector<ChatMessage>(given.begin(), given.end()) : without_tools(format, given);
  std::string told = output.instruction;
  if (!knows_tools && !tools.is_null()) told = joined(describe_tools(format, tools), told);
  auto render = [&] {
    return text::render_chat(chat_template, tokenizer, messages, knows_tools ? tools : nullptr);
  };
  if (told.empty()) return render();
  if (messages[0].role == "system") {
    messages[0].content = joined(messages[0].content, told);
    return render();
  }
  const std::vector<ChatMessage> client_messages = messages;
  messages.insert(messages.begin(), {"system", told});
  try {
    return render();
  } catch (const Error&) {
    // The template has no place for a system's message: the user's first one says it.
    messages = client_messages;
    const auto user = std::find_if(messages.begin(), messages.end(),
                                   [](const ChatMessage& message) { return message.role == "user"; });
    if (user == messages.end()) throw;
    user->content = joined(told, user->content);
    return render();
  }
}

std::vector<int32_t> conversation_tokens(const ServedModel& model, const constrain::CallFormat& format,
                                         std::span<const ChatMessage> messages, const OutputFields& output) {
  const std::string prompt =
      conversation_prompt(require_chat_template(model), model.tokenizer, format, messages, output);
  return text::tokenize_prompt(model.tokenizer, prompt, true);
}

}  // namespace lockstep::server
