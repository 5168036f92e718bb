#!/usr/bin/env python3
"""How near Lockstep's logits are to binary32 arithmetic on the default model, and that they stay near.

    check_fidelity.py LOCKSTEP MODEL.gguf

512 tokens of tests/data/fidelity.txt. The mean KL must be at most 5e-4 nats a token against the file's own values and
at most 1e-5 against the weights as imported (`inspect PROGRAM --tensor`).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import gguf

HERE = pathlib.Path(__file__).parent
TOKENS = 512


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def fidelity(model, ids, logits, *more):
    return json.loads(run(sys.executable, HERE / "fidelity.py", model, "--tokens", ids, "--logits", logits, "--json", *more))


def main():
    lockstep, model = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ids, logits, program, weights = folder / "ids.json", folder / "logits.npy", folder / "p.lockstep", folder / "weights"
        tokens = json.loads(run(lockstep, "tokenize", "-m", model, "-f", HERE.parent / "data/fidelity.txt", "--json"))["tokens"]
        ids.write_text(json.dumps(tokens[:TOKENS]))
        run(lockstep, "compile", model, "-o", program)
        run(lockstep, "eval", "-m", program, "--tokens", ids, "--logits", logits, "--json")
        weights.mkdir()
        for tensor in gguf.GGUFReader(model).tensors:
            if len(tensor.shape) == 2:
                run(lockstep, "inspect", program, "--tensor", tensor.name, "-o", weights / f"{tensor.name}.npy")
        checks = (("the file's values", fidelity(model, ids, logits), 5e-4),
                  ("the weights as imported", fidelity(model, ids, logits, "--weights-dir", weights), 1e-5))
    failed = 0
    for what, result, bound in checks:
        print(f"against {what}: {json.dumps(result)}, bound {bound}")
        failed += result["mean_kl_nats"] > bound
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
