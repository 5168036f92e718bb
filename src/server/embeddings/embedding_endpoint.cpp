#include "server/embeddings/embedding_endpoint.h"

#include "server/embeddings/embedding_reply.h"
#include "server/embeddings/embedding_request.h"

namespace lockstep::server {

namespace {

std::unique_ptr<http::Reply> embed(Inference& inference, Call& call) {
  const EmbeddingRequest request = parse_embedding_request(call.request.body);
  const ServedModel& model = inference.model(request.model);
  InferenceRequest wanted = {.model = request.model, .generation = {}, .prompt_field = "input"};
  wanted.generation.embed = true;
  for (const Prompt& input : request.inputs) {
    wanted.prompts.push_back(prompt_tokens(model.tokenizer, input, "input"));
  }
  return make_embedding_reply(request, inference.start(call, std::move(wanted)));
}

}  // namespace

void add_embedding_endpoint(Router& router, Inference& inference) {
  router.add("POST", "/v1/embeddings", accounts::Action::Infer,
             [&inference](Call& call) { return embed(inference, call); });
}

}  // namespace lockstep::server
