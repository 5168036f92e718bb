#!/usr/bin/env python3
"""Tests the console of `lockstep serve` in headless Chromium: console_test.py LOCKSTEP MODEL.gguf [--pictures FOLDER]

With --pictures it also makes those of the documentation.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from browser import Browser

BASE = "/v1/organization"
SHOUT = "<img src=x onerror=document.title='broken'>"  # what would happen if a text were taken for markup
SECTIONS = ("playground", "live", "usage", "requests", "batches", "keys", "limits", "organisation")


class Place:
    lockstep = model = folder = pictures = ""


class Server:
    def __init__(self, *options):
        self.log = open(f"{Place.folder}/server.log", "wb")
        self.process = subprocess.Popen(
            [Place.lockstep, "serve", "-m", Place.model, "--port", "0", "--context", "2048", "--name", "smollm2-135m",
             "--data-dir", tempfile.mkdtemp(dir=Place.folder), "--price", "0.1,0.05,0.4", *options],
            stdout=subprocess.PIPE, stderr=self.log)
        line, self.key = self.process.stdout.readline().decode(), ""
        if line.startswith("key"):
            self.key, line = line.split()[-1], self.process.stdout.readline().decode()
        self.url = line.strip().removesuffix("/v1")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()

    def ask(self, method, path, body=None, key=None):
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"authorization": f"Bearer {key or self.key}"})
        with connection.getresponse() as response:
            return response.status, json.loads(response.read())

    def chat(self, text, key=None, **fields):
        return self.ask("POST", "/v1/chat/completions", {
            "model": "smollm2-135m", "max_tokens": 8, "messages": [{"role": "user", "content": text}], **fields}, key)


class Page(unittest.TestCase):
    keys = True
    problems = []  # patterns of errors on the browser's console that belong to a test

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*([] if cls.keys else ["--no-keys"]))
        cls.addClassCleanup(cls.server.stop)
        cls.browser = cls.enterClassContext(Browser())

    def setUp(self):
        self.expected = []  # statuses that the browser may complain of
        self.browser.size(1280, 860)
        self.browser.scheme("light")
        self.go()

    def go(self, section="playground", key=True):
        """Loads the page anew."""
        self.browser.open(self.server.url + "/healthz")
        self.browser.run("(sessionStorage.clear(), localStorage.clear())")
        if key and self.server.key:
            self.browser.run(f"sessionStorage.setItem('lockstep-key', '{self.server.key}')")
        self.browser.open(f"{self.server.url}/#{section}")
        if key or not self.keys:
            self.browser.wait_for("document.body.dataset.ready === 'true'")

    def tearDown(self):
        outside = [url for url in self.browser.requests if not url.startswith((self.server.url + "/", f"blob:{self.server.url}/"))]
        self.assertEqual([], outside)
        unexpected = [problem for problem in self.browser.problems if not any(f"status of {status}" in problem for status in self.expected)]
        self.assertEqual([], unexpected)
        self.assertNotIn("broken", self.browser.run("document.title"))
        self.assertEqual(0, self.browser.run("document.querySelectorAll('main img, dialog img').length"))

    def run_js(self, script):
        return self.browser.run(script)

    def wait(self, script):
        self.browser.wait_for(f"Boolean({script})")

    def text(self, selector):
        return self.browser.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def set(self, id_, value):
        self.wait(f"document.getElementById('{id_}')")
        self.browser.run(f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input', {{bubbles: true}}));"
                         f" e.dispatchEvent(new Event('change', {{bubbles: true}})); }})(document.getElementById('{id_}'))")

    def click(self, selector, words=None):
        """Presses what the selector finds, the one with these words."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        if words:
            found += f".filter(e => e.textContent.trim() === {json.dumps(words)})"
        self.wait(f"{found}[0]")
        self.browser.run(f"(e => {{ e.focus(); e.click(); }})({found}[0])")
        self.browser.settle()

    def question(self, text, tokens=24, seed=3):
        self.set("tokens-max", tokens)
        self.set("seed", seed)
        self.set("question", text)
        answers = self.browser.run("document.querySelectorAll('.answer').length")
        self.browser.run("document.getElementById('ask').requestSubmit()")
        self.wait(f"document.querySelectorAll('.answer').length > {answers}")

    def answered(self):
        self.wait("document.querySelector('.answer:last-child .figures')")

    def section(self, name):
        self.browser.run(f"location.hash = '#{name}'")
        self.wait(f"!document.getElementById('{name}').hidden && document.querySelector('#{name} .content')?.childElementCount")

    def enter_key(self, value):
        """Gives the open dialog this key."""
        self.wait("document.querySelector('dialog #key')")
        self.set("key", value)
        self.click("dialog button", "Continue")

    def disturb(self, part, how):
        """Requests to addresses with this part go as `how` says, a function of the real request `send` in JavaScript."""
        self.browser.run(f"""(() => {{ const real = window.fetch, how = {how};
            window.fetch = (url, options) => (options?.method ?? 'GET') + ' ' + url === {json.dumps(part)} || String(url).includes({json.dumps(part)})
                ? how(() => real(url, options)) : real(url, options); }})()""")

    def cut_off(self, part):
        """Requests to addresses with this part, or to this method and address, find no connection."""
        self.disturb(part, "() => Promise.reject(new TypeError('no connection'))")

    def refuse(self, part, status):
        body = json.dumps(json.dumps({"error": {"message": f"refused with {status}"}}))
        self.disturb(part, f"async () => new Response({body}, {{status: {status}}})")

    def focused(self):
        return self.browser.run("(e => e.id || e.hash || e.textContent.trim())(document.activeElement)")

    def status(self):
        return self.browser.run("document.getElementById('status').textContent")

    def picture(self, name):
        if not Place.pictures:
            return
        path = f"{Place.pictures}/console-{name}.png"
        self.browser.settle()
        self.browser.screenshot(path)
        subprocess.run(["pngquant", "--force", "--speed", "1", "--output", path, "128", path], check=True)


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


class Keys(Page):
    def test_a_key_that_is_not_given(self):
        self.expected = [401]
        self.go(key=False)
        self.click("dialog button", "Not now")
        self.wait("document.body.dataset.ready")
        time.sleep(0.5)
        self.assertEqual(0, self.browser.run("document.querySelectorAll('dialog').length"))
        self.click("#playground .notice button", "Enter a key")
        self.enter_key(self.server.key)
        self.wait("document.getElementById('model').options.length")
        self.wait("!document.querySelector('#playground .notice')")
        self.assertIn("What would you like to ask?", self.text("#messages"))

    def test_a_wrong_key_leaves_the_remembered_one(self):
        self.expected = [401]
        self.go(key=False)
        self.wait("document.querySelector('dialog #key')")
        self.browser.run("document.querySelector('dialog input[type=checkbox]').click()")
        self.enter_key(self.server.key)
        self.wait("document.querySelector('#who button')")
        self.click("#who button", "Other key")
        self.enter_key("lsk_wrong")
        self.wait("document.querySelector('dialog .error').textContent")
        self.click("dialog button", "Not now")
        self.assertEqual([None, self.server.key], self.browser.run("[sessionStorage.getItem('lockstep-key'), localStorage.getItem('lockstep-key')]"))

    def test_a_revocation_that_fails_is_told(self):
        made = self.server.ask("POST", f"{BASE}/keys", {"name": "leaked", "scopes": ["inference"]})[1]
        self.section("keys")
        self.cut_off(f"/keys/{made['id']}")
        self.click("#keys button[aria-label='Revoke leaked']")
        self.click("dialog button", "Revoke")
        self.wait("document.querySelector('#keys .content .error')")
        self.browser.settle()
        self.assertIn("cannot be reached", self.text("#keys .content .error"))
        self.assertNotIn("revoked", self.status())
        self.assertIn("leaked", self.text("#keys table"))

    def test_what_fails_is_told(self):
        self.server.ask("POST", f"{BASE}/limits", {"subject": "organization", "requests_per_day": 100000})
        self.section("limits")
        self.refuse(f"POST {BASE}/limits", 403)
        self.click("#limits button[aria-label^='Remove']")
        self.click("dialog button", "Remove")
        self.wait("document.querySelector('#limits .content .error')")
        self.assertIn("refused with 403", self.text("#limits .content .error"))
        self.section("keys")
        self.refuse(f"{BASE}/projects", 500)
        self.click("#keys button", "Create key")
        self.wait("document.querySelector('#keys .content .error')")
        self.browser.run("location.hash = '#requests'")
        self.wait("document.querySelector('#requests .content .error')")
        self.assertIn("refused with 500", self.text("#requests .content .error"))

    def test_the_focus_stays_after_a_change(self):
        self.section("limits")
        self.click("#limits button", "Set a limit")
        self.wait("document.getElementById('limit-subject')")
        self.set("limit-requests_per_day", "5000")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#limits table')?.innerText.includes('5,000')")
        self.assertEqual("limits-title", self.focused())
        change = "#limits button[aria-label='Change the limit of default (project)']"
        self.click(change)
        self.wait("document.getElementById('limit-subject')?.disabled")
        self.set("limit-requests_per_day", "6000")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#limits table').innerText.includes('6,000')")
        self.assertEqual("limits-title", self.focused())
        self.click(change.replace("Change", "Remove"))
        self.click("dialog button", "Remove")
        self.wait("!document.querySelector('#limits').innerText.includes('6,000')")
        self.assertEqual("limits-title", self.focused())

    def test_a_key_for_a_member(self):
        member = self.server.ask("POST", f"{BASE}/members", {"name": "Ada", "role": "reader"})[1]
        self.section("keys")
        self.click("#keys button", "Create key")
        self.wait("document.getElementById('key-member')")
        self.set("key-name", "of Ada")
        self.set("key-member", member["id"])
        self.click("dialog button", "Create")
        self.wait("document.querySelector('.secret')")
        self.assertEqual("reader", self.server.ask("GET", BASE, key=self.text(".secret"))[1]["role"])
        self.click("dialog button", "I have it")

    def test_the_key_is_asked_for(self):
        self.expected = [401]
        self.go(key=False)
        self.wait("document.querySelector('dialog #key')")
        self.set("key", "lsk_wrong")
        self.click("dialog button", "Continue")
        self.wait("document.querySelector('dialog .error').textContent")
        self.set("key", self.server.key)
        self.click("dialog button", "Continue")
        self.wait("!document.querySelector('dialog') && document.getElementById('model').options.length")
        self.assertEqual([self.server.key, None], self.browser.run("[sessionStorage.getItem('lockstep-key'), localStorage.getItem('lockstep-key')]"))
        self.assertIn("default", self.text("#who"))

    def test_make_and_revoke_a_key(self):
        self.section("keys")
        self.click("#keys button", "Create key")
        self.set("key-name", SHOUT)
        self.click("dialog button", "Create")
        self.wait("document.querySelector('.secret')")
        secret = self.text(".secret")
        self.assertEqual(200, self.server.ask("GET", "/v1/models", key=secret)[0])
        self.assertEqual(403, self.server.ask("GET", f"{BASE}/keys", key=secret)[0])
        self.click("dialog button", "I have it")
        self.assertNotIn(secret, self.browser.run("document.documentElement.innerHTML"))
        self.assertIn(SHOUT, self.text("#keys .content"))
        self.click(f"#keys button[aria-label={json.dumps('Revoke ' + SHOUT)}]")
        self.assertIn(SHOUT, self.text("dialog"))
        self.click("dialog button", "Revoke")
        self.wait(f"!document.querySelector('#keys .content').innerText.includes({json.dumps(SHOUT)})")
        self.assertEqual(401, self.server.ask("GET", "/v1/models", key=secret)[0])

    def test_a_limit_refuses(self):
        made = self.server.ask("POST", f"{BASE}/keys", {"name": "held back", "scopes": ["inference", "read"]})[1]
        self.section("limits")
        self.click("#limits button", "Set a limit")
        self.wait("document.getElementById('limit-subject')")
        self.set("limit-subject", f"key {made['id']}")
        self.set("limit-requests_per_minute", "1")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#limits table')")
        self.assertIn("held back", self.text("#limits table"))
        self.expected = [429, 403]
        self.browser.run(f"sessionStorage.setItem('lockstep-key', '{made['value']}')")
        self.browser.open(f"{self.server.url}/")
        self.wait("document.body.dataset.ready")
        self.question("One")
        self.answered()
        self.question("Two")
        self.wait("document.querySelector('.answer:last-child .error')")
        self.assertIn("requests per minute", self.text(".answer:last-child .error"))
        for name in ("keys", "limits"):  # what this key may not read is said, not tried
            self.section(name)
            self.assertIn("admin", self.text(f"#{name} .notice"))

    def test_a_spend_cap(self):
        self.section("limits")
        self.click("#limits button", "Set a cap")
        self.wait("document.getElementById('cap-amount')")
        self.set("cap-amount", "12.5")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#limits meter')")
        self.assertEqual("12.5", self.server.ask("GET", f"{BASE}/spend_caps")[1]["data"][0]["usd_per_month"])


class Looks(Page):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ask = cls.server.ask
        ask("POST", f"{BASE}/projects", {"name": "search"})
        shop = ask("POST", f"{BASE}/keys", {"name": "web shop", "scopes": ["inference", "read"]})[1]
        ask("POST", f"{BASE}/keys", {"name": "nightly reports", "scopes": ["inference", "files"], "expires_at": int(time.time()) + 90 * 86400})
        ask("POST", f"{BASE}/keys", {"name": SHOUT, "scopes": ["read"]})
        ask("POST", f"{BASE}/limits", {"subject": "organization", "requests_per_minute": 6000, "tokens_per_minute": 600000})
        ask("POST", f"{BASE}/limits", {"subject": "key", "subject_id": shop["id"], "requests_per_minute": 600, "concurrent": 8})
        ask("POST", f"{BASE}/spend_caps", {"subject": "organization", "usd_per_month": "0.002"})
        project = ask("GET", BASE)[1]["project_id"]
        ask("POST", f"{BASE}/projects/{project}", {"store_bodies": True})
        for i in range(30):
            cls.server.chat(f"Say {i}. {SHOUT}", key=shop["value"] if i % 3 else None, max_tokens=4 + i % 9)
        cls.server.chat("too warm", temperature=9)

    def test_requests(self):
        self.section("requests")
        self.wait("document.querySelector('#requests table')")
        self.assertEqual(25, self.browser.run("document.querySelectorAll('#requests tbody tr').length"))
        first = self.text("#requests tbody tr .id")
        self.picture("requests")
        self.click("#requests .pager button", "Older")
        self.wait(f"document.querySelector('#requests tbody tr .id').innerText !== {json.dumps(first)}")
        self.click("#requests .pager button", "Newer")
        self.wait(f"document.querySelector('#requests tbody tr .id').innerText === {json.dumps(first)}")
        self.set("log-state", "refused")
        self.wait("document.querySelectorAll('#requests tbody tr').length === 1")
        self.assertIn("400", self.text("#requests tbody"))
        self.set("log-state", "good")
        self.wait("document.querySelectorAll('#requests tbody tr').length === 25")
        self.click("#requests tbody .id")
        self.wait("document.querySelector('dialog pre')")
        self.assertIn('"messages"', self.text("dialog pre"))
        self.click("dialog button", "Close")
        self.browser.run("(() => { window.saved = []; URL.createObjectURL = blob => (saved.push(blob.text()), '#');"
                         " HTMLAnchorElement.prototype.click = () => {}; })()")
        self.click("#requests button", "Export CSV")
        self.wait("saved.length")
        self.assertIn("error_code", self.browser.run("saved[0]"))

    def test_usage(self):
        self.section("usage")
        self.wait("document.querySelectorAll('#usage .plot rect.c0').length >= 3")
        self.assertGreaterEqual(int(self.text("#usage .tiles").split("\n")[1].replace(",", "")), 31)
        self.set("usage-group", "key")
        self.wait("document.querySelector('#usage .legend')?.innerText.includes('web shop')")
        self.browser.run("document.querySelector('#usage .plot-place').focus()")
        self.browser.press("End")
        self.assertIn("web shop", self.text("#usage .reading"))
        self.picture("usage")
        self.set("usage-range", "month")
        self.wait("document.querySelectorAll('#usage .plot rect.c0').length >= 3")
        self.browser.run("document.querySelector('#usage details').open = true")
        self.assertIn("web shop", self.text("#usage table"))

    def test_live(self):
        def talk():
            for _ in range(12):
                self.server.chat("Tell me a story.", max_tokens=60)

        threads = [threading.Thread(target=talk) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.section("live")
        self.wait("[...document.querySelectorAll('#live .plot .reading')].some(e => parseFloat(e.textContent) > 20)")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            self.browser.settle()
            time.sleep(0.2)
        self.wait("Number(document.querySelector('#live .tile b').textContent) > 0")
        self.wait("document.querySelectorAll('#live .plot:not([hidden])').length === 7")
        self.picture("live")
        for thread in threads:
            thread.join()
        self.section("keys")
        self.browser.settle()
        asked = len(self.browser.requests)
        time.sleep(2.5)
        self.browser.settle()
        self.assertLess(len([url for url in self.browser.requests[asked:] if url.endswith("/live")]), 2)

    def test_live_leaves_the_focus_alone(self):
        self.server.chat("Name a colour.")
        self.section("live")
        self.wait("document.querySelectorAll('#live .plot:not([hidden])').length === 7")
        self.browser.run("(() => { window.plot = [...document.querySelectorAll('#live .plot-place')].at(-1); plot.focus();"
                         " window.parts = [...document.querySelectorAll('#live td, #live dd, #live b')]; })()")
        self.browser.press("End")
        said = "document.querySelectorAll('#live .tile span')[2].textContent"
        for _ in range(2):
            before = self.browser.run(said)
            self.server.chat("Name a colour.")
            self.wait(f"{said} !== {json.dumps(before)}")
        self.assertTrue(self.browser.run("plot.isConnected && document.activeElement === plot"))
        self.assertGreater(self.browser.run("plot.querySelector('.band').getBoundingClientRect().width"), 1)
        self.assertTrue(self.browser.run("parts.length > 10 && parts.every(part => part.isConnected)"))

    def test_live_asks_once_at_a_time_and_only_while_it_is_looked_at(self):
        self.browser.run("(() => { window.asked = window.open_ = window.most = 0; })()")
        self.disturb("/live", "async send => { asked += 1; open_ += 1; most = Math.max(most, open_);"
                              " await new Promise(done => setTimeout(done, 1500)); open_ -= 1; return send(); }")
        self.section("live")
        self.wait("asked >= 3")
        self.assertEqual(1, self.browser.run("most"))
        self.section("keys")  # while it asks
        self.wait("open_ === 0")
        self.browser.run("location.hash = '#live'")
        self.wait("open_ === 1")
        self.section("keys")  # before its first answer
        asked = self.browser.run("asked")
        time.sleep(3.5)
        self.browser.settle()
        self.assertEqual(asked, self.browser.run("asked"))

    def test_the_last_filter_wins(self):
        self.section("requests")
        self.wait("document.querySelector('#requests table')")
        self.disturb("model=nobody", "async send => { await new Promise(done => setTimeout(done, 1000)); window.late = true; return send(); }")
        self.set("log-model", "nobody")
        self.set("log-model", "")
        self.wait("window.late")
        time.sleep(0.5)
        self.browser.settle()
        self.assertEqual(25, self.browser.run("document.querySelectorAll('#requests tbody tr').length"))

    def test_the_last_choice_of_usage_wins(self):
        self.section("usage")
        self.disturb("group_by=key", "async send => { await new Promise(done => setTimeout(done, 1000)); window.late = true; return send(); }")
        self.set("usage-group", "key")
        self.set("usage-group", "model")
        self.wait("window.late")
        time.sleep(0.5)
        self.browser.settle()
        self.assertNotIn("web shop", self.text("#usage .legend"))

    def test_why_a_request_cannot_be_shown(self):
        self.section("requests")
        self.wait("document.querySelector('#requests table')")
        self.refuse("/requests/", 500)
        self.click("#requests tbody .id")
        self.wait("document.querySelector('dialog .error')")
        self.assertIn("refused with 500", self.text("dialog"))
        self.assertNotIn("another project", self.text("dialog"))
        self.click("dialog button", "Close")

    def test_no_width_scrolls_sideways(self):
        for width in (360, 768, 1280):
            self.browser.size(width, 740)
            for name in SECTIONS:
                if name != "playground":
                    self.section(name)
                with self.subTest(name=name, width=width):
                    self.browser.settle()
                    self.assertLessEqual(self.browser.run("Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth)"), width)
                    # But for what stands in a box that scrolls by itself, such as a table.
                    wide = self.browser.run(
                        "(() => { const boxed = e => e.localName !== 'main' && (getComputedStyle(e).overflowX !== 'visible' || boxed(e.parentElement));"
                        " return [...document.querySelectorAll('main > section:not([hidden]) *')].filter(e => "
                        "e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.unseen, svg, dialog') && !boxed(e.parentElement))"
                        ".map(e => e.outerHTML.slice(0, 80)); })()")
                    self.assertEqual([], wide)
        self.browser.size(360, 740, scale=2)
        self.go("keys")
        self.wait("document.querySelector('#keys table')")
        self.browser.scheme("dark")
        self.picture("phone")
        self.browser.size(1280, 860)
        self.browser.scheme("light")
        for name, role in (("Ada", "developer"), ("Grace", "reader")):
            self.server.ask("POST", f"{BASE}/members", {"name": name, "role": role})
        self.section("organisation")
        self.picture("organisation")

    def test_text_can_be_read(self):
        """Every text has a contrast of 4.5 with what is behind it."""
        for scheme in ("light", "dark"):
            self.browser.scheme(scheme)
            time.sleep(0.5)  # colours change over a while
            for name in SECTIONS:
                if name != "playground":
                    self.section(name)
                weak = self.browser.run(CONTRAST)
                with self.subTest(name=name, scheme=scheme):
                    self.assertEqual([], weak)

    def test_everything_has_a_name(self):
        for name in SECTIONS:
            if name != "playground":
                self.section(name)
            unnamed = self.browser.run("""[...document.querySelectorAll('button, input, select, textarea, a')].filter(e => e.checkVisibility())
                .filter(e => !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label'))).map(e => e.outerHTML)""")
            self.assertEqual([], unnamed)


class Batches(Page):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {
            "model": "smollm2-135m", "max_tokens": 4, "messages": [{"role": "user", "content": "Name a colour."}]}}
        cls.file = cls.upload([line])
        cls.long = cls.upload([{**line, "custom_id": str(i), "body": {**line["body"], "max_tokens": 1500, "ignore_eos": True}} for i in range(200)])
        for _ in range(23):
            cls.make(cls.file)

    @classmethod
    def upload(cls, lines):
        connection = http.client.HTTPConnection(cls.server.url.removeprefix("http://"), timeout=60)
        parts = [('name="purpose"', "batch"), ('name="file"; filename="lines.jsonl"', "\n".join(map(json.dumps, lines)))]
        body = "".join(f"--border\r\ncontent-disposition: form-data; {name}\r\n\r\n{text}\r\n" for name, text in parts) + "--border--\r\n"
        connection.request("POST", "/v1/files", body, {"authorization": f"Bearer {cls.server.key}",
                                                       "content-type": "multipart/form-data; boundary=border"})
        with connection.getresponse() as response:
            return json.loads(response.read())["id"]

    @classmethod
    def make(cls, file):
        return cls.server.ask("POST", "/v1/batches", {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})[1]["id"]

    def test_older_ones_are_there(self):
        rows = "document.querySelectorAll('#batches tbody tr').length"
        self.section("batches")
        self.wait(f"{rows} === 20")
        self.click("#batches .pager button", "Older")
        self.wait(f"{rows} < 20")
        self.assertEqual("batches-title", self.focused())
        total = len(self.server.ask("GET", "/v1/batches?limit=100")[1]["data"])
        self.assertEqual(total - 20, self.browser.run(rows))
        self.click("#batches .pager button", "Newer")
        self.wait(f"{rows} === 20")

    def test_a_file_that_is_gone_is_told(self):
        deadline = time.monotonic() + 60
        while not (done := [batch for batch in self.server.ask("GET", "/v1/batches")[1]["data"] if batch["output_file_id"]]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.section("batches")
        self.refuse("/content", 404)
        self.click(f"#batches button[aria-label='Output of batch …{done[0]['id'][-8:]}']")
        self.wait("document.querySelector('#batches .content .error')")
        self.assertIn("refused with 404", self.text("#batches .content .error"))
        self.assertEqual(20, self.browser.run("document.querySelectorAll('#batches tbody tr').length"))

    def test_a_batch_is_cancelled(self):
        batch = self.make(self.long)
        self.section("batches")
        self.click(f"#batches button[aria-label='Cancel batch …{batch[-8:]}']")
        self.click("dialog button", "Cancel the batch")
        self.wait(f"!document.querySelector(`#batches button[aria-label='Cancel batch …{batch[-8:]}']`)")
        self.assertEqual("batches-title", self.focused())
        self.assertIn(self.server.ask("GET", f"/v1/batches/{batch}")[1]["status"], ("cancelling", "cancelled"))


class Organisation(Page):
    def open_as(self, key):
        self.browser.run(f"sessionStorage.setItem('lockstep-key', '{key}')")
        self.browser.open(f"{self.server.url}/#organisation")
        self.wait("document.body.dataset.ready && document.querySelector('#organisation .content').childElementCount")

    def key_of(self, role, scopes=("admin",)):
        member = self.server.ask("POST", f"{BASE}/members", {"name": f"a {role}", "role": role})[1]
        return self.server.ask("POST", f"{BASE}/keys", {"name": role, "scopes": list(scopes), "member_id": member["id"]})[1]["value"]

    def projects(self):
        return {one["name"]: one for one in self.server.ask("GET", f"{BASE}/projects?include_archived=true&limit=100")[1]["data"]}

    def members(self):
        return {one["name"]: one for one in self.server.ask("GET", f"{BASE}/members?limit=100")[1]["data"]}

    def content_has(self, text):
        self.wait(f"document.querySelector('#organisation .content').innerText.includes({json.dumps(text)})")

    def test_projects(self):
        self.section("organisation")
        self.click("#organisation button", "Create project")
        self.set("project-name", SHOUT)
        self.set("project-body-days", "7")
        self.click("dialog .check input")
        self.click("dialog button", "Create")
        self.content_has(SHOUT)
        self.assertEqual("organisation-title", self.focused())
        made = self.projects()[SHOUT]
        self.assertEqual((True, 7, 400), (made["store_bodies"], made["body_days"], made["log_days"]))
        self.click(f"#organisation button[aria-label={json.dumps('Change ' + SHOUT)}]")
        self.set("project-name", "search")
        self.click("dialog button", "Save")
        self.content_has("search")
        self.assertEqual((made["id"], True, 7), tuple(self.projects()["search"][name] for name in ("id", "store_bodies", "body_days")))
        key = self.server.ask("POST", f"{BASE}/keys", {"name": "of search", "scopes": ["inference"], "project_id": made["id"]})[1]["value"]
        self.click("#organisation button[aria-label='Archive search']")
        self.assertIn("search", self.text("dialog"))
        self.click("dialog button", "Archive")
        self.wait("!document.querySelector('#organisation table').innerText.includes('search')")
        self.assertEqual("archived", self.projects()["search"]["status"])
        self.assertEqual(401, self.server.ask("GET", "/v1/models", key=key)[0])
        self.click("#organisation .check input")
        self.content_has("search")
        self.assertEqual(0, self.browser.run("document.querySelectorAll(`#organisation button[aria-label$=' search']`).length"))
        self.section("keys")  # no key can be made for it
        self.click("#keys button", "Create key")
        self.wait("document.getElementById('key-project')")
        self.assertNotIn("search", self.text("#key-project"))
        self.click("dialog button", "Cancel")

    def test_the_own_project(self):
        self.section("organisation")
        self.assertEqual(0, self.browser.run("document.querySelectorAll(`#organisation button[aria-label='Archive default']`).length"))
        self.click("#organisation button[aria-label='Change default']")
        self.set("project-name", "house")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#who').innerText.includes('house')")
        project = self.projects()["house"]
        self.server.ask("POST", f"{BASE}/projects/{project['id']}", {"name": "default"})

    def test_members(self):
        self.section("organisation")
        self.click("#organisation button", "Add member")
        self.set("member-name", "Grace")
        self.set("member-role", "reader")
        self.click("dialog button", "Add")
        self.content_has("Grace")
        self.assertEqual("reader", self.members()["Grace"]["role"])
        self.click("#organisation button[aria-label='Change the role of Grace']")
        self.wait("document.getElementById('member-role').value === 'reader'")
        self.set("member-role", "owner")
        self.click("dialog button", "Save")
        self.wait("document.getElementById('status').textContent === 'Grace is owner now'")
        self.assertEqual("owner", self.members()["Grace"]["role"])
        self.click("#organisation button[aria-label='Remove Grace']")
        self.click("dialog button", "Remove")
        self.wait("!document.querySelector('#organisation .content').innerText.includes('Grace')")
        self.assertNotIn("Grace", self.members())
        self.assertEqual("organisation-title", self.focused())

    def test_what_fails_is_told(self):
        self.expected = [409]
        self.server.ask("POST", f"{BASE}/members", {"name": "Alan", "role": "reader"})
        self.section("organisation")
        self.cut_off("DELETE " + f"{BASE}/members/{self.members()['Alan']['id']}")
        self.click("#organisation button[aria-label='Remove Alan']")
        self.click("dialog button", "Remove")
        self.wait("document.querySelector('#organisation .content .error')")
        self.assertIn("cannot be reached", self.text("#organisation .content .error"))
        self.assertNotIn("removed", self.status())
        # The last owner stays one; the dialog says so and stays.
        own = self.server.ask("GET", BASE)[1]["member_id"]
        for member in self.members().values():
            if member["id"] == own:
                owner = member["name"]
            elif member["role"] == "owner":
                self.server.ask("DELETE", f"{BASE}/members/{member['id']}")
        self.click(f"#organisation button[aria-label='Change the role of {owner}']")
        self.set("member-role", "reader")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('dialog .error')?.textContent")
        self.click("dialog button", "Cancel")
        self.assertEqual("owner", self.members()[owner]["role"])

    def test_only_what_the_key_may_is_offered(self):
        buttons = "document.querySelectorAll('#organisation .content button').length"
        self.open_as(self.key_of("reader"))
        self.assertEqual(2, self.browser.run("document.querySelectorAll('#organisation table').length"))
        self.assertEqual(0, self.browser.run(buttons))
        self.open_as(self.key_of("developer"))
        self.assertIn("Create project", self.text("#organisation .content"))
        self.assertNotIn("Add member", self.text("#organisation .content"))
        self.assertEqual(0, self.browser.run("document.querySelectorAll(`#organisation button[aria-label^='Change the role']`).length"))
        self.open_as(self.key_of("owner", scopes=("inference", "read")))
        self.assertIn("admin", self.text("#organisation .notice"))
        self.assertEqual(0, self.browser.run(buttons))


class Keyboard(Page):
    def tab_to(self, wanted):
        for _ in range(60):
            if self.focused() == wanted:
                visible = self.browser.run("getComputedStyle(document.activeElement).outlineStyle !== 'none' && document.activeElement.checkVisibility()")
                self.assertTrue(visible, f"{wanted} shows that it has the focus")
                return
            self.browser.press("Tab")
        self.fail(f"{wanted} is not reached")

    def type(self, text):
        self.browser.call("Input.insertText", text=text)

    def test_a_round_without_a_mouse(self):
        self.tab_to("skip")
        self.tab_to("question")
        self.type("Name a colour.")
        self.browser.press("Enter")
        self.answered()
        self.browser.run("document.activeElement.blur()")
        self.tab_to("#keys")
        self.browser.press("Enter")
        self.wait("document.querySelector('#keys table')")
        self.assertEqual("keys-title", self.focused())
        self.tab_to("Create key")
        self.browser.press("Enter")
        self.wait("document.activeElement.id === 'key-name'")
        self.type("by keyboard")
        self.browser.press("Enter")
        self.wait("document.querySelector('.secret')")
        self.tab_to("I have it")
        self.browser.press("Enter")
        self.wait("document.querySelector('#keys .content').innerText.includes('by keyboard')")
        self.assertEqual("Create key", self.focused())

    def test_a_project_and_a_member_without_a_mouse(self):
        self.go("organisation")
        self.wait("document.querySelector('#organisation table')")
        for action, id_, name in (("Create project", "project-name", "by hand"), ("Add member", "member-name", "Barbara")):
            self.tab_to(action)
            self.browser.press("Enter")
            self.wait(f"document.activeElement.id === '{id_}'")
            self.type(name)
            self.browser.press("Enter")
            self.wait(f"document.querySelector('#organisation .content').innerText.includes('{name}')")
            self.assertEqual("organisation-title", self.focused())


class Open(Page):
    keys = False

    def test_nothing_is_asked(self):
        self.assertEqual(0, self.browser.run("document.querySelectorAll('dialog').length"))
        self.question("Name a colour.")
        self.answered()
        self.section("keys")
        self.wait("document.querySelector('#keys table')")

    def test_the_policy_holds(self):
        connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"))
        connection.request("GET", "/")
        with connection.getresponse() as response:
            policy = response.headers["content-security-policy"]
            page = response.read().decode()
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotRegex(page, r"\son\w+=|<script(?![^>]*src=)|style=|javascript:")
        self.assertRaises(RuntimeError, self.browser.run, "document.body.innerHTML = '<p>'")
        self.assertEqual("refused", self.browser.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"))
        self.browser.problems.clear()


# Texts whose contrast with the colours behind them is below 4.5 (WCAG 2.2, 1.4.3).
CONTRAST = r"""(() => {
  const numbers = text => text.match(/[\d.]+/g).map(Number);
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                           const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, below) => below.map((b, i) => i < 3 ? top[i] * top[3] + b * (1 - top[3]) : 1);
  const behind = e => { const list = []; for (; e; e = e.parentElement) list.push(rgba(getComputedStyle(e).backgroundColor));
                        return list.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('.unseen, svg') && !e.disabled &&
      [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).filter(e => {
    const below = behind(e), text = over(rgba(getComputedStyle(e).color), below);
    const [high, low] = [light(below), light(text)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05) < 4.5;
  }).map(e => e.textContent.trim().slice(0, 40));
})()"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lockstep")
    parser.add_argument("model")
    parser.add_argument("--pictures")
    arguments, rest = parser.parse_known_args()
    Place.lockstep, Place.model, Place.pictures = arguments.lockstep, arguments.model, arguments.pictures
    with tempfile.TemporaryDirectory(prefix="lockstep-console-") as Place.folder:
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
