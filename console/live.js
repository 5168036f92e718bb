// What the server does at this moment.

import {read} from "./api.js";
import {byId, make} from "./dom.js";
import {compact, duration, number, percent} from "./format.js";
import {bars, line} from "./plot.js";

const seconds = 120;
const histograms = [["first_token", "Time to the first token"], ["token", "Time of each further token"], ["whole", "Whole requests"]];
const classes = [["performance", "performance"], ["on_demand", "on demand"], ["flex", "flex"], ["batch", "batch"]];

let timer = null, before = null, content, figures, lines, latencies, queue, told;

export function start() {
  content = make("div.content");
  byId("live").append(make("header.bar", {}, make("h1", {id: "live-title", tabindex: "-1"}, "Live"), make("span.gap"),
                           make("p.soft.beat", {id: "live-state"})), content);
}

function build() {
  figures = make("dl.tiles");
  queue = make("div");
  const ago = (i, whole) => { const s = seconds - 1 - i; return whole ? s === 0 ? "now" : `${s} s ago` : s === 0 ? "now" : `−${s} s`; };
  const half = i => (seconds - 1 - i) % 30 === 0;
  const perSecond = value => `${compact(value)}/s`;
  lines = {
    output: line("Answer tokens a second", seconds, ago, perSecond, half),
    input: line("Prompt tokens a second", seconds, ago, perSecond, half),
    running: line("Answers that run", seconds, ago, compact, half),
    kv: line("Memory of keys and values in use", seconds, ago, percent, half, 0.01),
  };
  latencies = make("div.plots");
  told = make("p.soft");
  content.replaceChildren(figures, make("div.plots.two", {}, Object.values(lines).map(one => one.element)), queue,
    make("div", {}, make("h2", {}, "Latency of the last minute"), told, latencies));
}

export async function show() {
  before = null;
  build();
  await update();
  clearInterval(timer);
  timer = setInterval(() => { if (!document.hidden) update().catch(stopped); }, 1000);
}

export function hide() {
  clearInterval(timer);
}

function stopped(error) {
  byId("live-state").textContent = error.message;
  before = null;
}

const sum = counts => Object.values(counts).reduce((a, b) => a + b, 0);

async function update() {
  const now = await read("/v1/organization/live");
  byId("live-state").textContent = now.model;
  const since = before ? now.time - before.time : 0;
  const rate = name => since > 0 ? Math.max(0, (now.totals[name] - before.totals[name]) / since) : 0;
  const steps = before ? now.totals.steps - before.totals.steps : 0;
  const step = steps > 0 ? (now.totals.step_seconds - before.totals.step_seconds) / steps : null;
  const rows = steps > 0 ? (now.totals.rows - before.totals.rows) / steps : null;
  const running = sum(now.running), waiting = sum(now.waiting), kv = now.kv.pages_used / Math.max(1, now.kv.pages_total);
  figures.replaceChildren(...[
    ["Running", number(running), `of ${number(now.streams_max)} at once`],
    ["Waiting", number(waiting), waiting ? "for a place in the batch" : "nobody"],
    ["Answer tokens", before ? `${compact(rate("output_tokens"))}/s` : "–", `${compact(now.totals.output_tokens)} since the start`],
    ["A step", duration(step), rows === null ? "nothing runs" : `${compact(rows)} rows in each`],
    ["Keys and values", percent(kv), `${compact(now.kv.pages_used * now.kv.positions_per_page)} of ${
      compact(now.kv.pages_total * now.kv.positions_per_page)} positions`],
    ["From the prefix cache", percent(now.totals.input_cached_tokens / Math.max(1, now.totals.input_cached_tokens + now.totals.input_tokens)),
     "of all prompt tokens"],
  ].map(([name, value, more]) => make("div.tile", {}, make("dt", {}, name), make("dd", {}, make("b", {}, value), make("span", {}, more)))));
  if (before) {
    lines.output.push(rate("output_tokens"));
    lines.input.push(rate("input_tokens"));
  }
  lines.running.push(running);
  lines.kv.push(kv);
  queue.replaceChildren(make("h2", {}, "By class of service"), make("table.small", {}, make("caption.unseen", {}, "Answers by class of service"),
    make("thead", {}, make("tr", {}, ["Class", "Running", "Waiting"].map((name, i) => make(i ? "th.number" : "th", {scope: "col"}, name)))),
    make("tbody", {}, classes.map(([id, name]) => make("tr", {}, make("th", {scope: "row"}, name), make("td.number", {}, number(now.running[id])),
                                                     make("td.number", {}, number(now.waiting[id])))))));
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

let shownLatencies = "";
function showLatencies(latency) {
  const text = JSON.stringify(latency);
  if (text === shownLatencies && latencies.childElementCount) return;
  shownLatencies = text;
  const ends = latency.bucket_ends;
  const parts = histograms.filter(([id]) => latency[id].some(count => count));
  told.textContent = parts.length ? "Requests by how long they took; each bar is a range of times." : "No request was answered.";
  const mark = (i, whole) => whole ? i === ends.length ? `longer than ${duration(ends.at(-1))}` : `up to ${duration(ends[i])}`
                                   : duration(ends[Math.min(i, ends.length - 1)]);
  latencies.replaceChildren(...parts.map(([id, title]) => bars(title, [{name: "", values: latency[id]}], mark, number,
    `half below ${duration(quantile(latency[id], ends, 0.5))}, 95 % below ${duration(quantile(latency[id], ends, 0.95))}`)));
}
