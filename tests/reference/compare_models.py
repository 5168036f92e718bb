#!/usr/bin/env python3
"""Compares `lockstep eval` with the contract's second implementation (contract.py), bit for bit.

    compare_models.py LOCKSTEP MODEL.gguf...

Every model is run with its faithful weights and a 16-bit cache, and with int8 weights and an 8-bit cache.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import gguf

HERE = pathlib.Path(__file__).parent
TOKENS = 40


def some_tokens(model):
    reader = gguf.GGUFReader(model)
    vocabulary = next(int(t.shape[1]) for t in reader.tensors if t.name == "token_embd.weight")
    return [(i * i * 7 + i * 13 + 5) % vocabulary for i in range(TOKENS)]


def compare(lockstep, model, weights, kv, folder):
    ids, ours, reference = (str(folder / name) for name in ("ids.json", "ours.npy", "reference.npy"))
    pathlib.Path(ids).write_text(json.dumps(some_tokens(model)))
    variant = ["--weights", weights, "--kv", kv]
    subprocess.run([lockstep, "eval", "--no-cache", "-m", model, "--tokens", ids, "--logits", ours, *variant],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, HERE / "contract.py", model, "--tokens", ids, "--logits", reference, *variant],
                   check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([sys.executable, HERE / "compare_logits.py", ours, reference], capture_output=True, text=True)
    print(f"{pathlib.Path(model).name} {weights} kv{kv}: {(done.stdout + done.stderr).strip()}", flush=True)
    return done.returncode == 0


def main():
    lockstep, models = sys.argv[1], sys.argv[2:]
    if not models:
        sys.exit("usage: compare_models.py LOCKSTEP MODEL.gguf...")
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        for model in models:
            for weights, kv in (("faithful", "16"), ("int8", "8")):
                if compare(lockstep, model, weights, kv, pathlib.Path(name)):
                    passed += 1
                else:
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
