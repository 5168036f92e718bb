#!/usr/bin/env python3
"""Tests the playground of the console: console_playground_test.py LOCKSTEP MODEL.gguf [--pictures FOLDER]

With --pictures it also makes those of the documentation.
"""

import json
import os
import subprocess
import sys
import time

from console_page import Page, SHOUT, main


class Playground(Page):
    def test_a_question_is_answered_with_probabilities(self):
        self.question("Why is the sky blue?", tokens=120, seed=7)
        self.answered()
        said = self.browser.run("document.querySelector('.answer .tokens').textContent")
        plain = self.browser.run("document.querySelector('.answer > .said').textContent")
        self.assertEqual(plain, said)
        status, alone = self.server.chat("Why is the sky blue?", max_tokens=120, seed=7, temperature=0.7)
        self.assertEqual(200, status)
        self.assertEqual(alone["choices"][0]["message"]["content"], said)
        facts = self.text(".answer .figures")
        for words in ("first token after", "tokens/s", f"+ {alone['usage']['completion_tokens']} tokens", "seed 7", alone["system_fingerprint"]):
            self.assertIn(words, facts)
        # The alternatives of a token, by a click and by the arrow keys.
        self.assertTrue(self.browser.run("document.querySelector('.token-card').hidden"))
        self.browser.run("document.querySelector('.answer .tokens [tabindex]').focus()")
        for _ in range(4):
            self.browser.press("ArrowRight")
        shares = self.browser.run("[...document.querySelectorAll('.token-card li span')].map(e => parseFloat(e.textContent.replace('<', '')))")
        self.assertEqual(sorted(shares, reverse=True)[:3], shares[:3])
        self.assertGreaterEqual(len(shares), 6)
        self.assertLess(sum(shares), 100.5)
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.token-card .taken').length"))
        self.assertRegex(self.browser.run("document.getElementById('status').textContent"), r": [\d.]+ %")
        self.browser.size(360, 740)
        self.assertLessEqual(self.browser.run("document.querySelector('.token-card').getBoundingClientRect().right"), 360)
        self.browser.size(1280, 860)
        self.picture("playground")
        self.browser.scheme("dark")
        self.picture("playground-dark")
        self.browser.press("Escape")
        self.assertTrue(self.browser.run("document.querySelector('.token-card').hidden"))
        self.browser.run("document.getElementById('logprobs').click()")
        self.assertFalse(self.browser.run("document.querySelector('.answer > .said').hidden"))

    def test_it_streams_and_stops(self):
        self.browser.run("""(() => { window.lengths = []; new MutationObserver(() => lengths.push(
            document.querySelector('.answer .tokens')?.textContent.length ?? 0)).observe(
            document.getElementById('messages'), {subtree: true, childList: true}); })()""")
        self.question("Tell me a very long story.", tokens=1500)
        self.wait("document.querySelectorAll('.answer .tokens span').length > 5")
        self.assertTrue(self.browser.run("document.getElementById('send').hidden"))
        self.click("#stop")
        self.answered()
        self.assertIn("stopped", self.text(".answer .figures"))
        self.assertGreater(self.browser.run("new Set(lengths).size"), 5)
        self.assertLess(self.browser.run("document.querySelectorAll('.answer .tokens span').length"), 1400)
        self.assertFalse(self.browser.run("document.getElementById('send').hidden"))
        deadline = time.monotonic() + 20
        while self.server.ask("GET", "/readyz")[1]["answers_running"] and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(0, self.server.ask("GET", "/readyz")[1]["answers_running"])

    def test_a_conversation_goes_on_and_can_be_changed(self):
        self.question("Name a colour.")
        self.answered()
        self.question("Another one.")
        self.answered()
        self.assertEqual(2, self.browser.run("document.querySelectorAll('.answer').length"))
        self.click(".answer:last-child button", "Try again")
        self.wait("document.querySelectorAll('.answer').length === 2")
        self.answered()
        self.click(".user button", "Edit")
        self.assertEqual("Name a colour.", self.browser.run("document.getElementById('question').value"))
        self.assertEqual(0, self.browser.run("document.querySelectorAll('.message').length"))

    def test_texts_are_never_markup(self):
        self.set("system", SHOUT)
        self.question(f"Repeat this: {SHOUT}", tokens=40)
        self.answered()
        self.assertIn(SHOUT, self.text(".user .said"))
        self.click("#show-code")
        self.assertIn(SHOUT.split("'")[0], self.text("dialog pre"))  # the shell's quotes differ
        self.click("dialog button", "Close")

    def test_an_error_is_told(self):
        self.expected = [400]
        self.question("x", tokens=8)
        self.answered()
        self.set("tokens-max", "-5")
        self.set("question", "y")
        self.browser.run("document.getElementById('ask').requestSubmit()")
        self.wait("document.querySelector('.answer .error')")
        self.assertIn("max_completion_tokens", self.text(".answer .error"))
        # Wrong JSON is told beside its box and sends nothing.
        self.set("format", "json_schema")
        self.set("schema", "{no")
        self.set("question", "z")
        self.browser.run("document.getElementById('ask').requestSubmit()")
        self.assertIn("no valid JSON", self.text("#schema-error"))
        self.assertEqual("true", self.browser.run("document.getElementById('schema').getAttribute('aria-invalid')"))

    def test_json_that_follows_a_schema(self):
        self.set("format", "json_schema")
        self.question("Who invented the telephone, and when?", tokens=200)
        self.answered()
        self.assertEqual({"name", "year"}, set(json.loads(self.browser.run("document.querySelector('.answer > .said').textContent"))))

    def test_tools(self):
        self.set("tools", json.dumps([{"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}}}]))
        self.set("tool-choice", "required")
        self.question("How is the weather in Paris?", tokens=100)
        self.answered()
        self.assertIn("weather", self.text(".call strong"))
        self.assertIn(json.loads(self.text(".call pre"))["city"], ("Paris", "Rome"))
        self.set("tool-choice", "none")
        self.browser.run("document.querySelector('.results textarea').value = 'Sunny'")
        self.click(".results button", "Send the results")
        self.wait("document.querySelectorAll('.answer').length === 2")
        self.answered()

    def test_the_code_runs(self):
        self.set("question", "It's \"so\" & 5 < 6; \\ $HOME `x`")
        self.set("seed", 4)
        self.set("tokens-max", 8)
        self.browser.run("document.getElementById('logprobs').click()")
        self.click("#show-code")
        environment = {**os.environ, "LOCKSTEP_API_KEY": self.server.key}
        command = self.browser.run("document.querySelector('dialog pre').textContent")
        said = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
        self.assertIn("data: [DONE]", said.stdout, said.stderr)
        self.click("dialog .switch button", "Python")
        program = self.browser.run("document.querySelector('dialog pre').textContent")
        said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(0, said.returncode, said.stderr)
        self.click("dialog button", "Close")


    def test_a_call_that_was_cut_off_is_left_out(self):
        self.set("tools", json.dumps([{"type": "function", "function": {"name": "recite", "parameters": {
            "type": "object", "properties": {"poem": {"enum": ["and on and on " * 100]}}, "required": ["poem"], "additionalProperties": False}}}]))
        for end in ("length", "stop"):
            with self.subTest(end=end):
                self.click("#new-talk")
                self.set("tool-choice", "required")
                self.question("Recite the poem.", tokens=60 if end == "length" else 1500)
                self.wait("document.querySelector('.call pre')?.textContent.length > 20")
                if end == "stop":
                    self.click("#stop")
                self.answered()
                self.assertIn("a call is not whole", self.text(".answer .figures"))
                self.assertEqual(0, self.browser.run("document.querySelectorAll('.results').length"))
                self.set("tool-choice", "none")
                self.question("Name a colour.")
                self.wait("document.querySelectorAll('.answer .figures').length === 2")
                self.assertEqual("", self.text(".answer .error"))

    def test_a_question_waits_for_the_results_of_a_call(self):
        self.set("tools", json.dumps([{"type": "function", "function": {"name": "clock"}}]))
        self.set("tool-choice", "required")
        self.question("What time is it?", tokens=100)
        self.answered()
        self.set("question", "Well?")
        self.browser.run("document.getElementById('ask').requestSubmit()")
        self.assertEqual("Result of clock", self.browser.run("document.activeElement.getAttribute('aria-label')"))
        self.assertEqual("Well?", self.browser.run("document.getElementById('question').value"))
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.answer').length"))

    def test_a_missing_key_leaves_the_conversation(self):
        self.question("Name a colour.")
        self.answered()
        self.browser.run("(() => { window.real = fetch; })()")
        self.refuse("/v1/models", 401)
        self.browser.run("window.dispatchEvent(new Event('key-changed'))")
        self.click("dialog button", "Not now")
        self.wait("document.querySelector('#playground .notice')")
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.answer').length"))
        self.browser.run("(() => { window.fetch = window.real; })()")
        self.click("#playground .notice button", "Enter a key")
        self.enter_key(self.server.key)
        self.wait("!document.querySelector('#playground .notice') && document.getElementById('model').options.length")
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.answer').length"))

    def test_escape_in_the_settings_closes_them_alone(self):
        for width in (1280, 360):
            with self.subTest(width=width):
                self.browser.size(width, 740)
                self.click("#new-talk")
                self.question("Tell me a very long story.", tokens=1500)
                if width == 360:
                    self.click("#show-settings")
                self.browser.run("document.getElementById('system').focus()")
                self.browser.press("Escape")
                self.assertFalse(self.browser.run("document.getElementById('settings').classList.contains('open')"))
                count = "document.querySelectorAll('.answer .tokens span').length"
                before = self.browser.run(count)
                self.wait(f"{count} > {before + 5}")
                self.assertTrue(self.browser.run("document.getElementById('send').hidden"))
                self.browser.run("document.getElementById('question').focus()")
                self.browser.press("Escape")
                self.answered()
                self.assertIn("stopped", self.text(".answer .figures"))

    def test_wrong_json_opens_the_settings(self):
        self.browser.size(360, 740)
        self.set("tools", "[no")
        self.set("question", "x")
        self.browser.run("document.getElementById('ask').requestSubmit()")
        self.assertEqual("tools", self.focused())
        self.assertEqual("true", self.browser.run("document.getElementById('show-settings').getAttribute('aria-expanded')"))
        self.browser.press("Escape")
        self.assertEqual("false", self.browser.run("document.getElementById('show-settings').getAttribute('aria-expanded')"))
        self.assertEqual("show-settings", self.focused())

    def test_seeds_that_this_page_would_change(self):
        sent = "JSON.parse(window.sent ?? '{}').seed"
        self.browser.run("(() => { const real = window.fetch; window.fetch = (url, options) =>"
                         " { window.sent = options?.body ?? window.sent; return real(url, options); }; })()")
        for seed in ("9007199254740992", "9007199254740993", "-9007199254740992", "1.5"):
            self.set("seed", seed)
            self.set("question", "x")
            self.browser.run("document.getElementById('ask').requestSubmit()")
            self.assertIn("to 9007199254740991", self.text("#seed-error"))
            self.assertEqual("seed", self.focused())
            self.assertEqual(0, self.browser.run("document.querySelectorAll('.answer').length"))
        self.question("x", tokens=2, seed="9007199254740991")
        self.answered()
        self.assertEqual("", self.text("#seed-error"))
        self.assertEqual(9007199254740991, self.browser.run(sent))

    def test_tokens_are_text_to_readers_of_screens(self):
        self.question("Name three colours.")
        self.answered()
        self.assertEqual(0, self.browser.run("document.querySelectorAll('.answer [role=application]').length"))
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.answer .tokens [tabindex]').length"))
        self.browser.run("document.querySelector('.user button').focus()")
        self.browser.press("Tab")
        place = "[...document.querySelectorAll('.answer .tokens span')].indexOf(document.activeElement)"
        self.assertEqual(0, self.browser.run(place))
        self.browser.press("ArrowRight")
        self.browser.press("ArrowRight")
        self.assertEqual(2, self.browser.run(place))
        self.assertRegex(self.status(), r": [\d.]+ %")
        self.browser.press("Escape")
        self.assertTrue(self.browser.run("document.querySelector('.token-card').hidden"))
        self.assertEqual(2, self.browser.run(place))
        self.browser.press("ArrowLeft")
        self.assertEqual(1, self.browser.run(place))
        self.assertFalse(self.browser.run("document.querySelector('.token-card').hidden"))
        self.assertEqual(1, self.browser.run("document.querySelectorAll('.answer .tokens [tabindex]').length"))

    def test_an_unknown_part_of_the_address(self):
        for name in ("toString", "constructor", "nothing"):
            with self.subTest(name=name):
                self.go(name)
                self.assertFalse(self.browser.run("document.getElementById('playground').hidden"))


if __name__ == "__main__":
    main(__doc__)
