// Projects and members of the organisation.

import {account, accountChanged, may} from "./account.js";
import {read, readAll} from "./api.js";
import {attempt, fill} from "./content.js";
import {byId, choice, confirmed, field, formDialog, make, notice, part, quiet, say, table} from "./dom.js";
import {date, number} from "./format.js";

const roles = [["reader", "Reader: reads usage, keys and limits"], ["developer", "Developer: asks models, makes keys and projects"],
               ["owner", "Owner: may do everything"]];

let content, archived;

export function start() {
  content = make("div.content");
  archived = make("input", {type: "checkbox", change: show});
  byId("organisation").append(make("header.bar", {}, make("h1", {id: "organisation-title", tabindex: "-1"}, "Organisation"), make("span.gap"),
    make("label.check", {}, archived, "Show archived projects")), content);
}

export function show() {
  return fill(content, async () => {
    if (!await may("read_organization")) {
      return notice("Not with this key", "Projects and members are shown to keys with the scope “admin”.");
    }
    const [projects, members, self, ownProjects, ownMembers] = await Promise.all([
      readAll(`/v1/organization/projects?include_archived=${archived.checked}`), readAll("/v1/organization/members"), account(),
      may("manage_projects"), may("manage_members")]);
    return [
      part("Projects", "Each has keys, files, batches, limits and a request log of its own.",
           ownProjects && make("button", {type: "button", click: () => setProject()}, "Create project"), projectTable(projects, self, ownProjects)),
      part("Members", "A key acts for a member, and may do what that member's role allows.",
           ownMembers && make("button", {type: "button", click: () => setMember()}, "Add member"), memberTable(members, self, ownMembers)),
    ];
  });
}

const days = count => count === 1 ? "1 day" : `${number(count)} days`;

function projectTable(projects, self, change) {
  return table("Projects", [{name: "Name"}, {name: "State"}, {name: "Texts are kept"}, {name: "Log is kept"}, {name: "Made"}, {name: ""}],
    projects.map(project => {
      const own = project.id === self.project_id, gone = project.status === "archived";
      return [make("strong", {}, project.name), gone ? make("span.tag.bad", {}, "archived") : make("span.tag.good", {}, own ? "this key's" : "active"),
              project.store_bodies ? days(project.body_days) : "no", days(project.log_days), make("span.nowrap", {}, date(project.created_at)),
              change && !gone ? make("span.actions", {},
                quiet("Change", () => setProject(project), {label: `Change ${project.name}`}),
                !own && quiet("Archive", () => archive(project), {label: `Archive ${project.name}`, danger: true})) : ""];
    }));
}

function memberTable(members, self, change) {
  return table("Members", [{name: "Name"}, {name: "Role"}, {name: "Added"}, {name: ""}], members.map(member => {
    const own = member.id === self.member_id;
    return [make("strong", {}, member.name), make("span", {}, make("span.tag", {}, member.role), own && make("span.tag.good", {}, "you")),
            make("span.nowrap", {}, date(member.added_at)),
            change ? make("span.actions", {},
              quiet("Change", () => setMember(member), {label: `Change the role of ${member.name}`}),
              !own && quiet("Remove", () => remove(member), {label: `Remove ${member.name}`, danger: true})) : ""];
  }));
}

const post = (path, body) => read(`/v1/organization/${path}`, {method: "POST", body});
const pathOf = (list, one) => one ? `${list}/${encodeURIComponent(one.id)}` : list;

// What was changed may be what this page's own key belongs to.
async function changed(text) {
  accountChanged();
  say(text);
  await show();
  byId("organisation-title").focus();
}

const nameInput = value => make("input", {type: "text", required: true, maxlength: 200, autocomplete: "off", autofocus: true, value});

// Makes a project, or changes this one.
async function setProject(project) {
  const name = nameInput(project?.name ?? ""), keeps = make("input", {type: "checkbox", checked: project?.store_bodies ?? false});
  const length = value => make("input", {type: "number", required: true, min: 1, max: 3650, step: 1, inputmode: "numeric", value});
  const bodies = length(project?.body_days ?? 30), log = length(project?.log_days ?? 400);
  const done = await formDialog(project ? "Change a project" : "Create a project", [
    field("project-name", "Name", name),
    make("label.check", {}, keeps, "Keep the texts of requests and answers in the log"),
    make("div.pair", {}, field("project-body-days", "Days that texts are kept", bodies), field("project-log-days", "Days that the log is kept", log)),
  ], () => post(pathOf("projects", project), {name: name.value.trim(), store_bodies: keeps.checked, body_days: Number(bodies.value),
                                              log_days: Number(log.value)}), project ? "Save" : "Create");
  if (done) await changed(project ? `${done.name} is changed` : `${done.name} is made`);
}

async function archive(project) {
  if (!await confirmed("Archive this project?",
                       `The keys of “${project.name}” stop working at once, for good. Its usage and its log stay.`, "Archive")) return;
  if (await attempt(content, () => post(`${pathOf("projects", project)}/archive`, {}))) await changed(`${project.name} is archived`);
}

// Adds a member, or gives this one another role.
async function setMember(member) {
  const name = nameInput(member?.name ?? ""), role = choice(roles, member?.role ?? "developer");
  role.autofocus = Boolean(member);
  const done = await formDialog(member ? `The role of ${member.name}` : "Add a member",
    [!member && field("member-name", "Name", name, "A key for this member is made on the page “Keys”"), field("member-role", "Role", role)],
    () => post(pathOf("members", member), member ? {role: role.value} : {name: name.value.trim(), role: role.value}), member ? "Save" : "Add");
  if (done) await changed(member ? `${done.name} is ${done.role} now` : `${done.name} is added`);
}

async function remove(member) {
  if (!await confirmed("Remove this member?", `All keys that act for “${member.name}” stop working at once, for good.`, "Remove")) return;
  if (await attempt(content, () => read(`/v1/organization/${pathOf("members", member)}`, {method: "DELETE"}))) await changed(`${member.name} is removed`);
}
