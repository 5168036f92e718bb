#!/usr/bin/env python3
"""What requests count: limits, prices, tiers and the log: limits_test.py LOCKSTEP MODEL.gguf

Needs the packages of server_test.py.
"""

import json
import time

from support import QUESTION, Server, Test, long_talker, main, read_until, tiny

BASE = "/v1/organization"
CHAT = "/v1/chat/completions"
RATE_HEADERS = {f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in ("requests", "tokens")}


class Key:
    """A key of a server, and what is asked with it."""

    def __init__(self, server, secret):
        self.server, self.secret = server, secret

    def ask(self, method, path, body=None):
        """Status, headers and parsed body; a body of bytes goes as it is."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.server.send(method, path, data, {"authorization": f"Bearer {self.secret}"})

    def made(self, what, **fields):
        status, _, reply = self.ask("POST", f"{BASE}/{what}", fields)
        if status != 200:
            raise AssertionError(f"{what} {fields}: {status} {reply}")
        return reply

    def key(self, **fields):
        return Key(self.server, self.made("keys", **{"name": "a key", "scopes": ["inference", "read"], **fields})["value"])

    def chat(self, **fields):
        return self.ask("POST", CHAT, {"model": "the-model", "messages": QUESTION, "max_tokens": 1, **fields})

    def log(self, **filters):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return self.ask("GET", f"{BASE}/requests?{query}")[2]["data"]

    def wait_for_row(self, **filters):
        deadline = time.monotonic() + 10
        while not (rows := self.log(**filters)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no request {filters} in the log")
            time.sleep(0.02)
        return rows[0]


class Counts(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--price", "1,2", model=tiny(), context=256, keys=True)
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.owner = Key(cls.server, cls.server.key)

    def test_times_far_away(self):
        for path in ("usage", "requests"):
            for time_s in (9223372036854775, 253402300800):
                status, _, reply = self.owner.ask("GET", f"{BASE}/{path}?from={time_s}&until={time_s}")
                self.assertEqual(400, status)
                self.assertIn(reply["error"]["param"], ("from", "until"))
            for end in (253402300799, 0):
                self.assertEqual(200, self.owner.ask("GET", f"{BASE}/{path}?from={end}&until={end}")[0])
        status, _, reply = self.owner.ask("POST", f"{BASE}/keys", {"name": "x", "scopes": ["read"], "expires_at": 253402300800})
        self.assertEqual((400, "expires_at"), (status, reply["error"]["param"]))

    def test_an_answer_without_a_length_fits_into_a_small_limit(self):
        small = self.owner.key(limits=[{"tokens_per_minute": 100}])
        body = {"model": "the-model", "messages": QUESTION}
        status, headers, reply = small.ask("POST", CHAT, body)
        self.assertEqual(200, status, reply)
        self.assertEqual("100", headers["x-ratelimit-limit-tokens"])
        # What it asks for itself must fit.
        status, _, reply = small.chat(max_tokens=150)
        self.assertEqual((413, "rate_limit_exceeded", "tokens"), (status, reply["error"]["code"], reply["error"]["type"]))
        self.assertRegex(reply["error"]["message"], r"^Request too large for model `the-model` in organization `org_\w+` service "
                         r"tier `on_demand` on tokens per minute \(TPM\): Limit 100, Requested \d+, please reduce your message "
                         r"size and try again\. The limit is that of key `key_\w+` for all models\.$")

    def test_a_limit_of_0_lets_nothing_through(self):
        for kind, name in (("requests_per_minute", r"requests per minute \(RPM\)"), ("concurrent", "concurrent requests"),
                           ("tokens_per_day", r"tokens per day \(TPD\)")):
            with self.subTest(kind):
                status, headers, reply = self.owner.key(limits=[{kind: 0}]).chat()
                self.assertEqual((403, "permission_denied"), (status, reply["error"]["code"]))
                self.assertNotIn("retry-after", headers)
                self.assertRegex(reply["error"]["message"], r"^No request is let through for model `the-model` in organization "
                                 rf"`org_\w+` service tier `on_demand` on {name}: Limit 0\. The limit is that of key `key_\w+` for "
                                 r"all models\. Whoever set it can raise it\.$")

    def test_the_field_that_names_what_is_not_there(self):
        new = {"name": "k", "scopes": ["read"]}
        for path, fields, param in (("keys", {**new, "project_id": "proj_none"}, "project_id"),
                                    ("keys", {**new, "member_id": "member_none"}, "member_id"),
                                    ("limits", {"subject": "key", "subject_id": "key_none", "concurrent": 1}, "subject_id")):
            status, _, reply = self.owner.ask("POST", f"{BASE}/{path}", fields)
            self.assertEqual((404, "not_found", param), (status, reply["error"]["code"], reply["error"]["param"]))
        status, _, reply = self.owner.ask("POST", "/v1/batches", {
            "input_file_id": "file_none", "endpoint": CHAT, "completion_window": "24h"})
        self.assertEqual((404, "input_file_id"), (status, reply["error"]["param"]))

    def test_the_sentence_and_headers_of_a_refusal(self):
        limited = self.owner.key(limits=[{"model": "the-model", "requests_per_minute": 1}])
        self.assertEqual(200, limited.chat()[0])
        status, headers, reply = limited.chat(service_tier="flex")
        self.assertEqual((429, "rate_limit_exceeded", "requests"), (status, reply["error"]["code"], reply["error"]["type"]))
        self.assertRegex(reply["error"]["message"], r"^Rate limit reached for model `the-model` in organization `org_\w+` service "
                         r"tier `flex` on requests per minute \(RPM\): Limit 1, Used 1, Requested 1\. Please try again in "
                         r"[\dm.]+s\. The limit is that of key `key_\w+`\.$")
        self.assertGreater(int(headers["retry-after-ms"]), 0)
        self.assertEqual(-(-int(headers["retry-after-ms"]) // 1000), int(headers["retry-after"]))
        row = limited.wait_for_row(status_from=429)
        self.assertEqual(("the-model", "flex", 0, "0"), (row["model"], row["service_tier"], row["input_tokens"], row["usd"]))
        self.assertEqual(CHAT, row["endpoint"])

    def test_another_name_is_the_same_model(self):
        limited = self.owner.key(limits=[{"model": "org/alias", "requests_per_minute": 1}])
        status, _, reply = limited.chat(model="org/alias")
        self.assertEqual((200, "org/alias"), (status, reply["model"]))
        for name in ("the-model", "org/alias"):
            self.assertEqual(429, limited.chat(model=name)[0])
        row = limited.wait_for_row(model="org/alias", status_to=200)
        self.assertEqual(("the-model", True), (row["model"], float(row["usd"]) > 0))
        limit = self.owner.made("limits", subject="key", subject_id=row["key_id"], model="org/alias", requests_per_minute=7)
        self.assertEqual("the-model", limit["model"])

    def test_every_reply_tells_what_is_left(self):
        limited = self.owner.key(limits=[{"model": "the-model", "requests_per_day": 50, "tokens_per_minute": 5000}])
        left = 50
        for method, path, body, wanted in (
                ("GET", "/v1/models", None, 200), ("POST", CHAT, b"{", 400),
                ("POST", CHAT, {"model": "none", "messages": QUESTION}, 404), ("POST", "/v1/tokenize", {"prompt": "x"}, 200),
                ("POST", CHAT, {"model": "the-model", "messages": QUESTION, "max_tokens": 1}, 200),
                ("POST", CHAT, {"model": "the-model", "messages": QUESTION, "max_tokens": 1, "stream": True}, 200),
                ("POST", CHAT, {"model": "the-model", "messages": QUESTION * 400}, 400)):
            with self.subTest(path=path, wanted=wanted):
                status, headers, reply = limited.ask(method, path, body)
                self.assertEqual(wanted, status, reply)
                left -= wanted == 200 and path == CHAT
                self.assertEqual(RATE_HEADERS, {name.lower() for name in headers if name.lower().startswith("x-ratelimit")})
                self.assertEqual(str(left), headers["x-ratelimit-remaining-requests"])

    def test_performance_is_what_an_owner_allows(self):
        project = self.owner.made("projects", name="fast")
        key = self.owner.key(project_id=project["id"])
        self.assertFalse(project["performance"])
        status, _, reply = key.chat(service_tier="performance")
        self.assertEqual((403, "permission_denied", "service_tier"), (status, reply["error"]["code"], reply["error"]["param"]))
        member = self.owner.made("members", name="developer", role="developer")["id"]
        developer = self.owner.key(scopes=["admin"], member_id=member, project_id=project["id"])
        self.assertEqual(403, developer.ask("POST", f"{BASE}/projects/{project['id']}", {"performance": True})[0])
        self.assertEqual(200, developer.ask("POST", f"{BASE}/projects/{project['id']}", {"log_days": 7})[0])
        self.assertTrue(self.owner.made(f"projects/{project['id']}", performance=True)["performance"])
        status, _, reply = key.chat(service_tier="performance")
        self.assertEqual((200, "performance"), (status, reply["service_tier"]), reply)
        self.assertEqual("performance", key.wait_for_row(status_to=200)["service_tier"])

    def test_texts_of_refused_requests_are_not_kept(self):
        project = self.owner.made("projects", name="storing", store_bodies=True)
        key = self.owner.key(project_id=project["id"])
        kept = None
        status, headers, _ = key.chat()
        self.assertEqual(200, status)
        kept = key.wait_for_row(status_to=200)
        self.assertIn("sky", key.ask("GET", f"{BASE}/requests/{kept['id']}")[2]["request_body"])
        # Neither one that no database takes.
        for body in (b'{"model": "the-model\xff"}', b'{"messages": "sky\x00"}'):
            status, headers, _ = key.ask("POST", CHAT, body)
            self.assertEqual(400, status)
            row = key.wait_for_row(id=headers["x-request-id"])
            self.assertIsNone(key.ask("GET", f"{BASE}/requests/{row['id']}")[2]["request_body"])

    def test_a_wrong_cap_is_named(self):
        for text in ("much", "-1", "1e3"):
            status, _, reply = self.owner.ask("POST", f"{BASE}/spend_caps", {"subject": "project", "usd_per_month": text})
            self.assertEqual((400, "usd_per_month"), (status, reply["error"]["param"]), reply)

    def test_groqs_paths_are_the_same_endpoint(self):
        key = self.owner.key()
        body = {"model": "the-model", "messages": QUESTION, "max_tokens": 1}
        self.assertEqual(200, key.ask("POST", "/openai" + CHAT, body)[0])
        self.assertEqual(CHAT, key.wait_for_row(status_to=200)["endpoint"])


class Cancelled(Test):
    def test_what_was_computed_is_what_it_costs(self):
        with Server("--price", "1,2", model=long_talker(), context=8192, keys=True) as server:
            owner = Key(server, server.key)
            head = server.post(stream=True, ignore_eos=True, max_tokens=8000, stop=["no such text"])
            head = head.replace(b"Content-Length", b"Authorization: Bearer " + server.key.encode() + b"\r\nContent-Length", 1)
            with server.connect() as connection:
                connection.sendall(head)
                read_until(connection, b"content")
            row = owner.wait_for_row(status_from=499)
            self.assertGreater(row["input_tokens"], 5)
            self.assertGreater(row["output_tokens"], 0)
            self.assertLess(row["output_tokens"], 8000)
            self.assertGreater(float(row["usd"]), 0)


class Restarted(Test):
    def test_a_restart_knows_what_was_admitted(self):
        with Server(model=tiny(), context=256, keys=True) as first:
            owner = Key(first, first.key)
            owner.made("limits", subject="key", requests_per_day=20, requests_per_minute=6)
            statuses = [owner.chat()[0] for _ in range(9)] + [owner.ask("POST", CHAT, b"{")[0]]
            self.assertEqual([200] * 6 + [429] * 3 + [400], statuses)
            left = owner.ask("GET", "/v1/models")[1]["x-ratelimit-remaining-requests"]
            self.assertEqual("14", left)
        with Server(model=tiny(), context=256, keys=True, data=first.data) as second:
            self.assertEqual(left, Key(second, first.key).ask("GET", "/v1/models")[1]["x-ratelimit-remaining-requests"])

    def test_the_first_start_with_keys_tells_one(self):
        with Server(model=tiny(), context=256) as opened:
            self.assertEqual(200, opened.get("/v1/models")[0])
        with Server(model=tiny(), context=256, keys=True, data=opened.data) as asking:
            self.assertRegex(asking.key, "^lsk_")
            self.assertEqual(200, Key(asking, asking.key).ask("GET", "/v1/models")[0])
        with Server(model=tiny(), context=256, keys=True, data=opened.data) as again:
            self.assertEqual("none", again.key)
            self.assertEqual(200, Key(again, asking.key).ask("GET", "/v1/models")[0])

    def test_a_price_that_is_none_is_told_before_the_model_is_read(self):
        self.refused("serve", "-m", "no-such-model.gguf", "--port", 0, "--price", "cheap", says="--price cheap")


if __name__ == "__main__":
    main()
