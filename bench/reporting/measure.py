"""Runs Lockstep and its peers for the rows of the report.

A row's measurement is one round: Lockstep and its peers in turn. It gives a dictionary of figures; what could not be
measured is {"failed": reason} in its place.
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parents[1]
TIMEOUT_S = 240
ATTEMPTS = 3
DISTURBED = 0.05  # of the processors' time, taken by others: measured again
DEPTHS = [0, 128, 512, 1024, 2048, 4096]
LENGTHS = [16, 64, 256, 512, 1024, 2048, 4096]
STREAMS = [1, 2, 4, 8, 16, 32]
LLAMA_CURVES = ["decode=32", "decode=32@512", "decode=32@2048", "prefill=64", "prefill=512", "prefill=2048", "streams=1x16",
                "streams=4x16", "streams=16x16"]
SAME_RUNS = 20


def busy_s():
    """Seconds that all processors have worked, for anybody, or were stolen by the hypervisor."""
    user, nice, system, _, _, irq, soft, steal = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def own_s():
    """Seconds that finished commands of ours have worked."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Measurement:
    """`run_with`: words put before every measured command.

    A command during which others took much of the processors is run again; the least disturbed counts. `disturbances`:
    the share that others took of each command that counted.
    """

    def __init__(self, lockstep, model, threads, run_with, folder):
        self.program, self.model, self.threads, self.run_with = lockstep, model, threads, run_with
        self.small = pathlib.Path(folder) / "small.gguf"
        self.versions = {}
        self.disturbances = []

    def run(self, *command):
        """The JSON that a command prints, or {"failed": reason}."""
        best, least = None, None
        for _ in range(ATTEMPTS):
            busy, own, start = busy_s(), own_s(), time.monotonic()
            result = self.run_once(command)
            taken = (busy_s() - busy) - (own_s() - own)
            disturbance = max(0.0, taken / (time.monotonic() - start) / os.cpu_count())
            if best is None or disturbance < least:
                best, least = result, disturbance
            if least <= DISTURBED or "failed" in result:
                break
        self.disturbances.append(least)
        return best

    def run_once(self, command):
        words = [str(word) for word in (*self.run_with, *command)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            out, errors = process.communicate(timeout=TIMEOUT_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # what it started must not disturb what comes next
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return {"failed": f"took more than {TIMEOUT_S} s"}
            raise
        if process.returncode != 0:
            return {"failed": (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]}
        return json.loads(out)

    def lockstep(self, *options, model=None):
        return self.run(self.program, "bench", "-m", model or self.model, "--threads", self.threads, "--json", *options)

    def one(self, *options, model=None):
        """The only row of `lockstep bench`."""
        rows = self.lockstep(*options, model=model)
        return rows[0] if isinstance(rows, list) else rows

    def prefill(self, tokens, *options, model=None):
        return self.one("-p", tokens, "-n", 0, *options, model=model)

    def decode(self, tokens, depth, *options, model=None):
        return self.one("-p", 0, "-n", tokens, "--depth", depth, *options, model=model)

    def peer(self, name, work, model=None):
        """The figures of one of bench/peers/ for a work."""
        result = self.run(BENCH / "peers" / name, model or self.model, "--threads", self.threads, work)
        if "failed" in result:
            return result
        self.versions[name] = result["version"]
        figures = result["works"][work]
        return {"failed": figures["refused"]} if "refused" in figures else figures

    def small_model(self):
        if not self.small.exists():
            subprocess.run([sys.executable, BENCH / "models" / "make_small", self.small], check=True)
        return self.small


def decode_short(m):
    return {"ours": m.decode(128, 0), "llama_cpp": m.peer("llama_cpp", "decode=128"), "openvino": m.peer("openvino", "decode=128")}


def decode_deep(m):
    return {
        "ours": m.decode(64, 2048),
        "ours_kv8": m.decode(64, 2048, "--kv", 8),
        "llama_cpp": m.peer("llama_cpp", "decode=64@2048"),
        "openvino": m.peer("openvino", "decode=64@2048"),
    }


def prefill_512(m):
    return {
        "ours": m.prefill(512),
        "ours_int8": m.prefill(512, "--weights", "int8"),
        "llama_cpp": m.peer("llama_cpp", "prefill=512"),
        "openvino": m.peer("openvino", "prefill=512"),
    }


def prefill_4096(m):
    return {"ours": m.prefill(4096, "-r", 1), "llama_cpp": m.peer("llama_cpp", "prefill=4096")}


def streams_16(m):
    return {"ours": m.decode(64, 32, "--streams", 16), "llama_cpp": m.peer("llama_cpp", "streams=16x64")}


def copying(m):
    figures = {}
    for kind, options in (("copy", ()), ("plain", ("--temperature", 1))):
        files = sorted((BENCH / "workloads" / kind).glob("*.txt"))
        figures[kind] = m.lockstep("--workload", ",".join(map(str, files)), *options)
    return figures


def small(m):
    model = m.small_model()
    return {
        "ours": m.decode(512, 0, model=model),
        "llama_cpp": m.peer("llama_cpp", "decode=512", model=model),
        "openvino": m.peer("openvino", "decode=512", model=model),
    }


def jitter(m):
    return {"ours": m.lockstep("--jitter")}


def profile(m):
    return {
        "faithful": m.lockstep("--profile", "-n", 64, "--depth", "0,2048"),
        "int8": m.lockstep("--profile", "-n", 64, "--weights", "int8"),
        "streams": m.lockstep("--profile", "-p", 0, "-n", 32, "--depth", 32, "--streams", 16),
        "small": m.lockstep("--profile", "-p", 0, "-n", 256, model=m.small_model()),
    }


def same(m):
    """The same binary again and again: what a difference must exceed to mean anything."""
    return {
        "decode": [m.decode(64, 0, "-r", 1) for _ in range(SAME_RUNS)],
        "prefill": [m.prefill(512, "-r", 1) for _ in range(SAME_RUNS)],
    }


def curves(m):
    return {
        "decode": m.lockstep("-p", 0, "-n", 32, "-r", 1, "--depth", ",".join(map(str, DEPTHS))),
        "decode_kv8": m.lockstep("-p", 0, "-n", 32, "-r", 1, "--depth", ",".join(map(str, DEPTHS)), "--kv", 8),
        "prefill": [m.prefill(length, "-r", 1) for length in LENGTHS],
        "streams": m.lockstep("-p", 0, "-n", 32, "-r", 1, "--depth", 32, "--streams", ",".join(map(str, STREAMS))),
        "llama_cpp": {work: m.peer("llama_cpp", work) for work in LLAMA_CURVES},
    }


# By name: how a round is measured, and how many there are.
ROWS = {
    "decode": (decode_short, 4),
    "decode-2048": (decode_deep, 2),
    "prefill-512": (prefill_512, 3),
    "prefill-4096": (prefill_4096, 2),
    "streams-16": (streams_16, 3),
    "copying": (copying, 2),
    "small": (small, 3),
    "jitter": (jitter, 2),
    "profile": (profile, 1),
    "same": (same, 1),
    "curves": (curves, 1),
}
