#include "server/ollama/ollama_endpoints.h"

#include "server/api_error.h"
#include "server/conversation/answer_constraint.h"
#include "server/conversation/conversation_prompt.h"
#include "server/json_reply.h"
#include "server/ollama/ollama_reply.h"
#include "server/ollama/ollama_request.h"
#include "server/prompt_fields.h"

namespace lockstep::server {

namespace {

// Of the Ollama whose API this follows: clients refuse to work with older ones.
constexpr const char* kOllamaVersion = "0.12.0";

// The model of a request, whose options must suit it.
template <class Request>
const ServedModel& find_model(const Inference& inference, const Request& request) {
  const ServedModel& model = inference.model(request.model);
  if (request.context > model.context) {
    bad_field("options.num_ctx", "value must be up to {}, the context that is served", model.context);
  }
  return model;
}

std::unique_ptr<http::Reply> complete(Inference& inference, Call& call, OllamaRequest request) {
  const ServedModel& model = find_model(inference, request);
  if (request.asks_nothing()) return make_ollama_loaded_reply(request);
  engine::Request generation = request.generation;
  constrain::Constraints& constraints = inference.constraints();
  generation.prompt =
      request.raw_prompt ? prompt_tokens(model.tokenizer, *request.raw_prompt, "prompt")
                         : conversation_tokens(model, constraints.format(), request.messages, request.output);
  constrain_answer(constraints, request.output, generation);
  std::unique_ptr<Answers> answers =
      inference.start(call, {.model = request.model,
                             .generation = std::move(generation),
                             .prompt_field = request.is_chat ? "messages" : "prompt"});
  return make_ollama_reply(request, std::move(answers), model.tokenizer, constraints.format());
}

std::unique_ptr<http::Reply> embed(Inference& inference, Call& call) {
  const OllamaEmbedRequest request = parse_ollama_embed(call.request.body);
  const ServedModel& model = find_model(inference, request);
  InferenceRequest wanted = {.model = request.model, .generation = {}, .prompt_field = "input"};
  wanted.generation.embed = true;
  for (const Prompt& input : request.inputs) {
    std::vector<int32_t> tokens = prompt_tokens(model.tokenizer, input, "input");
    if (request.truncate && tokens.size() > model.context) tokens.resize(model.context);
    wanted.prompts.push_back(std::move(tokens));
  }
  return make_ollama_embed_reply(request, inference.start(call, std::move(wanted)));
}

ReplyJson details_json() {
  return {{"parent_model", ""},       {"format", "gguf"},     {"family", "lockstep"},
          {"families", {"lockstep"}}, {"parameter_size", ""}, {"quantization_level", ""}};
}

ReplyJson model_json(const ServedModel& model, const std::string& id) {
  ReplyJson json;
  json["name"] = id;
  json["model"] = id;
  json["size"] = model.file_bytes;
  json["digest"] = model.fingerprint;
  json["details"] = details_json();
  return json;
}

// {"models": what `of_model` makes of each name}.
template <class OfModel>
std::unique_ptr<http::Reply> list_models(const ServedModel& model, OfModel of_model) {
  ReplyJson list = ReplyJson::array();
  for (const std::string& id : model.ids) {
    list.push_back(model_json(model, id));
    of_model(list.back());
  }
  return json_reply({{"models", std::move(list)}});
}

std::unique_ptr<http::Reply> show(const Inference& inference, Call& call) {
  const RequestJson body = parse_json(call.request.body);
  JsonFields fields(body, "");
  const std::optional<std::string> older = fields.text("name");
  const std::string id = without_latest(older ? *older : fields.required_text("model"));
  fields.text("model");
  fields.boolean("verbose");
  fields.finish();
  const ServedModel& model = inference.model(id);
  ReplyJson json;
  json["modelfile"] = "";
  json["parameters"] = "";
  json["template"] = model.chat_template == nullptr ? "" : model.chat_template->source();
  json["details"] = details_json();
  json["model_info"] = {{"general.architecture", "lockstep"}, {"lockstep.context_length", model.context}};
  json["capabilities"] = {"completion", "tools", "embedding"};
  return json_reply(json);
}

}  // namespace

void add_ollama_endpoints(Router& router, Inference& inference) {
  auto add = [&router](const char* method, const char* path, Handler handler) {
    router.add(method, path, accounts::Action::Infer, std::move(handler));
  };
  add("POST", "/api/chat",
      [&inference](Call& call) { return complete(inference, call, parse_ollama_chat(call.request.body)); });
  add("POST", "/api/generate", [&inference](Call& call) {
    return complete(inference, call, parse_ollama_generate(call.request.body));
  });
  add("POST", "/api/embed", [&inference](Call& call) { return embed(inference, call); });
  add("GET", "/api/tags", [&inference, since = ollama_time()](Call&) {
    return list_models(inference.model(), [&](ReplyJson& json) { json["modified_at"] = since; });
  });
  add("GET", "/api/ps", [&inference](Call&) {
    const ServedModel& model = inference.model();
    return list_models(model, [&](ReplyJson& json) {
      json["expires_at"] = "9999-12-31T23:59:59Z";  // it stays
      json["size_vram"] = 0;
      json["context_length"] = model.context;
    });
  });
  add("POST", "/api/show", [&inference](Call& call) { return show(inference, call); });
  router.add("GET", "/api/version", kAnyone, [](Call&) { return json_reply({{"version", kOllamaVersion}}); });
}

}  // namespace lockstep::server
