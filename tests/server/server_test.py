#!/usr/bin/env python3
"""Tests of 'lockstep serve' with the official clients and with bare sockets: server_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import concurrent.futures
import contextlib
import json
import random
import signal
import socket
import time

import openai

from support import (QUESTION, Place, Server, Test, WithServer, create, long_talker, main, read_to_end, read_until,
                     text_of_stream)

HEAD_BYTES_MAX = 65536


class Clients(WithServer):
    def test_models(self):
        for name, _, client in self.server.clients():
            with self.subTest(name):
                self.assertEqual(["the-model", "org/alias"], [model.id for model in client.models.list().data])
                model = client.models.retrieve("org/alias")
                self.assertEqual(("org/alias", "model"), (model.id, model.object))

    def test_the_text_is_that_of_lockstep_run(self):
        cases = [
            ({"max_tokens": 24}, ["-n", 24]),
            ({"max_completion_tokens": 30, "temperature": 0.8, "seed": 7, "top_p": 0.9},
             ["-n", 30, "--temperature", 0.8, "--seed", 7, "--top-p", 0.9]),
            ({"max_tokens": 40, "stop": ["scattering", "zzz"]}, ["-n", 40, "--stop", "scattering", "--stop", "zzz"]),
            ({"max_tokens": 24, "logit_bias": {"504": -100}, "presence_penalty": 0.5, "frequency_penalty": 1},
             ["-n", 24, "--logit-bias", "504=-100", "--presence-penalty", 0.5, "--frequency-penalty", 1]),
        ]
        for fields, options in cases:
            said = self.good("run", "-m", Place.model, "--context", 2048, "--json", *options,
                             QUESTION[0]["content"]).json
            for name, _, client in self.server.clients():
                with self.subTest(client=name, **fields):
                    whole = create(client, **fields)
                    choice = whole.choices[0]
                    self.assertEqual(said["text"], choice.message.content)
                    self.assertEqual(said["finish_reason"], choice.finish_reason)
                    self.assertEqual(said["prompt_tokens"], whole.usage.prompt_tokens)
                    self.assertEqual(len(said["tokens"]), whole.usage.completion_tokens)
                    self.assertEqual("fp_" + said["fingerprint"][:10], whole.system_fingerprint)
                    self.assertEqual(said["text"], text_of_stream(create(client, stream=True, **fields)))

    def test_a_conversation_with_a_system_message(self):
        said = self.good("run", "-m", Place.model, "--context", 2048, "--json", "-n", 16, "--system", "Be brief.",
                         "Name a colour.").json
        for role in ("system", "developer"):
            messages = [{"role": role, "content": "Be brief."},
                        {"role": "user", "content": [{"type": "text", "text": "Name a "}, {"type": "text", "text": "colour."}]}]
            answer = create(self.server.openai(), messages=messages, max_tokens=16)
            self.assertEqual(said["text"], answer.choices[0].message.content)

    def test_a_seed_means_what_it_says(self):
        client = self.server.openai()
        texts = [create(client, temperature=1.5, max_tokens=16, seed=seed).choices[0].message.content
                 for seed in (1, 2, 1)]
        self.assertEqual(texts[0], texts[2])
        self.assertNotEqual(texts[0], texts[1])
        # Without one the reply tells which was taken.
        answer = create(self.server.groq(), temperature=1.5, max_tokens=16)
        again = create(self.server.groq(), temperature=1.5, max_tokens=16, seed=answer.x_groq.seed)
        self.assertEqual(answer.choices[0].message.content, again.choices[0].message.content)

    def test_several_choices(self):
        client = self.server.openai()
        fields = {"temperature": 1.2, "seed": 3, "max_tokens": 12}
        three = create(client, n=3, **fields)
        texts = [choice.message.content for choice in three.choices]
        self.assertEqual([0, 1, 2], [choice.index for choice in three.choices])
        self.assertEqual(3, len(set(texts)))
        self.assertEqual(create(client, **fields).choices[0].message.content, texts[0])
        streamed = ["", "", ""]
        for chunk in create(client, n=3, stream=True, **fields):
            for choice in chunk.choices:
                streamed[choice.index] += choice.delta.content or ""
        self.assertEqual(texts, streamed)

    def test_log_probabilities(self):
        client = self.server.openai()
        answer = create(client, max_tokens=20, logprobs=True, top_logprobs=3)
        content = answer.choices[0].logprobs.content
        self.assertEqual(20, len(content))
        self.assertEqual(answer.choices[0].message.content, b"".join(bytes(one.bytes) for one in content).decode())
        for one in content:
            self.assertEqual(3, len(one.top_logprobs))
            self.assertEqual((one.token, one.logprob), (one.top_logprobs[0].token, one.top_logprobs[0].logprob))
            falling = [top.logprob for top in one.top_logprobs]
            self.assertEqual(sorted(falling, reverse=True), falling)
            self.assertLessEqual(falling[0], 1e-6)
        streamed = [one.logprob for chunk in create(client, max_tokens=20, logprobs=True, stream=True)
                    for choice in chunk.choices if choice.logprobs for one in choice.logprobs.content]
        self.assertEqual([one.logprob for one in content], streamed)
        # Tokens of a stop string and after it are not told.
        stopped = create(client, max_tokens=40, logprobs=True, stop=" scattering").choices[0]
        self.assertEqual(stopped.message.content,
                         b"".join(bytes(one.bytes) for one in stopped.logprobs.content).decode())

    def test_usage_and_times(self):
        usage = create(self.server.groq(), max_tokens=8).usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertAlmostEqual(usage.total_time, usage.prompt_time + usage.completion_time)
        self.assertGreaterEqual(usage.queue_time, 0)
        self.assertGreater(usage.completion_time, 0)
        # The second time the prompt's state is there.
        again = create(self.server.groq(), max_tokens=8).usage
        self.assertEqual(usage.prompt_tokens - 1, again.prompt_tokens_details.cached_tokens)

    def code(self, caught):
        return caught.exception.response.json()["error"]["code"]

    def test_errors_are_the_classes_of_the_clients(self):
        for name, package, client in self.server.clients():
            with self.subTest(name):
                with self.assertRaises(package.NotFoundError) as caught:
                    client.chat.completions.create(model="none", messages=QUESTION)
                self.assertEqual("model_not_found", self.code(caught))
                with self.assertRaises(package.BadRequestError) as caught:
                    create(client, temperature=3)
                self.assertIn("'temperature' : value must be a number from 0 to 2", str(caught.exception))
                with self.assertRaises(package.BadRequestError) as caught:
                    create(client, tools=[{"type": "code_interpreter"}])
                self.assertIn("'tools.0.type'", str(caught.exception))
                with self.assertRaises(package.BadRequestError) as caught:
                    create(client, messages=[{"role": "user", "content": "a b c " * 2000}])
                self.assertEqual("context_length_exceeded", self.code(caught))
                with self.assertRaises(package.NotFoundError):
                    client.models.retrieve("no/such")
        with self.assertRaises(openai.BadRequestError) as caught:
            create(self.server.openai(), logit_bias={"999999999": 1})
        self.assertEqual("logit_bias", caught.exception.param)
        self.assertIn("token 999999999 is not in the vocabulary", caught.exception.message)
        with self.assertRaises(openai.APIStatusError) as caught:
            create(self.server.openai(), messages=[{"role": "user", "content": "a" * (5 << 20)}])
        self.assertEqual(413, caught.exception.status_code)

    def test_under_load_every_text_is_the_one_sent_alone(self):
        client = self.server.openai(timeout=120)

        def ask(number):
            fields = {"messages": [{"role": "user", "content": f"Tell me about the number {number}."}],
                      "max_tokens": 4 + number % 20, "temperature": 0.7, "seed": number}
            return text_of_stream(create(client, stream=True, **fields))

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            together = list(pool.map(ask, range(200)))
        for number in range(0, 200, 7):
            self.assertEqual(ask(number), together[number], number)


class Wire(WithServer):
    """What no client looks at closely."""

    def events(self, **fields):
        with self.server.connect() as connection:
            connection.sendall(self.server.post(stream=True, temperature=0, max_tokens=5, **fields)
                               .replace(b"Host: ", b"Connection: close\r\nHost: ").replace(b"HTTP/1.1", b"HTTP/1.0"))
            head, body = read_to_end(connection).split(b"\r\n\r\n", 1)
        self.assertIn(b"text/event-stream", head)
        events = body.decode().split("\n\n")
        self.assertEqual("", events.pop())
        self.assertEqual("data: [DONE]", events.pop())
        return [json.loads(event.removeprefix("data: ")) for event in events]

    def test_the_order_of_a_stream(self):
        chunks = self.events()
        self.assertEqual({"role": "assistant", "content": ""}, chunks[0]["choices"][0]["delta"])
        self.assertEqual({"id", "seed"}, set(chunks[0]["x_groq"]))
        for chunk in chunks:
            self.assertEqual(["id", "object", "created", "model", "system_fingerprint", "choices"], list(chunk)[:6])
            self.assertEqual("chat.completion.chunk", chunk["object"])
        for chunk in chunks[1:-1]:
            self.assertEqual(["content"], list(chunk["choices"][0]["delta"]))
            self.assertNotIn("x_groq", chunk)
            self.assertIsNone(chunk["choices"][0]["finish_reason"])
        last = chunks[-1]
        self.assertEqual(({}, "length"), (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]))
        self.assertEqual(last["usage"], last["x_groq"]["usage"])
        self.assertEqual(5, last["usage"]["completion_tokens"])

    def test_usage_when_it_is_asked_for(self):
        chunks = self.events(stream_options={"include_usage": True, "continuous_usage_stats": True})
        self.assertEqual([], chunks[-1]["choices"])
        self.assertEqual(chunks[-2]["usage"], chunks[-1]["usage"])
        counts = [chunk["usage"]["completion_tokens"] for chunk in chunks[1:]]
        self.assertEqual(sorted(counts), counts)

    def test_every_prefix_and_every_reply_has_an_id(self):
        seen = set()
        for path in ("/healthz", "/health", "/readyz", "/v1/models", "/openai/v1/models", "/v1/models/org%2Falias",
                     "/v1/models/org/alias?x=1"):
            status, headers, _ = self.server.get(path)
            self.assertEqual(200, status, path)
            self.assertRegex(headers["x-request-id"], "^req_[0-9a-hjkmnp-tv-z]{26}$")
            seen.add(headers["x-request-id"])
        self.assertEqual(7, len(seen))

    def test_refusals(self):
        cases = [
            ("GET", "/nothing", None, 404, "unknown_url"),
            ("GET", "/v1", None, 404, "unknown_url"),
            ("GET", "/v1models", None, 404, "unknown_url"),
            ("DELETE", "/v1/models", None, 405, "method_not_allowed"),
            ("GET", "/v1/chat/completions", None, 405, "method_not_allowed"),
            ("POST", "/v1/chat/completions", b"{", 400, None),
            ("POST", "/v1/chat/completions", b'{"model":"\xff"}', 400, None),
            ("POST", "/v1/chat/completions", b"[" * 1000000, 400, None),
            ("POST", "/v1/chat/completions", b"x" * (5 << 20), 413, "request_too_large"),
        ]
        for method, path, body, status, code in cases:
            with self.subTest(method=method, path=path):
                got, headers, error = self.server.send(method, path, body)
                self.assertEqual((status, code), (got, error["error"]["code"]))
                self.assertEqual(["message", "type", "param", "code"], list(error["error"]))
                self.assertEqual(status == 405, "allow" in headers)

    def test_a_body_takes_no_longer_than_its_bytes_do(self):
        """Where every object cost a look at all before it, this would be a quarter of an hour."""
        messages = b'{"model":"the-model","messages":[' + b"{}," * 1_300_000 + b"{}]}"
        for path in ("/v1/chat/completions", "/v1/responses", "/api/chat", "/v1/tokenize"):
            with self.subTest(path):
                self.assertEqual(400, self.server.send("POST", path, messages)[0])
        calls = [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {
            "name": "f", "arguments": '{"a":[' + "{}," * 600_000 + "{}]}"}}]}, {"role": "user", "content": "?"}]
        self.assertEqual(400, self.server.send("POST", "/v1/chat/completions", self.server.body(messages=calls))[0])

    def test_flex_wants_room_and_not_an_idle_server(self):
        connections = [self.enterContext(self.server.connect()) for _ in range(16)]
        for connection in connections:
            connection.sendall(self.server.post(service_tier="flex", max_tokens=8))
        for connection in connections:
            self.assertIn(b" 200 OK", read_until(connection, b"choices"))
        with self.server.connect() as one, self.server.connect() as other:
            for connection, count in ((one, 128), (other, 127)):
                connection.sendall(self.server.post(n=count, max_tokens=600, ignore_eos=True))
            self.server.wait_until_running(255, 10)
            body = self.server.body(service_tier="flex", n=2)
            self.assertEqual(498, self.server.send("POST", "/v1/chat/completions", body)[0], "257 streams are too many")
        self.server.wait_until_running(0, 10)

    def test_bytes_that_are_no_http(self):
        for data, status in ((b"GARBAGE\r\n\r\n", b" 400 "), (b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD_BYTES_MAX, b" 431 "),
                             (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b" 400 ")):
            with self.server.connect() as connection:
                connection.sendall(data)
                self.assertIn(status, read_to_end(connection)[:40])
        chance = random.Random(1)
        for _ in range(200):
            with self.server.connect() as connection, contextlib.suppress(OSError):
                request = bytearray(self.server.post(max_tokens=1))
                for _ in range(chance.randrange(1, 6)):
                    request[chance.randrange(len(request))] = chance.randrange(256)
                connection.sendall(request[: chance.randrange(1, len(request) + 1)])
                connection.shutdown(socket.SHUT_WR)
                read_to_end(connection)
        self.assertEqual(200, self.server.get("/healthz")[0])

    def test_requests_on_one_connection(self):
        with self.server.connect() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n" * 3 + self.server.post(max_tokens=2) +
                               b"HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
            read = read_to_end(connection)
            self.assertEqual(5, read.count(b"HTTP/1.1 200 OK"))
            self.assertEqual(3, read.count(b'{"status":"ok"}'))

    def test_a_request_that_comes_in_parts_during_an_answer(self):
        with self.server.connect() as connection:
            connection.sendall(self.server.post(max_tokens=40, ignore_eos=True) + b"GET /heal")
            read = read_until(connection, b"x_groq")
            time.sleep(0.1)
            connection.sendall(b"thz HTTP/1.1\r\nConnection: close\r\n\r\n")
            self.assertTrue((read + read_to_end(connection)).endswith(b'{"status":"ok"}'))

    def test_a_client_that_asks_whether_to_go_on(self):
        with self.server.connect() as connection:
            head, body = self.server.post(max_tokens=2).split(b"\r\n\r\n", 1)
            connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
            self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", connection.recv(100))
            connection.sendall(body)
            self.assertIn(b"chat.completion", read_until(connection, b"x_groq"))


class Clash(Test):
    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refused("serve", "-m", Place.model, "--port", taken.getsockname()[1], says="Address already in use")
        self.refused("serve", "-m", Place.model, "--host", "no.such.host.invalid", says="no.such.host.invalid")


class LongAnswers(Test):
    """Clients that go, that do not read and that wait, while answers last for seconds."""

    FOREVER = {"ignore_eos": True, "temperature": 0}

    def server(self, *options):
        return Server(*options, model=long_talker(), context=16384)

    def test_a_client_that_goes_frees_its_place(self):
        with self.server() as server:
            for fields in ({"stream": True}, {}, {"n": 5}, {"stream": True, "n": 3}):
                with self.subTest(**fields):
                    connection = server.connect()
                    connection.sendall(server.post(**self.FOREVER, **fields))
                    server.wait_until_running(fields.get("n", 1), 5)
                    if fields.get("stream"):
                        read_until(connection, b"content")
                    connection.close()
                    server.wait_until_running(0, 0.5)
            # One that has sent the beginning of its next request already.
            with server.connect() as connection:
                connection.sendall(server.post(**self.FOREVER) + b"GET /healthz HTTP")
                server.wait_until_running(1, 5)
                time.sleep(0.1)
            server.wait_until_running(0, 0.5)

    def test_a_client_that_does_not_read_costs_the_others_nothing(self):
        with self.server("--write-time", 2) as server:
            def seconds():
                began = time.monotonic()
                create(server.openai(), max_tokens=200, extra_body={"ignore_eos": True})
                return time.monotonic() - began

            seconds()
            with server.connect(receive_bytes=4096) as slow:
                slow.sendall(server.post(stream=True, **self.FOREVER))
                server.wait_until_running(1, 5)
                self.assertLess(seconds(), 20)
                # Its own answer ends when it has read nothing for as long as is allowed.
                server.wait_until_running(0, 25)
            self.assertEqual(200, server.get("/healthz")[0])

    def test_no_more_answers_than_there_is_room_for(self):
        with self.server("--answers", 2) as server, server.connect() as one:
            one.sendall(server.post(stream=True, n=2, **self.FOREVER))
            server.wait_until_running(2, 5)
            status, headers, error = server.send("POST", "/v1/chat/completions", server.body())
            self.assertEqual((503, "1"), (status, headers["retry-after"]))
            self.assertIn("over capacity", error["error"]["message"])
            for path, fields, param in (("chat/completions", {"n": 3}, "n"), ("completions", {"prompt": "a", "n": 3}, "n"),
                                        ("completions", {"prompt": ["a"] * 3}, "prompt"),
                                        ("completions", {"prompt": ["a"] * 3, "n": 2}, "prompt")):
                asked = {"model": server.model, **({} if "prompt" in fields else {"messages": QUESTION}), **fields}
                status, _, error = server.send("POST", f"/v1/{path}", json.dumps(asked))
                self.assertEqual((400, param), (status, error["error"]["param"]))
            with self.assertRaises(openai.InternalServerError):
                create(server.openai())
            one.close()
            # The client's own retries get through once there is room.
            create(server.openai(max_retries=3), max_tokens=2)

    def test_sigterm_lets_answers_end(self):
        with self.server() as server:
            idle = self.enterContext(server.connect())
            stream = create(server.openai(), stream=True, max_tokens=400, extra_body={"ignore_eos": True})
            next(iter(stream))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(b"", idle.recv(1))
            status, headers, _ = server.send("POST", "/v1/chat/completions", server.body())
            self.assertEqual((503, "1"), (status, headers["retry-after"]))
            chunks = list(stream)
            self.assertEqual("length", chunks[-1].choices[0].finish_reason)
            self.assertEqual(0, server.wait_for_end())

    def test_an_end_that_does_not_wait(self):
        for options, signals in (("--drain-time", 1), 1), ((), 2):
            with self.subTest(options=options), self.server(*options) as server, server.connect() as one:
                one.sendall(server.post(stream=True, **self.FOREVER))
                whole = self.enterContext(server.connect())
                whole.sendall(server.post(**self.FOREVER))
                server.wait_until_running(2, 5)
                for _ in range(signals):
                    server.process.send_signal(signal.SIGTERM)
                    time.sleep(0.3)
                # Both are told that it was the server who ended them, and so is the log.
                self.assertRegex(read_to_end(one), rb'(?s)"content".*event: error.*the server is stopping')
                self.assertRegex(read_to_end(whole), rb"(?s)^HTTP/1.1 503 .*the server is stopping")
                self.assertEqual(0, server.wait_for_end())
                ends = [line for line in server.log().splitlines() if "path=/v1/chat/completions" in line]
                self.assertEqual(2, len(ends), ends)
                self.assertTrue(all("status=503" in line and "reason=draining" in line for line in ends), ends)

    def test_connections_that_say_nothing(self):
        with self.server("--idle-time", 1, "--connections", 3) as server:
            began = time.monotonic()
            quiet = [self.enterContext(server.connect()) for _ in range(3)]
            self.assertEqual(200, server.get("/healthz")[0])  # waits until one of them has been closed
            for connection in quiet:
                self.assertEqual(b"", connection.recv(1))
            self.assertLess(time.monotonic() - began, 10)
            # One that sends its header a byte at a time.
            began = time.monotonic()
            slow = self.enterContext(server.connect())
            with contextlib.suppress(OSError):
                while time.monotonic() - began < 20:
                    slow.sendall(b"G")
                    time.sleep(0.2)
            self.assertLess(time.monotonic() - began, 15)


if __name__ == "__main__":
    main()
