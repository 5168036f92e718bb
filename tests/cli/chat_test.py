#!/usr/bin/env python3
"""Tests of 'lockstep chat' over pipes and over a terminal: chat_test.py LOCKSTEP MODEL.gguf [--quick] (needs gguf)."""

import json
import os
import re
import signal
import termios
import time
from unittest import mock

import gguf
from support import Place, Terminal, Test, finish, lockstep, long_talker, main, make_tiny, read, start, tiny, write

SHORT = ("-n", 10, "--ignore-eos")
CTRL_C, CTRL_D, UP, BACKSPACE = "\x03", "\x04", "\x1b[A", "\x7f"


def chat(*lines, model=None, options=SHORT, **more):
    return lockstep("chat", "-m", model or tiny(), *options, stdin="".join(f"{line}\n" for line in lines).encode(), **more)


def saved(path):
    return json.loads(read(path))


def digest_of(result):
    return re.findall(r"^digest +(\S+)$", result.out, re.MULTILINE)[-1]


class Pipe(Test):
    def said(self, *lines, **options):
        """The messages that the session keeps after these lines."""
        path = Place.path("said.json")
        result = chat(*lines, f"/save {path}", **options)
        self.assertEqual(0, result.code, result.err)
        return saved(path)["messages"]

    def test_one_turn_is_what_run_answers(self):
        for options in (SHORT, (*SHORT, "--system", "Short."), (*SHORT, "--temperature", 1, "--seed", 3)):
            alone = self.good("run", "-m", tiny(), *options, "--json", "Hello").json
            result = chat("Hello", "/stats", options=options)
            self.assertTrue(result.out.startswith(alone["text"] + "\n"))
            self.assertEqual(alone["digest"], digest_of(result))
            self.assertIn(alone["fingerprint"], result.out)

    def test_answers_depend_on_the_conversation(self):
        messages = self.said("one", "two")
        self.assertEqual(["user", "assistant"] * 2, [m["role"] for m in messages])
        self.assertEqual(["one", "two"], [m["content"] for m in messages[::2]])
        self.assertNotEqual(messages[3]["content"], self.said("two")[1]["content"])
        self.assertEqual(messages[2:], self.said("three", "/reset", "one", "two")[2:])

    def test_a_conversation_goes_on_with_the_same_bits(self):
        path = Place.path("half.json")
        whole = chat("one", f"/save {path}", "two", "/stats", options=(*SHORT, "--system", "S"))
        self.assertEqual(digest_of(whole), digest_of(chat(f"/load {path}", "two", "/stats")))
        self.assertEqual(digest_of(whole), digest_of(chat("two", "/stats", options=(*SHORT, "--load", path))))
        self.assertEqual("S", saved(path)["system"])

    def test_lines(self):
        self.assertEqual("a\nb\nc", self.said("a\\", "b\\", "c")[0]["content"])
        self.assertEqual("/etc/fstab is a file", self.said("//etc/fstab is a file")[0]["content"])
        self.assertEqual("äöü 漢字", self.said("", "   ", "äöü 漢字")[0]["content"])
        path = Place.path("last.json")
        lockstep("chat", "-m", tiny(), *SHORT, stdin=f"no newline\n/save {path}".encode())
        self.assertEqual("no newline", saved(path)["messages"][0]["content"])

    def test_system(self):
        path = Place.path("system.json")
        result = chat("/system", "/system Be brief.", "/system", f"/save {path}", "/system -", "/system")
        self.assertIn("no system message\nBe brief.\n", result.out)
        self.assertTrue(result.out.endswith("no system message\n"))
        self.assertEqual("Be brief.", saved(path)["system"])
        self.assertEqual(0, result.code)

    def test_help_and_exit(self):
        text = chat("/help").out
        for command in "/help /reset /system /stats /save /load /exit //text".split():
            self.assertIn(command, text)
        self.assertEqual("", chat("/exit", "never sent").out)

    def test_wrong_commands_are_explained_and_not_sent(self):
        path = Place.path("none.json")
        for line in ("/nonsense", "/Help", "/", "/exit now", "/save", "/load", "/load /does/not/exist", "/save /no/folder/x"):
            result = chat(line, f"/save {path}")
            self.assertEqual([], saved(path)["messages"], line)
            self.one_sentence(result, (2,), "/", line)

    def test_bad_text_is_explained_and_not_sent(self):
        for text in (b"a\xffb", b"a\0b"):
            result = lockstep("chat", "-m", tiny(), *SHORT, stdin=text + b"\n")
            self.one_sentence(result, (2,), "the message", text)

    def test_conversation_beyond_the_context(self):
        path = Place.path("long.json")
        result = chat("a" * 30, "b" * 300, "/reset", "short", f"/save {path}", options=("-n", 5, "--context", 128))
        self.one_sentence(result, (2,), "/reset", "long")
        self.assertIn("--context", result.err)
        self.assertEqual("short", saved(path)["messages"][0]["content"])
        result = chat("Hi", "/stats", options=("--ignore-eos", "--context", 64))
        self.assertIn("/reset", result.err)
        self.assertIn(" 64 of 64 tokens (100%)", result.out)

    def test_a_template_that_refuses(self):
        template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + make_tiny.CHAT_TEMPLATE
        with mock.patch.object(make_tiny, "CHAT_TEMPLATE", template):
            model = tiny("q4_1", pre="gpt-2")
        path = Place.path("refused.json")
        result = chat("/system x", "lost", "/system -", "kept", f"/save {path}", model=model)
        self.one_sentence(result, (2,), "no system", "template")
        self.assertEqual("kept", saved(path)["messages"][0]["content"])

    def test_a_model_without_a_template(self):
        with mock.patch.object(gguf.GGUFWriter, "add_chat_template"):
            model = tiny("q4_1", pre="gpt-2", eps=2e-5)
        self.refused("chat", "-m", model, stdin=b"x\n", says="--raw")
        self.refused("run", "-m", model, "x", says="--raw")
        self.good("run", "-m", model, "--raw", "-n", 1, "x")

    def test_damaged_conversations(self):
        good = {"lockstep_chat": 1, "system": "s", "messages": [{"role": "user", "content": "x"}]}
        self.assertEqual(0, chat(options=("--load", write("good.json", json.dumps(good)))).code)
        user = {"role": "user", "content": "x"}
        for name, content in {
            "empty": "",
            "text": "no JSON",
            "list": "[]",
            "number": "1",
            "half": json.dumps(good)[:-3],
            "deep": "[" * 100000,
            "another": '{"lockstep_record": 1}',
            "version": json.dumps({**good, "lockstep_chat": 2}),
            "type": json.dumps({**good, "lockstep_chat": [1]}),
            "system": json.dumps({**good, "system": 3}),
            "none": json.dumps({"lockstep_chat": 1}),
            "messages": json.dumps({**good, "messages": {}}),
            "message": json.dumps({**good, "messages": ["x"]}),
            "role": json.dumps({**good, "messages": [{**user, "role": "pirate"}]}),
            "no role": json.dumps({**good, "messages": [{"content": "x"}]}),
            "content": json.dumps({**good, "messages": [user, {**user, "content": None}]}),
            "zero": json.dumps({**good, "messages": [{**user, "content": "a\0b"}]}),
            "bytes": json.dumps(good).encode().replace(b'"x"', b'"\xff"'),
        }.items():
            path = write(f"chat-{name}.json", content)
            self.refused("chat", "-m", tiny(), "--load", path, says=path)
            result = chat(f"/load {path}", "/stats")
            self.one_sentence(result, (2,), path, name)
            self.assertIn("messages      0", result.out)

    def test_signals_end_a_script(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            for line in (b"", b"Hello\n"):
                process = start("chat", "-m", long_talker(), "--ignore-eos")
                process.stdin.write(line + b"/system\n" * (not line))
                process.stdin.flush()
                process.stdout.read(1)
                process.send_signal(number)
                self.assertEqual(128 + number, finish(process).code)


class OnTerminal(Test):
    def setUp(self):
        self.env = {"LOCKSTEP_CACHE": Place.path(f"cache-of-{self._testMethodName}")}

    def terminal(self, *options, model=None):
        terminal = Terminal("chat", "-m", model or tiny(), *options, env=self.env)
        terminal.wait_for("/help lists the commands")
        terminal.wait_for("> ")
        return terminal

    def save(self, terminal):
        path = Place.path(f"{self._testMethodName}.json")
        terminal.save_chat(path)
        return saved(path)["messages"]

    def test_a_turn(self):
        with self.terminal(*SHORT) as terminal:
            terminal.send("Hello\r")
            terminal.wait_for("> ")
            self.assertEqual("Hello", self.save(terminal)[0]["content"])
            terminal.send("/exit\r")
            self.assertEqual(0, terminal.exit_code())

    def test_control_characters_of_the_model_do_not_reach_the_terminal(self):
        with self.terminal("-n", 400, "--temperature", 3, "--ignore-eos", model=tiny("q4_1", context=1024)) as terminal:
            terminal.send("Hello\r")
            terminal.wait_for("Hello\r\n")
            answer = terminal.wait_for("\r\n> ")
            self.assertGreater(len(answer), 400)
            self.assertEqual([], re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", answer))
            kept = self.save(terminal)[1]["content"]
            self.assertTrue(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", kept), "the model writes none: the test shows nothing")

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        with self.terminal("--ignore-eos", model=long_talker()) as terminal:
            for turn in (1, 2):
                terminal.send(f"Hello {turn}\r")
                terminal.wait_for(f"Hello {turn}\r\n")
                terminal.more(100)
                terminal.send(CTRL_C)
                terminal.wait_for("(stopped; the conversation keeps the answer so far)")
                terminal.wait_for("> ")
            messages = self.save(terminal)
            self.assertEqual(["user", "assistant"] * 2, [m["role"] for m in messages])
            self.assertTrue(all(len(m["content"]) > 20 for m in messages[1::2]))
            terminal.send("/stats\r")
            terminal.wait_for("(cancelled)")
            terminal.send("/exit\r")
            self.assertEqual(0, terminal.exit_code())

    def test_ctrl_c_clears_the_line(self):
        with self.terminal(*SHORT) as terminal:
            terminal.send("never sent")
            terminal.wait_for("never sent")
            terminal.send(CTRL_C)
            terminal.wait_for("> ")
            terminal.send("begun \\\r")
            terminal.wait_for(". ")
            terminal.send(CTRL_C)
            terminal.wait_for("> ")
            self.assertEqual([], self.save(terminal))
            terminal.send("sent\r")
            terminal.wait_for("sent\r\n")
            terminal.wait_for("> ")
            self.assertEqual("sent", self.save(terminal)[0]["content"])

    def test_ctrl_c_twice_leaves(self):
        with self.terminal(*SHORT) as terminal:
            terminal.send(CTRL_C)
            terminal.wait_for("Ctrl-C again")
            terminal.wait_for("> ")
            terminal.send("/system\r")  # not twice in a row
            terminal.wait_for("no system message")
            terminal.wait_for("> ")
            terminal.send(CTRL_C)
            terminal.wait_for("Ctrl-C again")
            terminal.wait_for("> ")
            terminal.send(CTRL_C)
            self.assertEqual(0, terminal.exit_code())

    def test_ctrl_d_leaves(self):
        with self.terminal() as terminal:
            terminal.send(CTRL_D)
            self.assertEqual(0, terminal.exit_code())

    def test_sigterm_ends_the_program_and_restores_the_terminal(self):
        with self.terminal() as terminal:
            raw = termios.tcgetattr(terminal.descriptor)[3]
            terminal.kill(signal.SIGTERM)
            self.assertEqual(143, terminal.exit_code())
            mode = termios.tcgetattr(terminal.descriptor)[3]
            self.assertEqual(0, raw & termios.ICANON)
            self.assertNotEqual(0, mode & termios.ICANON)
            self.assertNotEqual(0, mode & termios.ECHO)
        with self.terminal("--ignore-eos", model=long_talker()) as terminal:
            terminal.send("Hello\r")
            terminal.wait_for("Hello\r\n")
            terminal.more(50)
            terminal.kill(signal.SIGTERM)
            self.assertEqual(143, terminal.exit_code())

    def test_editing_in_utf8_whatever_the_locale(self):
        with self.terminal(*SHORT) as terminal:
            terminal.send("Grüße 漢字x" + BACKSPACE + "!\r")
            terminal.wait_for("\r\n")
            terminal.wait_for("> ")
            self.assertEqual("Grüße 漢字!", self.save(terminal)[0]["content"])
            terminal.send(b"broken \xe6z\r")
            terminal.wait_for("\r\n")
            terminal.wait_for("> ")
            self.assertEqual("broken \ufffdz", self.save(terminal)[2]["content"])

    def test_history(self):
        place = os.path.join(self.env["LOCKSTEP_CACHE"], "chat_history")
        with self.terminal(*SHORT) as terminal:
            terminal.send("remembered\r")
            terminal.wait_for("remembered\r\n")
            terminal.wait_for("> ")
            terminal.send("/exit\r")
            self.assertEqual(0, terminal.exit_code())
        self.assertEqual(b"remembered\n/exit\n", read(place))
        self.assertEqual(0o600, os.stat(place).st_mode & 0o777)
        with open(place, "w") as file:
            file.writelines(f"line {i}\n" for i in range(2500))
        os.chmod(place, 0o644)
        with self.terminal(*SHORT) as terminal:
            terminal.send(UP + UP + "\r")
            terminal.wait_for("\r\n")
            terminal.wait_for("> ")
            self.assertEqual("line 2498", self.save(terminal)[0]["content"])
        lines = read(place).decode().splitlines()
        self.assertEqual(["line 1500", "line 2498"], [lines[0], lines[1000]])
        self.assertEqual(0o600, os.stat(place).st_mode & 0o777)

    def test_without_a_cache_folder_no_history_is_kept(self):
        self.env["LOCKSTEP_CACHE"] = "/proc/none"
        with Terminal("chat", "-m", tiny(), *SHORT, env=self.env) as terminal:
            terminal.wait_for("not kept")
            terminal.wait_for("> ")
            terminal.send("x\r")
            terminal.wait_for("x\r\n")
            terminal.wait_for("> ")
            terminal.send(CTRL_D)
            self.assertEqual(0, terminal.exit_code())

    def test_stopped_and_continued(self):
        with self.terminal(*SHORT) as terminal:
            terminal.send("first ")
            terminal.wait_for("first ")
            terminal.kill(signal.SIGSTOP)
            mode = termios.tcgetattr(terminal.descriptor)
            mode[3] |= termios.ICANON | termios.ECHO  # as a shell does
            termios.tcsetattr(terminal.descriptor, termios.TCSANOW, mode)
            terminal.kill(signal.SIGCONT)
            deadline = time.monotonic() + 10
            while termios.tcgetattr(terminal.descriptor)[3] & termios.ICANON:
                self.assertLess(time.monotonic(), deadline, "the terminal stays as the shell left it")
                time.sleep(0.05)
            terminal.send("second\r")
            terminal.wait_for("second\r\n")
            terminal.wait_for("> ")
            self.assertEqual("first second", self.save(terminal)[0]["content"])


if __name__ == "__main__":
    main()
