"""Writes the report's page and plots from what was measured."""

import statistics
from dataclasses import dataclass
from typing import Callable, Optional

import plots

PEERS = {"llama_cpp": "llama.cpp", "openvino": "OpenVINO"}


class Missing(Exception):
    """A figure that was not measured; its text says why."""


def figure(container, *path):
    """container[path[0]][path[1]]..., or Missing where something on the way failed."""
    for key in path:
        if isinstance(container, dict) and "failed" in container:
            raise Missing(container["failed"])
        try:
            container = container[key]
        except (KeyError, IndexError, TypeError):
            raise Missing("not measured") from None
    if isinstance(container, dict) and "failed" in container:
        raise Missing(container["failed"])
    return container


@dataclass(frozen=True)
class Criterion:
    """One line of the table: figures of a round; `against` is what ours is compared with."""

    row: str
    work: str
    ours: Callable
    target: float
    other: str = ""  # what `against` is
    against: Optional[Callable] = None  # None: `ours` itself is compared with the target
    least: bool = True  # the target is the least; else the most
    digits: int = 1


def of(*path):
    return lambda round_: figure(round_, *path)


def over_peer(row, work, ours, peer, target):
    return Criterion(row, work, of(ours, "tok_s"), target, PEERS[peer], of(peer, "tok_s"))


def criteria(from_l3):
    return [
        Criterion("decode", "decode, short context", of("ours", "tok_s"), 0.9, "bound of the run", of("ours", "bound_tok_s")),
        over_peer("decode", "decode, short context", "ours", "llama_cpp", 2.0 if from_l3 else 1.6),
        over_peer("decode-2048", "decode at depth 2048, 16-bit cache", "ours", "llama_cpp", 3.5),
        over_peer("decode-2048", "decode at depth 2048, 8-bit cache", "ours_kv8", "llama_cpp", 4.0),
        over_peer("prefill-512", "prefill 512", "ours", "llama_cpp", 4.0),
        over_peer("prefill-512", "prefill 512", "ours", "openvino", 2.5),
        over_peer("prefill-512", "prefill 512, int8 weights", "ours_int8", "llama_cpp", 7.0),
        over_peer("prefill-4096", "prefill 4096", "ours", "llama_cpp", 6.0),
        over_peer("streams-16", "16 streams, decode in all", "ours", "llama_cpp", 4.0),
        Criterion("copying", "copy-heavy text", of("copy", "tok_s"), 3.0, "own plain decode", of("copy", "plain_tok_s")),
        Criterion("copying", "nothing to copy", of("plain", "tok_s"), 0.95, "own plain decode", of("plain", "plain_tok_s")),
        Criterion("small", "weights of 3 to 4 MB", of("ours", "tok_s"), 10000.0, digits=0),
        Criterion("jitter", "p99 / p50 of a token's time", of("ours", "token", "p99_over_p50"), 1.1, least=False, digits=2),
    ]


# Figures beside the criteria: row, work, ours, peer.
BESIDE = [
    ("decode", "decode, short context", "ours", "openvino"),
    ("decode-2048", "decode at depth 2048, 16-bit cache", "ours", "openvino"),
    ("small", "weights of 3 to 4 MB", "ours", "llama_cpp"),
    ("small", "weights of 3 to 4 MB", "ours", "openvino"),
]


def spread(values, digits=1):
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def verdict(values, target, least):
    """Reached when the median is; 'within the noise' where the rounds lie on both sides."""
    good = [value >= target if least else value <= target for value in values]
    if all(good):
        return "yes"
    if not any(good):
        return "no"
    middle = statistics.median(values)
    return ("yes" if (middle >= target) == least else "no") + ", within the noise"


def criterion_row(criterion, rounds):
    target = f"{'' if criterion.least else 'at most '}{criterion.target:,g}{' x' if criterion.against else ''}"
    name = [criterion.work]
    try:
        ours = [criterion.ours(round_) for round_ in rounds]
        if not ours:
            raise Missing("not measured")
        if criterion.against is None:
            return name + [spread(ours, criterion.digits), "", "", "", target, verdict(ours, criterion.target, criterion.least)]
        others = [criterion.against(round_) for round_ in rounds]
        ratios = [a / b for a, b in zip(ours, others)]
        return name + [spread(ours), criterion.other, spread(others), f"**{spread(ratios, 2)}**", target,
                       verdict(ratios, criterion.target, criterion.least)]
    except Missing as reason:
        return name + ["", criterion.other, "", "", target, f"not measured: {reason}"]


def goals(results, from_l3):
    rows = [criterion_row(criterion, results.rounds(criterion.row)) for criterion in criteria(from_l3)]
    head = ["work", "Lockstep tok/s", "beside", "tok/s", "ratio", "reach", "reached"]
    beside = []
    for row, work, ours, peer in BESIDE:
        other = Criterion(row, work, of(ours, "tok_s"), 1, PEERS[peer], of(peer, "tok_s"))
        beside.append(criterion_row(other, results.rounds(row))[:5])
    return table(head, rows) + "\nBeside these, without a figure to reach:\n\n" + table(head[:5], beside)


def noise(results):
    rows = []
    for round_ in results.rounds("same"):
        for what in ("decode", "prefill"):
            try:
                values = [figure(run, "tok_s") for run in figure(round_, what)]
            except Missing as reason:
                rows.append([what, f"not measured: {reason}", "", ""])
                continue
            middle = statistics.median(values)
            quartiles = statistics.quantiles(values, n=4)
            pairs = sorted(max(a, b) / min(a, b) for a, b in zip(values, values[1:]))
            rows.append([f"{what}, {len(values)} runs", spread(values), f"{100 * (quartiles[2] - quartiles[0]) / middle:.1f} %",
                         f"{statistics.median(pairs):.3f}, at most {pairs[-1]:.3f}"])
    return table(["the same binary", "tok/s", "middle half, of the median", "one run over the next"], rows)


def microseconds(seconds):
    return f"{seconds * 1e6:,.1f}" if seconds else "-"


def profile_tables(results):
    out = []
    for round_ in results.rounds("profile"):
        for variant, name in (("faithful", "default model"), ("int8", "default model, int8 weights"), ("streams", "default model"),
                              ("small", "weights of 3 to 4 MB")):
            try:
                report = figure(round_, variant)
            except Missing as reason:
                out.append(f"{name}: not measured: {reason}\n")
                continue
            for work in report["profiles"]:
                depth = f" at depth {work['depth']}" if work["what"] != "prefill" else ""
                what = f"{work['streams']} streams" if work["what"] == "streams" else work["what"].capitalize()
                out.append(f"### {what}{depth}, {name}\n\n{work['tokens']} tokens in {work['steps']} steps, "
                           f"{microseconds(work['step_s'])} us each ({microseconds(work['unprofiled_step_s'])} without the profile).\n")
                parts = [*work["parts"], {"part": "**a step**", "step_s": work["step_s"], "share": 1, "bound_s": work["bound_s"]}]
                out.append(table(["part", "us", "share", "bound us", "reached"], [
                    [part["part"], microseconds(part["step_s"]), f"{100 * part['share']:.1f} %", microseconds(part["bound_s"]),
                     f"{100 * part['bound_s'] / part['step_s']:.0f} %" if part["bound_s"] else "-"] for part in parts]))
            out.append(f"Limits of that run: {report['read_bytes_s'] / 1e9:.1f} GB/s streamed, {report['cached_bytes_s'] / 1e9:.0f} "
                       f"GB/s from the first cache, a meeting {report['sync_s'] * 1e6:.2f} us; products of "
                       "a weight and an activation, G/s: "
                       + ", ".join(f"{kind} {rate / 1e9:.0f}" for kind, rate in report["products_s"].items()) + ".\n")
    return "\n".join(out)


def jitter_table(results):
    rows = []
    for number, round_ in enumerate(results.rounds("jitter"), 1):
        try:
            report = figure(round_, "ours")
        except Missing as reason:
            rows.append([f"run {number}", f"not measured: {reason}"] + [""] * 6)
            continue
        for key, name in (("token", "token"), ("calm_token", "token, nobody preempted"), ("idle_token", "by idle gaps alone")):
            values = report[key]
            events = report["spinning" if key == "idle_token" else "decoding"]
            last = [str(events["preemptions"]), f"{events['stolen_s']:.2f}"] if key != "calm_token" else ["0", ""]
            rows.append([f"run {number}: {name}", *(microseconds(values[p]) for p in ("p50_s", "p99_s", "p999_s", "worst_s")),
                         f"{values['p99_over_p50']:.3f}" if values["p50_s"] else "-", *last])
    return table(["", "p50 us", "p99", "p99.9", "worst", "p99 / p50", "preemptions", "stolen s"], rows)


def points(rows, x, y="tok_s"):
    """(row[x], row[y]) of the rows that were measured."""
    return [(row[x], row[y]) for row in rows if isinstance(row, dict) and y in row] if isinstance(rows, list) else []


def peer_points(works, x_of):
    """(x, tok_s) of a peer's works that were measured; `x_of` gives a work's x, or None."""
    return [(x_of(name), row["tok_s"]) for name, row in works.items() if "tok_s" in row and x_of(name) is not None]


def plot_files(results):
    """{name: svg} of what was measured."""
    files = {}

    def draw(name, title, x_label, series, dashed=()):
        if any(series.values()):
            files[name] = plots.lines(title, x_label, series, dashed)

    for round_ in results.rounds("curves"):
        llama, decode = round_["llama_cpp"], round_["decode"]
        draw("decode-by-depth", "Decode by depth, tok/s", "positions before", {
            "Lockstep, 16-bit cache": points(decode, "depth"), "llama.cpp": peer_points(llama, depth_of),
            "Lockstep, 8-bit cache": points(round_["decode_kv8"], "depth"),
            "bound of the run": points(decode, "depth", "bound_tok_s")}, ["bound of the run"])
        draw("prefill-by-length", "Prefill by length, tok/s", "prompt tokens", {
            "Lockstep": points(round_["prefill"], "tokens"), "llama.cpp": peer_points(llama, length_of)})
        draw("batch-cost", "Decode of many streams, tok/s of all", "streams", {
            "Lockstep": points(round_["streams"], "streams"), "llama.cpp": peer_points(llama, streams_of)})
    for round_ in results.rounds("jitter"):
        report = round_["ours"]
        if "failed" in report:
            continue
        rows = {name: [(row["from_s"] * 1e6, row["to_s"] * 1e6, row["count"]) for row in report[key]]
                for name, key in (("token", "token_histogram"), ("by idle gaps alone", "idle_token_histogram"))}
        files["jitter"] = plots.histogram("Time of a token: how many of each", "us", rows)
    return files


def depth_of(work):
    return int(work.partition("@")[2] or 0) if work.startswith("decode=") else None


def length_of(work):
    return int(work.partition("=")[2]) if work.startswith("prefill=") else None


def streams_of(work):
    return int(work.partition("=")[2].partition("x")[0]) if work.startswith("streams=") else None


def write(results, folder, header, from_l3):
    """docs/performance-report.md and docs/plots/*.svg."""
    plots_folder = folder / "plots"
    plots_folder.mkdir(exist_ok=True)
    for name, svg in plot_files(results).items():
        (plots_folder / f"{name}.svg").write_text(svg)
    shown = [f"![{path.stem.replace('-', ' ')}](plots/{path.name})" for path in sorted(plots_folder.glob("*.svg"))
             if not path.stem.startswith("lpu-")]
    page = f"""# Performance report

Written by `bench/report`; docs/performance.md says what is measured and what it means.

{header}

## Beside the goals

Medians of the rounds (least to most); ratios are formed round by round, of figures measured in turn. "Within the noise": the
rounds lie on both sides of the goal.

{goals(results, from_l3)}
## The same binary against itself

{noise(results)}
## Plots

{chr(10).join(shown)}

## Evenness

Tokens and spinning in turn, by the same threads. "By idle gaps alone": a median token, prolonged by what a spinning thread
lost to the machine in as much time.

{jitter_table(results)}
## Where a step's time goes

A part's bound is the most of: its bytes over the rate of the run, its multiply-adds over the peak of the run, its meetings.
Barriers count the waiting for the slower worker.

{profile_tables(results)}"""
    (folder / "performance-report.md").write_text(page)
