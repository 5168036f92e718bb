// What the server does at this moment.

import {read} from "./api.js";
import {fill} from "./content.js";
import {byId, make, table, write} from "./dom.js";
import {compact, duration, number, percent} from "./format.js";
import {bars, line} from "./plot.js";

const seconds = 120;
const histograms = [["first_token", "Time to the first token"], ["token", "Time of each further token"], ["whole", "Whole requests"]];
const classes = [["performance", "performance"], ["on_demand", "on demand"], ["flex", "flex"], ["batch", "batch"]];
const tileNames = ["Running", "Waiting", "Answer tokens", "A step", "Keys and values", "Prefix cache"];

let content;
let visit = null;   // an object for each time that the page is looked at
let before = null;  // what the server said last
let tiles, lines, queue, latencies, told;  // the elements, which are changed in place

export function start() {
  content = make("div.content");
  byId("live").append(make("header.bar", {}, make("h1", {id: "live-title", tabindex: "-1"}, "Live"), make("span.gap"),
                           make("p.soft.beat", {id: "live-state"})), content);
}

export function show() {
  const mine = visit = {};
  return fill(content, async () => {
    const now = await ask();
    if (visit !== mine) return null;
    before = null;
    const parts = build(now);
    update(now);
    follow(mine);
    return parts;
  });
}

export function hide() {
  visit = null;
}

const ask = options => read("/v1/organization/live", options);

// Asks each second, but never before the last answer has come.
async function follow(mine) {
  for (;;) {
    await new Promise(done => { setTimeout(done, 1000); });
    if (visit !== mine) return;
    if (document.hidden) continue;
    const now = await ask({quiet: true}).catch(error => error);
    if (visit !== mine) return;
    if (now instanceof Error) {
      write(byId("live-state"), now.message);
      before = null;
    } else {
      update(now);
    }
  }
}

// The elements for a server that is such as this one.
function build({latency: {bucket_ends: ends}}) {
  tiles = tileNames.map(name => {
    const value = make("b"), more = make("span");
    return {element: make("div.tile", {}, make("dt", {}, name), make("dd", {}, value, more)), value, more};
  });
  const ago = (i, whole) => { const s = seconds - 1 - i; return whole ? s === 0 ? "now" : `${s} s ago` : s === 0 ? "now" : `−${s} s`; };
  const half = i => (seconds - 1 - i) % 30 === 0;
  const perSecond = value => `${compact(value)}/s`;
  lines = {
    output: line("Answer tokens a second", seconds, ago, perSecond, half),
    input: line("Prompt tokens a second", seconds, ago, perSecond, half),
    running: line("Answers that run", seconds, ago, compact, half),
    kv: line("Memory of keys and values in use", seconds, ago, percent, half, 0.01),
  };
  queue = classes.map(([id, name]) => ({id, name, running: make("span"), waiting: make("span")}));
  const mark = (i, whole) => whole ? i === ends.length ? `longer than ${duration(ends.at(-1))}` : `up to ${duration(ends[i])}`
                                   : duration(ends[Math.min(i, ends.length - 1)]);
  const none = [{name: "", values: [...ends, Infinity].map(() => 0)}];
  latencies = histograms.map(([id, title]) => ({id, ends, plot: bars(title, none, mark, number)}));
  told = make("p.soft");
  return [make("dl.tiles", {}, tiles.map(tile => tile.element)), make("div.plots.two", {}, Object.values(lines).map(one => one.element)),
    make("div", {}, make("h2", {}, "By class of service"),
         table("Answers by class of service", [{name: "Class", head: true}, {name: "Running", number: true}, {name: "Waiting", number: true}],
               queue.map(({name, running, waiting}) => [name, running, waiting]), "small")),
    make("div", {}, make("h2", {}, "Latency of the last minute"), told, make("div.plots", {}, latencies.map(({plot}) => plot.element)))];
}

const sum = counts => Object.values(counts).reduce((a, b) => a + b, 0);

function update(now) {
  write(byId("live-state"), now.model);
  const since = before ? now.time - before.time : 0;
  const rate = name => since > 0 ? Math.max(0, (now.totals[name] - before.totals[name]) / since) : 0;
  const steps = before ? now.totals.steps - before.totals.steps : 0;
  const step = steps > 0 ? (now.totals.step_seconds - before.totals.step_seconds) / steps : null;
  const rows = steps > 0 ? (now.totals.rows - before.totals.rows) / steps : null;
  const running = sum(now.running), waiting = sum(now.waiting), kv = now.kv.pages_used / Math.max(1, now.kv.pages_total);
  [
    [number(running), `of ${number(now.streams_max)} at once`],
    [number(waiting), waiting ? "for a place in the batch" : "nobody"],
    [before ? `${compact(rate("output_tokens"))}/s` : "–", `${compact(now.totals.output_tokens)} since the start`],
    [duration(step), rows === null ? "nothing runs" : `${compact(rows)} rows in each`],
    [percent(kv), `${compact(now.kv.pages_used * now.kv.positions_per_page)} of ${
      compact(now.kv.pages_total * now.kv.positions_per_page)} positions`],
    [percent(now.totals.input_cached_tokens / Math.max(1, now.totals.input_cached_tokens + now.totals.input_tokens)), "of all prompt tokens"],
  ].forEach(([value, more], i) => {
    write(tiles[i].value, value);
    write(tiles[i].more, more);
  });
  if (before) {
    lines.output.push(rate("output_tokens"));
    lines.input.push(rate("input_tokens"));
  }
  lines.running.push(running);
  lines.kv.push(kv);
  for (const one of queue) {
    write(one.running, number(now.running[one.id]));
    write(one.waiting, number(now.waiting[one.id]));
  }
  showLatencies(now.latency);
  before = now;
}

// The time below which a share of the requests stayed, as far as buckets tell.
function quantile(counts, ends, share) {
  const total = counts.reduce((a, b) => a + b, 0);
  let below = 0;
  const bucket = counts.findIndex(count => (below += count) >= share * total);
  return ends[Math.min(bucket, ends.length - 1)];
}

function showLatencies(latency) {
  for (const {id, ends, plot} of latencies) {
    const values = latency[id];
    plot.element.hidden = !values.some(count => count);
    plot.change([{name: "", values}],
      `half below ${duration(quantile(values, ends, 0.5))}, 95 % below ${duration(quantile(values, ends, 0.95))}`);
  }
  write(told, latencies.every(({plot}) => plot.element.hidden) ? "No request was answered."
                                                               : "Requests by how long they took; each bar is a range of times.");
}
