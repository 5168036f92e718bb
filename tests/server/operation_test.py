#!/usr/bin/env python3
"""Tests of how 'lockstep serve' is run: operation_test.py LOCKSTEP MODEL.gguf

TLS, origins, limits and attacks on them, metrics, logs, configuration, the end. Needs the packages of server_test.py,
and the program openssl.
"""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time

from support import (Place, Server, Test, certificate, create, finish, main, read_to_end, read_until, start, text_of_stream,
                     write)


class Tls(Test):
    def server(self, *options):
        file, key = certificate()
        return Server("--cert", file, "--key", key, *options, certificate=file)

    def test_clients(self):
        with self.server() as server:
            for name, _, client in server.clients():
                with self.subTest(name), client:
                    whole = create(client, max_tokens=12).choices[0].message.content
                    self.assertEqual(whole, text_of_stream(create(client, max_tokens=12, stream=True)))
            # Requests one after another, sent before the first is answered, and an end that is told.
            with server.connect() as connection:
                connection.sendall(server.post(max_tokens=2) + b"GET /healthz HTTP/1.1\r\n\r\n" * 2 +
                                   b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
                connection.suppress_ragged_eofs = False
                read = read_to_end(connection)
                self.assertEqual(4, read.count(b"HTTP/1.1 200 OK"), read)

    def test_old_versions_and_weak_ciphers_are_refused(self):
        with self.server() as server:
            for change in ({"maximum_version": ssl.TLSVersion.TLSv1_1}, {"ciphers": "AES128-SHA"}):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_ciphers(change.pop("ciphers", "ALL:@SECLEVEL=0"))
                context.maximum_version = change.pop("maximum_version", ssl.TLSVersion.TLSv1_2)
                with self.subTest(str(context)), socket.create_connection(server.place, 10) as connection:
                    with self.assertRaises(ssl.SSLError):
                        context.wrap_socket(connection)
            self.assertEqual(200, server.get("/healthz")[0])

    def test_clients_that_do_not_speak_tls(self):
        with self.server() as server:
            with socket.create_connection(server.place, 10) as plain:
                plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                self.assertNotIn(b"HTTP", read_to_end(plain))
            # One that never says hello is closed after the time for a header.
            with socket.create_connection(server.place, 30) as quiet:
                began = time.monotonic()
                self.assertEqual(b"", quiet.recv(1))
                self.assertLess(time.monotonic() - began, 13)

    def test_sigterm_lets_answers_end(self):
        with self.server() as server:
            stream = create(server.openai(), stream=True, max_tokens=100, extra_body={"ignore_eos": True})
            next(iter(stream))
            server.process.terminate()
            self.assertEqual("length", list(stream)[-1].choices[0].finish_reason)
            self.assertEqual(0, server.wait_for_end())

    def test_files_that_are_not_right(self):
        file, key = certificate()
        other = certificate("other")[1]
        with open(Place.path("locked.key"), "wb") as locked:
            subprocess.run(["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret"], check=True, stdout=locked,
                           stderr=subprocess.DEVNULL)
        rsa = Place.path("rsa.key")
        subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], check=True, capture_output=True)
        for options, says in (
            (["--cert", file], "belong together"),
            (["--key", key], "belong together"),
            (["--cert", "none.crt", "--key", key], "none.crt"),
            (["--cert", file, "--key", "none.key"], "none.key"),
            (["--cert", key, "--key", key], "is no certificate in PEM"),
            (["--cert", file, "--key", file], "is no private key in PEM"),
            (["--cert", file, "--key", other], "is not the key of"),
            (["--cert", file, "--key", rsa], "is not the key of"),
            (["--cert", file, "--key", Place.path("locked.key")], "without a password"),
        ):
            with self.subTest(options=options):
                self.refused("serve", "-m", Place.model, "--port", 0, *options, says=says)


class Origins(Test):
    ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}

    def test_pages_of_other_origins(self):
        with Server("--cors-origin", "https://app.example", "--cors-origin", "http://localhost:3000") as server:
            def ask(method, origin, path="/v1/models", headers={}):
                status, reply, _ = server.send(method, path, None, {**({"Origin": origin} if origin else {}), **headers})
                self.assertEqual("Origin", reply["vary"])
                return status, reply

            for origin in ("https://app.example", "http://localhost:3000"):
                status, headers = ask("OPTIONS", origin, headers=self.ASKED)
                self.assertEqual((200, origin), (status, headers["access-control-allow-origin"]))
                self.assertEqual("authorization,x-stainless-os", headers["access-control-allow-headers"])
                self.assertIn("POST", headers["access-control-allow-methods"])
                for path, wanted in (("/v1/models", 200), ("/nothing", 404)):
                    status, headers = ask("GET", origin, path)
                    self.assertEqual((wanted, origin), (status, headers["access-control-allow-origin"]))
                    self.assertIn("x-ratelimit-remaining-tokens", headers["access-control-expose-headers"])
                    self.assertIn("x-request-id", headers["access-control-expose-headers"])
            for origin in ("https://app.example.evil", "http://app.example", "null", server.url, None):
                self.assertEqual(403, ask("OPTIONS", origin, headers=self.ASKED)[0])
                # The browser keeps the reply from a page that is not named; the server's own needs no leave.
                status, headers = ask("GET", origin)
                self.assertEqual((200, None), (status, headers["access-control-allow-origin"]))
            # A request that is refused before it is read says so to a page, too.
            with server.connect() as connection:
                connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nOrigin: https://app.example\r\n"
                                   b"Content-Length: 99999999\r\n\r\n")
                reply = read_to_end(connection)
                self.assertIn(b" 413 ", reply)
                self.assertIn(b"ccess-control-allow-origin: https://app.example", reply)

    def test_all_and_none(self):
        with Server("--cors-origin", "*") as server:
            status, headers, _ = server.send("OPTIONS", "/v1/models", None, {"Origin": "null", **self.ASKED})
            self.assertEqual((200, "*"), (status, headers["access-control-allow-origin"]))
        with Server() as server:
            headers = {"Origin": "https://app.example", **self.ASKED}
            self.assertEqual(403, server.send("OPTIONS", "/v1/models", None, headers)[0])
            self.assertNotIn("access-control-allow-origin", server.send("GET", "/v1/models", None, headers)[1])
        for origin in ("app.example", "https://app.example/", "https://", "https://a b"):
            data = Place.path("no-data")
            self.refused("serve", "-m", Place.model, "--port", 0, "--data-dir", data, "--cors-origin", origin, says="an origin is")
            self.assertFalse(os.path.exists(data))


HEALTH = b"GET /healthz HTTP/1.1\r\n"


class Attacks(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--body-limit", 100000, "--upload-limit", 3 << 20, "--body-memory", 8 << 20)
        cls.addClassCleanup(cls.server.__exit__, None)

    def tearDown(self):
        self.assertEqual(200, self.server.get("/healthz")[0])

    def said(self, data):
        """What the server says to these bytes until it ends the connection; perhaps nothing."""
        with self.server.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            return read_to_end(connection)

    def statuses(self, data):
        return [status.decode() for status in re.findall(rb"HTTP/1\.[01] (\d+) ", self.said(data))]

    def test_headers(self):
        for name, data in {
            "thousands of fields": HEALTH + b"a: b\r\n" * 10000 + b"\r\n",
            "an endless line": HEALTH + b"a: " + b"b" * 10000000,
            "an endless target": b"GET /" + b"a" * 10000000,
            "an endless method": b"G" * 10000000,
        }.items():
            with self.subTest(name):
                self.assertIn(self.statuses(data), (["431"], ["400"]))
        for name, data in {
            "a NUL in a value": HEALTH + b"a: b\0c\r\n\r\n",
            "a NUL in a name": HEALTH + b"a\0: c\r\n\r\n",
            "a NUL in the target": b"GET /healthz\0 HTTP/1.1\r\n\r\n",
            "a line end in the target": b"GET /heal\nthz HTTP/1.1\r\n\r\n",
            "a blank before the colon": HEALTH + b"content-length : 5\r\n\r\n",
            "no colon": HEALTH + b"abc\r\n\r\n",
            "another version": b"GET /healthz HTTP/2.0\r\n\r\n",
            "HTTP/2 itself": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        }.items():
            with self.subTest(name):
                self.assertEqual(["400"], self.statuses(data))

    def test_two_readings_of_where_a_body_ends(self):
        hidden = HEALTH + b"\r\n"
        chunked = b"0\r\n\r\n"
        for name, fields, body in (
            ("two lengths", b"Content-Length: 5\r\nContent-Length: 6", b"abcdef"),
            ("a list of two lengths", b"Content-Length: 5, 6", b"abcdef"),
            ("a length with a sign", b"Content-Length: +5", b"abcde"),
            ("a negative length", b"Content-Length: -5", b"abcde"),
            ("a hexadecimal length", b"Content-Length: 0x5", b"abcde"),
            ("a length of 2^64", b"Content-Length: 18446744073709551616", b"abcde"),
            ("length, then chunks", b"Content-Length: 5\r\nTransfer-Encoding: chunked", chunked),
            ("chunks, then length", b"Transfer-Encoding: chunked\r\nContent-Length: 5", chunked),
            ("an unknown encoding", b"Transfer-Encoding: chunked, identity", chunked),
            ("an encoding that is almost one", b"Transfer-Encoding: xchunked", chunked),
            ("an encoding on a folded line", b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5", chunked),
            ("chunks in HTTP/1.0", None, chunked),
        ):
            with self.subTest(name):
                head = b"POST /v1/tokenize HTTP/1.1\r\n" + (fields or b"")
                if fields is None:
                    head = b"POST /v1/tokenize HTTP/1.0\r\nTransfer-Encoding: chunked"
                statuses = self.statuses(head + b"\r\n\r\n" + body + hidden)
                # One reply, after which the connection ends: nothing that follows is taken for a request.
                self.assertEqual(["400"], statuses)

    def test_chunks(self):
        head = b"POST /v1/tokenize HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        for name, body, wanted in (
            ("good ones", b"3;a=b\r\nabc\r\n0\r\n\r\n", ["400"]),
            ("an endless extension", b"3;a=" + b"b" * 10000000, ["400"]),
            ("a size of 2^64", b"10000000000000000\r\n", ["400"]),
            ("no size", b"x\r\n", ["400"]),
            ("a negative size", b"-1\r\n", ["400"]),
            ("too much in one", b"%x\r\n" % 100001, ["413"]),
            ("too much in many", (b"400\r\n" + b"a" * 1024 + b"\r\n") * 101, ["413"]),
            ("endless trailers", b"0\r\n" + b"a: b\r\n" * 1000000, None),
        ):
            with self.subTest(name):
                statuses = self.statuses(head + body)
                self.assertIn(statuses, (wanted,) if wanted else (["431"], ["400"]))

    def test_paths_lead_nowhere(self):
        for target in (b"/../../etc/passwd", b"/v1/models/../../../etc/passwd", b"/v1/models/..%2f..%2fetc%2fpasswd",
                       b"/%2e%2e/%2e%2e/etc/passwd", b"/v1/models/%00", b"//etc/passwd", b"/..\\..\\etc", b"*",
                       b"http://127.0.0.1/etc/passwd", b"/v1/files/../models", b"/healthz/../v1/models"):
            with self.subTest(target):
                read = self.said(b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
                self.assertIn(b" 404 ", read[:20])
                self.assertNotIn(b"root:", read)

    def test_bodies_that_come_slowly_hold_bounded_memory(self):
        kept = b"POST /v1/files HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
        head = kept.replace(b"Content", b"Connection: close\r\nContent")
        with contextlib.ExitStack() as open_uploads:
            # Two of 3 MiB fit into 8 MiB less a quarter for others.
            for _ in range(2):
                connection = open_uploads.enter_context(self.server.connect())
                connection.sendall(head % (3 << 20) + b"a")
            self.settle()
            for _ in range(3):
                read = self.said(head % (3 << 20) + b"a" * (3 << 20))
                self.assertIn(b" 503 ", read[:20])
                self.assertIn(b"retry-after: 1", read.lower())
            chunked = b"POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            self.assertEqual(["503"], self.statuses(chunked))
            # Requests of the usual size go on.
            self.assertEqual(200, self.server.send("POST", "/v1/chat/completions", self.server.body(max_tokens=1))[0])
            connection.sendall(b"a" * (3 << 20))
            self.assertIn(b"HTTP/1.1 400", read_until(connection, b"\r\n\r\n"))  # read to its end, and no form
            self.settle()
            self.assertEqual(["400"], self.statuses(head % (3 << 20) + b"a" * (3 << 20)))
        self.settle()
        self.assertEqual(["400"] * 2, self.statuses(kept % (3 << 20) + b"a" * (3 << 20) + head % 3 + b"abc"))
        self.assertEqual(["413"], self.statuses(head % ((3 << 20) + 1)))
        self.assertEqual(["413"], self.statuses(head.replace(b"files", b"tokenize") % 100001))

    def test_a_stranger_is_told_before_the_body(self):
        with Server(keys=True) as server:
            for head, wanted in {
                b"POST /v1/files HTTP/1.1\r\nContent-Length: 3000000": b"401",
                b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue": b"401",
                b"POST /v1/nothing HTTP/1.1\r\nTransfer-Encoding: chunked": b"404",
                b"GET /healthz HTTP/1.1\r\nContent-Length: 1025": b"413",
            }.items():
                with self.subTest(head), server.connect() as connection:
                    connection.sendall(head + b"\r\n\r\n")
                    self.assertEqual(wanted, read_to_end(connection)[9:12])
            with server.connect() as connection:  # without a body the connection stays
                connection.sendall(b"GET /v1/models HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n")
                self.assertIn(b" 401 ", read_until(connection, b" 200 OK"))

    def test_names_that_others_could_give_this_machine(self):
        with Server() as server, Server(keys=True) as with_keys:
            for name, wanted in {"evil.example": 403, "evil.example:80": 403, "127.0.0.1.evil.example": 403,
                                 "localhost:1": 200, "[::1]:80": 200, "10.0.0.1": 200}.items():
                with self.subTest(name):
                    self.assertEqual(wanted, server.send("GET", "/", headers={"Host": name})[0])
                    self.assertEqual(200, with_keys.send("GET", "/", headers={"Host": name})[0])
            # The host of a target in absolute form counts, and no header.
            for line, wanted in (("GET http://localhost:1/healthz HTTP/1.1\r\nHost: evil.example", b"200"),
                                 ("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost", b"403"),
                                 ("POST HTTP://127.0.0.1/v1/chat/completions?a=b HTTP/1.1\r\nContent-Length: 0", b"400"),
                                 ("GET http://localhost/nothing HTTP/1.1", b"404")):
                with self.subTest(line), server.connect() as connection:
                    connection.sendall(line.encode() + b"\r\nConnection: close\r\n\r\n")
                    self.assertEqual(wanted, read_to_end(connection)[9:12])

    def test_a_status_that_no_standard_has(self):
        with self.server.connect() as busy, self.server.connect() as also_busy, self.server.connect() as connection:
            for other in (busy, also_busy):
                other.sendall(self.server.post(n=128, max_tokens=500, ignore_eos=True))
            self.server.wait_until_running(256, 10)
            connection.sendall(self.server.post(service_tier="flex"))
            read = read_until(connection, b"capacity_exceeded")
            self.assertTrue(read.startswith(b"HTTP/1.1 498 Capacity Exceeded\r\n"), read)
            self.assertRegex(read, rb"(?i)\r\ndate: \w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT\r\n")
        self.server.wait_until_running(0, 10)

    def settle(self):
        time.sleep(0.1)
        self.assertEqual(200, self.server.get("/healthz")[0])

    def test_many_slow_clients_cost_the_others_nothing(self):
        with contextlib.ExitStack() as slow:
            connections = [slow.enter_context(self.server.connect()) for _ in range(300)]
            for connection in connections:
                connection.sendall(b"GET /heal")
            began = time.monotonic()
            create(self.server.openai(), max_tokens=4)
            self.assertLess(time.monotonic() - began, 5)
            # A byte a second does not help: the header has its time.
            closed = 0
            while time.monotonic() - began < 14:
                for connection in connections[:20]:
                    with contextlib.suppress(OSError):
                        connection.sendall(b"a")
                time.sleep(1)
            for connection in connections:
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(b"", connection.recv(100))
                closed += 1
            self.assertEqual(300, closed)

    def test_files_that_do_not_go_together(self):
        self.refused("serve", "-m", Place.model, "--port", 0, "--upload-limit", 3000, "--body-limit", 2 << 20,
                     "--body-memory", 2 << 20, says="--body-memory")


def metrics(server, **headers):
    """The samples by name and labels."""
    connection = http.client.HTTPConnection(*server.place, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers=headers)
        reply = connection.getresponse()
        if reply.status != 200:
            return reply.status
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4"), reply.headers
        samples = {}
        for line in reply.read().decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples


class Observed(Test):
    def test_metrics(self):
        with Server() as server:
            before = metrics(server)
            for stream in (False, True):
                answer = create(server.openai(), max_tokens=10, stream=stream, extra_body={"ignore_eos": True})
                if stream:
                    list(answer)
            server.get("/nothing")
            server.send("POST", "/v1/chat/completions", b"{")
            with server.connect() as gone:
                gone.sendall(server.post(stream=True, ignore_eos=True))
                read_until(gone, b"data: ")
                during = metrics(server)
            server.wait_until_running(0, 5)
            self.settle(server)
            after = metrics(server)
            self.assertEqual(1, during['lockstep_num_requests_running{class="on_demand"}'])
            self.assertEqual(0, after['lockstep_num_requests_running{class="on_demand"}'])
            self.assertGreater(during["lockstep_kv_pages_used"], 0)
            self.assertGreater(during["lockstep_kv_pages_total"], 0)
            self.assertGreater(during["lockstep_http_connections"], 1)
            chat = 'lockstep_http_requests_total{endpoint="/v1/chat/completions",model="%s",status="%d"}'
            self.assertEqual(2, after[chat % ("the-model", 200)])
            self.assertEqual(1, after[chat % ("the-model", 499)])
            self.assertEqual(1, after[chat % ("", 400)])
            self.assertEqual(1, after['lockstep_http_requests_total{endpoint="none",model="",status="404"}'])
            for reason in ("unknown_url", "invalid_request", "client_closed_request"):
                self.assertEqual(1, after['lockstep_refusals_total{reason="%s"}' % reason], reason)
            self.assertEqual(0, before["lockstep_generation_tokens_total"])
            self.assertGreaterEqual(after["lockstep_generation_tokens_total"], 20)
            for name, count in (("time_to_first_token", 3), ("e2e_request_latency", 2), ("request_queue_time", 2),
                                ("request_prefill_time", 2), ("request_decode_time", 2), ("inter_token_latency", 18)):
                name = f"lockstep_{name}_seconds"
                self.assertGreaterEqual(after[name + "_count"], count, name)
                self.assertLessEqual(after[name + "_count"], count + 1, name)
                self.assertEqual(after[name + '_bucket{le="+Inf"}'], after[name + "_count"])
                self.assertLess(0, after[name + "_sum"])
            for name in ("process_cpu_seconds_total", "process_resident_memory_bytes"):
                self.assertGreater(after[name], 0)

    def settle(self, server):
        deadline = time.monotonic() + 5
        while not any('status="499"' in name for name in metrics(server)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def test_metrics_need_a_key(self):
        with Server(keys=True) as server:
            self.assertEqual(401, metrics(server))
            self.assertIn("lockstep_steps_total", metrics(server, Authorization="Bearer " + server.key))
        with Server("--open-metrics", keys=True) as server:
            self.assertIn("lockstep_steps_total", metrics(server))

    def test_log_lines(self):
        with Server("--log-format", "json", keys=True) as server:
            create(server.openai(), max_tokens=5)
            list(create(server.openai(), max_tokens=5, stream=True))
            server.get("/v1/models/%1b%00?key=" + server.key)
            server.get("/healthz")
            with server.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 100000)
                read_to_end(connection)
            server.process.terminate()
            server.wait_for_end()
            lines = [json.loads(line) for line in server.log().splitlines()]
            self.assertEqual("start", lines[0]["event"])
            self.assertEqual(["drain", "stop"], [line["event"] for line in lines[-2:]])
            requests = lines[1:-2]
            self.assertEqual([200, 200, 401, 431], [line["status"] for line in requests])
            for line in requests:
                self.assertRegex(line["request_id"], "^req_")
                self.assertRegex(line["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertEqual(("request", "info", "127.0.0.1"), (line["event"], line["level"], line["client"]))
            for line in requests[:2]:
                self.assertEqual(("POST", "/v1/chat/completions", 5, "the-model"),
                                 (line["method"], line["path"], line["completion_tokens"], line["model"]))
                self.assertGreater(line["duration_ms"], line["first_token_ms"])
                self.assertTrue(line["key_id"])
            self.assertEqual("/v1/models/%1b%00", requests[2]["path"])
            # No secret: not the key, wherever a client puts it, and nothing of what was asked.
            self.assertNotIn(server.key[-40:], server.log())
            self.assertNotIn("sky", server.log())

    def test_levels_and_text(self):
        for options, wanted in (((), 3), (("--log-level", "debug"), 4), (("--log-level", "warn"), 0),
                                (("--log-level", "off"), 0)):
            with self.subTest(options), Server(*options) as server:
                server.get("/healthz")
                server.get("/v1/models")
                server.process.terminate()
                server.wait_for_end()
                lines = [line for line in server.log().splitlines() if "event" not in line and " drain " not in line]
                self.assertEqual(wanted, len(lines), lines)
                if wanted:
                    self.assertIn(" method=GET path=/v1/models status=200 ", lines[-2])

    def test_a_log_that_nobody_reads(self):
        """A full pipe costs lines, never time."""
        reader, writer = os.pipe()
        with Server() as warm:
            warm.get("/healthz")
        process = start("serve", "-m", Place.model, "--port", 0, "--no-keys", "--log-level", "debug", "--data-dir",
                        Place.path("unread"), stderr=writer)
        try:
            place = process.stdout.readline().decode().strip().removeprefix("http://").removesuffix("/v1").split(":")
            connection = http.client.HTTPConnection(*place, timeout=10)
            began = time.monotonic()
            for _ in range(1000):
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            self.assertLess(time.monotonic() - began, 20)
            connection.close()
            process.terminate()
            self.assertEqual(0, process.wait(20))
        finally:
            process.kill()
            finish(process)
            os.close(reader)
            os.close(writer)


class Configured(Test):
    def serve(self, *options):
        return self.good("serve", *options, "--print-config").out

    def test_a_file_and_flags_over_it(self):
        file = write("good.toml", 'port = 0\nname = ["a", "b c"]\nlog-format = "json"\nidle-time = 9\nno-keys = true\n'
                     'open-metrics = false\nanswers = 7')
        shown = self.serve("--config", file, "--idle-time", 8)
        for line in ("port = 0", 'name = ["a", "b c"]', 'log-format = "json"', "idle-time = 8", "no-keys = true",
                     "open-metrics = false", "answers = 7", 'host = "127.0.0.1"', "# cert ="):
            self.assertIn("\n" + line.replace('"', "'") + "\n", shown.replace('"', "'"))
        self.assertNotIn("\nconfig", shown)
        # What is printed is a file that says the same.
        self.assertEqual(shown, self.serve("--config", write("again.toml", shown)))
        self.assertEqual(self.serve(), self.serve("--config", write("all.toml", self.serve())))

    def test_a_server_by_its_file(self):
        file = write("server.toml", 'name = ["from-file"]\nopen-metrics = true\n')
        with Server("--config", file, keys=True) as server:
            self.assertIn("lockstep_steps_total", metrics(server))
            self.assertEqual(["the-model", "org/alias"], [model.id for model in server.openai().models.list().data])

    def test_files_that_are_not_right(self):
        for text, says in (
            ("prot = 1", "bad.toml:1: prot: there is no such setting"),
            ("\n[server]\nport = 1", "server: there is no such setting"),
            ("config = 'a'", "there is no such setting"),
            ("port = 'a'", "port: a number is wanted"),
            ("port = true", "port: a number is wanted"),
            ("port = 70000", "70000 not in range 0 to 65535"),
            ("port = -1", "-1 not in range 0 to 65535"),
            ("port = [1]", "port: one value is wanted"),
            ("host = 1", "host: a text in quotation marks is wanted"),
            ("no-keys = 1", "no-keys: true or false is wanted"),
            ("idle-time = 0", "idle-time"),
            ("name = [1]", "name: a text"),
            ("log-level = 'loud'", "log-level"),
            ("port = 1\nport = 2", "bad.toml:2"),
            ("port =", "bad.toml:1"),
            ("host = 2026-01-01", "host: a text"),
        ):
            with self.subTest(text):
                self.refused("serve", "--config", write("bad.toml", text), "--print-config", says=says)
        self.refused("serve", "--config", "none.toml", says="none.toml")

    def test_numbers_out_of_range(self):
        for option, value, most in (("--port", 70000, 65535), ("--port", -1, 65535), ("--kv-positions", -1, 1 << 40)):
            self.refused("serve", option, value, says=f"{value} not in range 0 to {most}; 'lockstep serve --help' shows")

    def test_names(self):
        data = Place.path("nameless")
        for name in ("", "a\nb", "a\x7f", "a" * 201, "\udcff"):
            self.refused("serve", "-m", Place.model, "--port", 0, "--data-dir", data, "--name", "good", "--name", name,
                         says="the name of a model is")
        self.assertFalse(os.path.exists(data))
        with Server("--name", "org/alias", "--name", "the-model", "--name", "other") as server:
            self.assertEqual(["the-model", "org/alias", "other"], [model.id for model in server.openai().models.list().data])


class TheEnd(Test):
    def test_what_is_answered_while_it_drains(self):
        with Server(keys=True) as server:
            status, _, ready = server.get("/readyz")
            self.assertEqual((200, "ready"), (status, ready["status"]))
            stream = create(server.openai(), stream=True, max_tokens=600, extra_body={"ignore_eos": True})
            next(iter(stream))
            begun = self.enterContext(server.connect())
            begun.sendall(b"GET /healthz HTTP/1.1\r\n")  # a request on its way is answered
            time.sleep(0.1)
            server.process.terminate()
            time.sleep(0.1)
            status, _, ready = server.get("/readyz")
            self.assertEqual((503, "draining", 1), (status, ready["status"], ready["answers_running"]))
            self.assertEqual(200, server.get("/healthz")[0])
            self.assertIn("lockstep_steps_total", metrics(server, Authorization="Bearer " + server.key))
            headers = {"Authorization": "Bearer " + server.key}
            status, headers, error = server.send("POST", "/v1/chat/completions", server.body(max_tokens=1), headers)
            self.assertEqual((503, "1"), (status, headers["retry-after"]))
            self.assertIn("stopping", error["error"]["message"])
            self.assertEqual("draining", error["error"]["code"])
            begun.sendall(b"\r\n")
            self.assertIn(b" 200 OK", read_to_end(begun))
            # One that says nothing is no reason to stay.
            self.enterContext(server.connect())
            self.assertEqual("length", list(stream)[-1].choices[0].finish_reason)
            began = time.monotonic()
            self.assertEqual(0, server.wait_for_end())
            self.assertLess(time.monotonic() - began, 5)
            refused = [line for line in server.log().splitlines() if "status=503" in line]
            self.assertEqual({"/readyz", "/v1/chat/completions"}, {re.search(r"path=(\S+)", line)[1] for line in refused})
            self.assertTrue(all("reason=draining" in line for line in refused), refused)


if __name__ == "__main__":
    main()
