#!/usr/bin/env python3
"""Tests of 'lockstep chat --server': chat_server_test.py LOCKSTEP MODEL.gguf

Against 'lockstep serve', over pipes and over a terminal, and against a stand-in that answers as other servers may.
Needs the packages of tests/server/server_test.py, and the program openssl.
"""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server.support import (Place, Server, Terminal, Test, certificate, finish, lockstep, long_talker, main, read, start,
                            tiny, write)

CTRL_C, CTRL_D = "\x03", "\x04"
SETTINGS = (
    (),
    ("--temperature", 0.8, "--seed", 7, "-n", 40),
    ("--temperature", 1.3, "--top-p", 0.9, "--top-k", 50, "--min-p", 0.01, "--seed", 2**63 + 5, "-n", 40),
    ("--system", "Answer like a pirate.", "--repetition-penalty", 1.2, "--frequency-penalty", 0.3, "--presence-penalty",
     0.2, "--logit-bias", "28=-3.25", "-n", 40),
    ("--stop", ".", "--ignore-eos", "-n", 30),
)


def lines(*texts):
    return "".join(f"{text}\n" for text in texts).encode()


def answers(path):
    return [message["content"] for message in json.loads(read(path))["messages"]]


class WithServer(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.__exit__, None)

    def chat(self, *texts, url=None, options=(), **more):
        return lockstep("chat", "--server", url or self.server.url, *options, stdin=lines(*texts), timeout=120, **more)


class Pipe(WithServer):
    def test_the_text_is_that_of_a_model_here(self):
        for options in SETTINGS:
            with self.subTest(options):
                here = self.good("chat", "-m", Place.model, "--context", 2048, *options, timeout=120,
                                 stdin=lines("Name a colour.", "Why that one?", f"/save {Place.path('here.json')}"))
                there = self.chat("Name a colour.", "Why that one?", f"/save {Place.path('there.json')}", options=options)
                self.assertEqual("", there.err)
                self.assertEqual(answers(Place.path("here.json")), answers(Place.path("there.json")))
                self.assertEqual(4, len(answers(Place.path("there.json"))))
                self.assertEqual(here.out.replace("here.json", "there.json"), there.out)

    def test_paths_of_the_api(self):
        for path in ("", "/", "/v1", "/v1/", "/openai/v1"):
            result = self.chat("/stats", url=self.server.url + path)
            self.assertIn("model         the-model\n", result.out, path)
        self.one_sentence(self.chat(url=self.server.url + "/v2"), (2,), "usually /v1 or /openai/v1", "/v2")

    def test_commands(self):
        path = Place.path("commands.json")
        result = self.chat("/help", "/system Be brief.", "One.", "/stats", f"/save {path}", "/reset", f"/load {path}",
                           "/system", "/exit", "never sent", options=("-n", 5))
        self.assertEqual(0, result.code, result.err)
        for text in ("/help ", "Be brief.\n", "messages      2\n", "(length)", "fingerprint   fp_", f"{path}: 2 messages"):
            self.assertIn(text, result.out)
        self.assertRegex(result.out, r"prompt +\d+ tokens, \d+ of them kept by the server\n")
        self.assertRegex(result.out, r"answer +5 tokens \(length\) in [\d.]+ s \([\d.]+ a second\)\n")
        self.assertRegex(result.out, r"context +\d+ of 2048 tokens")

    def test_a_model_by_its_name(self):
        result = self.chat("Hi", "/stats", options=("--server-model", "org/alias", "-n", 3))
        self.assertIn("model         org/alias\n", result.out)
        result = self.chat("lost", "/stats", options=("--server-model", "nonsense"))
        self.one_sentence(result, (2,), "404", "a model that is not there")
        self.assertIn("the server lists the-model, org/alias", result.err)
        self.assertIn("messages      0", result.out)

    def test_what_the_server_refuses(self):
        result = self.chat("Hi", "/stats", options=("--temperature", 3))
        self.one_sentence(result, (2,), "400", "temperature")
        self.assertIn("temperature", result.err)
        self.assertIn("messages      0", result.out)
        result = self.chat("word " * 3000, "short", options=("-n", 2))
        self.one_sentence(result, (2,), "400", "a conversation beyond the context")

    def test_the_context_ends_the_answer(self):
        with Server(context=128) as server:
            result = self.chat("Tell a story.", "/stats", url=server.url, options=("--ignore-eos",))
        self.one_sentence(result, (0,), "/reset begins anew", "context")
        self.assertIn("messages      2", result.out)

    def test_options_that_make_no_sense(self):
        for option in (("-m", Place.model), ("--threads", 2), ("--isa", "scalar"), ("--context", 64), ("--chunk", 2),
                       ("--weights", "int8"), ("--kv", 8), ("--machine", "lpu-v1"), ("--chips", 2), ("--no-cache",),
                       ("--cache-dir", "x"), ("--draft-model", "x"), ("--drafts", 3), ("--no-speculation",)):
            self.refused("chat", "--server", self.server.url, *option, says=f"{option[0]}")
        for option in ("--server-model", "--api-key-file", "--ca-file"):
            self.refused("chat", option, "x", says="requires --server")
        self.refused("chat", "--server", self.server.url, "--ca-file", "x", says="is not https")
        self.refused("chat", "--server", self.server.url, "--stop", "", says="--stop")
        self.refused("chat", "--server", self.server.url, "--api-key-file", "/does/not/exist", says="/does/not/exist")
        self.refused("chat", "--server", self.server.url, "--api-key-file", write("two.key", "a\nb\n"), says="two.key")
        for url in ("", "127.0.0.1:8080", "ftp://x", "http://", "http://u:p@host", "http://host/v1?x=1"):
            self.refused("chat", "--server", url, says="--server")
        self.refused("chat", "--server", self.server.url + "/v1 HTTP/1.1\r\nx: y", says="--server")
        self.one_sentence(self.chat("x", options=("--temperature", "nan")), (2,), "--temperature", "nan")

    def test_unreachable(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            url = "http://127.0.0.1:%d" % unused.getsockname()[1]
        self.one_sentence(self.chat("Hi", url=url), (2,), f"{url} cannot be reached: ", "no server")
        self.one_sentence(self.chat("Hi", url="http://name.invalid"), (2,), "no address is known", "no name")

    def test_signals_end_a_script(self):
        with Server("--threads", 2, model=long_talker(), context=16384) as server:
            for number in (signal.SIGINT, signal.SIGTERM):
                process = start("chat", "--server", server.url, "--ignore-eos")
                process.stdin.write(b"Hello\n")
                process.stdin.flush()
                process.stdout.read(1)
                process.send_signal(number)
                self.assertEqual(128 + number, finish(process).code)
                server.wait_until_running(0, 5)


class Keys(Test):
    def test_keys(self):
        with Server(keys=True) as server:
            def chat(*options, **env):
                return lockstep("chat", "--server", server.url, *options, "-n", 3, stdin=b"Hi\n/stats\n",
                                env={"LOCKSTEP_API_KEY": "", **env})

            self.one_sentence(chat(), (2,), "--api-key-file FILE or LOCKSTEP_API_KEY", "no key")
            self.one_sentence(chat(LOCKSTEP_API_KEY=server.key[:-1] + "x"), (2,), "another key", "a wrong key")
            self.assertIn("messages      2", chat(LOCKSTEP_API_KEY=server.key).out)
            file = write("good.key", server.key + "\n")
            self.assertIn("messages      2", chat("--api-key-file", file, LOCKSTEP_API_KEY="wrong").out)
            status, _, made = server.send("POST", "/v1/organization/keys", json.dumps({"name": "r", "scopes": ["read"]}),
                                          {"authorization": f"Bearer {server.key}"})
            self.assertEqual(200, status, made)
            self.one_sentence(chat(LOCKSTEP_API_KEY=made["value"]), (2,), "403", "a key without the right")


class Tls(Test):
    def test_certificates(self):
        file, key = certificate()
        other = certificate("other")[0]
        with Server("--cert", file, "--key", key, certificate=file) as server:
            def chat(url, *options, **env):
                return lockstep("chat", "--server", url, *options, "-n", 3, stdin=b"Hi\n/stats\n", env=env)

            self.assertIn("messages      2", chat(server.url, "--ca-file", file).out)
            # The variable is OpenSSL's name for another store of the system.
            self.assertIn("messages      2", chat(server.url, SSL_CERT_FILE=file).out)
            self.one_sentence(chat(server.url), (2,), "--ca-file", "an authority that nobody trusts")
            self.one_sentence(chat(server.url, "--ca-file", other), (2,), "does not prove who it is", "another authority")
            self.one_sentence(chat(server.url.replace("127.0.0.1", "localhost"), "--ca-file", file), (2,), "mismatch",
                              "another name")
            self.one_sentence(chat(server.url, "--ca-file", key), (2,), f"--ca-file {key}", "no certificate")
            self.one_sentence(chat(server.url.replace("https", "http")), (2,), "begins with https", "plain")
        with Server() as server:
            self.one_sentence(chat(server.url.replace("http", "https")), (2,), "begins with http", "TLS")


class OnTerminal(Test):
    def terminal(self, url, *options):
        terminal = Terminal("chat", "--server", url, *options, env={"LOCKSTEP_CACHE": Place.path("terminal-cache")})
        terminal.wait_for("/help lists the commands")
        terminal.wait_for("> ")
        return terminal

    def save(self, terminal):
        path = Place.path(f"{self._testMethodName}.json")
        terminal.save_chat(path)
        return answers(path)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        with Server("--threads", 2, model=long_talker(), context=16384) as server, \
                self.terminal(server.url, "--ignore-eos") as terminal:
            for turn in (1, 2):
                terminal.send(f"Hello {turn}\r")
                terminal.wait_for(f"Hello {turn}\r\n")
                terminal.more(100)
                self.assertEqual(1, server.running())
                terminal.send(CTRL_C)
                terminal.wait_for("(stopped; the conversation keeps the answer so far)")
                terminal.wait_for("> ")
                server.wait_until_running(0, 2)
            messages = self.save(terminal)
            self.assertEqual(["Hello 1", "Hello 2"], messages[::2])
            self.assertTrue(all(len(text) > 20 for text in messages[1::2]))
            terminal.send("/stats\r")
            terminal.wait_for("(cancelled)")
            terminal.wait_for("> ")  # only then does the editor read what is typed
            terminal.send(CTRL_D)
            self.assertEqual(0, terminal.exit_code())

    def test_the_conversation_outlives_the_server(self):
        with Server() as server, self.terminal(server.url, "-n", 5) as terminal:
            terminal.send("Hello\r")
            terminal.wait_for("Hello\r\n")
            terminal.wait_for("> ")
            server.process.kill()
            server.process.wait()
            terminal.send("Again\r")
            terminal.wait_for("cannot be reached")
            terminal.wait_for("> ")
            self.assertEqual("Hello", self.save(terminal)[0])
            terminal.send("/exit\r")
            self.assertEqual(0, terminal.exit_code())
            server.process.returncode = 0  # its end was wanted


def chunk(text=None, **fields):
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": fields.pop("end", None)}]
    return b"data: %b\n\n" % json.dumps({"choices": choices, **fields}).encode()


GOOD = chunk("Good ") + chunk("answer.", end="stop") + b"data: [DONE]\n\n"
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


class StandIn(http.server.ThreadingHTTPServer):
    """Answers with the replies of a list, one after another: (status, headers, body); it closes after each."""

    def __init__(self, *replies, models=None):
        self.replies, self.bodies = list(replies), []
        self.models = models or {"data": [{"id": "one"}, {"id": "two"}]}
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server_port
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(200, {}, json.dumps(self.server.models).encode())

    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.reply(*self.server.replies.pop(0))

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in {"content-length": len(body), "connection": "close", **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


class OtherServers(Test):
    def chat(self, server, *texts, options=()):
        return lockstep("chat", "--server", server.url, *options, stdin=lines(*texts))

    def test_what_is_sent(self):
        with StandIn((200, EVENTS, GOOD), (200, EVENTS, GOOD)) as server:
            result = self.chat(server, "Hi", "And?", options=("--system", "S", "--temperature", 0.8, "--top-p", 0.9, "--stop",
                                                             "x", "--stop", "y", "--logit-bias", "3=-1.5", "-n", 9))
            self.assertEqual("Good answer.\nGood answer.\n", result.out)
            first, second = server.bodies
            self.assertEqual([{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}], first.pop("messages"))
            self.assertEqual({"model": "one", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0.8,
                              "top_p": 0.9, "seed": 0, "stop": ["x", "y"], "logit_bias": {"3": -1.5},
                              "max_completion_tokens": 9}, first)
            self.assertEqual(["S", "Hi", "Good answer.", "And?"], [m["content"] for m in second["messages"]])

    def test_streams_in_other_ways(self):
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        for stream, wanted in {
            "CRLF": (GOOD.replace(b"\n", b"\r\n"), "Good answer."),
            "comments": (b": ping\n\n" + GOOD.replace(b"data: {", b": x\nid: 3\ndata: {"), "Good answer."),
            "no last event": (GOOD.replace(b"data: [DONE]\n\n", b""), "Good answer."),
            "a role and nulls": (chunk(None, usage=None, error=None, x_groq={"id": "r"}) +
                                 b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n' + GOOD,
                                 "Good answer."),
            "usage in x_groq": (GOOD.replace(b"data: [", chunk(None, x_groq={"usage": usage}) + b"data: ["), "Good answer."),
            "no text": (chunk("", end="stop"), ""),
        }.items():
            with self.subTest(stream), StandIn((200, EVENTS, wanted[0])) as server:
                result = self.chat(server, "Hi", "/stats")
                self.assertEqual("", result.err)
                self.assertTrue(result.out.startswith(wanted[1] + "\n"), result.out)
                self.assertIn("messages      2", result.out)
                if stream == "usage in x_groq":
                    self.assertIn("prompt        7 tokens", result.out)

    def test_failures_are_sentences_and_keep_the_conversation(self):
        error = json.dumps({"error": {"message": "It is so.", "type": "x"}}).encode()
        half = chunk("Half ")
        for name, (reply, says) in {
            "401": ((401, {}, error), "401: It is so; --api-key-file"),
            "403": ((403, {}, error), "403: It is so; a key"),
            "404": ((404, {}, error), "404: It is so; the server lists one, two"),
            "429": ((429, {}, error), "429: It is so"),
            "429 for long": ((429, {"retry-after": "61"}, error), "tried again in 61 s"),
            "500": ((500, {}, b"<html>no</html>"), "500: without a message"),
            "503": ((503, {"retry-after": "2"}, error), "503: It is so; it may be tried again in 2 s"),
            "text as error": ((400, {}, b'{"error": "short"}'), "400: short"),
            "redirect": ((301, {"location": "https://other/v1"}, b""), "points to https://other/v1"),
            "no stream": ((200, {"content-type": "text/html"}, b"<p>"), "text/html"),
            "an error event": ((200, EVENTS, half + b'event: error\ndata: {"error":{"message":"broke"}}\n\n'), "broke"),
            "an error as data": ((200, EVENTS, half + b'data: {"error":{"message":"broke"}}\n\n'), "broke"),
            "an error of Groq": ((200, EVENTS, half + chunk(None, x_groq={"error": "over"})), "over"),
            "no JSON": ((200, EVENTS, half + b"data: {nonsense\n\n"), "no JSON object: {nonsense"),
            "cut off": ((200, {**EVENTS, "content-length": 10**6}, half), "cut off"),
            "ended early": ((200, EVENTS, half), "cut off"),
            "empty": ((200, EVENTS, b""), "cut off"),
        }.items():
            with self.subTest(name), StandIn(reply, (200, EVENTS, GOOD)) as server:
                result = self.chat(server, "lost", "Hi", "/stats")
                self.one_sentence(result, (2,), says, name)
                self.assertIn(server.url, result.err)
                self.assertIn("Good answer.\n", result.out)
                self.assertIn("messages      2", result.out)
                self.assertEqual(["Hi"], [m["content"] for m in server.bodies[1]["messages"]])

    def test_a_server_that_asks_to_wait_is_obeyed(self):
        error = (429, {"retry-after": "1"}, b'{"error": {"message": "slower"}}')
        with StandIn(error, error, (200, EVENTS, GOOD)) as server:
            began = time.monotonic()
            result = self.chat(server, "Hi")
            self.assertGreater(time.monotonic() - began, 2)
            self.assertEqual("Good answer.\n", result.out)
            self.assertEqual(0, result.code)
            self.assertEqual([f"lockstep: {server.url}: 429: slower; sent again in 1 s"] * 2, result.err.splitlines())
            self.assertEqual(server.bodies[0], server.bodies[2])
        with StandIn((429, {"retry-after": "50"}, b""), (200, EVENTS, GOOD)) as server, \
                Terminal("chat", "--server", server.url) as terminal:
            terminal.wait_for("> ")
            terminal.send("Hi\r")
            terminal.wait_for("sent again in 50 s")
            terminal.send(CTRL_C)
            terminal.wait_for("the message is taken back")
            terminal.wait_for("> ")
            terminal.send("Hi\r")
            terminal.wait_for("Good answer.")

    def test_nothing_of_a_server_commands_the_terminal(self):
        evil = "\x1b]0;owned\x07\x9b2J\r\nlockstep: fake"
        error = json.dumps({"error": {"message": evil}}).encode()
        models = {"data": [{"id": evil}]}
        with StandIn((400, {}, error), (301, {"location": "\x1b[2J"}, b""), (200, EVENTS, b"data: \x1b[2J\n\n"),
                     (200, EVENTS, chunk(evil.replace("\n", ""), end="stop", system_fingerprint=evil)), models=models) as server, \
                Terminal("chat", "--server", server.url) as terminal:
            begun = terminal.wait_for("> ")
            for _ in range(4):
                terminal.send("Hi\r")
                terminal.wait_for("Hi\r\n")
                begun += terminal.wait_for("\r\n> ")
            terminal.send("/stats\r")
            terminal.wait_for("/stats\r\n")
            begun += terminal.wait_for("\r\n> ")
            self.assertIn("owned", begun)
            self.assertEqual([], re.findall(r"\x1b\]0|\x07|\x9b|\x1b\[2J|^lockstep: fake", begun, re.MULTILINE))

    def test_lists_of_models(self):
        for models, says in (({"data": []}, "lists no model"), ({"x": 1}, "is no list of models"), ([1], "is no list")):
            with StandIn(models=models) as server:
                self.one_sentence(self.chat(server, "Hi"), (2,), says, models)
        with StandIn((200, EVENTS, GOOD), models={"data": []}) as server:
            self.assertEqual("Good answer.\n", self.chat(server, "Hi", options=("--server-model", "m")).out)
            self.assertEqual("m", server.bodies[0]["model"])


if __name__ == "__main__":
    main()
