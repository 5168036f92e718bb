"""Writes the page about the LPU, docs/lpu-performance.md, and its plots from what bench/lpu/report measured.

`results`: {part: {"date", "machine", "command", "value"}}; a part that is not there is left out of the page.
"""

import plots
from page import table

GOAL_CYCLES = 90_000
# What FTLPU-SOFTWARE's two programs for one SmolLM2 layer take at a sequence of 128 tokens, on a chip of 32 lanes.
OTHER_LAYER = {"attention": 38_279, "FFN": 33_745}
OTHER_TOKENS = 128

# Operators by the name that their node has without its layer, as the picture shows them together.
GROUPS = {
    "norms": ("attn_norm", "ffn_norm", "output_norm"),
    "quantising": ("attn_norm.q16", "attn.q16", "ffn_norm.q16", "ffn_gated.q16", "output_norm.q16"),
    "Q, K, V, RoPE": ("attn_q", "attn_k", "attn_v", "attn_q.rope", "attn_k.rope"),
    "attention": ("attn",),
    "its output, down": ("attn_output", "attn_residual", "ffn_down", "ffn_residual"),
    "gate, up, SwiGLU": ("ffn_gate", "ffn_up", "ffn_gated"),
    "embedding, head": ("token_embd", "output"),
}


def group_of(kind):
    return next((group for group, kinds in GROUPS.items() if kind in kinds), "other")


def stamp(part):
    return f"{part['date']}, {part['machine']}, `{part['command']}`\n"


def microseconds(seconds):
    return f"{seconds * 1e6:,.1f}"


# ------------------------------------------------------------------------------------------- decode


def plain_step(case):
    """The first entry for one token at a time."""
    return next(entry for entry in case["entries"] if entry["rows"] == 1)


def entry_row(case, entry):
    answer = case.get("answer", {})
    same = "yes" if answer.get("tokens_equal") and answer.get("digest_equal") else "no" if answer else "not run"
    difference = entry["simulated"] - entry["predicted"]
    return [case["name"], str(case["chips"]), f"{case['context']:,}", f"`{entry['name']}`", str(entry["rows"]), f"{entry['predicted']:,}",
            f"{entry['simulated']:,}", f"{difference:+d}" if difference else "0", f"{entry['predicted'] / entry['rows']:,.0f}",
            f"{entry['rows'] / entry['seconds']:,.0f}", same]


def decode(part, _):
    head = ["model", "chips", "positions", "entry", "tokens a run", "predicted cycles", "simulated", "difference", "cycles a token", "tok/s of the chip",
            "tokens and digest as the host's"]
    rows, failed, seen = [], [], set()
    for case in part["value"]:
        if "failed" in case:
            failed.append(f"- {case['name']}, {case['asked']} positions: {case['failed']}")
        elif (case["name"], case["context"]) not in seen:
            seen.add((case["name"], case["context"]))
            rows += [entry_row(case, entry) for entry in case["entries"]]
    first = next((case for case in part["value"] if "failed" not in case), None)
    goal = ""
    if first:
        cycles = plain_step(first)["predicted"]
        reached = "reached" if cycles <= GOAL_CYCLES else "not reached"
        goal = f"The goal for {first['name']} is at most {GOAL_CYCLES:,} cycles a token at a context of up to 320: {reached} with {cycles:,}.\n"
    return f"""## Cycles a token

`step.<n>` takes one token at a position below n, `rows<r>.<n>` r tokens at once, of a prompt or a draft; of a long context the first and the last entry
of a program are shown. Predicted is the schedule's length, simulated what the chip needed, from cycle 0 to the last effect.

{table(head, rows)}
{goal}{chr(10).join(failed)}
"""


def context(part, _):
    rows = []
    for case in part["value"]:
        if "failed" in case or case["asked"] != "max":
            continue
        last = [entry for entry in case["entries"] if entry["rows"] == 1][-1]
        rows.append([case["name"], str(case["chips"]), f"{case['context']:,}", f"{last['predicted']:,}",
                     f"{1 / last['seconds']:,.0f}", case.get("refusal", "")])
    return f"""## The largest context

As many positions as the chips that one block takes have room for (`lockstep compile MODEL --context max`).

{table(["model", "chips", "positions", "cycles a token in the last block", "tok/s there", "a block more"], rows)}"""


def speed(part, _):
    answers = [(case["name"], case["answer"]) for case in part["value"] if "answer" in case and case["asked"] != "max"]
    rows = [[name, f"{answer['seconds_a_token']:.2f}"] for name, answer in answers]
    return f"""## Speed of the simulator

{table(["model", "seconds a simulated token"], rows)}"""


# -------------------------------------------------------------------------------------- sensitivity


CHANGES = ("half", "+1", "double")


def change_name(line):
    """Which of the changes a line is; a 1 made 2 counts as raised by one."""
    if line["to"] < line["from"]:
        return "half"
    return "+1" if line["to"] == line["from"] + 1 else "double"


def percent(line, base):
    return 100 * (line["cycles"] / base - 1)


def change_cell(line, base):
    if line is None:
        return ""
    if "cycles" not in line:
        return f"{line['to']:g}: refused" if "refused" in line else f"{line['to']:g}: the chip stopped"
    return f"{line['to']:g}: {line['cycles']:,} ({percent(line, base):+.1f} %)"


def by_key(lines):
    """{key: {change: line}} in the order of the machine file."""
    keys = {}
    for line in lines:
        if "key" in line:
            keys.setdefault(line["key"], {})[change_name(line)] = line
    return keys


def bases(lines):
    """Cycles of the machine as it is, by chips."""
    return {line["chips"]: line["cycles"] for line in lines if "key" not in line}


def sensitivity_rows(lines, published):
    base = bases(lines)
    rows = []
    for key, changes in by_key(lines).items():
        one = next(iter(changes.values()))
        if (one["standing"] == "published") != published:
            continue
        cells = [change_cell(changes.get(name), base[one["chips"]]) for name in CHANGES]
        rows.append([f"`{key}`", f"{one['from']:g} {one['unit']}", one["standing"], str(one["chips"]), *cells])
    return rows


def sensitivity(part, _):
    lines = part["value"]
    base = bases(lines)
    changed = [line for line in lines if "key" in line and "cycles" in line]
    assumed = [line for line in changed if line["standing"] != "published"]
    largest = max(assumed, key=lambda line: abs(percent(line, base[line["chips"]])), default=None)
    same = sum(line["cycles"] == line["simulated"] for line in changed)
    refusals = [f"- `{line['key']}` {line['to']:g}: {line.get('refused') or line['stopped']}"
                for line in lines if "refused" in line or "stopped" in line]
    head = ["number", "value", "standing", "chips", *CHANGES]
    told = "" if largest is None else \
        f" The largest change is that of `{largest['key']}` to {largest['to']:g}: {percent(largest, base[largest['chips']]):+.1f} %."
    return f"""## What the assumed numbers decide

int8 SmolLM2, one block of positions, {base[1]:,} cycles a token with the machine file as it is on one chip{f", {base[2]:,} on two" if 2 in base else ""}. One number is
changed at a time and the model compiled again; {same} of {len(changed)} programs ran on a simulator of the same changed machine in exactly the
cycles predicted. The scheduler is greedy: changes of less than half a percent, to either side, are its luck as much as the
number's weight.{told}

{table(head, sensitivity_rows(lines, False))}
Published latencies, to compare with:

{table(head, sensitivity_rows(lines, True))}
{chr(10).join(["Not every value is possible:", "", *refusals]) if refusals else ""}

![cycles by changed number](plots/lpu-sensitivity.svg)
"""


def sensitivity_plot(part):
    lines = part["value"]
    base = bases(lines)
    rows = []
    for key, changes in by_key(lines).items():
        bars = {name: percent(changes[name], base[changes[name]["chips"]])
                for name in CHANGES if name in changes and "cycles" in changes[name]}
        if any(abs(value) >= 0.1 for value in bars.values()):
            rows.append((key, bars))
    return plots.bars("Cycles a token by changed number", "% more cycles a token", CHANGES, rows)


# ------------------------------------------------------------------------------- where cycles go


def kinds_of(where):
    """{kind: sums over its nodes}, in the order in which they first end."""
    kinds = {}
    for node in sorted(where["nodes"], key=lambda node: node["end"]):
        kind = kinds.setdefault(node["kind"], {"nodes": 0, "chain_cycles": 0, "loads": 0, "products": 0, "vector_operations": 0})
        kind["nodes"] += 1
        for key in ("chain_cycles", "loads", "products", "vector_operations"):
            kind[key] += node[key]
    return kinds


def layers_of(where):
    """{layer: chain cycles}, of those that belong to a layer."""
    layers = {}
    for node in where["nodes"]:
        if node["layer"] >= 0:
            layers[node["layer"]] = layers.get(node["layer"], 0) + node["chain_cycles"]
    return layers


def load_cycles(where, loads):
    return loads / (where["loads_a_cycle"] * where["chips"])


def where_section(name, where):
    chips = where["chips"]
    rows = []
    for kind, sums in kinds_of(where).items():
        count = sums["nodes"]
        rows.append([f"`{kind}`", str(count), f"{sums['chain_cycles'] / count:,.0f}", f"{load_cycles(where, sums['loads']) / count:,.0f}",
                     f"{sums['products'] / count / chips / where['products_a_cycle']:,.0f}",
                     f"{sums['vector_operations'] / count / chips / where['vector_operations_a_cycle']:,.0f}",
                     f"{100 * sums['chain_cycles'] / where['cycles']:.1f} %"])
    loads = sum(node["loads"] for node in where["nodes"])
    layers = layers_of(where)
    passing = ", ".join(f"{what} {100 * cycles / where['cycles']:.0f} %"
                        for what, cycles in sorted(where["passing"].items(), key=lambda pair: -pair[1]) if cycles)
    slots = where["loads_a_cycle"]
    return f"""### {name}, `{where['entry']}`: {where['cycles']:,} cycles

{table(["operator", "nodes", "cycles of the chain", "loading weights", "products", "vector operations", "of the step"], rows)}
A layer takes {sum(layers.values()) / max(len(layers), 1):,.0f} cycles. The bound of weight loading: a LoadWeights takes 16 streams, and the outward streams of both
hemispheres carry {slots} of them a cycle; the step has {loads:,}, so {loads:,} / {slots}{f" / {chips} chips" if chips > 1 else ""} = {load_cycles(where, loads):,.0f} cycles, {100 * load_cycles(where, loads) / where['cycles']:.0f} % of the step.
The chain goes by with: {passing}. Without its waiting it would be {where['chain_busy_cycles']:,} cycles long.
"""


def where(part, _):
    sections = "\n".join(where_section(each["name"], each["where"]) for each in part["value"])
    return f"""## Where the cycles go

The longest chain of causes through a recorded run, from the last effect back to cycle 0: each cycle of the step belongs to one
operator of it. Beside it the least that an operator's weights take to load, its products and its vector operations, with all
units of their kind at work all the time. Figures are means of one node.

{sections}
![cycles by layer](plots/lpu-layers.svg)
![cycles by operator](plots/lpu-operators.svg)
"""


def layer_bars(where):
    """Of the layers, and of what comes before and after them: parts and the bound of weight loading."""
    bars = {}
    layers = 1 + max((node["layer"] for node in where["nodes"]), default=0)
    for node in where["nodes"]:
        place = node["layer"] if node["layer"] >= 0 else -1 if node["kind"] == "token_embd" else layers
        parts, loads = bars.setdefault(place, ({group: 0 for group in GROUPS}, [0]))
        parts[group_of(node["kind"])] = parts.get(group_of(node["kind"]), 0) + node["chain_cycles"]
        loads[0] += node["loads"]
    names = {-1: "in", layers: "head"}
    return [(names.get(place) or (str(place) if place % 5 == 0 else ""), parts, load_cycles(where, loads[0]))
            for place, (parts, loads) in sorted(bars.items())]


def operators_plot(name, where):
    """The operators of a layer, means over the layers."""
    rows = [(kind, {"chain of causes": sums["chain_cycles"] / sums["nodes"], "weight loading": load_cycles(where, sums["loads"]) / sums["nodes"]})
            for kind, sums in kinds_of(where).items() if sums["nodes"] > 1]
    return plots.bars(f"Cycles of one layer's operators: {name}", "cycles", list(rows[0][1]) if rows else [], rows)


# ------------------------------------------------------------------------------------------ energy


def energy(part, _):
    units = []
    for case in part["value"]:
        for entry in case.get("entries", ()):
            units += [each["unit"] for each in entry["parts"]]
    units = list(dict.fromkeys(units))
    rows = []
    for case in part["value"]:
        if "failed" in case or case["asked"] == "max":
            continue
        for entry in case["entries"]:
            share = {unit: sum(each["joules"]["value"] for each in entry["parts"] if each["unit"] == unit) for unit in units}
            joules = entry["joules"]
            rows.append([case["name"], f"`{entry['name']}`",
                         f"{joules['value'] * 1e3 / entry['rows']:.2f} ({joules['low'] * 1e3 / entry['rows']:.2f} to {joules['high'] * 1e3 / entry['rows']:.2f})",
                         *(f"{100 * value / joules['value']:.1f} %" for value in share.values())])
    return f"""## Energy

Millijoules a token, with the range that the assumptions of the machine file leave (no energy of a unit is published), and each
unit's share of the middle value. `lockstep inspect PROGRAM --energy` shows the events behind it.

{table(["model", "entry", "mJ a token", *units], rows)}"""


# --------------------------------------------------------------------------------------- published


def three_digits(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.4g}"


def figures(part, _):
    rows = []
    for machine in part["value"]:
        for figure in machine["figures"]:
            if "published" not in figure:
                continue
            rows.append([machine["name"], figure["title"], f"{three_digits(figure['predicted'])} {figure['unit']}",
                         f"{three_digits(figure['published'])} {figure['unit']}", f"{figure['ratio']:.2f}", figure["source"],
                         figure.get("note", "")])
    return f"""## Published figures

What the machine files' numbers give beside what is published (`lockstep machine lpu-v1`), and where they differ, why.

{table(["machine", "figure", "predicted", "published", "ratio", "source of what is published", "difference"], rows)}"""


def model_row(model):
    published, unit = model["published"], model["unit"]
    given = " to ".join(three_digits(value) for value in published)
    row = [model["name"], model["chips"], f"{given} {unit}", model["source"]]
    measured = model.get("measured")
    if not measured:
        return [*row, "not computed yet", "", model["note"]]
    if "failed" in measured:
        return [*row, "not computed", "", measured["failed"]]
    seconds = measured["cycles"] / measured["clock_hz"]
    value = seconds * 1e6 if unit == "us" else 1 / seconds
    return [*row, f"{three_digits(value)} {unit}", " to ".join(f"{value / each:.2f}" for each in published), model["note"]]


def models(part, _):
    rows = [model_row(model) for model in part["value"]]
    return f"""### Whole models

Timed from their shapes: schedules with made-up weights, no answers.

{table(["model", "chips", "published", "source", "predicted", "ratio", "difference"], rows)}"""


def other_layer(part, _):
    other = sum(OTHER_LAYER.values())
    parts = " + ".join(f"{cycles:,} ({name})" for name, cycles in OTHER_LAYER.items())
    rows = [["FTLPU-SOFTWARE", f"{OTHER_TOKENS} tokens at once (prefill)", "32", f"{parts} = {other:,}", f"{other / OTHER_TOKENS:,.0f}", "1"]]
    for each in part["value"]:
        layers = layers_of(each["where"])
        layer = sum(layers.values()) / len(layers)
        tokens = each["tokens"]
        what = f"1 token at position {OTHER_TOKENS} (decode)" if tokens == 1 else f"{tokens} tokens at once, the last at position {OTHER_TOKENS} or before"
        rows.append([f"{each['name']}, `{each['where']['entry']}`", what, str(each["lanes"]), f"{layer:,.0f}", f"{layer / tokens:,.0f}",
                     f"{layer / tokens / (other / OTHER_TOKENS):.2f}"])
    return f"""## Beside FTLPU-SOFTWARE

One decoder layer of SmolLM2-135M. The work is not the same: theirs is a whole sequence of {OTHER_TOKENS} tokens, whose products share each
loaded weight, on 32 lanes and in 16-bit floating point with sums of 32 bits; ours is one token after {OTHER_TOKENS - 1} others, which waits for each
step of the chain, on 320 lanes and with the contract's exact sums. A schedule here is the same for every position of a block.
The last column is cycles a token of the layer, ours over theirs.

{table(["program", "work", "lanes", "cycles of a layer", "a token", "ratio"], rows)}"""


# -------------------------------------------------------------------------------------------- page

# The page's sections in order: the part of the results that each is made of.
SECTIONS = [("decode", decode), ("decode", context), ("sensitivity", sensitivity), ("where", where), ("decode", energy),
            ("figures", figures), ("models", models), ("where", other_layer), ("decode", speed)]


def plot_files(results):
    files = {}
    if "sensitivity" in results:
        files["lpu-sensitivity"] = sensitivity_plot(results["sensitivity"])
    if results.get("where", {}).get("value"):
        first = results["where"]["value"][0]
        files["lpu-layers"] = plots.stacked(f"Cycles by layer: {first['name']}", "layer", layer_bars(first["where"]), "weight loading")
        files["lpu-operators"] = operators_plot(first["name"], first["where"])
    return files


def page(results):
    text = ["""# The LPU: what was measured

Written by `bench/lpu/report`; docs/lpu.md says what the chip, the compiler and the simulator are. Cycles are those of the
simulated machine and the same everywhere; seconds of the simulator are those of the computer named. The model is
SmolLM2-135M-Instruct (Q4_1) unless something else is said.
"""]
    for name, section in SECTIONS:
        if name in results:
            text.append(section(results[name], results).rstrip() + "\n\n" + stamp(results[name]))
    return "\n".join(text)


def write(folder, results):
    """docs/lpu-performance.md and docs/plots/lpu-*.svg."""
    (folder / "plots").mkdir(exist_ok=True)
    for name, svg in plot_files(results).items():
        (folder / "plots" / f"{name}.svg").write_text(svg)
    (folder / "lpu-performance.md").write_text(page(results))
