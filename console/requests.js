// The request log: search, pages, one request in full, export.

import {may, names} from "./account.js";
import {address, download, read} from "./api.js";
import {attempt, fill, Pages} from "./content.js";
import {byId, choice, copyButton, dialog, field, make, notice, quiet, table} from "./dom.js";
import {dollars, duration, moment, number} from "./format.js";

const times = [["3600", "Last hour"], ["86400", "Last 24 hours"], ["604800", "Last 7 days"], ["", "All that is kept"]];
const states = {"": {}, good: {status_to: 399}, refused: {status_from: 400, status_to: 499}, failed: {status_from: 500}};

let content, form, reachField, keyField;
const pages = new Pages(turn);

export function start() {
  const text = () => make("input", {type: "text", autocomplete: "off", spellcheck: "false"});
  form = make("form.filters", {submit: event => { event.preventDefault(); first(); }, change: first},
    field("log-time", "Time", choice(times, "86400")),
    field("log-state", "Outcome", choice([["", "Any"], ["good", "Answered"], ["refused", "Refused (4xx)"], ["failed", "Failed (5xx)"]], "")),
    field("log-model", "Model", text()),
    keyField = field("log-key", "Key", choice([["", "Any"]], "")),
    field("log-id", "Id contains", text()),
    field("log-batch", "Batch", text()),
    reachField = field("log-reach", "Of", choice([["project", "This project"], ["organization", "The organisation"]], "project")));
  content = make("div.content");
  byId("requests").append(
    make("header.bar", {}, make("h1", {id: "requests-title", tabindex: "-1"}, "Requests"), make("span.gap"),
         make("div.actions", {}, quiet("Export JSONL", () => exportAs("jsonl")), quiet("Export CSV", () => exportAs("csv")))), form, content);
}

export const show = () => fill(content, async () => {
  const wide = await may("read_organization");
  reachField.hidden = keyField.hidden = !wide;
  if (wide) {
    const chosen = byId("log-key").value;
    byId("log-key").replaceChildren(...choice([["", "Any"], ...(await names()).keys]).children);
    byId("log-key").value = chosen;
  }
  pages.first();
  return load();
});

function first() {
  pages.first();
  return fill(content, load);
}

function filter() {
  const value = id => byId(id).value.trim();
  const length = Number(value("log-time"));
  return {from: length ? Math.floor(Date.now() / 1000) - length : "", ...states[value("log-state")], model: value("log-model"),
          key_id: value("log-key"), id: value("log-id"), batch_id: value("log-batch"), reach: value("log-reach")};
}

function stateTag(status) {
  const kind = status < 400 ? ".good" : status === 499 ? "" : ".bad";
  return make(`span.tag${kind}`, {}, status === 499 ? "499 left" : status);
}

// The elements of the page that is to be shown.
async function load() {
  const page = await read(address("/v1/organization/requests", {...filter(), cursor: pages.cursor, limit: 25}));
  if (!page.data.length) return notice("No requests", "None that the filters let through are in the log.");
  const time = one => one.queue_time + one.prompt_time + one.completion_time;
  const columns = [{name: "Time"}, {name: "Request"}, {name: "Status"}, {name: "Endpoint"}, {name: "Model"}, {name: "Tokens", number: true},
                   {name: "First token", number: true}, {name: "In all", number: true}, {name: "Cost", number: true}];
  const rows = page.data.map(one => [
    moment(one.created_at),
    make("button.quiet.id", {type: "button", title: one.id, "aria-label": `Request ${one.id}`, click: () => details(one)}, `…${one.id.slice(-8)}`),
    make("span", {}, stateTag(one.status), one.error_code ? make("span.soft", {}, ` ${one.error_code}`) : ""),
    one.endpoint.replace("/v1/", ""), one.model ?? "", `${number(one.input_tokens)} + ${number(one.output_tokens)}`,
    duration(one.first_token_time), duration(time(one)), dollars(one.usd)]);
  return [table("Requests", columns, rows), pages.buttons(page.has_more ? page.next_cursor : null)];
}

async function turn() {
  await fill(content, load);
  byId("requests-title").focus();
}

// A body as it is easiest to read.
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function details(one) {
  let full = one, bodies = [];
  try {
    full = await read(`/v1/organization/requests/${encodeURIComponent(one.id)}`);
    bodies = [["Request", full.request_body], ["Answer", full.response_body]].map(([name, text]) => text === null ? null :
      make("details", {open: true}, make("summary", {}, name), make("pre.code", {tabindex: "0"}, pretty(text))));
    if (bodies.every(body => !body)) bodies = [make("p.soft", {}, "The texts of this request were not kept: the project does not store them.")];
  } catch (error) {
    bodies = [error.status === 404 ? make("p.soft", {}, "The texts of another project's requests are shown to its own keys alone.")
                                   : make("p.error", {role: "alert"}, error.message)];
  }
  const rows = Object.entries(full).filter(([name, value]) => !["object", "request_body", "response_body"].includes(name) && value !== null)
    .map(([name, value]) => [make("dt", {}, name.replaceAll("_", " ")),
                             make("dd", {}, name === "created_at" ? moment(value) : name.endsWith("_time") ? duration(value) :
                                  name === "usd" ? dollars(value) : String(value))]);
  dialog("Request", close => [make("dl.facts-list", {}, rows), bodies,
    make("div.actions", {}, copyButton(full.id, "Copy id"), make("button.main", {type: "button", autofocus: true, click: () => close()}, "Close"))]);
}

function exportAs(format) {
  return attempt(content, () => download(address("/v1/organization/requests", {...filter(), format}), `requests.${format}`));
}
