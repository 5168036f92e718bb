// Who asks: what /v1/organization says of the key, and the names behind ids.

import {read, readAll} from "./api.js";

let asked = null;

window.addEventListener("key-changed", () => { asked = null; });

// The project's name or the member's role is another now.
export function accountChanged() {
  asked = null;
  window.dispatchEvent(new Event("account-changed"));
}

// The organisation, project, role, scopes and permissions; asked for once.
export function account(options) {
  asked ??= read("/v1/organization", options).catch(error => {
    asked = null;
    throw error;
  });
  return asked;
}

export async function may(permission) {
  return (await account()).permissions.includes(permission);
}

// The organisation's projects that are not archived and its keys by id, where the key may read them; `label` names
// archived projects too.
export async function names() {
  const {project_id: id, project} = await account();
  const known = new Map([[id, project?.name ?? id]]);
  if (!await may("read_organization")) return {projects: known, keys: new Map(), label: one => known.get(one) ?? one};
  const [projects, keys] = await Promise.all([
    readAll("/v1/organization/projects?include_archived=true"), readAll("/v1/organization/keys?include_revoked=true")]);
  const byId = list => new Map(list.map(one => [one.id, one.name]));
  const all = byId([...projects, ...keys]);
  return {projects: byId(projects.filter(one => one.status === "active")), keys: byId(keys), label: one => all.get(one) ?? one};
}
