#!/usr/bin/env python3
"""Tests of what the report makes of figures."""

import unittest
import xml.etree.ElementTree

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


if __name__ == "__main__":
    unittest.main()
