#include "server/organization/organization_endpoints.h"

#include "accounts/access.h"
#include "server/organization/entity_json.h"
#include "server/query_fields.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;

// Who asks: of what the key may not read, the ids alone.
std::unique_ptr<http::Reply> who_asks(accounts::Accounts& accounts, Call& call) {
  QueryFields(call.target).finish();
  const Access access(accounts, call.caller);
  const accounts::Caller& caller = call.caller;
  ReplyJson json;
  json["id"] = caller.organisation_id;
  json["object"] = "organization";
  if (caller.may(Action::ReadOrganisation)) {
    const accounts::Organisation organisation = access.organisation();
    json["name"] = organisation.name;
    json["created_at"] = unix_seconds_of(organisation.created_at_ms);
  } else {
    json["name"] = nullptr;
    json["created_at"] = nullptr;
  }
  json["project_id"] = caller.project_id;
  json["project"] = caller.may(Action::ReadUsage) ? project_json(access.own_project()) : ReplyJson(nullptr);
  json["key_id"] = caller.key_id.empty() ? ReplyJson(nullptr) : ReplyJson(caller.key_id);
  json["member_id"] = caller.member_id;
  json["role"] = accounts::role_name(caller.role);
  json["scopes"] = scopes_json(caller.scopes);
  json["permissions"] = ReplyJson::array();
  for (const Action action : accounts::kActions) {
    if (caller.may(action)) json["permissions"].push_back(permission_name(action));
  }
  return json_reply(json);
}

}  // namespace

void add_organization_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference,
                                const Latencies& latencies) {
  router.add("GET", "/v1/organization", kAnyKey, [&](Call& call) { return who_asks(accounts, call); });
  add_project_endpoints(router, accounts);
  add_member_endpoints(router, accounts);
  add_key_endpoints(router, accounts, inference);
  add_limit_endpoints(router, accounts, inference);
  add_usage_endpoint(router, accounts);
  add_log_endpoints(router, accounts, inference);
  add_live_endpoint(router, inference, latencies);
}

}  // namespace lockstep::server
