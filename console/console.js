// The console: one page, whose sections are chosen by the address's part after '#'.

import {changeKey, forgetKey, key} from "./api.js";
import {byId, make, quiet} from "./dom.js";
import {account} from "./account.js";
import * as batches from "./batches.js";
import * as keys from "./keys.js";
import * as limits from "./limits.js";
import * as live from "./live.js";
import * as organisation from "./organisation.js";
import * as playground from "./playground.js";
import * as requests from "./requests.js";
import * as usage from "./usage.js";

const sections = {playground, live, usage, requests, batches, keys, limits, organisation};
let shown = null;

async function showSection() {
  const wanted = location.hash.slice(1), name = Object.hasOwn(sections, wanted) ? wanted : "playground";
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
  await sections[name].show();
}

function openMenu(open) {
  byId("menu").setAttribute("aria-expanded", open);
  document.body.classList.toggle("menu-open", open);
}

// Who the key belongs to, under the navigation.
async function showWho() {
  const who = byId("who");
  const self = await account({quiet: true}).catch(() => null);
  who.replaceChildren(...[
    self && make("div", {}, make("strong", {}, self.project?.name ?? self.project_id), make("span", {}, self.role)),
    key() && make("div.actions", {}, quiet("Other key", changeKey), quiet("Forget it", () => { forgetKey(); location.reload(); })),
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
  sections[shown].show();
});
window.addEventListener("account-changed", showWho);
await showSection();
showWho();
document.body.dataset.ready = "true";
