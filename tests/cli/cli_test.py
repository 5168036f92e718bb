#!/usr/bin/env python3
"""Tests of the commands on good input: cli_test.py LOCKSTEP MODEL.gguf [--quick] (needs gguf and numpy)."""

import json
import os
import re

import numpy as np
from support import Place, Test, lockstep, main, read, tiny, write

COMMANDS = "run chat compile inspect verify diff tokenize eval bench models cache machine replay".split()
TIMES = "load_s prefill_s decode_s prefill_tok_s decode_tok_s token_s_p50 token_s_p99".split()
COUNTS = "prompt_tokens_reused drafts_tried drafts_taken".split()
RUN = "model fingerprint program machine prompt_tokens tokens text finish_reason digest timing".split()
PROMPT = "Why is the sky blue? Tell me all that you know of it, in the order in which it matters."


def isas():
    """The kernels that this CPU has."""
    return [i for i in ("scalar", "avx2", "avx512", "neon") if lockstep("run", "-m", tiny(), "--isa", i, "-n", 1, "x").code == 0]


class Help(Test):
    def test_version(self):
        self.assertRegex(self.good("--version").out, r"^lockstep \d+\.\d+\.\d+ ")

    def test_every_command_has_an_example(self):
        self.assertIn("Example", self.good("--help").out)
        listed = self.good("--help").out.split("Subcommands:")[1]
        for command in COMMANDS:
            text = self.good(command, "--help").out
            self.assertIn("Example", text, command)
            self.assertIn(f"lockstep {command}", text, command)
            self.assertIn(f"  {command} ", listed)


class Run(Test):
    def test_json_has_every_field(self):
        result = self.good("run", "-m", tiny(), "--json", "-n", 8, "--ignore-eos", "Hello").json
        self.assertEqual(RUN, list(result))
        self.assertEqual(TIMES + COUNTS, list(result["timing"]))
        self.assertTrue(all(result["timing"][name] > 0 for name in TIMES), result["timing"])
        self.assertEqual(8, len(result["tokens"]))
        self.assertEqual("length", result["finish_reason"])
        self.assertRegex(result["fingerprint"], "^[0-9a-f]{64}$")
        self.assertRegex(result["program"], "^[0-9a-f]{64}$")
        self.assertRegex(result["digest"], "^xxh3:[0-9a-f]{32}$")

    def test_prompt_from_argument_file_and_standard_input(self):
        options = ("run", "-m", tiny(), "-n", 5, "--json")
        texts = [
            self.good(*options, PROMPT),
            self.good(*options, "-f", write("prompt.txt", PROMPT)),
            self.good(*options, stdin=PROMPT.encode()),
        ]
        self.assertEqual(1, len({result.json["digest"] for result in texts}))
        self.assertNotEqual(texts[0].json["digest"], self.good(*options, "--raw", PROMPT).json["digest"])
        self.assertNotEqual(texts[0].json["digest"], self.good(*options, "--system", "x", PROMPT).json["digest"])

    def test_text_is_that_of_json(self):
        options = ("run", "-m", tiny(), "-n", 20, "--ignore-eos", PROMPT)
        self.assertEqual(self.good(*options, "--json").json["text"] + "\n", self.good(*options).out)

    def test_same_digest_on_every_path(self):
        for model in [tiny()] if Place.quick else [tiny(), tiny("odd72"), Place.model]:
            answers = set()
            for isa in isas():
                for threads in (1, 2, 3):
                    for chunk in (1, 7, 64):
                        options = ("--isa", isa, "--threads", threads, "--chunk", chunk, "--temperature", 1, "--seed", 5)
                        if model == Place.model and (isa == "scalar" or threads == 3):
                            continue
                        result = self.good("run", "-m", model, *options, "--json", "-n", 12, "--ignore-eos", PROMPT).json
                        answers.add((result["digest"], result["text"], result["fingerprint"], result["program"]))
            self.assertEqual(1, len(answers), f"{model}: {answers}")

    def test_options_that_change_the_fingerprint(self):
        variants = [(), ("--weights", "int8"), ("--kv", 8), ("--weights", "int8", "--kv", 8)]
        results = [self.good("run", "-m", tiny(), "--json", "-n", 8, *v, PROMPT).json for v in variants]
        self.assertEqual(4, len({result["fingerprint"] for result in results}))
        self.assertEqual(4, len({result["digest"] for result in results}))
        named = self.good("run", "-m", tiny(), "--json", "-n", 8, "--weights", "faithful", "--kv", 16, PROMPT).json
        self.assertEqual(results[0]["fingerprint"], named["fingerprint"])

    def test_seed(self):
        def digest(seed):
            options = ("--temperature", 1.5, "--seed", seed, "-n", 20, "--ignore-eos", "--json")
            return self.good("run", "-m", tiny(), *options, "Hi").json["digest"]

        self.assertEqual(digest(1), digest(1))
        self.assertNotEqual(digest(1), digest(2))

    def test_full_context_ends_the_answer_with_a_warning(self):
        result = self.good("run", "-m", tiny(), "--context", 64, "-n", 0, "--ignore-eos", "Hi")
        self.assertIn("--context", result.err)
        self.assertTrue(result.err.startswith("lockstep: "))


class Speed(Test):
    """What changes the speed of an answer and not the answer."""

    LONG = "All work and no play makes Jack a dull boy. " * 5

    def run_json(self, *options):
        return self.good("run", "-m", tiny(), "--raw", "--json", "-n", 40, "--ignore-eos", *options, self.LONG)

    def test_speculation_changes_no_bits(self):
        for sampling in ((), ("--temperature", 0.7, "--top-p", 0.9, "--seed", 3)):
            plain = self.run_json("--no-speculation", *sampling).json
            self.assertEqual(0, plain["timing"]["drafts_tried"])
            for options in ((), ("--drafts", 3), ("--draft-model", tiny()), ("--draft-model", tiny(), "--drafts", 1)):
                self.assertEqual(plain["digest"], self.run_json(*options, *sampling).json["digest"], options)

    def test_prefixes_survive_a_restart(self):
        folder = Place.path("prefixes")
        first = self.run_json("--cache-dir", folder).json
        again = self.run_json("--cache-dir", folder).json
        self.assertEqual(0, first["timing"]["prompt_tokens_reused"])
        self.assertEqual(first["prompt_tokens"] - 1, again["timing"]["prompt_tokens_reused"])
        self.assertEqual(first["digest"], again["digest"])
        self.assertEqual(self.run_json().json["digest"], again["digest"])
        # Another program's state is not taken.
        other = self.run_json("--cache-dir", folder, "--kv", 8).json
        self.assertEqual(0, other["timing"]["prompt_tokens_reused"])

    def test_a_damaged_prefix_is_noticed_and_ignored(self):
        folder = Place.path("damaged-prefixes")
        first = self.run_json("--cache-dir", folder).json
        blocks = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names if "-" in name]
        self.assertGreater(len(blocks), 1)
        for block in blocks:
            data = bytearray(read(block))
            data[len(data) // 2] ^= 1
            with open(block, "wb") as file:
                file.write(data)
        again = self.run_json("--cache-dir", folder)
        self.assertIn("damaged", again.err)
        self.assertEqual(first["digest"], again.json["digest"])
        self.assertEqual(0, again.json["timing"]["prompt_tokens_reused"])

    def test_an_unusable_folder_is_warned_of(self):
        file = write("no-folder", "x")
        result = self.run_json("--cache-dir", file)
        self.assertIn("no-folder", result.err)
        self.assertEqual(self.run_json().json["digest"], result.json["digest"])

    def test_what_is_fastest_is_kept(self):
        # Nothing is kept of a measurement that other work on this machine was in the way of.
        for _ in range(20):
            self.run_json()
            if os.path.isdir(folder := os.path.join(Place.cache, "tunings")) and os.listdir(folder):
                return
        self.fail("nothing kept")


class Programs(Test):
    def compiled(self, name, *options):
        path = Place.path(name)
        self.good("compile", tiny(), "-o", path, *options)
        return path

    def test_compiled_twice_is_byte_equal(self):
        self.assertEqual(read(self.compiled("once.lockstep")), read(self.compiled("again.lockstep")))

    def test_runs_without_the_model_file(self):
        copy = write("copy.gguf", read(tiny()))
        report = self.good("compile", copy, "-o", Place.path("alone.lockstep"), "--json").json
        os.remove(copy)
        from_model = self.good("run", "-m", tiny(), "--json", "-n", 10, PROMPT).json
        from_program = self.good("run", "-m", Place.path("alone.lockstep"), "--json", "-n", 10, PROMPT).json
        for key in RUN[:-1]:
            self.assertEqual(from_model[key], from_program[key])
        for key in ("fingerprint", "program"):
            self.assertEqual(from_model[key], report[key])
        self.assertEqual(os.path.getsize(Place.path("alone.lockstep")), report["bytes"])

    def test_dry_run_writes_nothing(self):
        model = tiny()
        before = os.listdir(Place.folder)
        plan = self.good("compile", model, "--dry-run", "--json").json
        self.assertEqual(before, os.listdir(Place.folder))
        self.assertGreater(plan["memories"]["weights"]["bytes"], 0)
        self.assertIn("weights", self.good("compile", tiny(), "--dry-run").out)

    def test_dry_run_for_chips(self):
        model = tiny(head_size=32, context=700)
        plan = self.good("compile", model, "--machine", "lpu-v1", "--context", "max", "--dry-run", "--json").json
        self.assertEqual(700, plan["context"])
        rows = {1: [], 8: []}
        for entry in plan["entries"]:
            rows[entry["rows"]].append(entry["name"])
        self.assertEqual({1: ["step.320", "step.640", "step.960"], 8: ["rows8.320", "rows8.640", "rows8.960"]}, rows)
        (chip,) = plan["chips"]
        self.assertEqual(("token_embd", "output"), (chip["first_node"], chip["last_node"]))
        for kind in ("weight", "kv", "constant", "scratch", "free"):
            self.assertEqual(chip[f"{kind}_bytes"], sum(slices[f"{kind}_bytes"] for slices in chip["memory"]))
            self.assertGreater(chip[f"{kind}_bytes"], 0)
        self.assertEqual(plan["chip_bytes"], sum(chip[f"{kind}_bytes"] for kind in ("weight", "kv", "constant", "scratch", "free")))
        text = self.good("compile", model, "--machine", "lpu-v1", "--dry-run").out
        for words in ("320 positions", "token_embd to output", "west 8 to 43", "step.320: "):
            self.assertIn(words, text)

    def test_verify(self):
        path = self.compiled("sound.lockstep")
        self.assertIn("sound", self.good("verify", path).out)
        result = self.good("verify", path, "--json").json
        self.assertEqual(self.good("run", "-m", path, "--json", "-n", 1, "x").json["program"], result["program"])
        self.assertTrue(result["ok"])

    def test_inspect_model(self):
        text = self.good("inspect", tiny()).out
        self.assertIn("token_embd.weight", text)
        shown = self.good("inspect", tiny(), "--json").json
        tensor = next(t for t in shown["tensors"] if t["name"] == "blk.0.ffn_up.weight")
        self.assertEqual(([160, 96], "Q4_1"), (tensor["shape"], tensor["type"]))
        self.assertIn("blk.0", self.good("inspect", tiny(), "--graph").out)

    def test_inspect_program(self):
        path = self.compiled("shown.lockstep")
        self.assertIn("fingerprint", self.good("inspect", path).out)
        shown = self.good("inspect", path, "--json").json
        self.assertEqual(self.good("run", "-m", path, "--json", "-n", 1, "x").json["fingerprint"], shown["fingerprint"])
        self.assertGreater(len(self.good("inspect", path, "--print").out.splitlines()), 20)

    def test_machines(self):
        listed = self.good("machine", "--json").json
        self.assertEqual(["lp30", "lpu-mini", "lpu-v1"], [machine["name"] for machine in listed])
        self.assertIn("230.7 MB", self.good("machine").out)
        for machine in listed:
            shown = self.good("machine", machine["name"], "--json").json
            text = self.good("machine", machine["name"]).out
            for datum in shown["data"]:
                self.assertIn(datum["standing"], ("published", "derived", "assumed"))
                self.assertRegex(text, rf"(?m)^{datum['key']} .* {datum['standing']} .*{re.escape(datum['source'])}$")
            for figure in shown["figures"]:
                self.assertIn(figure["title"], text)
                if "published" in figure and not 0.99 < figure["ratio"] < 1.01:
                    self.assertIn(figure["note"], text)
        figures = {f["name"]: f for f in self.good("machine", "lpu-v1", "--json").json["figures"]}
        self.assertEqual((20, 20, 1), tuple(figures["stream_bandwidth"][k] for k in ("predicted", "published", "ratio")))
        self.assertEqual(50, figures["chain"]["predicted"])
        self.assertLess(figures["weights"]["predicted"], 40)
        changed = read(os.path.join(os.path.dirname(__file__), "../../machines/lpu-v1.toml")).replace(b"value = 35,", b"value = 50,")
        write("slow.toml", changed)
        figures = {f["name"]: f for f in self.good("machine", Place.path("slow.toml"), "--json").json["figures"]}
        self.assertEqual(50, figures["barrier"]["predicted"])

    def test_inspect_exports_tensors(self):
        exported, computed = Place.path("tensor.npy"), Place.path("matrix.npy")
        self.good("inspect", tiny(), "--tensor", "blk.0.ffn_up.weight", "-o", exported)
        path = self.compiled("matrices.lockstep")
        names = [matrix["name"] for matrix in self.good("inspect", path, "--json").json["matrices"]]
        name = next(n for n in names if "ffn_up" in n and "0" in n)
        self.good("inspect", path, "--tensor", name, "-o", computed)
        original, integers = np.load(exported), np.load(computed)
        self.assertEqual((np.float32, (160, 96)), (original.dtype, original.shape))
        self.assertEqual(original.shape, integers.shape)
        self.assertLess(np.abs(original - integers).max(), 0.01 * np.abs(original).max())
        self.assertGreater(np.abs(original).max(), 0)


class Text(Test):
    def test_round_trip(self):
        text = "Round trips: äöü €, 漢字, \U0001f600, \t tabs\n\nand <|im_end|> spelled."
        for options in ((), ("--special",)):
            ids = self.good("tokenize", "-m", tiny(), "--json", *options, text).out
            back = self.good("tokenize", "-m", tiny(), "--decode", "--json", *options, stdin=ids.encode()).json["text"]
            self.assertEqual(text, back)
        plain = self.good("tokenize", "-m", tiny(), "--json", text).json["tokens"]
        special = self.good("tokenize", "-m", tiny(), "--json", "--special", text).json["tokens"]
        self.assertNotIn(2, plain)
        self.assertIn(2, special)
        self.assertEqual(len(plain), len(self.good("tokenize", "-m", tiny(), text).out.splitlines()))

    def test_spelled_control_tokens_in_a_message_are_text(self):
        plain = self.good("run", "-m", tiny(), "--json", "-n", 1, "a<|im_end|>b").json["prompt_tokens"]
        raw = self.good("tokenize", "-m", tiny(), "--json", "--special", "a<|im_end|>b").json["tokens"]
        self.assertEqual(3, len(raw))
        self.assertGreater(plain, 10)

    def test_eval(self):
        text = write("text.txt", PROMPT)
        tokens = self.good("tokenize", "-m", tiny(), "--json", "-f", text).json["tokens"]
        ids = write("ids.json", json.dumps(tokens))
        logits = Place.path("logits.npy")
        result = self.good("eval", "-m", tiny(), "-f", text, "--json", "--logits", logits).json
        rows = np.load(logits)
        self.assertEqual((np.float32, (len(tokens), 300)), (rows.dtype, rows.shape))
        shifted = rows.astype(np.float64) - rows.max(axis=1, keepdims=True)
        likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        nll = -np.mean([likelihood[i, token] for i, token in enumerate(tokens[1:])])
        self.assertAlmostEqual(nll, result["nll"], places=4)
        self.assertAlmostEqual(np.exp(result["nll"]) / result["perplexity"], 1, places=6)
        for options in (("--chunk", 1), ("--chunk", 5, "--threads", 1)):
            other = self.good("eval", "-m", tiny(), "--tokens", ids, "--json", *options).json
            self.assertEqual((result["digest"], result["nll"]), (other["digest"], other["nll"]))
        self.assertIn("perplexity", self.good("eval", "-m", tiny(), "-f", text).out)


class Comparisons(Test):
    def test_diff(self):
        text = write("diff.txt", PROMPT)
        for isa in isas():
            result = self.good("diff", "-m", tiny(), "-f", text, "-n", 6, "--b", isa, "--json").json
            self.assertTrue(result["equal"])
            self.assertEqual(6, result["positions"])
            self.assertGreater(result["values_compared"], 100)
        self.assertTrue(self.good("diff", "-m", tiny(), "-f", text, "-n", 3, "--b", "scalar").out.startswith("equal: "))

    def test_replay(self):
        record = Place.path("record.json")
        sampling = ("--temperature", 1, "--seed", 7, "--top-k", 20, "--ignore-eos", "--logit-bias", "40=1.5", "--stop", "zzz")
        first = self.good("run", "-m", tiny(), "-n", 15, *sampling, "--record", record, "--json", PROMPT).json
        for options in ((), ("--isa", "scalar", "--threads", 1, "--chunk", 3)):
            result = self.good("replay", record, "-m", tiny(), "--json", *options).json
            self.assertEqual((True, first["digest"]), (result["equal"], result["digest"]))
        content = json.loads(read(record))
        for key, change in {
            "a token": lambda c: c["tokens"].__setitem__(4, (c["tokens"][4] + 1) % 300),
            "the seed": lambda c: c["sampling"].__setitem__("seed", 8),
            "the prompt": lambda c: c["prompt"].__setitem__(3, 9),
            "the digest": lambda c: c.__setitem__("digest", "xxh3:" + "0" * 32),
        }.items():
            edited = json.loads(read(record))
            change(edited)
            self.assertNotEqual(content, edited)
            result = lockstep("replay", write("edited.json", json.dumps(edited)), "-m", tiny())
            self.assertEqual(1, result.code, f"{key} was changed: {result.out} {result.err}")
            self.assertTrue(result.out.startswith("differs"))
        self.refused("replay", record, "-m", tiny(), "--kv", 8, says="--kv")

    def test_bench(self):
        rows = self.good("bench", "-m", tiny(), "-p", 32, "-n", 8, "--depth", "0,64", "-r", 1, "--json").json
        self.assertEqual([("prefill", 0), ("decode", 0), ("decode", 64)], [(row["what"], row["depth"]) for row in rows])
        fields = "what tokens depth streams tok_s bytes_per_token read_bytes_s bound_tok_s fraction threads isa".split()
        for row in rows:
            self.assertEqual(fields, list(row))
            self.assertEqual(1, row["streams"])
            self.assertTrue(all(row[key] > 0 for key in fields[4:10]), row)
            self.assertAlmostEqual(row["fraction"], row["tok_s"] / row["bound_tok_s"])
        self.assertIn("tok/s", self.good("bench", "-m", tiny(), "-p", 8, "-n", 4, "-r", 1).out)

    def test_bench_streams(self):
        options = ("bench", "-m", tiny(), "-p", 0, "-n", 8, "--depth", "0,70", "--streams", "1,5", "-r", 1)
        rows = self.good(*options, "--json").json
        self.assertEqual([(0, 1), (0, 5), (70, 1), (70, 5)], [(row["depth"], row["streams"]) for row in rows])
        for row in rows:
            self.assertEqual("streams", row["what"])
            self.assertGreater(row["tok_s"], 0)
        # A step reads the weights once for all, and each stream's own cache.
        weights, cached = rows[0]["bytes_per_token"], rows[2]["bytes_per_token"] - rows[0]["bytes_per_token"]
        self.assertLess(rows[1]["bytes_per_token"], weights / 2)
        self.assertEqual(cached, rows[3]["bytes_per_token"] - rows[1]["bytes_per_token"])
        self.assertEqual(4, self.good(*options).out.count("\nstreams "))
        self.refused("bench", "-m", tiny(), "-p", 0, "-n", 1, "--streams", 65536, says="--streams 65536")
        self.refused("bench", "-m", tiny(), "--streams", 0, says="--streams")

    def test_bench_workload(self):
        text = "copy this, copy this, copy this, copy this, copy "
        first, second = write("work-1.txt", text), write("work-2.txt", PROMPT)
        for temperature in (0, 1):
            options = ("bench", "-m", tiny(), "--workload", f"{first},{second}", "-n", 24, "-r", 2, "--temperature", temperature)
            report = self.good(*options, "--json").json
            self.assertEqual([first, second], [item["file"] for item in report["files"]])
            for item in (report, *report["files"]):
                self.assertTrue(item["tok_s"] > 0 and item["plain_tok_s"] > 0, item)
                self.assertAlmostEqual(item["ratio"], item["tok_s"] / item["plain_tok_s"])
                self.assertLessEqual(item["drafts_taken"], item["drafts_tried"])
            for key in ("tokens", "drafts_tried", "drafts_taken"):
                self.assertEqual(report[key], sum(item[key] for item in report["files"]))
            # What `run` answers.
            run = self.good("run", "-m", tiny(), "--raw", "-f", first, "-n", 24, "--temperature", temperature, "--json").json
            self.assertEqual(run["digest"], report["files"][0]["digest"])
            self.assertIn("drafts tried", self.good(*options).out)
        self.refused("bench", "-m", tiny(), "--workload", first, "-n", 1, says="-n 1")
        self.refused("bench", "-m", tiny(), "--workload", "no-such-file", says="no-such-file")
        self.refused("bench", "-m", tiny(), "--temperature", 1, says="--workload")
        self.refused("bench", "-m", tiny(), "--workload", first, "--jitter", says="--jitter")

    def test_bench_profile(self):
        options = ("bench", "-m", tiny(), "--profile", "-p", 70, "--chunk", 64, "-n", 8, "--depth", "0,64", "-r", 2)
        report = self.good(*options, "--json").json
        profiles = report["profiles"]
        self.assertEqual([("prefill", 0, 2), ("decode", 0, 8), ("decode", 64, 8)],
                         [(p["what"], p["depth"], p["steps"]) for p in profiles])
        parts = ["matrix products", "attention", "norms, quantisation", "rope, store", "barriers", "sampling", "rest"]
        for profile in profiles:
            self.assertEqual(parts, [part["part"] for part in profile["parts"]])
            self.assertAlmostEqual(profile["step_s"], sum(part["step_s"] for part in profile["parts"]))
            self.assertAlmostEqual(1, sum(part["share"] for part in profile["parts"]))
            self.assertAlmostEqual(profile["bound_s"], sum(part["bound_s"] for part in profile["parts"]))
            for part in profile["parts"][:4]:
                self.assertTrue(part["step_s"] > 0 and part["bound_s"] > 0, part)
        self.assertEqual(["nibble", "byte", "plain8", "plain16"], list(report["products_s"]))
        self.assertTrue(all(rate > 0 for rate in report["products_s"].values()), report["products_s"])
        # Attention reads more at the greater depth.
        self.assertGreater(profiles[2]["parts"][1]["bound_s"], profiles[1]["parts"][1]["bound_s"])
        text = self.good(*options).out
        for part in parts:
            self.assertEqual(3, text.count(f"\n{part} "), text)
        many = ("bench", "-m", tiny(), "--profile", "-p", 0, "-n", 8, "--depth", 64, "--streams", "1,4", "-r", 1, "--json")
        one, four = self.good(*many).json["profiles"]
        self.assertEqual([("streams", 1), ("streams", 4)], [(p["what"], p["streams"]) for p in (one, four)])
        self.assertGreater(four["parts"][1]["bound_s"], one["parts"][1]["bound_s"])

    def test_bench_jitter(self):
        options = ("bench", "-m", tiny(), "--jitter", "--steps", 50, "--threads", 2)
        report = self.good(*options, "--json").json
        self.assertEqual(50, report["token"]["count"])
        self.assertEqual(50, sum(row["count"] for row in report["token_histogram"]))
        for kind in ("token", "idle_token"):
            spread = report[kind]
            self.assertTrue(0 < spread["p50_s"] <= spread["p99_s"] <= spread["p999_s"] <= spread["worst_s"], spread)
        for kind in ("decoding", "spinning"):
            self.assertEqual(["preemptions", "waits", "page_faults", "stolen_s"], list(report[kind]))
        self.assertIn("p99/p50", self.good(*options).out)
        self.refused("bench", "-m", tiny(), "--jitter", "--profile", says="--jitter")


class Cache(Test):
    def setUp(self):
        self.env = {"LOCKSTEP_CACHE": Place.path(f"cache-of-{self._testMethodName}")}

    def entries(self):
        folder = os.path.join(self.env["LOCKSTEP_CACHE"], "programs")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]

    def digest(self, *options):
        result = self.good("run", "-m", tiny(), "--json", "-n", 6, *options, PROMPT, env=self.env)
        return result.json["digest"], result.err

    def test_list_and_clear(self):
        self.assertIn("no programs", self.good("cache", "list", env=self.env).out)
        self.digest()
        self.digest("--kv", 8)
        listed = self.good("cache", "list", "--json", env=self.env).json
        self.assertEqual({"tiny q4_1"}, {entry["model"] for entry in listed})
        self.assertEqual(sorted(map(os.path.basename, self.entries())), sorted(entry["key"] for entry in listed))
        self.assertEqual(2, len(self.good("cache", "list", env=self.env).out.splitlines()))
        self.assertIn("removed", self.good("cache", "clear", env=self.env).out)
        self.assertEqual([], self.entries())
        self.assertEqual([], self.good("cache", "list", "--json", env=self.env).json)

    def test_no_cache_leaves_none(self):
        self.digest("--no-cache")
        self.assertFalse(os.path.exists(self.env["LOCKSTEP_CACHE"]))

    def test_the_entry_is_used(self):
        self.digest()
        before = [os.stat(path).st_ino for path in self.entries()]
        self.assertEqual("", self.digest()[1])
        self.assertEqual(before, [os.stat(path).st_ino for path in self.entries()])

    def test_damaged_entry_is_noticed_and_made_again(self):
        whole, _ = self.digest()
        (path,) = self.entries()
        good = read(path)
        for offset in (0, 20, 300, len(good) // 2, len(good) - 1):
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(bytes([good[offset] ^ 16]))
            digest, warning = self.digest()
            self.assertEqual(whole, digest)
            self.assertTrue(warning.startswith("lockstep: "), f"byte {offset}: {warning!r}")
            self.assertIn("made again", warning)
            self.assertEqual(good, read(path))
            self.assertEqual((whole, ""), self.digest())
        for size in (0, 100, len(good) - 1):
            os.truncate(path, size)
            self.assertEqual(whole, self.digest()[0])
            self.assertEqual(good, read(path), f"after {size} bytes")

    def test_changed_model_file_is_compiled_again(self):
        copy = write("changing.gguf", read(tiny()))
        first = self.good("run", "-m", copy, "--json", "-n", 3, "x", env=self.env).json["fingerprint"]
        write("changing.gguf", read(tiny("q8_0")))
        self.assertNotEqual(first, self.good("run", "-m", copy, "--json", "-n", 3, "x", env=self.env).json["fingerprint"])

    def test_models(self):
        self.assertIn("no models", self.good("models", env=self.env).out)
        folder = os.path.join(self.env["LOCKSTEP_CACHE"], "models")
        os.makedirs(folder, exist_ok=True)
        os.symlink(tiny(), os.path.join(folder, "tiny.gguf"))
        (row,) = self.good("models", "--json", env=self.env).json
        self.assertEqual(("tiny q4_1", "llama", False), (row["name"], row["architecture"], row["default"]))


if __name__ == "__main__":
    main()
