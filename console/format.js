// Numbers, times and money as people read them.

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});

export const number = value => plain.format(value);
export const compact = value => value < 10000 ? plain.format(Math.round(value * 10) / 10) : short.format(value);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  return `${(seconds / 60).toFixed(1)} min`;
}

export function percent(share) {
  const value = 100 * share;
  if (value === 0) return "0 %";
  return `${value >= 99.95 ? "100" : value >= 10 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2) : "< 0.01"} %`;
}

const clock = new Intl.DateTimeFormat("en-GB", {dateStyle: "medium", timeStyle: "medium"});
const day = new Intl.DateTimeFormat("en-GB", {dateStyle: "medium"});
// Unix seconds.
export const moment = seconds => seconds === null || seconds === undefined ? "–" : clock.format(seconds * 1000);
export const date = seconds => seconds === null || seconds === undefined ? "–" : day.format(seconds * 1000);

// "0.0375" with a sign, never rounded.
export const dollars = text => `$${text}`;
// A number of dollars, rounded.
export const someDollars = value => `$${value > 0 && value < 0.1 ? value.toPrecision(2).replace(/0+$/, "") : compact(value)}`;
