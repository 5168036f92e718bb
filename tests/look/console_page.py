"""The console of `lockstep serve` in headless Chromium, for its tests."""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
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


def main(description):
    """What the tests of the console have as their main program."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("lockstep")
    parser.add_argument("model")
    parser.add_argument("--pictures")
    arguments, rest = parser.parse_known_args()
    Place.lockstep, Place.model, Place.pictures = arguments.lockstep, arguments.model, arguments.pictures
    with tempfile.TemporaryDirectory(prefix="lockstep-console-") as Place.folder:
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
