// Projects.
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

accounts::ProjectChange read_change(std::string_view body) {
  const RequestJson json = parse_object(body);
  JsonFields fields(json, "");
  accounts::ProjectChange wanted{.name = fields.text("name"),
                                 .store_bodies = fields.boolean("store_bodies"),
                                 .body_days = fields.integer("body_days", 1, accounts::kProjectDays_max),
                                 .log_days = fields.integer("log_days", 1, accounts::kProjectDays_max),
                                 .performance = fields.boolean("performance")};
  fields.finish();
  return wanted;
}

std::unique_ptr<http::Reply> list_projects(const Access& access, QueryFields query) {
  const bool archived = query.boolean("include_archived").value_or(false);
  std::vector<accounts::Project> projects = access.projects();
  if (!archived)
    std::erase_if(projects, [](const auto& project) { return project.archived_at_ms.has_value(); });
  return list_reply(query, projects, project_json);
}

}  // namespace

void add_project_endpoints(Router& router, accounts::Accounts& accounts) {
  const std::string list = "/v1/organization/projects", one = list + "/{project_id}";
  router.add("GET", list, Action::ReadOrganisation, [&](Call& call) {
    return list_projects(Access(accounts, call.caller), QueryFields(call.target));
  });
  router.add("POST", list, Action::ManageProjects, [&](Call& call) {
    ProjectSettings settings;
    settings.change(read_change(call.request.body));
    return json_reply(project_json(Access(accounts, call.caller).make_project(settings)));
  });
  router.add("GET", one, Action::ReadOrganisation, [&](Call& call) {
    return json_reply(project_json(Access(accounts, call.caller).project(call.parameters[0])));
  });
  router.add("POST", one, Action::ManageProjects, [&](Call& call) {
    return json_reply(project_json(
        Access(accounts, call.caller).change_project(call.parameters[0], read_change(call.request.body))));
  });
  router.add("POST", one + "/archive", Action::ManageProjects, [&](Call& call) {
    JsonFields(parse_object(call.request.body), "").finish();
    Access access(accounts, call.caller);
    access.archive_project(call.parameters[0]);
    return json_reply(project_json(access.project(call.parameters[0])));
  });
}

}  // namespace lockstep::server
