#!/usr/bin/env python3
"""What streaming over HTTP costs, and what many clients at once get: load.py LOCKSTEP MODEL.gguf [STREAMSxTOKENS...]

With --peer LLAMA_SERVER each load is also given to llama.cpp's server (bench/peers/llama_cpp builds it), in turns.

Starts a server and asks for that many streams at once, each of so many tokens. Printed for each load: tokens a second of
all streams together, time to first token, time between pieces of a stream, CPU time of the server's thread that moves the
bytes and of the whole process, memory. At the end some requests are sent again alone: their texts must be the same.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field


@dataclass
class Stream:
    """What one client saw: seconds since its request for each piece that came, and the text."""

    pieces_s: list = field(default_factory=list)
    text: str = ""


def request(number, tokens):
    body = json.dumps({
        "model": "model",
        "messages": [{"role": "user", "content": f"Write about the number {number}."}],
        "max_tokens": tokens, "stream": True, "temperature": 0.7, "seed": number, "ignore_eos": True,
    }).encode()
    head = f"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(place, number, tokens):
    stream, received, began = Stream(), b"", time.monotonic()
    reader, writer = await asyncio.open_connection(*place)
    writer.write(request(number, tokens))
    while data := await reader.read(1 << 16):
        if b'"content":"' in data:  # of a piece of text; the first chunk's is empty
            stream.pieces_s.append(time.monotonic() - began)
        received += data
    writer.close()
    for line in received.split(b"\n"):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                stream.text += choice["delta"].get("content") or ""
    return stream


async def ask_all(place, streams, tokens):
    return await asyncio.gather(*(ask(place, number, tokens) for number in range(streams)))


def cpu_seconds(pid):
    """Of the process's first thread, which moves the bytes, and of all its threads."""
    seconds = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            seconds[int(thread)] = int(file.read().split()[0]) / 1e9
    return seconds[pid], sum(seconds.values())


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0


class Lockstep:
    name = "lockstep"

    def __init__(self, program, model, folder):
        self.process = subprocess.Popen([program, "serve", "-m", model, "--port", "0", "--context", "2048", "--name",
                                         "model", "--no-keys", "--data-dir", folder], stdout=subprocess.PIPE, text=True)
        host, port = self.process.stdout.readline().removeprefix("http://").removesuffix("/v1\n").split(":")
        self.place = host, int(port)


class LlamaServer:
    name = "llama-server"

    def __init__(self, program, model, streams):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.place = free.getsockname()
        self.process = subprocess.Popen(
            [program, "-m", model, "--host", self.place[0], "--port", str(self.place[1]), "-t", str(os.cpu_count()),
             "-np", str(streams), "-c", str(2048 * streams), "-fa", "on", "--no-slots", "--log-disable"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen("http://%s:%d/health" % self.place):
                return
            time.sleep(0.1)
        raise RuntimeError("llama-server does not start")


@contextlib.contextmanager
def running(server):
    try:
        asyncio.run(ask_all(server.place, 1, 4))
        yield server
    finally:
        server.process.terminate()
        server.process.wait()


def measure(server, streams, tokens):
    pid = server.process.pid
    before, began = cpu_seconds(pid), time.monotonic()
    answers = asyncio.run(ask_all(server.place, streams, tokens))
    seconds, after = time.monotonic() - began, cpu_seconds(pid)
    count = streams * tokens
    first = [answer.pieces_s[0] for answer in answers]
    between = [b - a for answer in answers for a, b in zip(answer.pieces_s, answer.pieces_s[1:])]
    print(f"{server.name} {streams}x{tokens}: {count / seconds:.0f} tok/s; first token p50 {percentile(first, 0.5):.3f} s, "
          f"p99 {percentile(first, 0.99):.3f} s; between p50 {percentile(between, 0.5) * 1e3:.1f} ms, "
          f"p99 {percentile(between, 0.99) * 1e3:.1f} ms; CPU us/token: first thread {(after[0] - before[0]) * 1e6 / count:.0f}, "
          f"all {(after[1] - before[1]) * 1e6 / count:.0f}; {resident_mib(pid)} MiB", flush=True)
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="LOCKSTEP")
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("loads", metavar="STREAMSxTOKENS", nargs="*", default=["1x64", "16x64", "200x32"])
    parser.add_argument("--peer", metavar="LLAMA_SERVER", help="llama.cpp's server")
    arguments = parser.parse_args()
    loads = [tuple(map(int, load.split("x"))) for load in arguments.loads]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(running(Lockstep(arguments.program, arguments.model, folder)))
        peer = None
        if arguments.peer:
            streams_max = max(streams for streams, _ in loads)
            peer = stack.enter_context(running(LlamaServer(arguments.peer, arguments.model, streams_max)))
        for streams, tokens in loads:
            answers = measure(server, streams, tokens)
            if peer:
                measure(peer, streams, tokens)
        alone = range(0, streams, max(1, streams // 8))
        differ = [number for number in alone
                  if asyncio.run(ask(server.place, number, tokens)).text != answers[number].text]
        print(f"{len(alone)} of the last texts sent again alone: {len(differ)} differ")
        return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
