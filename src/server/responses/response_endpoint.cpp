#include "server/responses/response_endpoint.h"

#include "server/conversation/answer_constraint.h"
#include "server/conversation/conversation_prompt.h"
#include "server/responses/response_reply.h"
#include "server/responses/response_request.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> respond(Inference& inference, Call& call) {
  ResponseRequest request = parse_response_request(call.request.body, call.mode);
  const ServedModel& model = inference.model(request.model);
  constrain::Constraints& constraints = inference.constraints();
  request.generation.prompt =
      conversation_tokens(model, constraints.format(), request.messages, request.output);
  constrain_answer(constraints, request.output, request.generation);
  const bool with_metrics =
      call.request.header("groq-beta").find("inference-metrics") != std::string_view::npos;
  std::unique_ptr<Answers> answers = inference.start(call, {.model = request.model,
                                                            .generation = request.generation,
                                                            .prompt_field = "input",
                                                            .service_tier = request.service_tier});
  return make_response_reply(std::move(request), with_metrics, std::move(answers), model.tokenizer,
                             constraints.format());
}

}  // namespace

void add_response_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/responses", accounts::Action::Infer,
             [&inference](Call& call) { return respond(inference, call); });
}

}  // namespace lockstep::server
