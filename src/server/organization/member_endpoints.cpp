// Members and their roles.
#include "accounts/access.h"
#include "server/api_error.h"
#include "server/organization/entity_json.h"
#include "server/organization/list_reply.h"
#include "server/organization/organization_endpoints.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;

accounts::Role read_role(JsonFields& fields) {
  const std::string name = fields.required_text("role");
  const auto role = accounts::role_named(name);
  if (!role) bad_field("role", "value must be one of reader, developer, owner");
  return *role;
}

}  // namespace

void add_member_endpoints(Router& router, accounts::Accounts& accounts) {
  const std::string list = "/v1/organization/members", one = list + "/{member_id}";
  router.add("GET", list, Action::ReadOrganisation, [&](Call& call) {
    QueryFields query(call.target);
    return list_reply(query, Access(accounts, call.caller).members(), member_json);
  });
  router.add("POST", list, Action::ManageMembers, [&](Call& call) {
    const RequestJson json = parse_object(call.request.body);
    JsonFields fields(json, "");
    const std::string name = fields.required_text("name");
    const accounts::Role role = read_role(fields);
    fields.finish();
    return json_reply(member_json(Access(accounts, call.caller).add_member(name, role)));
  });
  router.add("GET", one, Action::ReadOrganisation, [&](Call& call) {
    return json_reply(member_json(Access(accounts, call.caller).member(call.parameters[0])));
  });
  router.add("POST", one, Action::ManageMembers, [&](Call& call) {
    const RequestJson json = parse_object(call.request.body);
    JsonFields fields(json, "");
    const accounts::Role role = read_role(fields);
    fields.finish();
    return json_reply(member_json(Access(accounts, call.caller).change_member(call.parameters[0], role)));
  });
  router.add("DELETE", one, Action::ManageMembers, [&](Call& call) {
    Access(accounts, call.caller).remove_member(call.parameters[0]);
    return deleted_reply(call.parameters[0], "organization.member.deleted");
  });
}

}  // namespace lockstep::server
