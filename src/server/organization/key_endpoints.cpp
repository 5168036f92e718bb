#include "accounts/access.h"
#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/organization/entity_json.h"
#include "server/organization/list_reply.h"
#include "server/organization/organization_endpoints.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;

constexpr size_t kKeyLimitsMax = 64;

accounts::Scopes read_scopes(JsonFields& fields) {
  const RequestJson* list = fields.find("scopes");
  if (list == nullptr) bad_field("scopes", "property 'scopes' is missing");
  accounts::Scopes scopes;
  const auto wrong = [] { bad_field("scopes", "value must be an array of inference, files, read, admin"); };
  if (!list->is_array()) wrong();
  for (const RequestJson& item : *list) {
    const auto scope =
        item.is_string() ? accounts::scope_named(item.get_ref<const std::string&>()) : std::nullopt;
    if (!scope) wrong();
    scopes.add(*scope);
  }
  return scopes;
}

std::vector<std::pair<std::string, accounts::LimitValues>> read_limits(JsonFields& fields) {
  std::vector<std::pair<std::string, accounts::LimitValues>> limits;
  const RequestJson* list = fields.find("limits");
  if (list == nullptr) return limits;
  if (!list->is_array() || list->size() > kKeyLimitsMax) {
    bad_field("limits", "value must be an array of up to {} limits", kKeyLimitsMax);
  }
  for (size_t i = 0; i < list->size(); ++i) {
    JsonFields inside((*list)[i], fmt::format("limits.{}", i));
    std::string model = inside.text("model").value_or(std::string(accounts::kAllModels));
    limits.emplace_back(std::move(model), read_limit_values(inside));
    inside.finish();
  }
  return limits;
}

accounts::KeyRequest read_key_request(std::string_view body, const Inference& inference) {
  const RequestJson json = parse_object(body);
  JsonFields fields(json, "");
  accounts::KeyRequest request;
  request.name = fields.required_text("name");
  request.scopes = read_scopes(fields);
  request.project_id = fields.text("project_id");
  request.member_id = fields.text("member_id");
  if (const auto time_s = fields.integer("expires_at", 0, accounts::kTime_s_max)) {
    request.expires_at_ms = *time_s * accounts::kSecond_ms;
  }
  request.limits = read_limits(fields);
  for (auto& [model, values] : request.limits) model = inference.own_name(model);
  fields.finish();
  return request;
}

std::unique_ptr<http::Reply> list_keys(const Access& access, QueryFields query) {
  const std::optional<std::string> project_id = query.text("project_id");
  const bool revoked = query.boolean("include_revoked").value_or(false);
  std::vector<accounts::Key> keys = access.keys();
  std::erase_if(keys, [&](const accounts::Key& key) {
    return (project_id && key.project_id != *project_id) || (!revoked && key.revoked_at_ms);
  });
  return list_reply(query, keys, key_json);
}

}  // namespace

void add_key_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference) {
  const std::string list = "/v1/organization/keys", one = list + "/{key_id}";
  router.add("GET", list, Action::ReadOrganisation,
             [&](Call& call) { return list_keys(Access(accounts, call.caller), QueryFields(call.target)); });
  router.add("POST", list, Action::ManageKeys, [&](Call& call) {
    const accounts::NewKey made =
        Access(accounts, call.caller).make_key(read_key_request(call.request.body, inference));
    ReplyJson json = key_json(made.key);
    json["value"] = made.secret;
    return json_reply(json);
  });
  router.add("GET", one, Action::ReadOrganisation, [&](Call& call) {
    return json_reply(key_json(Access(accounts, call.caller).key(call.parameters[0])));
  });
  router.add("DELETE", one, Action::ManageKeys, [&](Call& call) {
    Access(accounts, call.caller).revoke_key(call.parameters[0]);
    return deleted_reply(call.parameters[0], "organization.key.deleted");
  });
}

}  // namespace lockstep::server
