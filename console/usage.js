// What was used: requests, tokens and cost by hours and days.

import {may, names} from "./account.js";
import {address, read} from "./api.js";
import {fill} from "./content.js";
import {byId, choice, field, make, table} from "./dom.js";
import {compact, number, someDollars} from "./format.js";
import {bars, legend} from "./plot.js";

const hour = 3600, day = 24 * hour;
const ranges = {day: ["Last 24 hours", day, "hour"], week: ["Last 7 days", 7 * day, "hour"], month: ["Last 30 days", 30 * day, "day"],
                year: ["Last year", 365 * day, "day"]};
const mostGroups = 7;  // further ones are one together

let content, range, group, reach, reachField;

export function start() {
  range = choice(Object.entries(ranges).map(([id, [name]]) => [id, name]), "day");
  group = choice([["none", "Nothing"], ["model", "Model"], ["key", "Key"], ["project", "Project"]], "model");
  reach = choice([["project", "This project"], ["organization", "The organisation"]], "project");
  reachField = field("usage-reach", "Of", reach);
  content = make("div.content");
  byId("usage").append(
    make("header.bar", {}, make("h1", {id: "usage-title", tabindex: "-1"}, "Usage")),
    make("form.filters", {change: show, submit: event => event.preventDefault()},
         field("usage-range", "Time", range), field("usage-group", "Divided by", group), reachField), content);
}

export const show = () => fill(content, async () => {
  reachField.hidden = !await may("read_organization");
  const [, length, period] = ranges[range.value];
  const width = period === "hour" ? hour : day;
  const until = (Math.floor(Date.now() / 1000 / width) + 1) * width;
  const [buckets, known] = await Promise.all([
    read(address("/v1/organization/usage", {period, from: until - length, until, group_by: group.value, reach: reach.value})), names()]);
  return draw(buckets.data, period, known);
});

// "0.0375" as a number, for heights of bars; what is written is the sum of exact nano-dollars.
const nano = text => {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole) * 1000000000n + BigInt(part.padEnd(9, "0"));
};
function dollars(value) {
  const text = (value / 1000000000n).toString(), part = (value % 1000000000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `$${part ? `${text}.${part}` : text}`;
}

// The elements that show these buckets of time.
function draw(buckets, period, known) {
  const groupOf = result => result.model ?? result.key_id ?? result.project_id ?? "";
  const totals = new Map();
  for (const result of buckets.flatMap(bucket => bucket.results)) {
    totals.set(groupOf(result), (totals.get(groupOf(result)) ?? 0) + result.input_tokens + result.output_tokens + result.num_model_requests);
  }
  const ordered = [...totals].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const groups = ordered.slice(0, mostGroups);
  const label = id => id === "" ? group.value === "model" ? "no model" : "" : known.label(id);
  const series = value => {
    const list = groups.map(id => ({name: label(id), values: buckets.map(bucket =>
      bucket.results.filter(result => groupOf(result) === id).reduce((sum, result) => sum + value(result), 0))}));
    if (ordered.length > groups.length) {
      list.push({name: "others", values: buckets.map(bucket => bucket.results.filter(result => !groups.includes(groupOf(result)))
                                                              .reduce((sum, result) => sum + value(result), 0))});
    }
    return list.length ? list : [{name: "", values: buckets.map(() => 0)}];
  };
  const format = new Intl.DateTimeFormat("en-GB", period === "hour" ? {hour: "2-digit", minute: "2-digit"} : {day: "numeric", month: "short", timeZone: "UTC"});
  const whole = new Intl.DateTimeFormat("en-GB", period === "hour" ? {weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"}
                                                                   : {weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC"});
  const midnight = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short"});
  const at = i => new Date(buckets[i].start_time * 1000);
  const mark = (i, long) => (long ? whole : period === "hour" && at(i).getHours() === 0 ? midnight : format).format(at(i));
  const tick = period === "hour" ? i => at(i).getHours() % (buckets.length > 30 ? 24 : 6) === 0 : undefined;
  const all = buckets.flatMap(bucket => bucket.results);
  const total = name => all.reduce((sum, result) => sum + result[name], 0);
  const cost = all.reduce((sum, result) => sum + nano(result.usd), 0n);
  const figures = [["Requests", number(total("num_model_requests"))], ["of them refused", number(total("num_errors"))],
                   ["Prompt tokens", compact(total("input_tokens"))], ["of them cached", compact(total("input_cached_tokens"))],
                   ["Answer tokens", compact(total("output_tokens"))], ["Cost", someDollars(Number(cost) / 1e9), dollars(cost)]];
  const requests = series(result => result.num_model_requests);
  return [
    make("dl.tiles", {}, figures.map(([name, value, exact]) => make("div.tile", {title: exact}, make("dt", {}, name), make("dd", {}, make("b", {}, value))))),
    requests.some(one => one.name) ? legend(requests) : null,
    make("div.plots", {},
         bars("Requests", requests, mark, compact, "", tick).element,
         bars("Tokens, of prompts and answers", series(result => result.input_tokens + result.output_tokens), mark, compact, "", tick).element,
         bars("Cost in USD", series(result => Number(nano(result.usd)) / 1e9), mark, someDollars, "", tick).element),
    make("details", {}, make("summary", {}, "The same as a table"), table("Usage",
      [{name: "Time"}, {name: "Of"}, ...["Requests", "Refused", "Prompt", "Cached", "Answer", "Cost"].map(name => ({name, number: true}))],
      buckets.flatMap(bucket => bucket.results.map(result => [whole.format(bucket.start_time * 1000), label(groupOf(result)) || "all",
        number(result.num_model_requests), number(result.num_errors), number(result.input_tokens), number(result.input_cached_tokens),
        number(result.output_tokens), `$${result.usd}`]))))];
}
