#include "text/chat_prompt.h"

#include "base/error.h"
#include "text/utf8.h"

namespace lockstep::text {

namespace {

// Put inside a control token that a message merely spells, so that it is read as text: a noncharacter, which
// no exchanged text may contain (Unicode 23.7). tokenize_prompt takes it out again.
constexpr std::string_view kGuard = "\xf4\x8f\xbf\xbf";

std::string without_guards(std::string_view content) {
  std::string result;
  size_t begin = 0;
  for (size_t at = content.find(kGuard); at != std::string_view::npos; at = content.find(kGuard, begin)) {
    result.append(content, begin, at - begin);
    begin = at + kGuard.size();
  }
  return result.append(content, begin);
}

// A guard after the first byte of every `token` in the content.
std::string with_guards(std::string_view content, std::string_view token) {
  std::string result;
  size_t begin = 0;
  for (size_t at = content.find(token); at != std::string_view::npos; at = content.find(token, begin)) {
    result.append(content, begin, at + 1 - begin).append(kGuard);
    begin = at + 1;
  }
  return result.append(content, begin);
}

// Guards the control tokens that a client's texts spell.
class Guards {
 public:
  explicit Guards(const Tokenizer& tokenizer) {
    for (const int32_t id : tokenizer.control_ids()) {
      const std::string& token = tokenizer.vocabulary().tokens[static_cast<size_t>(id)];
      if (token.size() >= 2) tokens_.push_back(token);
    }
  }

  std::string operator()(std::string_view content) const {
    std::string guarded = without_guards(content);
    for (const std::string_view token : tokens_) {
      if (guarded.find(token) != std::string::npos) guarded = with_guards(guarded, token);
    }
    return guarded;
  }

  // In every string and every name.
  nlohmann::ordered_json operator()(const nlohmann::ordered_json& json) const {
    if (json.is_string()) return (*this)(std::string_view(json.get_ref<const std::string&>()));
    if (!json.is_structured()) return json;
    nlohmann::ordered_json guarded = json;
    guarded.clear();
    for (const auto& item : json.items()) {
      if (json.is_object()) {
        guarded[(*this)(std::string_view(item.key()))] = (*this)(item.value());
      } else {
        guarded.push_back((*this)(item.value()));
      }
    }
    return guarded;
  }

  ChatMessage operator()(const ChatMessage& message) const {
    ChatMessage guarded = message;
    for (std::string* text : {&guarded.content, &guarded.tool_call_id, &guarded.name}) {
      *text = (*this)(std::string_view(*text));
    }
    for (ChatToolCall& call : guarded.tool_calls) {
      call = {(*this)(std::string_view(call.id)), (*this)(std::string_view(call.name)),
              (*this)(call.arguments)};
    }
    return guarded;
  }

 private:
  std::vector<std::string_view> tokens_;
};

}  // namespace

std::string render_chat(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                        std::span<const ChatMessage> messages, const nlohmann::ordered_json& tools) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  const Guards guard(tokenizer);
  std::vector<ChatMessage> guarded;
  for (const ChatMessage& message : messages) guarded.push_back(guard(message));
  ChatOptions options;
  if (vocabulary.bos_id) options.bos_token = vocabulary.tokens[static_cast<size_t>(*vocabulary.bos_id)];
  if (vocabulary.eos_id) options.eos_token = vocabulary.tokens[static_cast<size_t>(*vocabulary.eos_id)];
  options.tools = guard(tools);
  return chat_template.render_chat(guarded, options);
}

std::vector<int32_t> tokenize_prompt(const Tokenizer& tokenizer, std::string_view text, bool special) {
  if (const auto offset = find_invalid_utf8(text)) {
    user_error("the prompt is not valid UTF-8 at byte {}", *offset);
  }
  const SpecialTokens parse = special ? SpecialTokens::Parse : SpecialTokens::Plain;
  std::vector<int32_t> ids;
  while (true) {
    const size_t guard = special ? text.find(kGuard) : std::string_view::npos;
    const std::vector<int32_t> piece = tokenizer.encode(text.substr(0, guard), parse);
    ids.insert(ids.end(), piece.begin(), piece.end());
    if (guard == std::string_view::npos) break;
    text.remove_prefix(guard + kGuard.size());
  }
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  if (vocabulary.add_bos && vocabulary.bos_id && (ids.empty() || ids[0] != *vocabulary.bos_id)) {
    ids.insert(ids.begin(), *vocabulary.bos_id);
  }
  return ids;
}

}  // namespace lockstep::text
