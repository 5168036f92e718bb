#!/usr/bin/env python3
"""Kills 'lockstep serve' under load and looks for what was lost or doubled: faults_test.py LOCKSTEP MODEL.gguf

Clients stream chats, upload and delete files, make batches and keys, and note what the server has told them was done.
Each round ends with kill -9 at a random point. The next server must have all of it, once. 100 rounds on SQLite and 20
on PostgreSQL; with --quick 5 and 2. LOCKSTEP_FAULT_SEED repeats the points in time. Needs the packages of
server_test.py.
"""

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

from postgres import Postgres
from support import Place, Server, Test, main, tiny

PRICE_NANO_USD = 1000  # of a token: --price 1 is a dollar for a million
LINES = 12


class Sqlite:
    """Queries of the server's database file, as Postgres.query."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "lockstep.db")

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as database:
            return [tuple(map(str, row)) for row in database.execute(sql)]


def file_content(name):
    """What the file of this name has: of a size and with bytes of its own."""
    chance = random.Random(name)
    return chance.randbytes(chance.choice([10, 1000, 100_000]))


def batch_lines(name):
    return [f"{name} {i}" for i in range(LINES)]


def batch_input(name):
    lines = [{"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
              "body": {"model": "the-model", "max_tokens": 3 + i, "ignore_eos": True,
                       "messages": [{"role": "user", "content": custom_id}]}}
             for i, custom_id in enumerate(batch_lines(name))]
    return "\n".join(map(json.dumps, lines)).encode()


class Done:
    """What the server has said was done, over all rounds."""

    def __init__(self):
        self.chats = {}  # request id -> its tokens: prompt and completion
        self.files, self.batches, self.keys = {}, {}, {}  # name -> id or secret
        self.deleted = set()  # names of files
        self.deleting = set()  # perhaps deleted


class Client(threading.Thread):
    """Sends requests of one kind until the server dies."""

    def __init__(self, load, kind, number):
        super().__init__(daemon=True)
        self.load, self.act, self.number = load, getattr(self, kind), number
        self.connection = http.client.HTTPConnection(*load.server.place, timeout=60)
        self.problem = None

    def run(self):
        try:
            self.connection.connect()
            for turn in range(10**9):
                self.act(f"{self.load.name}-{self.number}-{turn}")
        except (OSError, http.client.HTTPException, Killed):
            if not self.load.killed:
                self.problem = "the server has gone by itself"
        except Exception as error:  # noqa: BLE001: told by the main thread
            self.problem = repr(error)
        finally:
            self.connection.close()

    def send(self, method, path, body=None, content_type="application/json"):
        self.connection.request(method, path, body, {"authorization": "Bearer " + self.load.server.key,
                                                     "content-type": content_type})
        response = self.connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise AssertionError(f"{method} {path}: {response.status} {data!r}")
        return data

    def send_json(self, method, path, fields=None):
        return json.loads(self.send(method, path, fields and json.dumps(fields)))

    def upload(self, name, content, purpose):
        edge = "edge-of-a-part"
        part = f"--{edge}\r\nContent-Disposition: form-data; name="
        body = (f'{part}"purpose"\r\n\r\n{purpose}\r\n{part}"file"; filename="{name}"\r\n\r\n'.encode() + content +
                f"\r\n--{edge}--\r\n".encode())
        return json.loads(self.send("POST", "/v1/files", body, f"multipart/form-data; boundary={edge}"))["id"]

    def chats(self, name):
        data = self.send("POST", "/v1/chat/completions", json.dumps(
            {"model": "the-model", "stream": True, "max_tokens": 8, "messages": [{"role": "user", "content": name}],
             "stream_options": {"include_usage": True}}))
        events = [line.removeprefix(b"data: ") for line in data.split(b"\n\n")]
        if b"[DONE]" not in events:
            raise Killed
        usage = next(chunk["x_groq"] for chunk in map(json.loads, events[:events.index(b"[DONE]")])
                     if "usage" in (chunk.get("x_groq") or {}))
        tokens = usage["usage"]
        self.load.done.chats[usage["id"]] = tokens["prompt_tokens"], tokens["completion_tokens"]

    def files(self, name):
        file_id = self.upload(name, file_content(name), "user_data")
        self.load.done.files[name] = file_id
        if int(name.split("-")[-1]) % 3 == 2:
            self.load.done.deleting.add(name)
            self.send("DELETE", "/v1/files/" + file_id)
            self.load.done.deleted.add(name)

    def batches(self, name):
        file_id = self.upload("input-" + name, batch_input(name), "batch")
        self.load.done.batches[name] = self.send_json("POST", "/v1/batches", {
            "input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "metadata": {"name": name}})["id"]
        time.sleep(0.3)

    def keys(self, name):
        made = self.send_json("POST", "/v1/organization/keys", {"name": name, "scopes": ["inference"]})
        self.load.done.keys[name] = made["value"]
        time.sleep(0.02)


class Killed(Exception):
    """An answer without its end."""


class Load:
    """Clients of a server until it is killed."""

    KINDS = ["chats", "chats", "chats", "files", "files", "batches", "keys"]

    def __init__(self, server, done, name):
        self.server, self.done, self.name, self.killed = server, done, name, False
        self.clients = [Client(self, kind, number) for number, kind in enumerate(self.KINDS)]

    def run(self, seconds):
        for client in self.clients:
            client.start()
        time.sleep(seconds)
        self.killed = True
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait_for_end()
        for client in self.clients:
            client.join(60)
        problems = [client.problem for client in self.clients if client.problem]
        if problems:
            raise AssertionError(problems)


class Faults(Test):
    def start(self, place, data=None, key=None):
        server = Server("--batch-lines", 4, "--price", "1,1", *place, model=tiny(), context=256, keys=True, data=data)
        server.key = key or server.key
        return server

    def test_sqlite(self):
        server = self.start([])
        self.rounds(server, [], Sqlite(server.data), 5 if Place.quick else 100)

    def test_postgres(self):
        with Postgres() as postgres:
            place = ["--db", postgres.url]
            self.rounds(self.start(place), place, postgres, 2 if Place.quick else 20)

    def rounds(self, server, place, database, count):
        seed = int(os.environ.get("LOCKSTEP_FAULT_SEED", time.time_ns() % 10**6))
        print(f"LOCKSTEP_FAULT_SEED={seed}", flush=True)
        chance = random.Random(seed)
        done = Done()
        for number in range(count):
            Load(server, done, f"r{number}").run(chance.uniform(0.05, 1))
            server = self.start(place, server.data, server.key)
            self.check(server, database, done)
        with server:
            self.wait_for_batches(server, done)
            self.check(server, database, done)
            self.check_batches(server, database, done)
            self.check_contents(server, done)
        print({name: len(things) for name, things in vars(done).items()}, flush=True)

    def check(self, server, database, done):
        """All that was done is there, and nothing twice."""
        log = {row[0]: (int(row[1]), int(row[2])) for row in database.query(
            "SELECT request_id, prompt_tokens, completion_tokens FROM request_log WHERE batch_id IS NULL AND status = 200")}
        for request_id, tokens in done.chats.items():
            self.assertEqual(tokens, log.get(request_id), request_id)
        self.check_spent(database)
        files = {}
        for file_id, name in database.query("SELECT id, filename FROM files WHERE purpose = 'user_data'"):
            self.assertNotIn(name, files, "a file is there twice")
            files[name] = file_id
        for name, file_id in done.files.items():
            if name in done.deleted:
                self.assertNotIn(name, files)
            elif name not in done.deleting:
                self.assertEqual(file_id, files.get(name), name)
        names = [name for name, in database.query("SELECT name FROM keys")]
        self.assertEqual(len(set(names)), len(names), "a key is there twice")
        self.assertLessEqual(set(done.keys), set(names))
        batches = {batch_id for batch_id, in database.query("SELECT id FROM batches")}
        self.assertLessEqual(set(done.batches.values()), batches)

    def check_spent(self, database):
        """The sums are those of the log."""
        for logged, spent in database.query(
                "SELECT (SELECT SUM(cost) FROM request_log), SUM(spent) FROM month_spend GROUP BY subject_id"):
            self.assertEqual(int(logged), int(spent))

    def wait_for_batches(self, server, done):
        deadline = time.monotonic() + 120
        client = server.openai()
        for batch_id in done.batches.values():
            while client.batches.retrieve(batch_id).status != "completed":
                self.assertLess(time.monotonic(), deadline, client.batches.retrieve(batch_id))
                time.sleep(0.05)

    def check_batches(self, server, database, done):
        client = server.openai()
        for name, batch_id in done.batches.items():
            batch = client.batches.retrieve(batch_id)
            self.assertEqual((LINES, LINES), (batch.request_counts.total, batch.request_counts.completed), batch)
            answers = [json.loads(line) for line in client.files.content(batch.output_file_id).read().splitlines()]
            self.assertEqual(sorted(batch_lines(name)), sorted(answer["custom_id"] for answer in answers))
            log = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in database.query(
                "SELECT request_id, prompt_tokens, completion_tokens, cost FROM request_log "
                f"WHERE batch_id = '{batch_id}'")}
            usages = {answer["response"]["request_id"]: answer["response"]["body"]["usage"] for answer in answers}
            self.assertEqual({request_id: (usage["prompt_tokens"], usage["completion_tokens"],
                                           usage["total_tokens"] * PRICE_NANO_USD // 2)
                              for request_id, usage in usages.items()}, log)
        self.assertEqual([], database.query("SELECT line FROM batch_results"))

    def check_contents(self, server, done):
        """Every file that is listed has its contents, and every key works."""
        client = server.openai()
        for file in client.files.list(purpose="user_data"):
            self.assertEqual(hashlib.sha256(file_content(file.filename)).digest(),
                             hashlib.sha256(client.files.content(file.id).read()).digest(), file.filename)
        for name, secret in done.keys.items():
            self.assertEqual(200, server.send("GET", "/v1/models", None, {"authorization": "Bearer " + secret})[0], name)


if __name__ == "__main__":
    main()
