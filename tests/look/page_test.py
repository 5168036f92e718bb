#!/usr/bin/env python3
"""Tests the page of `lockstep inspect --html` in headless Chromium: page_test.py LOCKSTEP MODEL.gguf [--screenshot FILE.png]

The model is compiled for one lpu-v1 in int8. The screenshot shows a layer of it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import unittest

from browser import Browser

MEGABYTES_MAX = 4
TIMEOUT_S = 600


class Place:
    lockstep = model = folder = screenshot = ""


def lockstep(*arguments):
    subprocess.run([Place.lockstep, *map(str, arguments)], check=True, timeout=TIMEOUT_S, stdout=subprocess.DEVNULL)


def setUpModule():
    program = f"{Place.folder}/program.lockstep"
    lockstep("compile", Place.model, "--machine", "lpu-v1", "--weights", "int8", "-o", program)
    lockstep("inspect", program, "--html", f"{Place.folder}/whole.html")
    lockstep("inspect", program, "--html", f"{Place.folder}/part.html", "--from", 4000, "--to", 6000)


class Page(unittest.TestCase):
    page = "whole.html"

    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def setUp(self):
        self.path = f"{Place.folder}/{self.page}"
        self.browser.size(1280, 900)
        self.browser.scheme("light")
        self.browser.open(self.path)

    def tearDown(self):
        self.assertEqual([], self.browser.problems)
        outside = [url for url in self.browser.requests if url != f"file://{self.path}" and not url.startswith("data:")]
        self.assertEqual([], outside)

    def marked(self):
        return [int(cycle) for cycle in self.browser.run("document.body.dataset.marked").split("-")]

    def fills(self):
        return self.browser.run("[...document.querySelectorAll('#floor rect[fill]')].map(r => r.getAttribute('fill'))")


class Whole(Page):
    def test_is_small_and_asks_for_nothing(self):
        self.assertLess(os.path.getsize(self.path), MEGABYTES_MAX * 1_000_000)
        self.assertIn(f"file://{self.path}", self.browser.requests)  # so that requests are seen

    def test_slider_moves_through_time(self):
        before, fills = self.marked(), self.fills()
        self.assertGreater(len(set(fills)), 5)
        self.browser.run("document.getElementById('time').focus()")
        self.browser.press("ArrowRight")
        self.assertGreater(self.marked()[0], before[0])
        self.assertNotEqual(fills, self.fills())
        self.browser.press("End")
        self.assertEqual(self.browser.run("data.to"), self.marked()[1])
        self.browser.press("Home")
        self.assertEqual(0, self.marked()[0])
        self.browser.run("document.getElementById('time').value = 20000;"
                         "document.getElementById('time').dispatchEvent(new Event('input'))")
        self.browser.settle()
        first, last = self.marked()
        self.assertLessEqual(first, 20000)
        self.assertGreater(last, 20000)
        said = self.browser.run("document.getElementById('now').textContent")
        self.assertIn(f"{first:,} to {last:,}", said)
        self.assertRegex(said, r"layer \d+, \w+.*They waited for: ")

    def test_plays_and_pauses(self):
        before = self.marked()[0]
        self.browser.run("document.getElementById('play').click()")
        self.browser.wait_for(f"state.cycle > {before} + data.cycles / 50")
        self.browser.run("document.getElementById('play').click()")
        self.browser.settle()
        paused = self.browser.run("state.cycle")
        self.browser.settle()
        self.assertEqual(paused, self.browser.run("state.cycle"))
        self.assertEqual("play", self.browser.run("document.getElementById('play').textContent"))

    def test_zooms_by_keys_and_buttons(self):
        def width():
            first, last = self.marked()
            return last - first

        whole = width()
        self.browser.press("+")
        self.browser.press("+")
        self.assertAlmostEqual(whole / 4, width(), delta=3)
        self.browser.press("-")
        self.assertAlmostEqual(whole / 2, width(), delta=3)
        self.browser.run("document.getElementById('all').click()")
        self.browser.settle()
        self.assertEqual(whole, width())
        for _ in range(20):
            self.browser.press("+")
        self.assertLessEqual(width(), 2 * self.browser.run("data.bin"))

    def test_click_on_the_timeline_and_choice_of_a_node(self):
        self.browser.run("document.getElementById('timeline').scrollIntoView()")
        box = self.browser.run("(b => [b.left, b.top, b.width])(document.getElementById('timeline').getBoundingClientRect())")
        self.browser.click(box[0] + box[2] - 30, box[1] + 100)
        self.assertGreater(self.marked()[0], self.browser.run("data.cycles") * 0.9)
        self.browser.run("(n => { n.value = n.options[5].value; n.dispatchEvent(new Event('change')); })"
                         "(document.getElementById('node'))")
        self.browser.settle()
        self.assertLess(self.marked()[1], self.browser.run("data.cycles") * 0.1)

    def test_figures_agree(self):
        cycles = self.browser.run("data.cycles")
        self.assertEqual(cycles, self.browser.run("chain.reduce((sum, s) => sum + s.cycles, 0)"))
        self.assertEqual(cycles, self.browser.run("data.together.reduce((a, b) => a + b, 0)"))
        table = self.browser.run("[...document.querySelectorAll('#passing tbody tr')].map(r => r.children[1].textContent)")
        self.assertEqual(cycles, sum(int(cell.replace(",", "")) for cell in table))
        self.assertIn(f"{cycles:,}", self.browser.run("document.getElementById('figures').textContent"))
        # A queue's bins hold its issues.
        worst = self.browser.run("Math.max(...units.map(u => Math.abs(u.row[data.bins] * data.bin - u.issues) / (u.issues + 100)))")
        self.assertLess(worst, 0.02)
        joules = self.browser.run("data.energy.parts.reduce((sum, p) => sum + p[3][1], 0) - data.energy.joules[1]")
        self.assertAlmostEqual(0, joules, places=9)

    def test_colours_say_how_much_a_unit_does(self):
        """The colours of the floor plan are those of the shares, and the marked time decides them."""
        self.browser.run("goTo(nodes.find(n => n.name.endsWith('14.attn')))")
        self.browser.settle()
        cells = self.browser.run("cells.map(c => [c.node.getAttribute('fill'), c.title.textContent])")
        shares = sorted((float(re.search(r"([\d.]+) %$", title)[1]), fill) for fill, title in cells)
        self.assertEqual([], [title for _, title in cells if not re.match(r"(\w+\.)*\w+, |stream |all ", title)])
        self.assertEqual(0, shares[0][0])
        self.assertGreater(shares[-1][0], 40)
        brightness = [sum(map(int, re.findall(r"\d+", fill))) for _, fill in shares]
        self.assertGreater(len(set(brightness)), 10)
        # Shares are written with one digit, so that neighbours may change places.
        for (less, _), (more, _), bright, dark in zip(shares, shares[1:], brightness, brightness[1:]):
            if more > less + 0.2:
                self.assertGreaterEqual(bright, dark, f"{less} % and {more} %")

    def test_timeline_shows_the_use_of_every_kind_of_unit(self):
        names = self.browser.run("timelineRows.map(r => r.name)")
        for unit in ("MXM", "SXM", "MEM", "VXM", "streams"):
            self.assertTrue(any(name.startswith(unit) for name in names), unit)
        # The colours of a row's pixels where the row is drawn.
        colours = self.browser.run("""timelineRows.map((_, r) => {
            const canvas = document.getElementById('timeline'), x0 = gutter(canvas.clientWidth);
            const data = canvas.getContext('2d').getImageData(x0, 84 + 15 * r + 7, canvas.width - x0, 1).data;
            return new Set(Array.from({length: data.length / 4}, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
        })""")
        for name, count in zip(names, colours):
            self.assertGreater(count, 3, name)
        self.assertGreater(max(colours), 20)

    def test_has_the_chip_and_every_operator(self):
        # 88 slices, 16 ALUs, the queues of 4 planes, streams and positions of both hemispheres.
        self.assertGreaterEqual(len(self.fills()), 88 + 16 + 12 + 128)
        kinds = self.browser.run("[...document.querySelectorAll('#operators tbody tr')].map(r => r.children[0].textContent)")
        for kind in ("attn", "ffn_down", "output", "token_embd"):
            self.assertIn(kind, kinds)
        self.assertGreater(self.browser.run("document.querySelectorAll('#roofline circle').length"), 100)
        names = self.browser.run("[...document.querySelectorAll('#roofline .name')].map(t => t.textContent)")
        self.assertIn("attn", names)
        for name in names:
            self.assertIn(name, kinds)
        # No dot stands below its bound, but for rounding.
        below = self.browser.run("nodes.filter(n => n.end - n.from < Math.max(...boundsOf(n)) - 1).map(n => n.name)")
        self.assertEqual([], below)

    def test_dark_and_light(self):
        def brightness(what):
            text = self.browser.run(f"getComputedStyle(document.body).{what}")
            return sum(map(int, re.findall(r"\d+", text)[:3])) / 3

        for scheme in ("light", "dark"):
            self.browser.scheme(scheme)
            difference = brightness("backgroundColor") - brightness("color")
            self.assertGreater(difference if scheme == "light" else -difference, 150, scheme)
        self.browser.scheme("dark")
        dark = self.fills()
        self.browser.scheme("light")
        self.assertNotEqual(dark, self.fills())

    def test_fits_a_narrow_screen(self):
        for width in (320, 390, 768, 1024, 1400):
            self.browser.size(width, 800)
            self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), width)

    def test_every_control_has_a_name_and_takes_the_focus(self):
        controls = self.browser.run("""[...document.querySelectorAll('button, input, select')].filter(e => !e.hidden).map(e => {
            e.focus();
            return [document.activeElement === e, e.getAttribute('aria-label') || e.title || e.textContent];
        })""")
        self.assertGreater(len(controls), 5)
        for focused, name in controls:
            self.assertTrue(focused and name)
        pictures = self.browser.run("[...document.querySelectorAll('[role=img]')].map(e => e.getAttribute('aria-label'))")
        self.assertTrue(pictures and all(pictures), pictures)

    def test_screenshot(self):
        if not Place.screenshot:
            self.skipTest("--screenshot FILE.png takes one")
        self.browser.size(1400, 1000)
        self.browser.run("goTo(nodes.find(n => n.name.endsWith('14.attn')))")
        self.browser.run("zoom(4)")
        self.browser.settle()
        self.browser.size(1400, int(self.browser.run("document.getElementById('operators').offsetTop")) - 50)
        self.browser.screenshot(Place.screenshot)


class Part(Page):
    page = "part.html"

    def test_shows_single_cycles(self):
        self.assertEqual([4000, 6000, 1, 2000], self.browser.run("[data.from, data.to, data.bin, data.bins]"))
        self.browser.press("Home")
        self.assertEqual(4000, self.marked()[0])
        self.browser.press("End")
        self.assertEqual(6000, self.marked()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lockstep")
    parser.add_argument("model")
    parser.add_argument("--screenshot", default="")
    parser.add_argument("-k", action="append", default=[])
    arguments = parser.parse_args()
    Place.lockstep, Place.model = os.path.abspath(arguments.lockstep), arguments.model
    Place.screenshot = arguments.screenshot
    with tempfile.TemporaryDirectory(prefix="lockstep-look-") as Place.folder:
        unittest.main(argv=[sys.argv[0], *(part for k in arguments.k for part in ("-k", k))], verbosity=2)


if __name__ == "__main__":
    main()
