#include "server/chat/chat_endpoint.h"

#include "server/chat/chat_reply.h"
#include "server/chat/chat_request.h"
#include "server/chat/chat_tokens.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> complete_chat(Inference& inference, Call& call) {
  ChatRequest chat = parse_chat_request(call.request.body);
  const ServedModel& model = inference.model(chat.model);
  chat.generation.prompt = chat_tokens(model, chat.messages);
  ChatReplyHead head = {.request_id = call.request.id,
                        .model = chat.model,
                        .fingerprint = model.short_fingerprint(),
                        .service_tier = chat.service_tier,
                        .seed = chat.generation.sampling.seed};
  std::unique_ptr<Answers> answers = inference.start(call, {.model = chat.model,
                                                            .generation = chat.generation,
                                                            .choices = chat.choices,
                                                            .service_tier = chat.service_tier});
  return make_chat_reply(chat, std::move(head), std::move(answers), model.tokenizer);
}

}  // namespace

void add_chat_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/chat/completions", accounts::Action::Infer,
             [&inference](Call& call) { return complete_chat(inference, call); });
}

}  // namespace lockstep::server
