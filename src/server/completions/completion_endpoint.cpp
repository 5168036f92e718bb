#include "server/completions/completion_endpoint.h"

#include "server/completions/completion_reply.h"
#include "server/completions/completion_request.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> complete(Inference& inference, Call& call) {
  const CompletionRequest request = parse_completion_request(call.request.body);
  const ServedModel& model = inference.model(request.model);
  CompletionReplyHead head = {.request_id = call.request.id,
                              .model = request.model,
                              .fingerprint = model.short_fingerprint(),
                              .seed = request.generation.sampling.seed,
                              .echoes = {}};
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : request.prompts) {
    prompts.push_back(prompt_tokens(model.tokenizer, prompt, "prompt"));
    Echo echo;
    if (request.echo) {
      const auto* text = std::get_if<std::string>(&prompt);
      echo.text = text == nullptr ? model.tokenizer.decode(prompts.back()) : *text;
    }
    if (request.generation.prompt_logprobs) echo.tokens = prompts.back();
    head.echoes.insert(head.echoes.end(), request.choices, echo);
  }
  std::unique_ptr<Answers> answers = inference.start(call, {.model = request.model,
                                                            .generation = request.generation,
                                                            .prompts = std::move(prompts),
                                                            .prompt_field = "prompt",
                                                            .choices = request.choices});
  return make_completion_reply(request, std::move(head), std::move(answers), model.tokenizer);
}

}  // namespace

void add_completion_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/completions", accounts::Action::Infer,
             [&inference](Call& call) { return complete(inference, call); });
}

}  // namespace lockstep::server
