// Small plots in SVG. A plot is as wide as its place, can be walked through with the arrow keys, and says in words what
// stands under the pointer.

import {make, say, write} from "./dom.js";
import {compact} from "./format.js";

const height = 150, left = 46, bottom = 20, top = 6;

// A round number not below `value`, for the top of an axis.
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map(step => step * power).find(step => step >= value * 0.999);
}

class Plot {
  // `count` things beside each other; `draw(svg, x, y, width)` draws them; `words(i)` tells one.
  constructor(title, count, draw, words, {marks, unit = compact, tick = () => true}) {
    this.svg = make("svg", {"aria-hidden": "true", height});
    this.said = make("p.reading");
    this.place = make("div.plot-place", {tabindex: "0", role: "application", "aria-label": `${title}; the arrow keys go through the values`,
      pointermove: event => this.point(event), pointerleave: () => this.choose(-1),
      keydown: event => this.key(event), blur: () => this.choose(-1)}, this.svg);
    this.element = make("figure.plot", {}, make("figcaption", {}, title), this.place, this.said);
    Object.assign(this, {count, words, draw, marks, tick, unit, most: 1, chosen: -1, resting: ""});
    new ResizeObserver(() => this.render()).observe(this.place);
  }

  x(i) { return left + (this.svg.clientWidth - left) * i / this.count; }
  y(value) { return top + (height - top - bottom) * (1 - value / this.most); }

  // The values are others now: the highest is `most`, and `resting` is said while nothing is chosen.
  update(most, resting) {
    Object.assign(this, {most: roundUp(most), resting});
    if (this.chosen < 0) write(this.said, resting);
    this.render();
  }

  render() {
    const width = this.svg.clientWidth;
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.band = make("rect.band", {y: top, height: height - top - bottom, width: 0});
    const lines = [0, 0.5, 1].map(part => {
      const y = this.y(part * this.most);
      return [make("line.grid", {x1: left, x2: width, y1: y, y2: y}),
              make("text", {x: left - 7, y: y + 4, "text-anchor": "end"}, this.unit(part * this.most))];
    });
    const marks = [];
    for (let i = 0, free = left; i < this.count; ++i) {
      if (!this.tick(i) || this.x(i) < free || this.x(i) > width - 36) continue;
      marks.push(make("text", {x: this.x(i), y: height - 4}, this.marks(i)));
      free = this.x(i) + 56;
    }
    this.svg.replaceChildren(this.band, ...lines.flat(), ...this.draw(this), ...marks);
    this.choose(this.chosen, false);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const i = Math.floor((event.clientX - box.left - left) / (box.width - left) * this.count);
    this.choose(i >= 0 && i < this.count ? i : -1, false);
  }

  key(event) {
    const last = this.count - 1;
    const to = {ArrowRight: Math.min(last, this.chosen + 1), ArrowLeft: this.chosen < 0 ? last : Math.max(0, this.chosen - 1),
                Home: 0, End: last, Escape: -1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(to);
  }

  choose(i, aloud = true) {
    this.chosen = i;
    write(this.said, i < 0 ? this.resting : this.words(i));
    if (!this.band) return;
    this.band.setAttribute("x", i < 0 ? 0 : this.x(i));
    this.band.setAttribute("width", i < 0 ? 0 : this.x(i + 1) - this.x(i));
    if (aloud && i >= 0) say(this.said.textContent);
  }
}

// Stacked bars. `series`: {name, values}, in the order of their colours; `marks(i)`: what stands under the bar, where
// `tick(i)` says so and there is room; `resting`: what is said while nothing is chosen. `change(series, resting)` shows
// others, as many.
export function bars(title, series, marks, unit, resting = "", tick = undefined) {
  const count = series[0].values.length;
  let sums;
  const draw = plot => sums.flatMap((_, i) => {
    const wide = plot.x(1) - plot.x(0), gap = Math.min(3, wide * 0.2);
    let below = 0;
    return series.map((one, k) => {
      const from = below;
      below += one.values[i];
      if (!one.values[i]) return null;
      const bar = make("rect", {x: plot.x(i) + gap / 2, width: Math.max(0.5, wide - gap), y: plot.y(below),
                                height: Math.max(0.8, plot.y(from) - plot.y(below)), rx: Math.min(2, wide / 4)});
      bar.classList.add(`c${k % 8}`);
      return bar;
    }).filter(bar => bar);
  });
  const words = i => {
    const parts = series.filter(one => one.values[i] && one.name).map(one => `${one.name} ${unit(one.values[i])}`);
    return `${marks(i, true)}: ${unit(sums[i])}${parts.length > 1 ? ` (${parts.join(", ")})` : parts.length ? `, ${parts[0]}` : ""}`;
  };
  const plot = new Plot(title, count, draw, words, {marks, unit, tick});
  const change = (now, said) => {
    series = now;
    sums = Array.from({length: count}, (_, i) => series.reduce((sum, one) => sum + one.values[i], 0));
    plot.update(Math.max(...sums, 0), said);
  };
  change(series, resting);
  return {element: plot.element, change};
}

// A line of the last values, which grows: `push(value)` adds one. The axis reaches to `least` at least.
export function line(title, length, marks, unit, tick, least = 1) {
  let values = [];
  const draw = plot => {
    const wide = (plot.svg.clientWidth - left) / length, first = length - values.length;
    const points = values.map((value, i) => `${(left + (first + i + 0.5) * wide).toFixed(1)} ${plot.y(value).toFixed(1)}`);
    if (!points.length) return [];
    const floor = plot.y(0), x = i => (left + (first + i + 0.5) * wide).toFixed(1);
    return [make("path.area", {d: `M${x(0)} ${floor} L${points.join(" L")} L${x(values.length - 1)} ${floor}Z`}),
            make("path.curve", {d: `M${points.join(" L")}`})];
  };
  const at = i => values[i - (length - values.length)];
  const plot = new Plot(title, length, draw, i => `${marks(i, true)}: ${at(i) === undefined ? "not seen" : unit(at(i))}`, {marks, unit, tick});
  return {element: plot.element, push(value) {
    values = [...values, value].slice(-length);
    plot.update(Math.max(...values, least), unit(value));
  }};
}

// What the colours are.
export function legend(series) {
  return make("ul.legend", {}, series.map((one, k) => {
    const colour = make("i");
    colour.classList.add(`c${k % 8}`);
    return make("li", {}, colour, one.name);
  }));
}
