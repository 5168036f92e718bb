// A text as its tokens, each coloured by how likely the model found it. A click, or the arrow keys, choose one and show
// what else it could have been.

import {make, say} from "./dom.js";
import {percent} from "./format.js";

// 0: certain, 1: one in a thousand or less.
const doubt = logprob => Math.min(1, -logprob / Math.log(1000)) ** 0.7;

// A token's text with what cannot be seen made visible.
function visible(text) {
  if (text === "") return "(nothing)";
  return text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

export class TokenText {
  constructor() {
    this.card = make("div.token-card", {hidden: true});
    // The text can be read like any other; one of its tokens can have the focus.
    this.text = make("div.said.tokens", {role: "group", "aria-label": "Answer; the arrow keys go from token to token",
      click: event => this.focus(this.spans.indexOf(event.target)),
      focusin: event => this.choose(this.spans.indexOf(event.target)),
      focusout: () => this.choose(-1),
      keydown: event => this.key(event)});
    this.element = make("div.token-text", {}, this.text, this.card);
    new ResizeObserver(() => this.place()).observe(this.element);
    this.spans = [];
    this.tokens = [];  // beside spans: those whose bytes the span shows
    this.part = [];    // tokens that end inside a character
    this.decoder = new TextDecoder();
    this.count = 0;
    this.sum = 0;
    this.chosen = -1;
    this.reached = 0;  // the token that has the focus, or gets it when the text does
  }

  add(tokens) {
    for (const token of tokens) {
      this.count += 1;
      this.sum += token.logprob;
      this.part.push(token);
      const text = token.bytes ? this.decoder.decode(new Uint8Array(token.bytes), {stream: true}) : token.token;
      if (text === "" && token.bytes?.length) continue;
      const span = make("span", {}, text);
      const least = Math.min(...this.part.map(one => one.logprob));
      span.style.setProperty("--doubt", doubt(least).toFixed(3));
      if (least < Math.log(0.1)) span.classList.add("unlikely");
      if (!this.spans.length) span.tabIndex = 0;
      this.spans.push(span);
      this.tokens.push(this.part);
      this.part = [];
      this.text.append(span);
    }
  }

  perplexity() {
    return Math.exp(-this.sum / this.count);
  }

  key(event) {
    const last = this.spans.length - 1;
    const to = {ArrowRight: Math.min(this.reached + 1, last), ArrowLeft: Math.max(this.reached - 1, 0), Home: 0, End: last,
                ArrowDown: this.below(1), ArrowUp: this.below(-1), Escape: -1}[event.key];
    if (to === undefined) return;
    if (event.key === "Escape" && this.chosen < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (to < 0) this.choose(-1);
    else this.focus(to);
  }

  // Gives the focus to a token and so chooses it.
  focus(index) {
    if (index < 0) return;
    this.spans[this.reached].removeAttribute("tabindex");
    this.reached = index;
    this.spans[index].tabIndex = 0;
    this.spans[index].focus();
    this.choose(index);
  }

  // The token in the next line (or the one before) that stands nearest to the one that was reached.
  below(step) {
    const places = this.spans.map(span => span.getClientRects()[0] ?? span.getBoundingClientRect());
    const from = places[this.reached];
    let best = this.reached, bestCost = Infinity;
    places.forEach((place, i) => {
      const down = (place.top - from.top) * step;
      const cost = down * 100 + Math.abs(place.left - from.left);
      if (down > 2 && cost < bestCost) [best, bestCost] = [i, cost];
    });
    return best;
  }

  choose(index) {
    if (index === this.chosen) return;
    this.spans[this.chosen]?.classList.remove("chosen");
    this.chosen = index;
    this.card.hidden = index < 0;
    if (index < 0) return;
    const span = this.spans[index];
    span.classList.add("chosen");
    this.card.replaceChildren(...this.tokens[index].map(token => this.describe(token)));
    this.place();
    this.card.scrollIntoView({block: "nearest"});
    const token = this.tokens[index][0];
    say(`${visible(token.token)}: ${percent(Math.exp(token.logprob))}. ${this.others(token).map(other =>
      `${visible(other.token)} ${percent(Math.exp(other.logprob))}`).join(", ")}`);
  }

  // Puts the card under the chosen token, inside the text's width.
  place() {
    if (this.chosen < 0) return;
    const box = this.element.getBoundingClientRect(), place = this.spans[this.chosen].getClientRects()[0] ?? box;
    const left = Math.max(0, Math.min(place.left - box.left - 12, box.width - this.card.offsetWidth));
    this.card.style.left = `${left}px`;
    this.card.style.top = `${place.bottom - box.top + 6}px`;
  }

  others(token) {
    return (token.top_logprobs ?? []).filter(other => other.token !== token.token || other.logprob !== token.logprob);
  }

  describe(token) {
    const row = (one, kind) => {
      const bar = make("i");
      bar.style.setProperty("--share", Math.exp(one.logprob).toFixed(5));
      return make(`li${kind}`, {}, make("code", {}, visible(one.token)), bar, make("span", {}, percent(Math.exp(one.logprob))));
    };
    const all = token.top_logprobs ?? [];
    const there = all.some(other => other.token === token.token && other.logprob === token.logprob);
    const rows = all.map(other => row(other, other.token === token.token && other.logprob === token.logprob ? ".taken" : ""));
    if (!there) rows.push(row(token, ".taken"));
    return make("ul", {}, rows);
  }
}
