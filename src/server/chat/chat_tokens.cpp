#include "server/chat/chat_tokens.h"

#include "server/api_error.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

const text::ChatTemplate& require_chat_template(const ServedModel& model) {
  if (model.chat_template != nullptr) return *model.chat_template;
  throw ApiError(400, "", "model",
                 fmt::format("'{}' has no chat template, which a chat needs", model.ids.front()));
}

std::vector<int32_t> chat_tokens(const ServedModel& model, std::span<const text::ChatMessage> messages) {
  const std::string prompt = text::render_chat(require_chat_template(model), model.tokenizer, messages);
  return text::tokenize_prompt(model.tokenizer, prompt, true);
}

}  // namespace lockstep::server
