// The console: one page, whose sections are chosen by the address's part after '#'.

import {askForKey, forgetKey, key, Refusal} from "./api.js";
import {byId, make, notice, problem} from "./dom.js";
import {account} from "./account.js";
import * as batches from "./batches.js";
import * as keys from "./keys.js";
import * as limits from "./limits.js";
import * as live from "./live.js";
import * as playground from "./playground.js";
import * as requests from "./requests.js";
import * as usage from "./usage.js";

const sections = {playground, live, usage, requests, batches, keys, limits};
let shown = null;

async function showSection() {
  const name = sections[location.hash.slice(1)] ? location.hash.slice(1) : "playground";
  if (shown === name) return;
  if (shown) sections[shown].hide?.();
  const first = shown === null;
  shown = name;
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`${name}-title`);
  document.title = `${title.textContent} – Lockstep`;
  openMenu(false);
  if (!first) title.focus({preventScroll: true});
  window.scrollTo(0, 0);
  await fill(name);
}

async function fill(name) {
  try {
    await sections[name].show();
  } catch (error) {
    failed(name, error);
  }
}

function failed(name, error) {
  const place = byId(name).querySelector(".content, .messages");
  if (error instanceof Refusal && error.status === 401) {
    place.replaceChildren(notice("A key is needed", "This server answers those who have one of its keys.",
      make("button.main", {type: "button", click: changeKey}, "Enter a key")));
  } else {
    place.replaceChildren(problem(error));
  }
}

function openMenu(open) {
  byId("menu").setAttribute("aria-expanded", open);
  document.body.classList.toggle("menu-open", open);
}

async function changeKey() {
  if (await askForKey()) window.dispatchEvent(new Event("key-changed"));
}

// Who the key belongs to, under the navigation.
async function showWho() {
  const who = byId("who");
  const self = await account().catch(() => null);
  who.replaceChildren(...[
    self && make("div", {}, make("strong", {}, self.project?.name ?? self.project_id), make("span", {}, self.role)),
    key() && make("div.actions", {}, make("button.quiet", {type: "button", click: changeKey}, "Other key"),
                 make("button.quiet", {type: "button", click() { forgetKey(); location.reload(); }}, "Forget it")),
  ].filter(part => part));
}

for (const section of Object.values(sections)) section.start();
byId("menu").addEventListener("click", () => openMenu(byId("menu").getAttribute("aria-expanded") !== "true"));
byId("skip").addEventListener("click", event => {
  event.preventDefault();
  byId("main").focus();
});
window.addEventListener("hashchange", showSection);
window.addEventListener("key-changed", () => {
  playground.modelsChanged();
  showWho();
  fill(shown);
});
await showSection();
showWho();
document.body.dataset.ready = "true";
