#!/usr/bin/env python3
"""Tests of the commands on bad input: bad_input_test.py LOCKSTEP MODEL.gguf [--quick] (needs gguf).

Whatever is wrong, the program says it in one sentence and ends with the code 2 (the user's) or 3 (the machine's).
"""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess

import gguf
from support import Place, Test, finish, lockstep, long_talker, main, read, start, tiny, wait_until_mapped, write

SIGBUS_SENTENCE = "became shorter"


def program(name="tiny.lockstep", *options, model=None):
    path = Place.path(name)
    if not os.path.exists(path):
        assert lockstep("compile", model or tiny(), "-o", path, *options, timeout=120).code == 0
    return path


def header_bytes(path):
    """Where the tensors' bytes begin in a GGUF file."""
    return gguf.GGUFReader(path).data_offset


def flipped(content, generator, end):
    """The content with one to four bytes before `end` changed."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(end)
        changed[at] ^= 1 << generator.randrange(8) if generator.random() < 0.7 else generator.randrange(1, 256)
    return bytes(changed)


class Files(Test):
    def test_no_such_model(self):
        fifo = Place.path("fifo")
        os.mkfifo(fifo)
        wrong = {
            Place.path("missing.gguf"): "missing.gguf",
            Place.folder: "not a regular file",
            "/dev/null": "not a regular file",
            fifo: "not a regular file",
            write("empty.gguf", b""): "empty.gguf",
            write("short.gguf", b"GGUF"): "short.gguf",
            write("text.gguf", "Once upon a time there was a model.\n" * 100): "text.gguf",
            write("zeros.gguf", bytes(100000)): "zeros.gguf",
            write("record.json", "{}"): "record.json",
            os.path.join(tiny(), "x"): "Not a directory",
        }
        for path, says in wrong.items():
            for command in (("run", "x", "-m"), ("chat", "-m"), ("compile", "-o", Place.path("x"), "--"), ("inspect",),
                            ("tokenize", "x", "-m"), ("eval", "-f", __file__, "-m"), ("bench", "-m"), ("verify",),
                            ("diff", "-f", __file__, "--b", "scalar", "-m")):  # fmt: skip
                self.refused(*command, path, says=says)
        self.assertFalse(os.path.exists(Place.path("x")))

    def test_model_of_a_wrong_kind(self):
        for command in (("compile", "-o", Place.path("x"), "--"), ("diff", "-f", __file__, "--b", "scalar", "-m")):
            self.refused(*command, program())
        self.refused("verify", tiny(), says="compile")
        self.refused("inspect", tiny(), "--print", says="compile")
        self.refused("run", "-m", program(), "--weights", "int8", "x", says="--weights")
        self.refused("run", "-m", program(), "--kv", 8, "x", says="--kv")

    def test_truncated_model(self):
        content, header = read(tiny()), header_bytes(tiny())
        for size in (1, 3, 4, 8, 16, 23, 24, 25, 100, header // 2, header - 40, header - 1, header, header + 1,
                     (header + len(content)) // 2, len(content) - 64):  # fmt: skip
            path = write("truncated.gguf", content[:size])
            self.refused("run", "-m", path, "-n", 1, "x", says=path)
            self.refused("inspect", path, says=path)

    def test_damaged_header(self):
        content, header = read(tiny()), header_bytes(tiny())
        generator, codes = random.Random(7), []
        for attempt in range(40 if Place.quick else 200):
            path = write("damaged.gguf", flipped(content, generator, header))
            result = lockstep("run", "-m", path, "--no-cache", "-n", 2, "--context", 64, "Hello")
            codes.append(result.code)
            if result.code != 0:
                self.one_sentence(result, (2, 3), "", f"attempt {attempt}")
        self.assertGreater(codes.count(2), len(codes) // 10, codes)

    def test_truncated_program(self):
        content = read(program())
        for size in (1, 8, 100, 255, 256, 300, len(content) // 2, len(content) - 33, len(content) - 1):
            path = write("truncated.lockstep", content[:size])
            for command in (("verify",), ("run", "x", "-m")):
                self.refused(*command, path, says=path)
        self.refused("verify", write("longer.lockstep", content + b"\0"))

    def test_every_edit_of_a_program_is_found(self):
        content = read(program())
        generator = random.Random(8)
        for _ in range(30 if Place.quick else 150):
            path = write("edited.lockstep", flipped(content, generator, generator.choice((256, 4096, len(content)))))
            if read(path) != content:
                self.refused("verify", path, says=path)
                self.refused("run", "-m", path, "-n", 1, "x", says=path)

    def test_program_of_another_version(self):
        content = read(program())
        self.assertEqual(2, struct.unpack_from("<I", content, 8)[0])
        path = write("later.lockstep", content[:8] + struct.pack("<I", 3) + content[12:])
        for command in (("verify",), ("run", "x", "-m"), ("inspect",)):
            self.refused(*command, path, says="version 3")

    def test_model_truncated_while_it_is_used(self):
        path = Place.path("shrinking.gguf")
        shutil.copy(Place.model, path)
        process = start("compile", path, "-o", Place.path("shrunk.lockstep"))
        wait_until_mapped(process, path)
        os.truncate(path, 8_000_000)
        self.one_sentence(finish(process), (3,), SIGBUS_SENTENCE, "compile")
        self.assertFalse(os.path.exists(Place.path("shrunk.lockstep")))

    def test_program_truncated_while_it_answers(self):
        # It was read whole and checked before the answer began.
        path = program("shrinking.lockstep", model=long_talker())
        process = start("run", "-m", path, "-n", 300, "--ignore-eos", "Hello")
        process.stdout.read(50)
        os.truncate(path, 65536)
        self.assertEqual(0, finish(process).code)


class Prompts(Test):
    def test_no_prompt(self):
        self.refused("run", "-m", tiny(), "--raw", "", says="empty")
        self.refused("run", "-m", tiny(), "--raw", stdin=b"", says="empty")
        self.refused("run", "-m", tiny(), "-f", Place.path("none.txt"), says="none.txt")
        self.refused("run", "-m", tiny(), "-f", Place.folder, says="folder")
        self.refused("run", "-m", tiny(), "-f", write("p.txt", "x"), "y", says="one of them")
        self.refused("run", "-m", tiny(), "--raw", "--system", "x", "y", says="--raw")

    def test_prompt_beyond_the_context(self):
        for options in (("--context", 32), ()):
            self.refused("run", "-m", tiny(), *options, "x" * 400, says="--context")

    def test_prompt_that_is_no_text(self):
        for options in ((), ("--raw",)):
            self.refused("run", "-m", tiny(), *options, "-f", write("latin1.txt", b"Gr\xfc\xdfe"), says="at byte 2")
            self.refused("run", "-m", tiny(), *options, b"Gr\xfc\xdfe".decode("utf-8", "surrogateescape"), says="at byte 2")
        self.refused("run", "-m", tiny(), "-f", write("zero.txt", b"a\0b"), says="zero byte")
        self.refused("tokenize", "-m", tiny(), "-f", Place.path("latin1.txt"), says="at byte 2")
        self.refused("eval", "-m", tiny(), "-f", Place.path("latin1.txt"), says="at byte 2")

    def test_token_lists(self):
        for content in ("", "{}", "[1", '["x"]', "[1.5]", "[-1]", "[300]", "[99999999999]", '{"tokens": 3}', "[[1]]", "[" * 99999):
            path = write("ids.json", content)
            self.refused("eval", "-m", tiny(), "--tokens", path)
            self.refused("diff", "-m", tiny(), "--tokens", path, "--b", "scalar")
            self.refused("tokenize", "-m", tiny(), "--decode", "-f", path)
        for content in ("[]", "[1]"):
            self.refused("eval", "-m", tiny(), "--tokens", write("few.json", content))
        self.good("eval", "-m", tiny(), "--tokens", Place.path("few.json"), "--logits", Place.path("one.npy"))
        long = write("long.json", json.dumps([5] * 300))
        self.refused("eval", "-m", tiny(), "--tokens", long, says="256")

    def test_records(self):
        path = Place.path("good-record.json")
        self.good("run", "-m", tiny(), "-n", 4, "--ignore-eos", "--record", path, "Hello")
        record = json.loads(read(path))

        def without(key):
            return {k: v for k, v in record.items() if k != key}

        sampling = record["sampling"]
        wrong = [without(key) for key in ("lockstep_record", "fingerprint", "prompt", "sampling", "tokens", "digest")]
        wrong += [{**record, key: value} for key, value in (
            ("lockstep_record", 2), ("fingerprint", "00"), ("fingerprint", 3), ("prompt", []), ("prompt", [-1]), ("prompt", [300]),
            ("prompt", "x"), ("tokens", []), ("tokens", {}), ("digest", None), ("sampling", []))]  # fmt: skip
        wrong += [{**record, "sampling": {**sampling, key: value}} for key, value in (
            ("temperature", -1), ("temperature", "hot"), ("top_p", 2), ("logit_bias", ["x"]), ("stop", [1]))]  # fmt: skip
        for content in ["", "[]", "{", *map(json.dumps, wrong)]:
            self.refused("replay", write("wrong-record.json", content), "-m", tiny(), about=content)
        self.good("replay", path, "-m", tiny())


class Options(Test):
    def test_impossible_values(self):
        run = ("run", "-m", tiny(), "x")
        for options in (
            "--threads 0", "--threads -1", "--threads 1000000", "--threads many", "--isa foo", "--isa mmx", "--drafts 0", "--draft-model nowhere", "--kv 7", "--kv 16.5",
            "--chunk 0", "--chunk -5", "--context 0", "--context 999999999", "--context 10000", "--weights int4", "--machine moon",
            "-n -1", "-n 99999999999", "--temperature -1", "--temperature nan", "--temperature inf", "--temperature warm",
            "--top-p 2", "--top-p -0.1", "--top-p nan", "--min-p 7", "--top-k -1", "--seed -1", "--seed 99999999999999999999",
            "--repetition-penalty 0", "--repetition-penalty -1", "--frequency-penalty nan", "--presence-penalty 1e9",
            "--logit-bias x", "--logit-bias 1", "--logit-bias =1", "--logit-bias 1=", "--logit-bias 300=1", "--logit-bias -1=1",
            "--logit-bias 1=nan", "--logit-bias 1=1e30", "--no-such-option", "-m", "y z",
        ):  # fmt: skip
            self.refused(*run, *options.split())
        self.refused(*run, "--stop", "")

    def test_a_draft_model_with_another_vocabulary(self):
        result = self.refused("run", "-m", tiny(), "--draft-model", tiny("odd72"), "x")
        self.assertIn("vocabulary", result.err)

    def test_no_command_shows_the_help(self):
        result = lockstep()
        self.assertEqual(2, result.code)
        self.assertIn("Usage: lockstep", result.err)
        self.refused("nonsense", says="no command; possible: run")

    def test_wrong_commands(self):
        for arguments in (
            "nonsense", "run run run", "verify", "replay", "cache", "cache nonsense", "compile --dry-run -o x y z",
            "diff -f x", "eval", "bench -r 0", "bench --depth x", "inspect --tensor x", "inspect -o x",
        ):  # fmt: skip
            self.refused(*arguments.split())
        self.refused("compile", tiny(), says="-o")
        for context in ("much", 0, -1, 1 << 25):
            self.refused("compile", tiny(), "--machine", "lpu-v1", "--context", context, "--dry-run", says=str(context))
        self.refused("inspect", tiny(), "--tensor", "none", "-o", Place.path("x.npy"), says="none")
        self.refused("inspect", program(), "--tensor", "none", "-o", Place.path("x.npy"), says="none")
        self.refused("inspect", program(), "--queue", "c0.vxm.3", says="LPU program")
        self.refused("inspect", tiny(), "--queue", "c0.vxm.3", says="compile")
        self.refused("machine", "tsp", says="lpu-v1")
        self.refused("machine", Place.path("none.toml"), says="none.toml")
        self.refused("machine", write("bad.toml", "name = 1"), says="name")
        self.refused("diff", "-m", tiny(), "-f", __file__, "--b", "abacus", says="abacus")
        self.refused("diff", "-m", tiny(), "-f", __file__, "-n", 0, "--b", "scalar")
        self.refused("eval", "-m", tiny(), "-f", __file__, "--tokens", __file__, says="one of")
        self.refused("bench", "-m", tiny(), "-p", 8, "-n", 8, "--depth", 1000, "-r", 1, says="256")
        self.assertFalse(os.path.exists(Place.path("x.npy")))

    def test_cache_settings(self):
        self.refused("run", "-m", tiny(), "x", env={"LOCKSTEP_CACHE_MAX_BYTES": "plenty"}, says="LOCKSTEP_CACHE_MAX_BYTES")
        for place in ("/proc/x", "/dev/null", "/dev/null/x", tiny()):
            result = self.good("run", "-m", tiny(), "-n", 2, "x", env={"LOCKSTEP_CACHE": place})
            self.one_sentence(result, (0,), "not kept", place)
            self.refused("cache", "list", codes=(2, 3), env={"LOCKSTEP_CACHE": place})
        self.refused("run", "x", env={"LOCKSTEP_CACHE": Place.path("nothing-here")}, says="-m")


class FullDisk(Test):
    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            for arguments in (
                ("run", "-m", tiny(), "-n", 5, "--ignore-eos", "x"),
                ("run", "-m", tiny(), "-n", 5, "--json", "x"),
                ("run", "-m", tiny(), "-n", 200, "--ignore-eos", "x"),
                ("inspect", tiny(), "--json"),
                ("inspect", program(), "--print"),
                ("tokenize", "-m", tiny(), "x"),
                ("cache", "list", "--json"),
                ("--help",),
                ("run", "--help"),
                ("--version",),
            ):
                self.refused(*arguments, stdout=full, codes=(3,), says="No space left")
            self.refused("chat", "-m", tiny(), stdin=b"x\n/help\n", stdout=full, codes=(3,), says="No space left")

    def test_files_that_cannot_be_written(self):
        for path in ("/dev/full", "/no/folder/file", Place.folder, "/proc/file"):
            self.refused("compile", tiny(), "-o", path, codes=(2, 3), says=path)
            self.refused("run", "-m", tiny(), "-n", 1, "--record", path, "x", codes=(2, 3), says=path)
            self.refused("eval", "-m", tiny(), "-f", write("t.txt", "text"), "--logits", path, codes=(2, 3), says=path)
            self.refused("inspect", tiny(), "--tensor", "output_norm.weight", "-o", path, codes=(2, 3), says=path)

    def test_disk_that_fills_up(self):
        # A limit on the size of files stands for the full disk: it needs no rights.
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        text = write("text.txt", "Many words. " * 10)
        for path, arguments in {
            Place.path("full.lockstep"): ("compile", tiny(), "-o"),
            Place.path("full.npy"): ("eval", "-m", program(), "-f", text, "--logits"),
            Place.path("full2.npy"): ("inspect", tiny(), "--tensor", "token_embd.weight", "-o"),
        }.items():
            before = set(os.listdir(Place.folder))
            self.refused(*arguments, path, codes=(3,), says=path, preexec_fn=limit)
            self.assertEqual(before, set(os.listdir(Place.folder)))
        env = {"LOCKSTEP_CACHE": Place.path("full-cache")}
        result = self.good("run", "-m", tiny(), "-n", 2, "x", env=env, preexec_fn=limit)
        self.one_sentence(result, (0,), "not kept", "cache")
        self.assertEqual([], self.good("cache", "list", "--json", env=env).json)

    def test_small_file_system(self):
        script = 'mount -t tmpfs -o size=64k none "$1" && shift && exec "$@"'
        place = Place.path("small")
        os.mkdir(place)
        probe = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", place, "true"], capture_output=True)
        if probe.returncode != 0:
            self.skipTest(f"no file system can be mounted here: {probe.stderr.decode().strip()}")
        text = write("text.txt", "Many words. " * 10)
        for arguments in (
            ("eval", "-m", program(), "-f", text, "--logits", f"{place}/x.npy"),
            ("compile", tiny(), "-o", f"{place}/x.lockstep"),
        ):
            done = subprocess.run(
                ["unshare", "-m", "sh", "-c", script + '; code=$?; ls -A "$0"; exit $code', place, place, Place.program, *arguments],
                capture_output=True, timeout=30, env={**os.environ, "LOCKSTEP_CACHE": Place.cache},
            )  # fmt: skip
            self.assertEqual(3, done.returncode, done.stderr)
            self.assertIn("No space left", done.stderr.decode())


class Signals(Test):
    def test_during_compile(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            out = Place.path(f"stopped-{number}.lockstep")
            process = start("compile", Place.model, "-o", out)
            wait_until_mapped(process, Place.model)
            process.send_signal(number)
            result = finish(process)
            self.assertEqual(128 + number, result.code)
            self.assertIn("lockstep: interrupted", result.err)
            self.assertFalse(os.path.exists(out))

    def test_during_the_first_run(self):
        env = {"LOCKSTEP_CACHE": Place.path("stopped-cache")}
        process = start("run", "-m", Place.model, "x", env=env)
        wait_until_mapped(process, Place.model)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(143, finish(process).code)
        self.assertEqual([], self.good("cache", "list", "--json", env=env).json)
        self.good("run", "-m", tiny(), "-n", 1, "x", env=env)

    def test_during_an_answer(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            record = Place.path(f"stopped-{number}.json")
            process = start("run", "-m", long_talker(), "-n", 0, "--ignore-eos", "--record", record, "Hello")
            process.stdout.read(20)
            process.send_signal(number)
            result = finish(process)
            self.assertEqual((128 + number, ""), (result.code, result.err))
            self.assertEqual("cancelled", json.loads(read(record))["finish_reason"])
            self.good("replay", record, "-m", long_talker())

    def test_during_replay_bench_and_eval(self):
        record = Place.path("long-record.json")
        self.good("run", "-m", long_talker(), "-n", 2000, "--ignore-eos", "--record", record, "Hello")
        logits = Place.path("stopped.npy")
        text = write("long.txt", "Many words. " * 900)
        for arguments in (
            ("replay", record, "-m", long_talker()),
            ("bench", "-m", long_talker(), "-r", 100),
            ("eval", "-m", long_talker(), "-f", text, "--logits", logits, "--chunk", 1),
        ):
            process = start(*arguments)
            wait_until_mapped(process, Place.cache)
            process.send_signal(signal.SIGINT)
            result = finish(process)
            self.assertEqual(130, result.code, f"{arguments}: {result.out} {result.err}")
            self.assertEqual(b"", result.bytes, arguments)
        self.assertFalse(os.path.exists(logits))


if __name__ == "__main__":
    main()
