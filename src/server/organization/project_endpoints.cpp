// Projects and members.
#include "accounts/access.h"
#include "server/api_error.h"
#include "server/organization/entity_json.h"
#include "server/organization/list_reply.h"
#include "server/organization/organization_endpoints.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;
using accounts::ProjectSettings;

constexpr int64_t kDaysMax = 3650;

// The fields that are there replace those of `settings`.
void read_settings(std::string_view body, ProjectSettings& settings) {
  const RequestJson json = parse_object(body);
  JsonFields fields(json, "");
  settings.name = fields.text("name").value_or(settings.name);
  settings.store_bodies = fields.boolean("store_bodies").value_or(settings.store_bodies);
  settings.body_days = fields.integer("body_days", 1, kDaysMax).value_or(settings.body_days);
  settings.log_days = fields.integer("log_days", 1, kDaysMax).value_or(settings.log_days);
  fields.finish();
}

std::unique_ptr<http::Reply> list_projects(const Access& access, QueryFields query) {
  const bool archived = query.boolean("include_archived").value_or(false);
  std::vector<accounts::Project> projects = access.projects();
  if (!archived)
    std::erase_if(projects, [](const auto& project) { return project.archived_at_ms.has_value(); });
  return list_reply(query, projects, project_json);
}

accounts::Role read_role(JsonFields& fields) {
  const std::string name = fields.required_text("role");
  const auto role = accounts::role_named(name);
  if (!role) bad_field("role", "value must be one of reader, developer, owner");
  return *role;
}

}  // namespace

void add_project_endpoints(Router& router, accounts::Accounts& accounts) {
  const std::string list = "/v1/organization/projects", one = list + "/{project_id}";
  router.add("GET", list, Action::ReadOrganisation, [&](Call& call) {
    return list_projects(Access(accounts, call.caller), QueryFields(call.target));
  });
  router.add("POST", list, Action::ManageProjects, [&](Call& call) {
    ProjectSettings settings;
    read_settings(call.request.body, settings);
    return json_reply(project_json(Access(accounts, call.caller).make_project(settings)));
  });
  router.add("GET", one, Action::ReadOrganisation, [&](Call& call) {
    return json_reply(project_json(Access(accounts, call.caller).project(call.parameters[0])));
  });
  router.add("POST", one, Action::ManageProjects, [&](Call& call) {
    Access access(accounts, call.caller);
    ProjectSettings settings = access.project(call.parameters[0]).settings;
    read_settings(call.request.body, settings);
    return json_reply(project_json(access.change_project(call.parameters[0], settings)));
  });
  router.add("POST", one + "/archive", Action::ManageProjects, [&](Call& call) {
    JsonFields(parse_object(call.request.body), "").finish();
    Access access(accounts, call.caller);
    access.archive_project(call.parameters[0]);
    return json_reply(project_json(access.project(call.parameters[0])));
  });
}

void add_member_endpoints(Router& router, accounts::Accounts& accounts) {
  const std::string list = "/v1/organization/members", one = list + "/{member_id}";
  const auto find = [](const Access& access, const std::string& id) {
    for (const accounts::Member& member : access.members()) {
      if (member.id == id) return member;
    }
    accounts::refuse(accounts::Reason::NotFound, "There is no member '{}' in this organisation.", id);
  };
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
  router.add("GET", one, Action::ReadOrganisation, [&accounts, find](Call& call) {
    return json_reply(member_json(find(Access(accounts, call.caller), call.parameters[0])));
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
