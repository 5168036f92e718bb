#include "server/model_endpoints.h"

#include "base/identifiers.h"
#include "server/json_reply.h"

namespace lockstep::server {

namespace {

ReplyJson model_json(const ServedModel& model, const std::string& id, int64_t created) {
  ReplyJson json;
  json["id"] = id;
  json["object"] = "model";
  json["created"] = created;
  json["owned_by"] = "lockstep";
  json["active"] = true;
  json["context_window"] = model.context;
  json["public_apps"] = nullptr;
  json["max_completion_tokens"] = model.context;
  json["fingerprint"] = model.fingerprint;
  return json;
}

}  // namespace

void add_model_endpoints(Router& router, const Inference& inference) {
  const int64_t created = unix_seconds();
  router.add("GET", "/v1/models", accounts::Action::Infer, [&inference, created](Call&) {
    const ServedModel& model = inference.model();
    ReplyJson data = ReplyJson::array();
    for (const std::string& id : model.ids) data.push_back(model_json(model, id, created));
    return json_reply({{"object", "list"}, {"data", std::move(data)}});
  });
  router.add("GET", "/v1/models/{model...}", accounts::Action::Infer, [&inference, created](Call& call) {
    const std::string& id = call.parameters[0];
    return json_reply(model_json(inference.model(id), id, created));
  });
}

}  // namespace lockstep::server
