#!/usr/bin/env python3
"""Tests of what the report makes of figures."""

import unittest
import xml.etree.ElementTree

import lpu_page
import page
import plots


class Rounds:
    def __init__(self, **rows):
        self.rows = rows

    def rounds(self, row):
        return self.rows.get(row, [])


def decode(ours, peer):
    return {"ours": {"tok_s": ours, "bound_tok_s": 100.0}, "llama_cpp": {"tok_s": peer}}


class Page(unittest.TestCase):
    def test_ratios_are_formed_by_rounds(self):
        criterion = page.over_peer("decode", "decode", "ours", "llama_cpp", 2.0)
        row = page.criterion_row(criterion, [decode(90, 30), decode(60, 40), decode(80, 40)])
        self.assertEqual(["decode", "80.0 (60.0 to 90.0)", "llama.cpp", "40.0 (30.0 to 40.0)", "**2.00 (1.50 to 3.00)**", "2 x",
                          "yes, within the noise"], row)

    def test_verdict(self):
        self.assertEqual("yes", page.verdict([2.0, 2.1], 2.0, True))
        self.assertEqual("no", page.verdict([1.9, 1.99], 2.0, True))
        self.assertEqual("no, within the noise", page.verdict([1.9, 1.9, 2.1], 2.0, True))
        self.assertEqual("yes", page.verdict([1.05, 1.1], 1.1, False))
        self.assertEqual("no", page.verdict([1.2], 1.1, False))
        self.assertEqual("yes, within the noise", page.verdict([1.0, 1.0, 1.2], 1.1, False))

    def test_what_failed_is_told_with_its_reason(self):
        criterion = page.over_peer("decode", "decode", "ours", "llama_cpp", 2.0)
        failed = decode(90, 30) | {"llama_cpp": {"failed": "no such file"}}
        self.assertEqual("not measured: no such file", page.criterion_row(criterion, [decode(90, 30), failed])[-1])
        self.assertEqual("not measured: not measured", page.criterion_row(criterion, [])[-1])

    def test_every_goal_has_a_line_without_any_figures(self):
        lines = page.goals(Rounds(), False).splitlines()
        for criterion in page.criteria(False):
            self.assertTrue(any(criterion.work in line and "not measured" in line for line in lines), criterion.work)
        self.assertIn("2 x", page.goals(Rounds(), True))

    def test_noise_compares_neighbours(self):
        runs = [{"tok_s": value} for value in (100.0, 110.0, 99.0, 99.0)]
        row = page.noise(Rounds(same=[{"decode": runs, "prefill": {"failed": "x"}}])).splitlines()[2]
        self.assertIn("1.100, at most 1.111", row)


class Plots(unittest.TestCase):
    def test_lines_reach_the_corners(self):
        svg = plots.lines("a < b", "x", {"one": [(1, 0), (1024, 50)], "bound": [(1, 50)], "none": []}, ["bound"])
        tree = xml.etree.ElementTree.fromstring(svg)
        path = next(e for e in tree.iter() if e.tag.endswith("polyline") and "c0" in e.get("class")).get("points")
        self.assertEqual(f"{plots.LEFT:.1f},{plots.HEIGHT - plots.BOTTOM:.1f} {plots.WIDTH - plots.RIGHT:.1f},{plots.TOP:.1f}", path)
        self.assertIn("prefers-color-scheme: dark", svg)

    def test_zero_stands_at_the_left_end_of_a_logarithmic_axis(self):
        svg = plots.lines("t", "x", {"one": [(0, 1), (128, 1), (4096, 1)]})
        self.assertIn(">0</text>", svg)
        self.assertIn(f'cx="{plots.LEFT:.1f}"', svg)

    def test_histogram(self):
        svg = plots.histogram("t", "us", {"one": [(10, 11, 1), (11, 12, 1000)], "two": [(500, 600, 2)]})
        xml.etree.ElementTree.fromstring(svg)
        self.assertEqual(3, svg.count("<path"))

    def test_stacked_bars_stand_on_each_other(self):
        svg = plots.stacked("t", "layer", [("0", {"a": 60, "b": 40}, 10), ("", {"a": 30, "b": 0}, 10)], "least")
        tree = xml.etree.ElementTree.fromstring(svg)
        bars = [e for e in tree.iter() if e.tag.endswith("rect") and e.get("class") in ("f0", "f1")]
        self.assertEqual(["f0", "f1", "f0", "f1"], [bar.get("class") for bar in bars])
        lower, upper = bars[:2]
        self.assertAlmostEqual(plots.HEIGHT - plots.BOTTOM, float(lower.get("y")) + float(lower.get("height")), places=1)
        self.assertAlmostEqual(float(lower.get("y")), float(upper.get("y")) + float(upper.get("height")), places=1)
        self.assertAlmostEqual(plots.TOP, float(upper.get("y")), places=1)
        self.assertEqual(3, svg.count("dashed\""))  # two bars and the legend

    def test_bars_lie_on_both_sides_of_zero(self):
        svg = plots.bars("t", "%", ["half", "double"], [("one", {"half": -2.0, "double": 4.0}), ("two < three", {"half": 1.0})])
        tree = xml.etree.ElementTree.fromstring(svg)
        down, up, other = (e for e in tree.iter() if e.tag.endswith("rect") and e.get("class") != "page")
        zero = float(up.get("x"))
        self.assertAlmostEqual(zero, float(down.get("x")) + float(down.get("width")), places=1)
        self.assertAlmostEqual(zero, float(other.get("x")), places=1)
        self.assertAlmostEqual(2 * float(down.get("width")), float(up.get("width")), places=0)
        self.assertEqual(("f0", "f1", "f0"), (down.get("class"), up.get("class"), other.get("class")))


def part(value):
    return {"date": "2026-11-22", "machine": "a computer", "command": "a command", "value": value}


def entry(name, predicted, simulated=None, rows=1):
    joules = {"low": 0.001, "value": 0.004, "high": 0.008}
    parts = [{"unit": "MEM", "event": "row read", "count": 1, "joules": {"value": 0.001}},
             {"unit": "MEM", "event": "row written", "count": 1, "joules": {"value": 0.001}},
             {"unit": "idle", "event": "chip cycle", "count": 1, "joules": {"value": 0.002}}]
    return {"name": name, "rows": rows, "predicted": predicted, "simulated": simulated or predicted, "seconds": predicted / 1e9,
            "joules": joules, "parts": parts}


def compiled(name, asked, *entries, **more):
    answer = {"tokens_equal": True, "digest_equal": True, "seconds_a_token": 0.5}
    return {"name": name, "asked": asked, "chips": 1, "context": 320, "entries": list(entries), "answer": answer, **more}


def node(kind, layer, end, chain, loads):
    return {"kind": kind, "layer": layer, "end": end, "chain_cycles": chain, "loads": loads, "products": 8, "vector_operations": 32}


# Two layers of 500 cycles, 100 before and 200 after them.
WHERE = {"entry": "step.320", "machine": "lpu-v1", "chips": 1, "cycles": 1300, "chain_busy_cycles": 1000, "loads_a_cycle": 4,
         "products_a_cycle": 4, "vector_operations_a_cycle": 16, "passing": {"MXM": 1000, "waiting": 300, "links": 0},
         "nodes": [node("output", -1, 1100, 200, 80), node("token_embd", -1, 0, 100, 0), node("attn", 0, 100, 300, 40),
                   node("new_kind", 0, 400, 200, 0), node("attn", 1, 600, 300, 40), node("new_kind", 1, 900, 200, 0)]}
LOOKED = {"name": "int8", "tokens": 1, "lanes": 320, "where": WHERE}


def change(key, begin, end, standing="assumed", chips=1, **result):
    return {"key": key, "from": begin, "to": end, "unit": "cycles", "standing": standing, "chips": chips, **result}


SENSITIVITY = [{"machine": "lpu-v1", "chips": 1, "cycles": 1000, "simulated": 1000},
               change("latency.a", 4, 2, cycles=900, simulated=900), change("latency.a", 4, 5, cycles=1010, simulated=1010),
               change("latency.a", 4, 8, cycles=1200, simulated=1200), change("latency.b", 1, 2, "published", cycles=2000, simulated=2000),
               change("hops.c", 9, 18, refused="no room"), {"machine": "lpu-v1", "chips": 2, "cycles": 2000, "simulated": 2000},
               change("latency.d", 2, 4, chips=2, cycles=2100, simulated=2101)]


class LpuPage(unittest.TestCase):
    def test_a_difference_between_prediction_and_simulation_is_shown(self):
        text = lpu_page.decode(part([compiled("int8", 320, entry("step.320", 95_000, 95_007), entry("rows8.320", 200_000, rows=8))]), {})
        self.assertIn("| int8 | 1 | 320 | `step.320` | 1 | 95,000 | 95,007 | +7 | 95,000 | 10,526 | yes |", text)
        self.assertIn("| `rows8.320` | 8 | 200,000 | 200,000 | 0 | 25,000 | 40,000 |", text)
        self.assertIn("not reached with 95,000", text)

    def test_a_wrong_answer_and_a_failure_are_shown(self):
        wrong = compiled("int8", 320, entry("step.320", 80_000))
        wrong["answer"]["digest_equal"] = False
        text = lpu_page.decode(part([wrong, {"name": "faithful", "asked": 320, "failed": "takes 3 chips"}]), {})
        self.assertIn("| 0 | 80,000 | 12,500 | no |", text)
        self.assertIn("- faithful, 320 positions: takes 3 chips", text)
        self.assertIn(": reached with 80,000", text)

    def test_largest_context_is_of_the_last_entry(self):
        text = lpu_page.context(part([compiled("int8", "max", entry("step.320", 100), entry("step.1600", 250_000), context=1600, refusal="full"),
                                      compiled("int8", 320, entry("step.320", 100))]), {})
        self.assertEqual(["| int8 | 1 | 1,600 | 250,000 | 4,000 | full |"], [line for line in text.splitlines() if line.startswith("| int8")])

    def test_a_program_that_two_contexts_give_is_shown_once(self):
        text = lpu_page.decode(part([compiled("int8", 320, entry("step.320", 100)), compiled("int8", "max", entry("step.320", 100))]), {})
        self.assertEqual(1, text.count("| int8 |"))

    def test_energy_is_a_tokens_and_split_by_unit(self):
        text = lpu_page.energy(part([compiled("int8", 320, entry("rows8.320", 100, rows=8))]), {})
        self.assertIn("| int8 | `rows8.320` | 0.50 (0.12 to 1.00) | 50.0 % | 50.0 % |", text)

    def test_sensitivity(self):
        text = lpu_page.sensitivity(part(SENSITIVITY), {})
        self.assertIn("| `latency.a` | 4 cycles | assumed | 1 | 2: 900 (-10.0 %) | 5: 1,010 (+1.0 %) | 8: 1,200 (+20.0 %) |", text)
        self.assertIn("| `latency.d` | 2 cycles | assumed | 2 |  |  | 4: 2,100 (+5.0 %) |", text)
        self.assertIn("| `hops.c` | 9 cycles | assumed | 1 |  |  | 18: refused |", text)
        self.assertIn("- `hops.c` 18: no room", text)
        self.assertIn("4 of 5 programs", text)
        self.assertIn("largest change is that of `latency.a` to 8: +20.0 %", text)
        published = text[text.index("Published latencies"):]
        self.assertIn("`latency.b`", published)
        self.assertNotIn("`latency.a`", published)
        xml.etree.ElementTree.fromstring(lpu_page.sensitivity_plot(part(SENSITIVITY)))

    def test_where(self):
        text = lpu_page.where(part([LOOKED]), {})
        self.assertIn("| `attn` | 2 | 300 | 10 | 2 | 2 | 46.2 % |", text)
        self.assertIn("A layer takes 500 cycles.", text)
        self.assertIn("the step has 160, so 160 / 4 = 40 cycles, 3 % of the step", text)
        self.assertIn("MXM 77 %, waiting 23 %.", text)
        self.assertLess(text.index("`token_embd`"), text.index("`attn`"))

    def test_layers_stand_between_what_comes_before_and_after(self):
        bars = lpu_page.layer_bars(WHERE)
        self.assertEqual(["in", "0", "", "head"], [label for label, _, _ in bars])
        self.assertEqual([100, 500, 500, 200], [sum(parts.values()) for _, parts, _ in bars])
        self.assertEqual([0, 10, 10, 20], [least for _, _, least in bars])
        self.assertEqual(200, bars[1][1]["other"])

    def test_the_other_layer(self):
        text = lpu_page.other_layer(part([LOOKED, LOOKED | {"tokens": 8}]), {})
        self.assertIn("= 72,024 | 563 | 1 |", text)
        self.assertIn("| int8, `step.320` | 1 token at position 128 (decode) | 320 | 500 | 500 | 0.89 |", text)
        self.assertIn("| 8 tokens at once, the last at position 128 or before | 320 | 500 | 62 | 0.11 |", text)

    def test_models_without_a_schedule_have_no_number(self):
        model = {"name": "BERT", "chips": "1", "published": [100, 200], "unit": "us", "source": "s", "note": "n"}
        self.assertIn("| BERT | 1 | 100 to 200 us | s | not computed yet |  | n |", lpu_page.models(part([model]), {}))
        measured = model | {"measured": {"cycles": 900_000, "clock_hz": 9e9}}
        self.assertIn("| 100 us | 1.00 to 0.50 | n |", lpu_page.models(part([measured]), {}))
        rate = model | {"unit": "tok/s", "measured": {"cycles": 900_000, "clock_hz": 9e8}}
        self.assertIn("| 1,000 tok/s | 10.00 to 5.00 | n |", lpu_page.models(part([rate]), {}))
        self.assertIn("| not computed |  | why |", lpu_page.models(part([model | {"measured": {"failed": "why"}}]), {}))

    def test_parts_that_were_not_measured_are_left_out(self):
        self.assertNotIn("## ", lpu_page.page({}))
        text = lpu_page.page({"where": part([LOOKED])})
        self.assertIn("2026-11-22, a computer, `a command`", text)
        self.assertNotIn("sensitivity", text)
        self.assertEqual({"lpu-layers", "lpu-operators"}, set(lpu_page.plot_files({"where": part([LOOKED])})))


if __name__ == "__main__":
    unittest.main()
