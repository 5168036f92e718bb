"""What the tests of the command line share: the program under test, tiny models, a cache of their own."""

import argparse
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import replace

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import make_tiny

TIMEOUT_S = 30


class Place:
    """Filled by main(): where everything is."""

    program = model = folder = cache = ""
    quick = False

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)


def tiny(name="q4_1", **changes):
    """The path of a tiny model; with changes to its configuration, of one of its own."""
    key = "-".join([name, *(f"{k}-{v}" for k, v in sorted(changes.items()))])
    path = Place.path(f"{key}.gguf")
    if not os.path.exists(path):
        make_tiny.write_model(path, key, replace(make_tiny.configurations()[name], **changes))
    return path


def long_talker():
    """A model whose answer, with --ignore-eos, lasts for seconds."""
    return tiny("f32", width=256, feed_forward=1024, layers=8, context=16384)


def environment(**changes):
    env = {**os.environ, "LOCKSTEP_CACHE": Place.cache, "LC_ALL": "C", "TERM": "xterm", **changes}
    env.pop("LOCKSTEP_HOME", None)
    return env


class Result:
    def __init__(self, code, out, err):
        self.code, self.bytes, self.err = code, out, err.decode("utf-8", "replace")

    @property
    def out(self):
        return self.bytes.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.out)


def lockstep(*arguments, stdin=b"", timeout=TIMEOUT_S, stdout=subprocess.PIPE, env=None, **popen):
    """Runs the program to its end. A time-out is an error of the test."""
    done = subprocess.run(
        [Place.program, *map(str, arguments)],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=timeout,
        env=environment(**(env or {})),
        **popen,
    )
    return Result(done.returncode, done.stdout or b"", done.stderr)


def start(*arguments, env=None, **popen):
    """Starts the program with pipes and leaves it running."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [Place.program, *map(str, arguments)], env=environment(**(env or {})), **{**pipes, **popen}
    )


def wait_until_mapped(process, path):
    """Waits until the process works on a file, or on one in a folder."""
    deadline = time.monotonic() + TIMEOUT_S
    while path not in read(f"/proc/{process.pid}/maps").decode():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{path} is not used: {finish(process).err}")
        time.sleep(0.01)
    time.sleep(0.1)


def finish(process, timeout=TIMEOUT_S):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Result(process.returncode, out or b"", err or b"")


def write(name, content):
    path = Place.path(name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *arguments, env=None):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(Place.program, [Place.program, *map(str, arguments)], environment(**(env or {})))
        self.shown = b""
        self.seen = 0  # how much of `shown` earlier waits have consumed
        self.code = None

    def send(self, text):
        os.write(self.descriptor, text if isinstance(text, bytes) else text.encode())

    def kill(self, number):
        os.kill(self.pid, number)

    def wait_for(self, text, timeout=TIMEOUT_S):
        """Waits until the text is shown after what was waited for before; gives what is shown up to it."""
        wanted, deadline = text.encode(), time.monotonic() + timeout
        while (at := self.shown.find(wanted, self.seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} is not shown, but {self.shown[self.seen:]!r}")
        before = self.shown[self.seen : at]
        self.seen = at + len(wanted)
        return before.decode("utf-8", "replace")

    def more(self, count, timeout=TIMEOUT_S):
        """Waits for so many more bytes."""
        deadline = time.monotonic() + timeout
        while len(self.shown) < self.seen + count:
            if not self._read(deadline):
                raise AssertionError(f"{count} bytes are not shown, but {self.shown[self.seen:]!r}")
        self.seen += count

    def save_chat(self, path):
        """Has a chat that waits for its user save the conversation."""
        self.send(f"/save {path}\r")
        self.wait_for("messages\r\n")
        self.wait_for("> ")

    def exit_code(self, timeout=TIMEOUT_S):
        """Waits for the end; minus the signal when one ended it."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                raise AssertionError(f"still running after showing {self.shown[-300:]!r}")
            else:
                time.sleep(0.01)
        return self.code

    def _read(self, deadline):
        ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other side has closed
            return False
        self.shown += data
        return bool(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            self.kill(signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.descriptor)


class Test(unittest.TestCase):
    longMessage = True

    def good(self, *arguments, **options):
        """Runs a command that must succeed."""
        result = lockstep(*arguments, **options)
        self.assertEqual(0, result.code, f"{arguments}: {result.err}")
        return result

    def refused(self, *arguments, codes=(2,), says="", about="", **options):
        """Runs a command that must fail with one sentence."""
        result = lockstep(*arguments, **options)
        self.one_sentence(result, codes, says, f"{arguments} {about}")
        return result

    def one_sentence(self, result, codes, says, about):
        about = f"{about}: exit code {result.code}, {result.err!r}"
        self.assertIn(result.code, codes, about)
        lines = result.err.splitlines()
        self.assertEqual(1, len(lines), about)
        self.assertTrue(lines[0].startswith("lockstep: ") and len(lines[0]) > 20, about)
        self.assertIn(says, lines[0], about)


def main():
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("program", metavar="LOCKSTEP", help="the program under test")
    parser.add_argument("model", metavar="MODEL.gguf", help="a model with a chat template, such as the default one")
    parser.add_argument("--quick", action="store_true", help="less of what takes long")
    parser.add_argument("-k", metavar="PATTERN", action="append", default=[], help="only tests with this in their name")
    arguments = parser.parse_args()
    Place.program = os.path.abspath(arguments.program)
    Place.model = os.path.abspath(arguments.model)
    Place.quick = arguments.quick
    Place.folder = tempfile.mkdtemp(prefix="lockstep-cli-")
    Place.cache = os.path.join(Place.folder, "cache")
    try:
        patterns = [part for pattern in arguments.k for part in ("-k", pattern)]
        unittest.main(argv=[sys.argv[0], *patterns], verbosity=2)
    finally:
        shutil.rmtree(Place.folder, ignore_errors=True)
