// The organisation's keys.

import {account, may, names} from "./account.js";
import {read, readAll} from "./api.js";
import {byId, choice, confirmed, copyButton, dialog, field, make, notice, say, table} from "./dom.js";
import {date} from "./format.js";

const scopes = [["inference", "Ask models"], ["files", "Files and batches"], ["read", "Read usage and the log of its project"],
                ["admin", "Manage the organisation"]];
const day = 86400;

let content, revoked, create;

export function start() {
  content = make("div.content");
  revoked = make("input", {type: "checkbox", change: () => show()});
  create = make("button.main", {type: "button", click: makeKey}, "Create key");
  byId("keys").append(make("header.bar", {}, make("h1", {id: "keys-title", tabindex: "-1"}, "Keys"), make("span.gap"),
    make("label.check", {}, revoked, "Show revoked"), create), content);
}

export async function show() {
  create.hidden = !await may("manage_keys");
  if (!await may("read_organization")) {
    return content.replaceChildren(notice("Not with this key", "Keys are shown to keys with the scope “admin”."));
  }
  const [keys, known, self] = await Promise.all([
    readAll(`/v1/organization/keys?include_revoked=${revoked.checked}`), names(), account()]);
  const state = key => key.revoked_at ? make("span.tag.bad", {}, "revoked") :
    key.expires_at && key.expires_at * 1000 < Date.now() ? make("span.tag.bad", {}, "expired") :
    key.id === self.key_id ? make("span.tag.good", {}, "this one") : make("span.tag.good", {}, "in force");
  content.replaceChildren(table("Keys",
    [{name: "Name"}, {name: "Key"}, {name: "Project"}, {name: "For"}, {name: "Made"}, {name: "Ends"}, {name: "State"}, {name: ""}],
    keys.map(key => [make("strong", {}, key.name), make("code", {}, key.redacted_value.replace("...", "…")), known.label(key.project_id),
                     make("span", {}, key.scopes.map(scope => make("span.tag", {}, scope))), make("span.nowrap", {}, date(key.created_at)),
                     make("span.nowrap", {}, key.expires_at ? date(key.expires_at) : "never"), state(key),
                     key.revoked_at || create.hidden ? "" :
                       make("button.quiet.danger", {type: "button", "aria-label": `Revoke ${key.name}`, click: () => revoke(key, self)}, "Revoke")])));
}

async function revoke(key, self) {
  const own = key.id === self.key_id ? " It is the one that this page uses." : "";
  if (!await confirmed("Revoke this key?", `“${key.name}” stops working at once, for good.${own}`, "Revoke")) return;
  await read(`/v1/organization/keys/${encodeURIComponent(key.id)}`, {method: "DELETE"}).catch(failed);
  say(`${key.name} is revoked`);
  await show().catch(failed);
  byId("keys-title").focus();
}

function failed(error) {
  content.prepend(make("p.error", {role: "alert"}, error.message));
}

async function makeKey() {
  const [{scopes: own, project_id: project}, known] = await Promise.all([account(), names()]);
  const made = await dialog("Create a key", close => {
    const boxes = scopes.filter(([id]) => own.includes(id)).map(([id, what]) => [id, what, make("input", {type: "checkbox", checked: id !== "admin"})]);
    const said = make("p.error", {role: "alert"});
    const projects = choice([...known.projects], project);
    const ends = choice([["", "Never"], ["7", "In 7 days"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]], "");
    const name = make("input", {type: "text", required: true, maxlength: 200, autocomplete: "off", autofocus: true});
    return make("form", {async submit(event) {
      event.preventDefault();
      try {
        close(await read("/v1/organization/keys", {method: "POST", body: {
          name: name.value.trim(), project_id: projects.value, scopes: boxes.filter(([,, box]) => box.checked).map(([id]) => id),
          expires_at: ends.value ? Math.floor(Date.now() / 1000) + Number(ends.value) * day : null}}));
      } catch (error) {
        said.textContent = error.message;
      }
    }},
      field("key-name", "Name", name, "Who or what uses it"),
      make("fieldset", {}, make("legend", {}, "It may"), boxes.map(([id, what, box]) => make("label.check", {}, box, what, make("code.soft", {}, id)))),
      make("div.pair", {}, field("key-project", "Project", projects), field("key-ends", "It ends", ends)),
      said,
      make("div.actions", {}, make("button", {type: "button", click: () => close(null)}, "Cancel"), make("button.main", {type: "submit"}, "Create")));
  });
  if (!made) return;
  await dialog("Your new key", close => [
    make("p", {}, "Copy it now: it is shown this once and kept nowhere."),
    make("pre.code.secret", {tabindex: "0", "aria-label": "The key"}, made.value),
    make("div.actions", {}, copyButton(made.value), make("button.main", {type: "button", click: () => close()}, "I have it")),
  ]);
  await show();
  create.focus();
}
