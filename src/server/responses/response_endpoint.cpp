#include "server/responses/response_endpoint.h"

#include "server/chat/chat_tokens.h"
#include "server/responses/response_reply.h"
#include "server/responses/response_request.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> respond(Inference& inference, Call& call) {
  ResponseRequest request = parse_response_request(call.request.body, call.mode);
  const ServedModel& model = inference.model(request.model);
  request.generation.prompt = chat_tokens(model, request.messages);
  const bool with_metrics =
      call.request.header("groq-beta").find("inference-metrics") != std::string_view::npos;
  std::unique_ptr<Answers> answers = inference.start(call, {.model = request.model,
                                                            .generation = request.generation,
                                                            .prompt_field = "input",
                                                            .service_tier = request.service_tier});
  return make_response_reply(std::move(request), with_metrics, std::move(answers), model.tokenizer);
}

}  // namespace

void add_response_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/responses", accounts::Action::Infer,
             [&inference](Call& call) { return respond(inference, call); });
}

}  // namespace lockstep::server
