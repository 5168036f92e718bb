// The organisation's keys.

import {account, may, names} from "./account.js";
import {read, readAll} from "./api.js";
import {attempt, fill} from "./content.js";
import {byId, choice, confirmed, copyButton, dialog, field, formDialog, make, notice, quiet, say, table} from "./dom.js";
import {date} from "./format.js";

const scopes = [["inference", "Ask models"], ["files", "Files and batches"], ["read", "Read usage and the log of its project"],
                ["admin", "Manage the organisation"]];
const day = 86400;

let content, revoked, create;

export function start() {
  content = make("div.content");
  revoked = make("input", {type: "checkbox", change: show});
  create = make("button.main", {type: "button", click: () => attempt(content, makeKey)}, "Create key");
  byId("keys").append(make("header.bar", {}, make("h1", {id: "keys-title", tabindex: "-1"}, "Keys"), make("span.gap"),
    make("label.check", {}, revoked, "Show revoked"), create), content);
}

export const show = () => fill(content, async () => {
  create.hidden = !await may("manage_keys");
  if (!await may("read_organization")) return notice("Not with this key", "Keys are shown to keys with the scope “admin”.");
  const [keys, known, self] = await Promise.all([
    readAll(`/v1/organization/keys?include_revoked=${revoked.checked}`), names(), account()]);
  const state = key => key.revoked_at ? make("span.tag.bad", {}, "revoked") :
    key.expires_at && key.expires_at * 1000 < Date.now() ? make("span.tag.bad", {}, "expired") :
    key.id === self.key_id ? make("span.tag.good", {}, "this one") : make("span.tag.good", {}, "in force");
  return table("Keys",
    [{name: "Name"}, {name: "Key"}, {name: "Project"}, {name: "For"}, {name: "Made"}, {name: "Ends"}, {name: "State"}, {name: ""}],
    keys.map(key => [make("strong", {}, key.name), make("code", {}, key.redacted_value.replace("...", "…")), known.label(key.project_id),
                     make("span", {}, key.scopes.map(scope => make("span.tag", {}, scope))), make("span.nowrap", {}, date(key.created_at)),
                     make("span.nowrap", {}, key.expires_at ? date(key.expires_at) : "never"), state(key),
                     key.revoked_at || create.hidden ? "" :
                       quiet("Revoke", () => revoke(key, self), {label: `Revoke ${key.name}`, danger: true})]));
});

async function revoke(key, self) {
  const own = key.id === self.key_id ? " It is the one that this page uses." : "";
  if (!await confirmed("Revoke this key?", `“${key.name}” stops working at once, for good.${own}`, "Revoke")) return;
  if (!await attempt(content, () => read(`/v1/organization/keys/${encodeURIComponent(key.id)}`, {method: "DELETE"}))) return;
  say(`${key.name} is revoked`);
  await show();
  byId("keys-title").focus();
}

async function makeKey() {
  const [{scopes: own, project_id: project, member_id: self}, known] = await Promise.all([account(), names()]);
  const all = await may("manage_members") ? await readAll("/v1/organization/members") : [];
  const boxes = scopes.filter(([id]) => own.includes(id)).map(([id, what]) => [id, what, make("input", {type: "checkbox", checked: id !== "admin"})]);
  const projects = choice([...known.projects], project), members = choice(all.map(one => [one.id, `${one.name}, ${one.role}`]), self);
  const ends = choice([["", "Never"], ["7", "In 7 days"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]], "");
  const name = make("input", {type: "text", required: true, maxlength: 200, autocomplete: "off", autofocus: true});
  const made = await formDialog("Create a key", [
    field("key-name", "Name", name, "Who or what uses it"),
    make("fieldset", {}, make("legend", {}, "It may"), boxes.map(([id, what, box]) => make("label.check", {}, box, what, make("code.soft", {}, id)))),
    make("div.pair", {}, field("key-project", "Project", projects), field("key-ends", "It ends", ends)),
    all.length > 1 && field("key-member", "For", members, "It may do what this member's role allows, at most"),
  ], () => read("/v1/organization/keys", {method: "POST", body: {
    name: name.value.trim(), project_id: projects.value, scopes: boxes.filter(([,, box]) => box.checked).map(([id]) => id),
    ...(all.length > 1 && {member_id: members.value}),
    expires_at: ends.value ? Math.floor(Date.now() / 1000) + Number(ends.value) * day : null}}), "Create");
  if (!made) return;
  await dialog("Your new key", close => [
    make("p", {}, "Copy it now: it is shown this once and kept nowhere."),
    make("pre.code.secret", {tabindex: "0", "aria-label": "The key"}, made.value),
    make("div.actions", {}, copyButton(made.value), make("button.main", {type: "button", click: () => close()}, "I have it")),
  ]);
  await show();
  create.focus();
}
