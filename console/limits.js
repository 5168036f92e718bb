// Limits of the organisation, its projects and keys, and what they may spend.

import {account, may, names} from "./account.js";
import {read, readAll} from "./api.js";
import {attempt, fill} from "./content.js";
import {byId, choice, confirmed, field, formDialog, make, notice, part, quiet, say, table} from "./dom.js";
import {date, dollars, number} from "./format.js";

const kinds = [["requests_per_minute", "Requests a minute"], ["requests_per_day", "Requests a day"], ["tokens_per_minute", "Tokens a minute"],
               ["tokens_per_day", "Tokens a day"], ["concurrent", "At once"]];

let content;

export function start() {
  content = make("div.content");
  byId("limits").append(make("header.bar", {}, make("h1", {id: "limits-title", tabindex: "-1"}, "Limits")), content);
}

export const show = () => fill(content, async () => {
  if (!await may("read_organization")) return notice("Not with this key", "Limits are shown to keys with the scope “admin”.");
  const [limits, caps, known, self, change] = await Promise.all([
    readAll("/v1/organization/limits"), readAll("/v1/organization/spend_caps"), names(), account(), may("manage_limits")]);
  const place = {known, self, change, limits, caps};
  return [
    part("Rates", "A request must fit into every limit above it: its key's, its project's, the organisation's.",
         change && make("button", {type: "button", click: () => setLimit(place)}, "Set a limit"),
         limits.length ? limitTable(limits, place) : make("p.soft", {}, "Nothing is limited.")),
    part("Spending", "In a month of UTC. What runs when a cap is reached is finished; further requests are refused.",
         change && make("button", {type: "button", click: () => setCap(place)}, "Set a cap"),
         caps.length ? capTable(caps, place) : make("p.soft", {}, "There is no cap."))];
});

const subjectName = ({known, self}, subject, id) =>
  subject === "organization" ? `${self.name} (organisation)` : `${known.label(id)} (${subject})`;

function limitTable(limits, place) {
  return table("Limits", [{name: "Of"}, {name: "Model"}, ...kinds.map(([, name]) => ({name, number: true})), {name: ""}], limits.map(limit => [
    make("strong", {}, subjectName(place, limit.subject, limit.subject_id)), limit.model === "*" ? "all together" : limit.model,
    ...kinds.map(([id]) => limit[id] === null ? "–" : number(limit[id])),
    place.change ? make("span.actions", {},
      quiet("Change", () => setLimit(place, limit), {label: `Change the limit of ${subjectName(place, limit.subject, limit.subject_id)}`}),
      quiet("Remove", () => removeLimit(limit), {label: `Remove the limit of ${subjectName(place, limit.subject, limit.subject_id)}`, danger: true})) : ""]));
}

function capTable(caps, place) {
  return table("Spend caps", [{name: "Of"}, {name: "Cap", number: true}, {name: "Spent this month", number: true}, {name: "Share"}, {name: "Begins anew"}, {name: ""}],
    caps.map(cap => {
      const share = Number(cap.usd_spent) / Math.max(1e-9, Number(cap.usd_per_month));
      return [make("strong", {}, subjectName(place, cap.subject, cap.subject_id)), dollars(cap.usd_per_month), dollars(cap.usd_spent),
              make("meter", {min: 0, max: 1, high: 0.8, low: 0.6, optimum: 0, value: Math.min(1, share), "aria-label": "Share that is spent"}), date(cap.resets_at),
              place.change ? quiet("Change", () => setCap(place, cap), {label: `Change the cap of ${subjectName(place, cap.subject, cap.subject_id)}`}) : ""];
    }));
}

// The subjects that a limit may be set for, or the one `of` which a limit or cap is to be changed.
function subjectChoice(place, of, withKeys) {
  if (of) return make("select", {disabled: true}, make("option", {value: `${of.subject} ${of.subject_id}`}, subjectName(place, of.subject, of.subject_id)));
  const {known, self} = place, chosen = `project ${self.project_id}`;
  const group = (name, list) => make("optgroup", {label: name}, list.map(([value, text]) => make("option", {value, selected: value === chosen}, text)));
  return make("select", {}, group("Organisation", [[`organization ${self.id}`, self.name]]),
    group("Projects", [...known.projects].map(([id, name]) => [`project ${id}`, name])),
    withKeys && group("Keys", [...known.keys].map(([id, name]) => [`key ${id}`, name])));
}

// Shows in a form what is in force for what is chosen in `choices`, now and after each choice.
function follow(choices, showInForce) {
  for (const one of choices) one.addEventListener("change", showInForce);
  showInForce();
}

const isOf = (row, subject) => `${row.subject} ${row.subject_id}` === subject.value;

const post = (path, body) => read(`/v1/organization/${path}`, {method: "POST", body});

async function changed(text) {
  say(text);
  await show();
  byId("limits-title").focus();
}

async function setLimit(place, limit) {
  const subject = subjectChoice(place, limit, true);
  const models = (await read("/v1/models").catch(() => ({data: []}))).data;
  const model = choice([["*", "All together"], ...models.map(one => [one.id, one.id])], limit?.model ?? "*");
  if (limit && limit.model !== "*" && !models.some(one => one.id === limit.model)) model.append(make("option", {selected: true}, limit.model));
  model.disabled = Boolean(limit);
  const inputs = kinds.map(([id, name]) => [id, name, make("input", {type: "number", min: 0, step: 1, inputmode: "numeric",
                                                                    placeholder: "unlimited"})]);
  follow([subject, model], () => {
    const row = place.limits.find(one => isOf(one, subject) && one.model === model.value);
    for (const [id,, input] of inputs) input.value = row?.[id] ?? "";
  });
  const done = await formDialog(limit ? "Change a limit" : "Set a limit",
    [field("limit-subject", "Of", subject), field("limit-model", "Model", model),
     make("div.pair", {}, inputs.map(([id, name, input]) => field(`limit-${id}`, name, input)))],
    () => {
      const [kind, id] = subject.value.split(" ");
      return post("limits", {subject: kind, subject_id: id, model: model.value,
                             ...Object.fromEntries(inputs.map(([name,, input]) => [name, input.value === "" ? null : Number(input.value)]))});
    });
  if (done) await changed("The limit is set");
}

async function removeLimit(limit) {
  if (!await confirmed("Remove this limit?", "What it holds back may run at once.", "Remove")) return;
  if (await attempt(content, () => post("limits", {subject: limit.subject, subject_id: limit.subject_id, model: limit.model}))) {
    await changed("The limit is removed");
  }
}

async function setCap(place, cap) {
  const subject = subjectChoice(place, cap, false);
  const amount = make("input", {type: "text", inputmode: "decimal", pattern: "[0-9]+(\\.[0-9]{1,9})?", placeholder: "no cap"});
  follow([subject], () => { amount.value = place.caps.find(one => isOf(one, subject))?.usd_per_month ?? ""; });
  const done = await formDialog("Spend cap", [field("cap-subject", "Of", subject), field("cap-amount", "USD a month", amount, "Such as 25 or 0.5; empty: no cap")], () => {
    const [kind, id] = subject.value.split(" ");
    return post("spend_caps", {subject: kind, subject_id: id, usd_per_month: amount.value.trim() || null});
  });
  if (done) await changed("The cap is set");
}
