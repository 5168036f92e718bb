#include "server/ollama/ollama_endpoints.h"

#include "server/api_error.h"
#include "server/chat/chat_tokens.h"
#include "server/json_reply.h"
#include "server/ollama/ollama_reply.h"
#include "server/ollama/ollama_request.h"
#include "server/prompt_fields.h"

namespace lockstep::server {

namespace {

// Of the Ollama whose API this follows: clients refuse to work with older ones.
constexpr const char* kOllamaVersion = "0.12.0";

std::unique_ptr<http::Reply> complete(Inference& inference, Call& call, OllamaRequest request) {
  const ServedModel& model = inference.model(request.model);
  if (request.context > model.context) {
    bad_field("options.num_ctx", "value must be up to {}, the context that is served", model.context);
  }
  if (request.asks_nothing()) return make_ollama_loaded_reply(request);
  engine::Request generation = request.generation;
  generation.prompt = request.raw_prompt ? prompt_tokens(model.tokenizer, *request.raw_prompt, "prompt")
                                         : chat_tokens(model, request.messages);
  std::unique_ptr<Answers> answers =
      inference.start(call, {.model = request.model,
                             .generation = std::move(generation),
                             .prompt_field = request.is_chat ? "messages" : "prompt"});
  return make_ollama_reply(request, std::move(answers), model.tokenizer);
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
  json["capabilities"] = {"completion"};
  return json_reply(json);
}

// The handler, with errors as Ollama's clients read them.
Handler with_ollama_errors(Handler handler) {
  return [handler = std::move(handler)](Call& call) {
    try {
      return handler(call);
    } catch (const ApiError& error) {
      return ollama_error_reply(error);
    } catch (const Error& error) {
      return ollama_error_reply(ApiError(error));
    }
  };
}

}  // namespace

void add_ollama_endpoints(Router& router, Inference& inference) {
  auto add = [&router](const char* method, const char* path, Handler handler) {
    router.add(method, path, accounts::Action::Infer, with_ollama_errors(std::move(handler)));
  };
  add("POST", "/api/chat",
      [&inference](Call& call) { return complete(inference, call, parse_ollama_chat(call.request.body)); });
  add("POST", "/api/generate", [&inference](Call& call) {
    return complete(inference, call, parse_ollama_generate(call.request.body));
  });
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
