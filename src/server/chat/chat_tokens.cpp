#include "server/chat/chat_tokens.h"

#include "server/api_error.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

std::vector<int32_t> chat_tokens(const ServedModel& model, std::span<const text::ChatMessage> messages) {
  if (model.chat_template == nullptr) {
    throw ApiError(400, "", "model",
                   fmt::format("'{}' has no chat template, which a chat needs", model.ids.front()));
  }
  const std::string prompt = text::render_chat(*model.chat_template, model.tokenizer, messages);
  return text::tokenize_prompt(model.tokenizer, prompt, true);
}

}  // namespace lockstep::server
