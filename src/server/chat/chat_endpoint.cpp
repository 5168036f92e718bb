#include "server/chat/chat_endpoint.h"

#include "server/chat/chat_reply.h"
#include "server/chat/chat_request.h"
#include "server/conversation/answer_constraint.h"
#include "server/conversation/conversation_prompt.h"

namespace lockstep::server {

namespace {

// The tier as the reply tells it: each cloud has its own name for the usual one, and its client knows no
// other.
std::string told_tier(const Call& call, const ChatRequest& chat) {
  if (!chat.service_tier.empty()) return chat.service_tier;
  return is_groq_target(call.request.target) ? "on_demand" : "default";
}

std::unique_ptr<http::Reply> complete_chat(Inference& inference, Call& call) {
  ChatRequest chat = parse_chat_request(call.request.body, call.mode);
  const ServedModel& model = inference.model(chat.model);
  constrain::Constraints& constraints = inference.constraints();
  chat.generation.prompt = conversation_tokens(model, constraints.format(), chat.messages, chat.output);
  constrain_answer(constraints, chat.output, chat.generation);
  ChatReplyHead head = {.request_id = call.request.id,
                        .model = chat.model,
                        .fingerprint = model.short_fingerprint(),
                        .service_tier = told_tier(call, chat),
                        .seed = chat.generation.sampling.seed};
  std::unique_ptr<Answers> answers = inference.start(call, {.model = chat.model,
                                                            .generation = chat.generation,
                                                            .choices = chat.choices,
                                                            .service_tier = chat.service_tier});
  return make_chat_reply(chat, std::move(head), std::move(answers), model.tokenizer, constraints.format());
}

}  // namespace

void add_chat_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/chat/completions", accounts::Action::Infer,
             [&inference](Call& call) { return complete_chat(inference, call); });
}

}  // namespace lockstep::server
