#!/usr/bin/env python3
"""Tests the console as a whole: its looks, what it tells of requests and batches, the keyboard: console_test.py LOCKSTEP MODEL.gguf [--pictures FOLDER]

With --pictures it also makes those of the documentation.
"""

import http.client
import json
import threading
import time

from console_page import BASE, Page, SECTIONS, SHOUT, main


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


if __name__ == "__main__":
    main(__doc__)
