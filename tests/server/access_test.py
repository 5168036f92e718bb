#!/usr/bin/env python3
"""Who may do what: every route of a running server, asked by every kind of caller: access_test.py LOCKSTEP MODEL.gguf

The routes are those of /openapi.json; what they need is written here a second time, and a route that is not here is a
failure. Nobody may do what the role or the key does not allow, or learn of another organisation's or project's data.
Needs the packages openai, groq and gguf.
"""

import contextlib
import http.client
import itertools
import json
import os
import time

from support import QUESTION, Place, Server, Test, main

from cli.support import lockstep, tiny

ROLES = ("reader", "developer", "owner")
SCOPES = ("inference", "files", "read", "admin")
# The lowest role and the scope.
INFER, FILES, READ = ("developer", "inference"), ("developer", "files"), ("reader", "read")
SEE, KEYS, PROJECTS = ("reader", "admin"), ("developer", "admin"), ("developer", "admin")
MEMBERS, LIMITS = ("owner", "admin"), ("owner", "admin")
ANYONE, ANY_KEY = "anyone", "any key"

BASE = "/v1/organization"
NEEDS = {
    "GET /openapi.json": ANYONE, "GET /healthz": ANYONE, "GET /health": ANYONE, "GET /readyz": ANYONE,
    "GET /api/version": ANYONE, "GET /metrics": READ, "GET /": ANYONE, "GET /console/{file}": ANYONE,
    "GET /v1/models": INFER, "GET /v1/models/{model}": INFER, "POST /v1/chat/completions": INFER,
    "POST /v1/completions": INFER, "POST /v1/responses": INFER, "POST /v1/embeddings": INFER,
    "POST /v1/tokenize": INFER, "POST /tokenize": INFER, "POST /v1/detokenize": INFER, "POST /detokenize": INFER,
    "POST /api/chat": INFER, "POST /api/generate": INFER, "POST /api/embed": INFER, "GET /api/tags": INFER,
    "POST /api/show": INFER, "GET /api/ps": INFER,
    "GET /v1/files": FILES, "POST /v1/files": FILES, "GET /v1/files/{file_id}": FILES, "DELETE /v1/files/{file_id}": FILES,
    "GET /v1/files/{file_id}/content": FILES, "GET /v1/batches": FILES, "POST /v1/batches": FILES,
    "GET /v1/batches/{batch_id}": FILES, "POST /v1/batches/{batch_id}/cancel": FILES,
    f"GET {BASE}": ANY_KEY,
    f"GET {BASE}/projects": SEE, f"POST {BASE}/projects": PROJECTS, f"GET {BASE}/projects/{{project_id}}": SEE,
    f"POST {BASE}/projects/{{project_id}}": PROJECTS, f"POST {BASE}/projects/{{project_id}}/archive": PROJECTS,
    f"GET {BASE}/members": SEE, f"POST {BASE}/members": MEMBERS, f"GET {BASE}/members/{{member_id}}": SEE,
    f"POST {BASE}/members/{{member_id}}": MEMBERS, f"DELETE {BASE}/members/{{member_id}}": MEMBERS,
    f"GET {BASE}/keys": SEE, f"POST {BASE}/keys": KEYS, f"GET {BASE}/keys/{{key_id}}": SEE,
    f"DELETE {BASE}/keys/{{key_id}}": KEYS,
    f"GET {BASE}/limits": SEE, f"POST {BASE}/limits": LIMITS, f"GET {BASE}/spend_caps": SEE,
    f"POST {BASE}/spend_caps": LIMITS,
    f"GET {BASE}/usage": READ, f"GET {BASE}/requests": READ, f"GET {BASE}/requests/{{request_id}}": READ,
    f"GET {BASE}/live": READ,
}
# Rows of one project alone, whoever else of the organisation asks.
OF_ONE_PROJECT = (f"{BASE}/requests/", "/v1/files/", "/v1/batches/")
TEXT = {"model": "the-model", "max_tokens": 1}


def allowed(need, role, scopes):
    return ROLES.index(role) >= ROLES.index(need[0]) and need[1] in scopes


class Caller:
    """A key, and what is known of it."""

    def __init__(self, name, secret, role=None, scopes=(), project=None):
        self.name, self.secret, self.role, self.scopes, self.project = name, secret, role, scopes, project


class Access(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(model=tiny(), context=256, keys=True)
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.numbers = itertools.count()
        cls.mine = Caller("owner", cls.server.key, "owner", SCOPES)
        cls.account = cls.ask(cls.mine, "GET", BASE)[1]
        cls.mine.project = cls.account["project_id"]
        cls.other_project = cls.made("projects", name="other project")["id"]
        cls.members = {role: cls.made("members", name=f"a {role}", role=role)["id"] for role in ROLES}
        said = lockstep("accounts", "organisation", "add", "rival organisation", "--data-dir", cls.server.data).out
        rival = said.split()[-1]
        while cls.ask(Caller("rival", rival), "GET", BASE)[0] == 401:  # known within a second
            time.sleep(0.05)
        cls.rival = Caller("another organisation's owner", rival, "owner", SCOPES)
        cls.rival_account = cls.ask(cls.rival, "GET", BASE)[1]
        cls.fill()
        cls.callers = list(cls.make_callers())

    @classmethod
    def ask(cls, caller, method, path, body=None, prefix=""):
        """Status and parsed body."""
        headers = {"authorization": f"Bearer {caller.secret}"} if caller.secret else {}
        data = None if body is None else json.dumps(body).encode()
        status, _, reply = cls.server.send(method, prefix + path, data, headers)
        return status, reply

    @classmethod
    def made(cls, what, caller=None, **fields):
        status, reply = cls.ask(caller or cls.mine, "POST", f"{BASE}/{what}", fields)
        if status != 200:
            raise AssertionError(f"{what} {fields}: {status} {reply}")
        return reply

    @classmethod
    def fill(cls):
        """What there is to be found out: names and ids that nobody else may see."""
        cls.key = cls.made("keys", name="secret key name", scopes=["inference", "read"])
        cls.made("limits", subject="project", model="secret-model", requests_per_minute=100000)
        cls.made("spend_caps", subject="project", usd_per_month="1234.5")
        status, _, _ = cls.server.send("POST", f"{BASE}/projects/{cls.mine.project}",
                                       json.dumps({"store_bodies": True, "name": "secret project"}).encode(),
                                       {"authorization": f"Bearer {cls.mine.secret}"})
        assert status == 200
        chat = {**TEXT, "messages": [{"role": "user", "content": "secret prompt"}]}
        for _ in range(50):  # the project's setting is in force
            assert cls.ask(cls.mine, "POST", "/v1/chat/completions", chat)[0] == 200
            cls.request = cls.ask(cls.mine, "GET", f"{BASE}/requests?limit=1")[1]["data"][0]["id"]
            if "secret prompt" in (cls.ask(cls.mine, "GET", f"{BASE}/requests/{cls.request}")[1]["request_body"] or ""):
                break
        else:
            raise AssertionError("the texts of requests are not stored")
        cls.secrets = ["secret", "1234.5", cls.request, cls.key["id"], cls.mine.project, cls.account["member_id"]]

    @classmethod
    def make_callers(cls):
        yield Caller("no key", "")
        yield Caller("a wrong key", cls.key["value"][:-1] + ("a" if cls.key["value"][-1] != "a" else "b"))
        yield Caller("no key's form", "Bearer x")
        revoked = cls.made("keys", name="revoked", scopes=SCOPES)
        assert cls.ask(cls.mine, "DELETE", f"{BASE}/keys/{revoked['id']}")[0] == 200
        yield Caller("a revoked key", revoked["value"])
        end = int(time.time()) + 1
        expired = cls.made("keys", name="expired", scopes=SCOPES, expires_at=end)
        time.sleep(max(0, end + 0.1 - time.time()))
        yield Caller("an expired key", expired["value"])
        sets = [(scope,) for scope in SCOPES] + [SCOPES]
        for project, role, scopes in itertools.product((cls.mine.project, cls.other_project), ROLES, sets):
            place = "own" if project == cls.mine.project else "other project"
            made = cls.made("keys", name="a caller", scopes=scopes, project_id=project, member_id=cls.members[role])
            yield Caller(f"{place}: {role} with {','.join(scopes)}", made["value"], role, scopes, project)
        yield cls.rival

    def routes(self):
        document = self.ask(self.mine, "GET", "/openapi.json")[1]
        items = document["components"].get("pathItems", {})
        for path, item in document["paths"].items():
            item = items[item["$ref"].split("/")[-1]] if "$ref" in item else item
            for method in item:
                if method in ("get", "post", "delete", "put", "patch"):
                    yield f"{method.upper()} {path}"

    def target(self, route, caller):
        """A path and body that are good for this server's first owner; what they change is made for them alone."""
        method, path = route.split(" ", 1)
        number = next(self.numbers)
        fresh = {"scopes": ["inference"], "name": f"secret sacrifice {number}"}
        ids = {"model": "the-model", "file": "console.css", "request_id": self.request, "file_id": "file_none", "batch_id": "batch_none",
               "project_id": self.mine.project, "key_id": self.key["id"], "member_id": self.account["member_id"]}
        can = caller.role and (NEEDS[route] in (ANYONE, ANY_KEY) or allowed(NEEDS[route], caller.role, caller.scopes))
        if can and caller is not self.rival:
            if method == "DELETE" and "{key_id}" in path:
                ids["key_id"] = self.made("keys", member_id=self.members["reader"], **fresh)["id"]
            if "{member_id}" in path and method != "GET":
                ids["member_id"] = self.made("members", name=fresh["name"], role="reader")["id"]
            if "{project_id}" in path and method == "POST":
                ids["project_id"] = self.made("projects", name=fresh["name"])["id"]
        body = {
            "POST /v1/chat/completions": {**TEXT, "messages": QUESTION},
            "POST /v1/completions": {**TEXT, "prompt": "x"},
            "POST /v1/responses": {"model": "the-model", "max_output_tokens": 1, "input": "x"},
            "POST /v1/embeddings": {"model": "the-model", "input": "x"},
            "POST /v1/tokenize": {"prompt": "x"}, "POST /tokenize": {"prompt": "x"},
            "POST /v1/detokenize": {"tokens": [5]}, "POST /detokenize": {"tokens": [5]},
            "POST /api/chat": {"model": "the-model", "messages": QUESTION, "stream": False, "options": {"num_predict": 1}},
            "POST /api/generate": {"model": "the-model", "prompt": "x", "stream": False, "options": {"num_predict": 1}},
            "POST /api/embed": {"model": "the-model", "input": "x"}, "POST /api/show": {"model": "the-model"},
            f"POST {BASE}/projects": {"name": fresh["name"]},
            f"POST {BASE}/projects/{{project_id}}": {"log_days": 399},
            f"POST {BASE}/members": {"name": fresh["name"], "role": "reader"},
            f"POST {BASE}/members/{{member_id}}": {"role": "reader"},
            f"POST {BASE}/keys": {"name": fresh["name"], "scopes": ["admin"], "project_id": self.mine.project},
            f"POST {BASE}/limits": {"subject": "key", "subject_id": self.key["id"], "model": f"m{number}", "concurrent": 9},
            f"POST {BASE}/spend_caps": {"subject": "project", "subject_id": self.mine.project, "usd_per_month": "1234.5"},
        }.get(route)
        path = path.format(**ids)
        if route == f"GET {BASE}/requests" and caller.role and "admin" not in caller.scopes:
            path += "?limit=1000"
        return method, path, body

    def test_every_route_is_known_here(self):
        self.assertEqual([], [route for route in self.routes() if route not in NEEDS])

    def test_every_route_by_every_caller(self):
        for route in self.routes():
            for caller in self.callers:
                with self.subTest(route=route, caller=caller.name):
                    self.check(route, caller)

    def refused(self, path, wanted, status, reply):
        """By this status, code and a sentence with these words, which is all that clients of Ollama's API are told."""
        error = reply["error"]
        if path.startswith("/api/"):
            error = {"code": wanted[1], "message": error}
        self.assertEqual(wanted[:2], (status, error["code"]), reply)
        self.assertIn(wanted[2], error["message"])

    def check(self, route, caller):
        need = NEEDS[route]
        method, path, body = self.target(route, caller)
        status, reply = self.ask(caller, method, path, body)
        if need == ANYONE:
            return self.assertEqual(200, status, reply)
        if caller.role is None:
            self.refused(path, (401, "invalid_api_key", ""), status, reply)
            if path.startswith("/v1/"):
                self.assertEqual(401, self.ask(caller, method, path, body, prefix="/openai")[0])
            return
        if need != ANY_KEY and not allowed(need, caller.role, caller.scopes):
            return self.refused(path, (403, "permission_denied", need[1]), status, reply)
        names_ours = "{" in route and "{model}" not in route or body and {"subject_id", "project_id"} & set(body)
        if caller is self.rival:
            if names_ours:
                self.assertEqual(404, status, reply)
            else:
                self.assertLess(status, 500, reply)
                self.assertNotIn(status, (401, 403), reply)
            said = json.dumps(reply)
            for secret in self.secrets:
                if secret not in path and secret not in json.dumps(body or {}):
                    self.assertNotIn(secret, said)
            return
        if caller.project == self.other_project and any(path.startswith(one) for one in OF_ONE_PROJECT):
            return self.assertEqual(404, status, reply)
        if "_none" in path:
            return self.assertEqual(404, status, reply)
        if route == "POST /v1/batches" and "inference" not in caller.scopes:
            return self.assertEqual(403, status, reply)
        if route in ("POST /v1/files", "POST /v1/batches"):  # their own tests send good ones
            return self.assertEqual(400, status, reply)
        if route == f"POST {BASE}/keys" and caller.project == self.other_project and caller.role != "owner":
            return self.assertEqual(403, status, reply)
        self.assertEqual(200, status, reply)
        if caller.project == self.other_project and path.startswith((f"{BASE}/requests", f"{BASE}/usage")):
            said = json.dumps(reply)
            self.assertNotIn(self.request, said)
            self.assertNotIn("secret", said)

    def test_a_log_tells_of_its_own_project_alone(self):
        readers = {caller.project: caller for caller in self.callers if caller.role == "reader" and caller.scopes == ("read",)}
        for project, reader in readers.items():
            seen = self.ask(reader, "GET", f"{BASE}/requests?limit=1000")[1]["data"]
            self.assertEqual({project} if seen else set(), {one["project_id"] for one in seen})
            refused = self.ask(reader, "GET", f"{BASE}/requests?reach=organization")
            self.assertEqual(403, refused[0], refused)
            self.assertEqual(403, self.ask(reader, "GET", f"{BASE}/usage?reach=organization&group_by=project")[0])
        for form in ("jsonl", "csv"):
            connection = Caller("", readers[self.other_project].secret)
            text = self.text(connection, f"{BASE}/requests?format={form}")
            self.assertNotIn(self.mine.project, text)
        self.assertIn(self.request, self.text(self.mine, f"{BASE}/requests?format=csv"))

    def text(self, caller, path):
        with contextlib.closing(http.client.HTTPConnection(*self.server.place, timeout=30)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {caller.secret}"})
            response = connection.getresponse()
            self.assertEqual(200, response.status)
            return response.read().decode()

    def test_a_key_gives_no_more_than_it_has(self):
        admin = self.made("keys", name="admin alone", scopes=["admin"], member_id=self.members["developer"],
                          expires_at=int(time.time()) + 1000)
        caller = Caller("", admin["value"])
        for body in ({"scopes": ["inference"]}, {"scopes": ["admin"]}, {"scopes": ["admin"], "expires_at": int(time.time()) + 2000},
                     {"scopes": ["admin"], "expires_at": int(time.time()) + 10, "member_id": self.members["owner"]}):
            self.assertEqual(403, self.ask(caller, "POST", f"{BASE}/keys", {"name": "more", **body})[0], body)
        good = {"name": "less", "scopes": ["admin"], "expires_at": int(time.time()) + 10}
        self.assertEqual(200, self.ask(caller, "POST", f"{BASE}/keys", good)[0])
        self.assertEqual(403, self.ask(caller, "POST", f"{BASE}/keys", {**good, "project_id": self.other_project})[0])

    def test_no_key_is_ever_told_twice(self):
        made = self.made("keys", name="told once", scopes=["read"])
        for path in (f"{BASE}/keys/{made['id']}", f"{BASE}/keys?limit=100"):
            self.assertNotIn(made["value"], json.dumps(self.ask(self.mine, "GET", path)[1]))
        self.assertNotIn(made["value"], self.server.log())
        with open(f"{self.server.data}/lockstep.db", "rb") as file:
            self.assertNotIn(made["value"].encode(), file.read())

    def test_the_last_owner_and_the_own_project_stay(self):
        owners = [one["id"] for one in self.ask(self.rival, "GET", f"{BASE}/members")[1]["data"]]
        self.assertEqual(409, self.ask(self.rival, "DELETE", f"{BASE}/members/{owners[0]}")[0])
        project = self.rival_account["project_id"]
        self.assertEqual(409, self.ask(self.rival, "POST", f"{BASE}/projects/{project}/archive", {})[0])

    def test_every_field_is_taken_or_refused_by_name(self):
        for method, path, body, field in (
                ("POST", f"{BASE}/keys", {"name": "x", "scopes": ["read"], "role": "owner"}, "role"),
                ("POST", f"{BASE}/keys", {"name": "x", "scopes": ["root"]}, "scopes"),
                ("POST", f"{BASE}/keys", {"name": "x", "scopes": ["read"], "limits": [{"rpm": 1}]}, "limits.0.rpm"),
                ("POST", f"{BASE}/projects", {"name": "x", "archived": True}, "archived"),
                ("POST", f"{BASE}/projects", {"name": "x" * 201}, "name"),
                ("POST", f"{BASE}/members", {"name": "x", "role": "king"}, "role"),
                ("POST", f"{BASE}/limits", {"subject": "member"}, "subject"),
                ("POST", f"{BASE}/limits", {"subject": "project", "concurrent": -1}, "concurrent"),
                ("GET", f"{BASE}/usage?perod=day", None, "perod"),
                ("GET", f"{BASE}/usage?from=5&from=6", None, "from"),
                ("GET", f"{BASE}/requests?limit=0", None, "limit"),
                ("GET", f"{BASE}/keys?after=key_none", None, "after"),
                ("GET", f"{BASE}/live?x=1", None, "x")):
            with self.subTest(path=path, body=body):
                status, reply = self.ask(self.mine, method, path, body)
                self.assertEqual((400, field), (status, reply["error"]["param"]), reply)

    def test_lists_come_in_pages(self):
        for i in range(5):
            self.made("keys", name=f"page {i}", scopes=["read"])
        whole = self.ask(self.mine, "GET", f"{BASE}/keys?limit=100")[1]
        paged, after = [], ""
        while True:
            page = self.ask(self.mine, "GET", f"{BASE}/keys?limit=7{after}")[1]
            paged += page["data"]
            after = f"&after={page['last_id']}"
            if not page["has_more"]:
                break
        ids = [one["id"] for one in paged]
        self.assertEqual([one["id"] for one in whole["data"]], ids[:100])
        self.assertEqual(len(ids), len(set(ids)))

    def test_an_export_is_the_whole_log(self):
        for _ in range(12):
            self.assertEqual(200, self.ask(self.mine, "POST", "/v1/chat/completions", {**TEXT, "messages": QUESTION})[0])
        listed, cursor = [], ""
        while True:
            page = self.ask(self.mine, "GET", f"{BASE}/requests?limit=10{cursor}")[1]
            listed += page["data"]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        lines = self.text(self.mine, f"{BASE}/requests?format=jsonl").splitlines()
        self.assertEqual([one["id"] for one in listed], [json.loads(line)["id"] for line in lines])
        self.assertGreater(len(lines), 10)


class CommandLine(Test):
    def test_accounts(self):
        folder = Place.path("accounts-data")
        self.good("accounts", "organisation", "add", "acme", "--data-dir", folder)
        said = self.good("accounts", "key", "add", "--name", "laptop", "--scopes", "inference,read", "--days", 3,
                         "--data-dir", folder).out
        key_id, secret = said.split()[0], said.split()[-1]
        (organisation,) = self.good("accounts", "list", "--json", "--data-dir", folder).json
        self.assertEqual("acme", organisation["name"])
        keys = {key["id"]: key for key in organisation["keys"]}
        self.assertEqual(("laptop", "in force", "inference,read"), tuple(keys[key_id][name] for name in ("name", "state", "scopes")))
        self.assertNotIn(secret, json.dumps(organisation))
        self.good("accounts", "key", "revoke", key_id, "--data-dir", folder)
        self.assertIn("revoked", self.good("accounts", "list", "--data-dir", folder).out)
        for arguments, words in (
                (["key", "revoke", "key_none"], "there is no key 'key_none'"),
                (["key", "add", "--name", "x", "--scopes", "all"], "possible are inference,files,read,admin"),
                (["key", "add", "--name", "x", "--organisation", "none"], "there is no organisation 'none'")):
            self.refused("accounts", *arguments, "--data-dir", folder, says=words)
        self.refused("accounts", "organisation", "add", "", "--data-dir", folder, says="the name of an organization")

    def test_where_no_database_is(self):
        folder = Place.path("no-accounts")
        for arguments in (["list"], ["key", "add", "--name", "x"], ["key", "revoke", "key_x"]):
            for place in (["--data-dir", folder], ["--db", folder], ["--db", f"sqlite:{folder}"]):
                self.refused("accounts", *arguments, *place, says="there is no database of accounts here")
        self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    main()
