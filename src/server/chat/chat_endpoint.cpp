#include "server/chat/chat_endpoint.h"

#include "server/api_error.h"
#include "server/chat/chat_reply.h"
#include "server/chat/chat_request.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> complete_chat(Inference& inference, Call& call) {
  ChatRequest chat = parse_chat_request(call.request.body);
  const ServedModel& model = inference.model(chat.model);
  if (model.chat_template == nullptr) {
    throw ApiError(400, "", "model",
                   fmt::format("'{}' has no chat template, which a chat needs", chat.model));
  }
  const std::string prompt = text::render_chat(*model.chat_template, model.tokenizer, chat.messages);
  chat.generation.prompt = text::tokenize_prompt(model.tokenizer, prompt, true);
  ChatReplyHead head = {.request_id = call.request.id,
                        .model = chat.model,
                        .fingerprint = model.short_fingerprint(),
                        .service_tier = chat.service_tier,
                        .seed = chat.generation.sampling.seed};
  std::unique_ptr<Answers> answers = inference.start(
      call, {.model = chat.model, .generation = chat.generation, .choices = chat.choices, .tier = chat.tier});
  return make_chat_reply(chat, std::move(head), std::move(answers), model.tokenizer);
}

}  // namespace

void add_chat_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/chat/completions", accounts::Action::Infer,
             [&inference](Call& call) { return complete_chat(inference, call); });
}

}  // namespace lockstep::server
