// What stands in a section: how it is loaded, what went wrong, and the pages of a list.

import {changeKey, Refusal} from "./api.js";
import {make, notice} from "./dom.js";

// What an error says; where a key is missing, with a way to give one.
function problem(error, again) {
  if (error instanceof Refusal && error.status === 401) {
    return notice("A key is needed", "This server answers those who have one of its keys.",
                  make("button.main", {type: "button", click: changeKey}, "Enter a key"));
  }
  return [make("p.error", {role: "alert"}, error.message), again && make("button", {type: "button", click: again}, "Try again")];
}

const loads = new WeakMap();  // by place: the number of its newest load

// Shows in `place` the elements that `load` gives, or what went wrong. Of loads that run at once the one that began last
// is shown, whichever ends last.
export async function fill(place, load) {
  const number = (loads.get(place) ?? 0) + 1;
  loads.set(place, number);
  let parts;
  try {
    parts = await load();
  } catch (error) {
    parts = make("div", {}, problem(error, () => fill(place, load)));
  }
  if (loads.get(place) === number) place.replaceChildren(...[parts].flat().filter(part => part));
}

// Does what was asked for; true if it was done. If not, that stands above what `place` shows.
export async function attempt(place, action) {
  place.querySelector(":scope > .failure")?.remove();
  try {
    await action();
    return true;
  } catch (error) {
    const failure = make("div.failure", {}, problem(error));
    place.prepend(failure);
    failure.scrollIntoView({block: "nearest"});
    return false;
  }
}

// The pages of a list, from the newest on: `cursor` is that of the page to show, `turn` shows it.
export class Pages {
  constructor(turn) {
    this.turn = turn;
    this.cursors = [];
  }

  get cursor() { return this.cursors.at(-1); }

  first() { this.cursors = []; }

  // The buttons below a page, if there are others; `next`: the cursor of the one after it, or null.
  buttons(next) {
    if (!this.cursors.length && next === null) return null;
    return make("div.actions.pager", {},
      make("button", {type: "button", disabled: !this.cursors.length, click: () => { this.cursors.pop(); this.turn(); }}, "Newer"),
      make("button", {type: "button", disabled: next === null, click: () => { this.cursors.push(next); this.turn(); }}, "Older"));
  }
}
