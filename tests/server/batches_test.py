#!/usr/bin/env python3
"""Tests of files and batches of 'lockstep serve' with the official clients: batches_test.py LOCKSTEP MODEL.gguf

Needs the packages of server_test.py.
"""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import time
import urllib.parse

import openai

from support import Server, Test, long_talker, main, tiny

ENDED = ("completed", "failed", "expired", "cancelled")


def line(custom_id, url="/v1/chat/completions", method="POST", **fields):
    body = {"model": "the-model", "messages": [{"role": "user", "content": custom_id}], "max_tokens": 8,
            "temperature": 0, "ignore_eos": True, **fields}
    return {"custom_id": custom_id, "method": method, "url": url, "body": body}


def jsonl(lines):
    return "".join(json.dumps(one) + "\n" for one in lines).encode()


def upload(client, lines, name="input.jsonl"):
    return client.files.create(file=(name, jsonl(lines)), purpose="batch")


def make_batch(client, lines, **fields):
    return client.batches.create(**{"input_file_id": upload(client, lines).id, "endpoint": "/v1/chat/completions",
                                    "completion_window": "24h", **fields})


def send_alone(client, line):
    """The answer to a line's request, sent as others are."""
    fields = dict(line["body"])
    extra = {"ignore_eos": fields.pop("ignore_eos")}
    return client.chat.completions.create(**fields, extra_body=extra)


def wait_for_batch(client, batch_id, reached=lambda batch: batch.status in ENDED, seconds=60):
    deadline = time.monotonic() + seconds
    while not reached(batch := client.batches.retrieve(batch_id)):
        if time.monotonic() > deadline:
            raise AssertionError(f"the batch does not get on: {batch}")
        time.sleep(0.02)
    return batch


def content(client, file_id):
    return client.files.content(file_id).read()


def results(client, file_id):
    """The lines of a file of results by custom id; none may be there twice."""
    found = {}
    for text in content(client, file_id).splitlines() if file_id else []:
        one = json.loads(text)
        if one["custom_id"] in found:
            raise AssertionError(f"{one['custom_id']} is there twice")
        found[one["custom_id"]] = one
    return found


def records(server, batch_id):
    """Rows of the request log: status, tier and tokens of each line."""
    with contextlib.closing(sqlite3.connect(os.path.join(server.data, "lockstep.db"))) as database:
        return database.execute("SELECT status, tier, completion_tokens FROM request_log WHERE batch_id = ?",
                                (batch_id,)).fetchall()


def get_raw(server, path, key=None):
    """Status, headers and bytes."""
    connection = http.client.HTTPConnection(*server.place, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"authorization": "Bearer " + (key or server.key)})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def organisation(server, path, **fields):
    """Changes the organisation as its owner; the reply."""
    status, _, reply = server.send("POST", "/v1/organization/" + path, json.dumps(fields),
                                   {"authorization": "Bearer " + server.key})
    if status != 200:
        raise AssertionError(f"{path}: {status} {reply}")
    return reply


class WithTinyServer(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--upload-limit", 1 << 20, model=tiny(), context=256, keys=True)
        cls.addClassCleanup(cls.server.__exit__, None)


class Files(WithTinyServer):
    def test_clients(self):
        for name, package, client in self.server.clients():
            with self.subTest(name):
                data = bytes(range(256)) * 3000  # more than one piece
                made = client.files.create(file=("däta.bin", data), purpose="batch")
                self.assertRegex(made.id, "^file_[0-9a-z]{26}$")
                self.assertEqual(("file", len(data), "däta.bin", "batch"),
                                 (made.object, made.bytes, made.filename, made.purpose))
                retrieve = getattr(client.files, "retrieve", None) or client.files.info
                self.assertEqual(made.model_dump(), retrieve(made.id).model_dump())
                self.assertEqual(data, content(client, made.id))
                self.assertIn(made.id, [file.id for file in client.files.list().data])
                self.assertTrue(client.files.delete(made.id).deleted)
                for action in (retrieve, client.files.delete, client.files.content):
                    with self.assertRaises(package.NotFoundError):
                        action(made.id)
                self.assertNotIn(made.id, [file.id for file in client.files.list().data])

    def test_what_is_kept_and_how_long(self):
        client = self.server.openai()
        made = client.files.create(file=("a", b"x"), purpose="user_data")
        self.assertEqual(made.created_at + 30 * 86400, made.expires_at)
        soon = client.files.create(file=("a", b"x"), purpose="user_data",
                                   expires_after={"anchor": "created_at", "seconds": 3600})
        self.assertEqual(soon.created_at + 3600, soon.expires_at)

    def test_pages(self):
        client = self.server.openai()
        made = [client.files.create(file=(str(i), b"x"), purpose="user_data").id for i in range(5)]
        listed = [file.id for file in client.files.list(purpose="user_data", limit=2, order="asc")]
        self.assertEqual(made, [file for file in listed if file in made])
        self.assertEqual(listed[::-1], [file.id for file in client.files.list(purpose="user_data", limit=3)])
        self.assertEqual([], client.files.list(purpose="batch_output").data)

    def test_names_are_only_names(self):
        client = self.server.openai()
        for name in ("../../etc/passwd", "/etc/passwd", 'quo"te\\', "a b;c=d", "ü" * 100):
            made = client.files.create(file=(name, b"inside"), purpose="user_data")
            self.assertEqual(name.replace('"', '%22'), made.filename)  # as HTML's forms say it
            _, headers, data = get_raw(self.server, f"/v1/files/{made.id}/content")
            self.assertEqual(b"inside", data)
            self.assertEqual("application/octet-stream", headers["content-type"])
            self.assertEqual("attachment; filename*=UTF-8''" + urllib.parse.quote(made.filename, safe=""),
                             headers["content-disposition"].replace("%7E", "~"))
        for path in ("..%2F..%2Flockstep.db", "%2Fetc%2Fpasswd", "file_%00", "..", "%FF"):
            for end in ("", "/content"):
                self.assertIn(get_raw(self.server, f"/v1/files/{path}{end}")[0], (400, 404), path)

    def test_refusals(self):
        for name, package, client in self.server.clients():
            with self.subTest(name):
                for fields, says in [
                    ({"file": ("a", b"x"), "purpose": "fine-tune"}, "'purpose'"),
                    ({"file": ("a", b"x"), "purpose": "batch_output"}, "'purpose'"),
                    ({"file": ("a" * 256, b"x"), "purpose": "batch"}, "'file'"),
                    ({"file": ("a", b"x"), "purpose": "batch", "extra_body": {"color": "red"}}, "'color'"),
                ]:
                    with self.assertRaises(package.BadRequestError) as caught:
                        client.files.create(**fields)
                    self.assertIn(says, str(caught.exception))
                with self.assertRaises(package.APIStatusError) as caught:
                    client.files.create(file=("a", b"x" * (1 << 20)), purpose="batch")
                self.assertEqual(413, caught.exception.status_code)
                with self.assertRaises(package.BadRequestError):
                    client.get("/v1/files?colour=red" if package.__name__ == "groq" else "/files?colour=red",
                               cast_to=object)

    def test_a_project_has_so_much_room(self):
        with Server("--project-files", 1000, model=tiny(), context=256, keys=True) as server:
            client = server.openai()
            first = client.files.create(file=("a", b"x" * 900), purpose="user_data")
            with self.assertRaises(openai.BadRequestError) as caught:
                client.files.create(file=("b", b"x" * 101), purpose="user_data")
            self.assertEqual("file_storage_exceeded", caught.exception.code)
            client.files.delete(first.id)
            client.files.create(file=("b", b"x" * 101), purpose="user_data")


class Batches(WithTinyServer):
    def test_a_batch_from_file_to_file(self):
        lines = [line(f"line {i}") for i in range(30)]
        lines[3] = line("line 3", temperature=7)
        lines[9] = line("line 9", messages=[])
        for name, _, client in self.server.clients():
            with self.subTest(name):
                made = make_batch(client, lines, metadata={"for": "test"})
                self.assertRegex(made.id, "^batch_[0-9a-z]{26}$")
                self.assertEqual(("batch", "validating", "24h"), (made.object, made.status, made.completion_window))
                self.assertEqual(made.created_at + 86400, made.expires_at)
                batch = wait_for_batch(client, made.id)
                self.assertEqual("completed", batch.status)
                self.assertEqual((30, 28, 2), (batch.request_counts.total, batch.request_counts.completed,
                                               batch.request_counts.failed))
                self.assertEqual({"for": "test"}, batch.metadata)
                for earlier, later in [("created_at", "in_progress_at"), ("in_progress_at", "finalizing_at"),
                                       ("finalizing_at", "completed_at")]:
                    self.assertLessEqual(getattr(batch, earlier), getattr(batch, later))
                answers, errors = results(client, batch.output_file_id), results(client, batch.error_file_id)
                self.assertEqual({f"line {i}" for i in range(30)} - set(errors), set(answers))
                self.assertEqual({"line 3", "line 9"}, set(errors))
                for one in [*answers.values(), *errors.values()]:
                    self.assertRegex(one["id"], "^batch_req_out_[0-9a-z]{26}$")
                    self.assertIsNone(one["error"])
                # A line's answer is that of the same request sent alone.
                answer = answers["line 5"]["response"]
                self.assertEqual(200, answer["status_code"])
                self.assertEqual(answer["request_id"], answer["body"]["x_groq"]["id"])
                alone = send_alone(client, lines[5])
                self.assertEqual(alone.choices[0].message.content, answer["body"]["choices"][0]["message"]["content"])
                error = errors["line 3"]["response"]
                self.assertEqual((400, "temperature"), (error["status_code"], error["body"]["error"]["param"]))
                output = client.files.list().data
                self.assertIn((batch.output_file_id, "batch_output"), [(one.id, one.purpose) for one in output])
                self.assertEqual([(200, "batch", 8)] * 28 + [(400, "on_demand", 0)] * 2,
                                 sorted(records(self.server, batch.id)))

    def test_what_is_wrong_with_a_file_is_said_by_line(self):
        client = self.server.openai()
        lines = [line("a"), line("a"), line("b", url="/v1/files"), line("c", method="GET"), line("d", model="none"),
                 line("e", stream=True), {**line("f"), "more": 1}]
        file = client.files.create(file=("in", jsonl(lines) + b"\n{no json\n"), purpose="batch")
        batch = wait_for_batch(client, client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h").id)
        self.assertEqual("failed", batch.status)
        self.assertIsNotNone(batch.failed_at)
        self.assertEqual([(2, "duplicate_custom_id", "custom_id"), (3, "invalid_url", "url"),
                          (4, "invalid_method", "method"), (5, "model_not_found", "model"),
                          (6, "invalid_body", "body.stream"), (7, "invalid_request", "more"),
                          (9, "invalid_json_line", None)],
                         [(error.line, error.code, error.param) for error in batch.errors.data])
        empty = client.files.create(file=("in", b"\n"), purpose="batch")
        batch = wait_for_batch(client, client.batches.create(
            input_file_id=empty.id, endpoint="/v1/chat/completions", completion_window="24h").id)
        self.assertEqual(["empty_file"], [error.code for error in batch.errors.data])

    def test_refusals(self):
        for name, package, client in self.server.clients():
            with self.subTest(name):
                file = upload(client, [line("a")])
                other = self.server.openai().files.create(file=("x", b"x"), purpose="user_data")
                good = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
                for change, error, says in [
                    ({"input_file_id": "file_0"}, package.NotFoundError, "file_0"),
                    ({"input_file_id": other.id}, package.BadRequestError, "purpose"),
                    ({"endpoint": "/v1/files"}, package.BadRequestError, "'endpoint'"),
                    ({"completion_window": "8d"}, package.BadRequestError, "'completion_window'"),
                    ({"metadata": {"a": 1}}, package.BadRequestError, "'metadata'"),
                    ({"extra_body": {"priority": 1}}, package.BadRequestError, "'priority'"),
                ]:
                    with self.assertRaises(error) as caught:
                        client.batches.create(**{**good, **change})
                    self.assertIn(says, str(caught.exception))
                with self.assertRaises(package.NotFoundError):
                    client.batches.retrieve("batch_0")
                with self.assertRaises(package.NotFoundError):
                    client.batches.cancel("batch_0")
                ended = wait_for_batch(client, client.batches.create(**good).id)
                with self.assertRaises(package.ConflictError):
                    client.batches.cancel(ended.id)

    def test_lists(self):
        client = self.server.openai()
        made = [make_batch(client, [line("a")]).id for _ in range(4)]
        self.assertEqual(made[::-1], [batch.id for batch in client.batches.list(limit=2)][:4])
        self.assertLessEqual(set(made), {batch.id for batch in self.server.groq().batches.list().data})
        page = json.loads(get_raw(self.server, "/v1/batches?limit=3")[2])
        self.assertEqual(made[:0:-1], [batch["id"] for batch in page["data"]])
        rest = json.loads(get_raw(self.server, f"/v1/batches?cursor={page['paging']['next_cursor']}")[2])
        self.assertEqual(made[0], rest["data"][0]["id"])
        self.assertIsNone(rest["paging"]["next_cursor"])
        some = json.loads(get_raw(self.server, f"/v1/batches?id={made[0]}&id={made[2]}&id=batch_0")[2])
        self.assertEqual([made[2], made[0]], [batch["id"] for batch in some["data"]])

    def test_another_project_sees_nothing(self):
        client = self.server.openai()
        batch = wait_for_batch(client, make_batch(client, [line("a")]).id)
        project = organisation(self.server, "projects", name="other")
        key = organisation(self.server, "keys", name="other", project_id=project["id"],
                           scopes=["inference", "files"])["value"]
        for name, package, _ in self.server.clients():
            with self.subTest(name):
                stranger = getattr(self.server, name)(api_key=key)
                for action, thing in [(getattr(stranger.files, "retrieve", None) or stranger.files.info,
                                       batch.output_file_id),
                                      (stranger.files.content, batch.input_file_id),
                                      (stranger.files.delete, batch.input_file_id),
                                      (stranger.batches.retrieve, batch.id), (stranger.batches.cancel, batch.id)]:
                    with self.assertRaises(package.NotFoundError):
                        action(thing)
                with self.assertRaises(package.NotFoundError):
                    stranger.batches.create(input_file_id=batch.input_file_id, endpoint="/v1/chat/completions",
                                            completion_window="24h")
                self.assertEqual([], stranger.files.list().data)
                self.assertEqual([], stranger.batches.list().data)
        some = json.loads(get_raw(self.server, f"/v1/batches?id={batch.id}", key)[2])
        self.assertEqual([], some["data"])

    def test_scopes(self):
        for scopes, files, batches in [(["inference"], 403, 403), (["files"], 200, 403),
                                       (["files", "inference"], 200, 200)]:
            key = organisation(self.server, "keys", name="scoped", scopes=scopes)["value"]
            self.assertEqual(files, get_raw(self.server, "/v1/files", key)[0])
            file = upload(self.server.openai(), [line("a")])
            status = self.server.send("POST", "/v1/batches", json.dumps(
                {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
                {"authorization": "Bearer " + key})[0]
            self.assertEqual(batches, status)


class Interrupted(Test):
    """Batches of a model that takes its time."""

    def server(self, **options):
        return Server("--batch-lines", 4, "--drain-time", 1, model=long_talker(), context=4096, keys=True, **options)

    def test_cancel(self):
        with self.server() as server:
            client = server.openai()
            batch = make_batch(client, [line("short"), *(line(f"long {i}", max_tokens=4000) for i in range(8))])
            wait_for_batch(client, batch.id, lambda batch: batch.request_counts.completed == 1)
            with self.assertRaises(openai.ConflictError):
                client.files.delete(batch.input_file_id)
            self.assertEqual("cancelling", client.batches.cancel(batch.id).status)
            ended = wait_for_batch(client, batch.id)
            self.assertEqual("cancelled", ended.status)
            self.assertIsNotNone(ended.cancelling_at)
            self.assertEqual({"short"}, set(results(client, ended.output_file_id)))
            self.assertIsNone(ended.error_file_id)
            self.assertEqual([(200, "batch", 8)], records(server, batch.id))
            server.wait_until_running(0, 5)
            client.files.delete(batch.input_file_id)

    def test_a_restart_in_the_middle(self):
        lines = [line(f"line {i}", max_tokens=40, temperature=1, seed=i) for i in range(24)]
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number), self.server() as server:
                client = server.openai()
                batch = make_batch(client, lines)
                before = wait_for_batch(client, batch.id, lambda batch: batch.request_counts.completed >= 4)
                self.assertEqual("in_progress", before.status)
                server.process.send_signal(number)
                code = server.wait_for_end()
                self.assertEqual(0 if number == signal.SIGTERM else -number, code)
                with self.server(data=server.data) as again:
                    again.key = server.key
                    client = again.openai()
                    ended = wait_for_batch(client, batch.id)
                    self.assertEqual(("completed", 24), (ended.status, ended.request_counts.completed))
                    answers = results(client, ended.output_file_id)
                    self.assertEqual({one["custom_id"] for one in lines}, set(answers))
                    self.assertEqual([(200, "batch", 40)] * 24, records(again, batch.id))
                    alone = send_alone(client, lines[7])
                    self.assertEqual(alone.choices[0].message.content,
                                     answers["line 7"]["response"]["body"]["choices"][0]["message"]["content"])
                server.process.returncode = 0  # it has ended as it should


if __name__ == "__main__":
    main()
