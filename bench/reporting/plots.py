"""Small SVG plots, readable on light and dark pages."""

import math
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 28, 36, 44
COLOURS = [("#0969da", "#58a6ff"), ("#bc4c00", "#f0883e"), ("#8250df", "#bc8cff"), ("#1a7f37", "#3fb950"), ("#9a6700", "#d29922"),
           ("#bf3989", "#f778ba"), ("#1b7c83", "#39c5cf"), ("#cf222e", "#ff7b72"), ("#6e7781", "#8b949e")]
STYLE = """
  .page { fill: #ffffff } text { fill: #1f2328; font: 12px sans-serif } .title { font-size: 14px }
  .grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 5 4 }
"""
DARK = """.page { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d }"""


def number(value):
    """A tick's label: 15000 as 15k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class Axis:
    """Maps values to pixels; ticks at round numbers, or at powers of a base."""

    def __init__(self, values, begin, end, log=0):
        self.names = {}  # of ticks that are not their numbers
        self.log, self.begin, self.end = log, begin, end
        if log:
            low, high = math.floor(self.scale(min(values)) + 1e-9), math.ceil(self.scale(max(values)) - 1e-9)
            self.low, self.high = low, max(high, low + 1)
            step = max(1, (self.high - self.low) // 8)
            self.ticks = [log**power for power in range(self.low, self.high + 1, step)]
        else:
            top = max(values) or 1
            step = 10 ** math.floor(math.log10(top))
            step = next(size for size in (step / 5, step / 2, step, 2 * step) if top / size <= 6)
            self.low, self.high = 0, math.ceil(top / step - 1e-9) * step
            self.ticks = [i * step for i in range(round(self.high / step) + 1)]

    def scale(self, value):
        return math.log(value, self.log) if self.log else value

    def __call__(self, value):
        return self.begin + (self.scale(value) - self.low) / (self.high - self.low) * (self.end - self.begin)


def line_class(i, dashed):
    """Of the i-th series; a dashed one, a bound, takes the last colour."""
    return f"line c{len(COLOURS) - 1} dashed" if dashed else f"line c{i}"


def opening(title, height):
    """The first lines of a picture: styles, page and title."""
    colours = [f".c{i} {{ stroke: {light} }} .f{i} {{ fill: {light} }}" for i, (light, _) in enumerate(COLOURS)]
    dark = [f".c{i} {{ stroke: {other} }} .f{i} {{ fill: {other} }}" for i, (_, other) in enumerate(COLOURS)]
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}{' '.join(colours)}\n  @media (prefers-color-scheme: dark) {{ {DARK} {' '.join(dark)} }}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
    ]


def legend_width(names):
    return 36 + 7 * max(map(len, names), default=0)


def frame(title, x_label, x, y, body, names, dashed):
    """`names`: colours of the series by name."""
    out = opening(title, HEIGHT)
    for tick in y.ticks:
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in x.ticks:
        out.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x.names.get(tick) or number(tick)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    out += body
    left = WIDTH - RIGHT - legend_width(names)
    for place, (name, colour) in enumerate(names.items()):
        line = TOP + 14 + 18 * place
        style = line_class(colour, name in dashed)
        out.append(f'<line class="{style}" x1="{left}" x2="{left + 24}" y1="{line - 4}" y2="{line - 4}"/>')
        out.append(f'<text x="{left + 30}" y="{line}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def lines(title, x_label, series, dashed=()):
    """`series`: {name: [(x, y), ...]}, over a logarithmic x; an x of 0 stands at its left end."""
    colours = {name: i for i, name in enumerate(series)}
    series = {name: sorted(points) for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    least = min((x for x in xs if x > 0), default=1) / (2 if 0 in xs else 1)
    x = Axis([max(value, least) for value in xs], LEFT, WIDTH - RIGHT, 2)
    x.names = {least: "0"} if 0 in xs else {}
    y = Axis([v for points in series.values() for _, v in points], HEIGHT - BOTTOM, TOP)
    body = []
    for name, points in series.items():
        i = colours[name]
        at = [(x(max(px, least)), y(py)) for px, py in points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
        body.append(f'<polyline class="{line_class(i, name in dashed)}" points="{path}"/>')
        if name not in dashed:
            body += [f'<circle class="f{i}" cx="{px:.1f}" cy="{py:.1f}" r="3"/>' for px, py in at]
    return frame(title, x_label, x, y, body, {name: colours[name] for name in series}, dashed)


def histogram(title, x_label, series):
    """`series`: {name: [(from, to, count), ...]}, both axes logarithmic, drawn as outlines."""
    series = {name: rows for name, rows in series.items() if rows}
    x = Axis([edge for rows in series.values() for a, b, _ in rows for edge in (a, b)], LEFT, WIDTH - RIGHT, 10)
    y = Axis([count for rows in series.values() for *_, count in rows] + [1], HEIGHT - BOTTOM, TOP, 10)
    floor = HEIGHT - BOTTOM
    body = []
    for i, rows in enumerate(series.values()):
        for begin, end, count in rows:
            left, right, top = x(begin), x(end), min(y(count), floor - 2)
            body.append(f'<path class="line c{i}" d="M{left:.1f} {floor}V{top:.1f}H{right:.1f}V{floor}"/>')
    return frame(title, x_label, x, y, body, {name: i for i, name in enumerate(series)}, ())


def stacked(title, x_label, bars, bound):
    """`bars`: [(label, {part: value}, bound), ...]; a bar without a label has none below it. `bound`: what the dashed line is."""
    names = list(dict.fromkeys(name for _, parts, _ in bars for name in parts))
    right = WIDTH - RIGHT - legend_width([*names, bound]) - 8
    width = (right - LEFT) / max(len(bars), 1)
    x = Axis([1], LEFT, right)
    x.ticks = []
    y = Axis([max(sum(parts.values()), least) for _, parts, least in bars] or [1], HEIGHT - BOTTOM, TOP)
    body = []
    for place, (label, parts, least) in enumerate(bars):
        left, total = LEFT + place * width, 0
        for name, value in parts.items():
            bottom, total = y(total), total + value
            body.append(f'<rect class="f{names.index(name)}" x="{left + width / 8:.1f}" y="{y(total):.1f}" width="{width * 3 / 4:.1f}" '
                        f'height="{bottom - y(total):.1f}"><title>{escape(name)}: {value:,.0f}</title></rect>')
        body.append(f'<line class="{line_class(0, True)}" x1="{left:.1f}" x2="{left + width:.1f}" y1="{y(least):.1f}" y2="{y(least):.1f}"/>')
        body.append(f'<text x="{left + width / 2:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(label)}</text>')
    return frame(title, x_label, x, y, body, {name: i for i, name in enumerate([*names, bound])}, [bound])


def bars(title, x_label, names, rows):
    """Bars from zero to the right, or to the left where values are negative. `names`: the series in order; `rows`:
    [(label, {series: value}), ...], a row for each label."""
    thick, gap = 7, 8
    labels = 12 + 7 * max((len(label) for label, _ in rows), default=0)
    values = [value for _, series in rows for value in series.values()]
    begin, end = LEFT + labels, WIDTH - RIGHT
    low, high = min([*values, 0]), max([*values, 0.01])

    def x(value):
        return begin + (value - low) / (high - low) * (end - begin)

    top, body = TOP + 18, []
    for label, series in rows:
        body.append(f'<text x="{begin - 8:.1f}" y="{top + thick * len(series) / 2 + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for name, value in series.items():
            left, right = sorted((x(0), x(value)))
            body.append(f'<rect class="f{names.index(name)}" x="{left:.1f}" y="{top}" width="{max(right - left, 0.5):.1f}" height="{thick - 1}">'
                        f"<title>{escape(label)}, {escape(name)}: {value:,.2f}</title></rect>")
            top += thick
        top += gap
    height = top + BOTTOM
    out = opening(title, height)
    axis = Axis([high - low], 0, 1)
    step = axis.ticks[1]
    for tick in (step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)):
        out.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP + 10}" y2="{height - BOTTOM}"/>')
        name = f"{tick:+g}" if low < 0 < abs(tick) else number(tick)
        out.append(f'<text x="{x(tick):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{name}</text>')
    for place, name in enumerate(names):
        left = begin + 140 * place
        out.append(f'<line class="{line_class(place, False)}" x1="{left:.1f}" x2="{left + 24:.1f}" y1="{TOP - 4}" y2="{TOP - 4}"/>')
        out.append(f'<text x="{left + 30:.1f}" y="{TOP}">{escape(name)}</text>')
    out.append(f'<text x="{(begin + end) / 2:.1f}" y="{height - 8}" text-anchor="middle">{escape(x_label)}</text>')
    return "\n".join([*out, *body, "</svg>", ""])
