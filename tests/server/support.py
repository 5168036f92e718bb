"""What the tests of the server share: a started server, its clients, and bare sockets."""

import contextlib
import functools
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import typing
import urllib.parse

import groq
import httpx
import openai
import pydantic

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from cli.support import Place, Terminal, Test, finish, lockstep, long_talker, main, read, start, tiny, write  # noqa: F401: for those who share this

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


@functools.cache
def certificate(name="server"):
    """The files of a new certificate for 127.0.0.1 and its key."""
    files = Place.path(name + ".crt"), Place.path(name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=lockstep", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


class Step(pydantic.BaseModel):
    note: str = pydantic.Field(max_length=10)
    done: bool


class Plan(pydantic.BaseModel):
    """What an answer may have to be."""

    kind: typing.Literal["long", "short"]
    size: typing.Optional[int]
    steps: list[Step] = pydantic.Field(max_length=2)


class GetPrice(pydantic.BaseModel):
    """What a call may have to be."""

    item: typing.Literal["tea", "cake"]
    count: int


class Server:
    """A started server; as a context it is stopped at the end and must have ended well.

    `certificate`: the file of --cert, where the server has one.
    """

    def __init__(self, *options, model=None, context=2048, keys=False, data=None, certificate=None):
        """`keys`: requests need one, and self.key has all rights; `data`: the data folder of an earlier server."""
        self.model = "the-model"
        self.data = data or tempfile.mkdtemp(dir=Place.folder)
        self.key = "none"
        descriptor, self.log_path = tempfile.mkstemp(suffix=".log", dir=Place.folder)
        with open(descriptor, "wb") as log:  # a pipe that nobody reads would fill
            self.process = start("serve", "-m", model or Place.model, "--port", 0, "--context", context, "--name",
                                 self.model, "--name", "org/alias", "--data-dir", self.data,
                                 *([] if keys else ["--no-keys"]), *options, stderr=log)
        line = self.process.stdout.readline().decode()
        if line.startswith("key, shown only now: "):
            self.key = line.split()[-1]
            line = self.process.stdout.readline().decode()
        self.tls = ssl.create_default_context(cafile=certificate) if certificate else None
        if not line.startswith("https://" if self.tls else "http://"):
            finish(self.process)
            raise AssertionError(f"the server does not start: {line!r} {self.log()}")
        self.url = line.removesuffix("/v1\n")
        address = urllib.parse.urlsplit(self.url)
        self.place = address.hostname, address.port

    def log(self):
        """What it has written to standard error so far."""
        return read(self.log_path).decode()

    def client_options(self, options):
        # The clients check the type of every field of a reply, which they do not by themselves.
        return {"api_key": self.key, "max_retries": 0, "_strict_response_validation": True, **options}

    def openai(self, **options):
        return self.client(openai.OpenAI, self.url + "/v1", **options)

    def groq(self, **options):
        return self.client(groq.Groq, self.url, **options)

    def client(self, kind, url, **options):
        if self.tls:
            options["http_client"] = httpx.Client(verify=self.tls)
        return kind(base_url=url, **self.client_options(options))

    def clients(self):
        return [("openai", openai, self.openai()), ("groq", groq, self.groq())]

    def connect(self, receive_bytes=None):
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(30)
        connection.connect(self.place)
        return self.tls.wrap_socket(connection, server_hostname=self.place[0]) if self.tls else connection

    def get(self, path):
        """Status, headers and parsed body."""
        return self.send("GET", path)

    def send(self, method, path, body=None, headers={}):
        if self.tls:
            connection = http.client.HTTPSConnection(*self.place, timeout=30, context=self.tls)
        else:
            connection = http.client.HTTPConnection(*self.place, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            body = response.read()
            is_json = "json" in (response.headers["content-type"] or "json")
            return response.status, response.headers, json.loads(body or "null") if is_json else body.decode()
        finally:
            connection.close()

    def body(self, **fields):
        return json.dumps({"model": self.model, "messages": QUESTION, **fields}).encode()

    def post(self, **fields):
        """A request for a chat completion as bytes, to be sent on a bare socket."""
        body = self.body(**fields)
        return b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def running(self):
        return self.get("/readyz")[2]["answers_running"]

    def wait_until_running(self, count, seconds):
        """Waits until so many answers run; returns how long that took."""
        began = time.monotonic()
        while (running := self.running()) != count:
            if time.monotonic() - began > seconds:
                raise AssertionError(f"{running} answers run after {seconds} s, not {count}")
            time.sleep(0.005)
        return time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(Exception):
                self.wait_for_end()
        if self.process.poll() is None:
            self.process.kill()
        result = finish(self.process)
        if kind is None and result.code != 0:
            raise AssertionError(f"the server ended with {result.code}: {self.log()}")

    def wait_for_end(self):
        return self.process.wait(30)


def read_until(connection, wanted):
    read = b""
    while wanted not in read:
        data = connection.recv(65536)
        if not data:
            raise AssertionError(f"{wanted!r} does not come, but {read[-300:]!r}")
        read += data
    return read


def read_to_end(connection):
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            read += data
    return read


def create(client, **fields):
    return client.chat.completions.create(model="the-model", **{"messages": QUESTION, "temperature": 0, **fields})


def text_of_stream(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


class WithServer(Test):
    """What shares one server of the default model."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.__exit__, None)
