// Requests to the server that this page came from.

import {make, dialog, field} from "./dom.js";

const place = "lockstep-key";

// What the server refused: `status`, `code` and the sentence.
export class Refusal extends Error {
  constructor(status, error) {
    super(error?.message ?? `The server answered with ${status}.`);
    this.status = status;
    this.code = error?.code ?? "";
    this.param = error?.param ?? "";
  }
}

export function key() {
  return sessionStorage.getItem(place) ?? localStorage.getItem(place) ?? "";
}

function keepKey(value, onThisComputer) {
  forgetKey();
  (onThisComputer ? localStorage : sessionStorage).setItem(place, value);
}

export function forgetKey() {
  sessionStorage.removeItem(place);
  localStorage.removeItem(place);
}

// Keys are plain characters without blanks, as a header needs them.
const mayBeKey = text => /^[!-~]+$/.test(text);

async function send(path, {method = "GET", body, signal, as = key()} = {}) {
  const headers = {};
  if (as && !mayBeKey(as)) throw new Error("This is no key: it has characters that no key has. A list of keys shows only how they begin.");
  if (as) headers.authorization = `Bearer ${as}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal,
                              credentials: "omit", redirect: "error"});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
}

async function refusal(response) {
  try {
    return new Refusal(response.status, (await response.json()).error);
  } catch {
    return new Refusal(response.status);
  }
}

let asking = null;

// Asks for the key until the server takes one; several requests wait for the same dialog.
export function askForKey(reason = "") {
  asking ??= dialog("Your key", close => {
    const input = make("input", {type: "password", required: true, autocomplete: "off", spellcheck: "false", autofocus: true});
    const keep = make("input", {type: "checkbox"});
    const said = make("p.error", {role: "alert"}, reason);
    return make("form", {method: "dialog", async submit(event) {
      event.preventDefault();
      const given = input.value.trim();
      const response = await send("/v1/models", {as: given}).catch(error => ({ok: false, status: 0, error}));
      if (response.ok || response.status === 403) {
        keepKey(given, keep.checked);
        return close(true);
      }
      said.textContent = response.error?.message ?? "The server does not know this key, or it is revoked or expired.";
      input.select();
    }},
      make("p", {}, "This server asks for a key. It printed one when it was first started; others come from the page “Keys”."),
      field("key", "Key", input),
      make("label.check", {}, keep, "Remember it on this computer"),
      said,
      make("div.actions", {}, make("button", {type: "button", click: () => close(false)}, "Not now"),
           make("button.main", {type: "submit"}, "Continue")));
  }).finally(() => { asking = null; });
  return asking;
}

// Asks for another key at the user's wish.
export async function changeKey() {
  if (await askForKey()) window.dispatchEvent(new Event("key-changed"));
}

// The response, if it is a good one. A server that wants a key gets one asked for.
export async function ask(path, options = {}) {
  const response = await send(path, options);
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status !== 401 || options.quiet) throw error;
  if (!await askForKey(key() ? error.message : "")) throw error;
  window.dispatchEvent(new Event("key-changed"));
  const again = await send(path, options);
  if (!again.ok) throw await refusal(again);
  return again;
}

export async function read(path, options) {
  return (await ask(path, options)).json();
}

// Saves what stands at a path as a file of that name.
export async function download(path, name) {
  const blob = await (await ask(path)).blob();
  const link = make("a", {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A path with further values in its query: those that are set.
export function address(path, values) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url.pathname + url.search;
}

// All elements of a list that comes in pages.
export async function readAll(path) {
  const all = [];
  for (let after = null;;) {
    const page = await read(address(path, {limit: 100, after}));
    all.push(...page.data);
    if (!page.has_more) return all;
    after = page.last_id;
  }
}

// The events of a stream as objects, until its end; an event that tells an error is thrown.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").filter(line => line.startsWith("data:")).map(line => line.slice(5).trimStart()).join("\n");
        if (!data) continue;
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw new Refusal(event.error.status_code ?? 500, event.error);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
