#!/usr/bin/env python3
"""Tests what the console does with keys, limits, projects and members: console_accounts_test.py LOCKSTEP MODEL.gguf [--pictures FOLDER]

With --pictures it also makes those of the documentation.
"""

import json
import time

from console_page import BASE, Page, SHOUT, main


class Keys(Page):
    def set_in_limits(self, action, values):
        """Has the section of the limits do what this button says, with these values in its dialog."""
        self.section("limits")
        self.click("#limits button", action)
        for id_, value in values.items():
            self.set(id_, value)
        self.click("dialog button", "Save")

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

    def test_what_a_list_shows_of_a_key_is_no_key(self):
        self.expected = [401]
        self.go(key=False)
        self.enter_key(self.server.key[:12] + "\u2026")
        self.wait("document.querySelector('dialog .error').textContent")
        self.assertIn("This is no key", self.text("dialog .error"))
        self.enter_key(self.server.key)
        self.wait("!document.querySelector('dialog') && document.getElementById('model').options.length")

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
        self.set_in_limits("Set a limit", {"limit-requests_per_day": "5000"})
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
        self.set_in_limits("Set a limit", {"limit-subject": f"key {made['id']}", "limit-requests_per_minute": "1"})
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

    def test_a_limit_that_is_there_is_kept(self):
        self.server.ask("POST", f"{BASE}/limits", {"subject": "organization", "requests_per_minute": 70000})
        self.server.ask("POST", f"{BASE}/limits", {"subject": "organization", "model": "smollm2-135m", "tokens_per_day": 80000000})
        self.section("limits")
        self.wait("document.querySelector('#limits table')?.innerText.includes('70,000')")
        self.click("#limits button", "Set a limit")
        self.wait("document.getElementById('limit-subject')")
        boxes = ("requests_per_minute", "tokens_per_minute", "tokens_per_day")
        shown = lambda: [self.browser.run(f"document.getElementById('limit-{box}').value") for box in boxes]
        self.set("limit-subject", self.browser.run("document.querySelector('#limit-subject optgroup option').value"))
        self.assertEqual(["70000", "", ""], shown())
        self.set("limit-model", "smollm2-135m")
        self.assertEqual(["", "", "80000000"], shown())
        self.set("limit-model", "*")
        self.set("limit-tokens_per_minute", "90000000")
        self.click("dialog button", "Save")
        self.wait("document.querySelector('#limits table').innerText.includes('90,000,000')")
        limits = {one["model"]: one for one in self.server.ask("GET", f"{BASE}/limits")[1]["data"] if one["subject"] == "organization"}
        self.assertEqual([70000, 90000000, None], [limits["*"][box] for box in boxes])
        self.assertEqual([None, None, 80000000], [limits["smollm2-135m"][box] for box in boxes])

    def test_a_spend_cap_that_is_there_is_kept(self):
        self.server.ask("POST", f"{BASE}/spend_caps", {"subject": "organization", "usd_per_month": "33.5"})
        self.section("limits")
        self.wait("document.querySelector('#limits meter')")
        self.click("#limits button", "Set a cap")
        self.wait("document.getElementById('cap-amount')")
        self.set("cap-subject", self.browser.run("document.querySelector('#cap-subject optgroup option').value"))
        self.assertEqual("33.5", self.browser.run("document.getElementById('cap-amount').value"))
        self.click("dialog button", "Save")
        self.wait("document.getElementById('status').textContent === 'The cap is set'")
        caps = {one["subject"]: one["usd_per_month"] for one in self.server.ask("GET", f"{BASE}/spend_caps")[1]["data"]}
        self.assertEqual("33.5", caps["organization"])
        self.server.ask("POST", f"{BASE}/spend_caps", {"subject": "organization", "usd_per_month": None})

    def test_a_spend_cap(self):
        self.set_in_limits("Set a cap", {"cap-amount": "12.5"})
        self.wait("document.querySelector('#limits meter')")
        self.assertEqual("12.5", self.server.ask("GET", f"{BASE}/spend_caps")[1]["data"][0]["usd_per_month"])


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


if __name__ == "__main__":
    main(__doc__)
