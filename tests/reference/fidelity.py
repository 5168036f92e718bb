#!/usr/bin/env python3
"""How far Lockstep's logits are from ordinary arithmetic on the same file.

    fidelity.py MODEL.gguf --tokens IDS.json --logits X.npy [--weights-dir DIR] [--json]

Runs the model in binary32 on its dequantised weights and prints the Kullback-Leibler divergence of
X from that, in nats a token (mean and maximum over the positions), and the share of positions whose
most likely token differs. IDS.json is a list of token ids or {"tokens": [...]}; X.npy is binary32
[positions, vocabulary]. With --weights-dir the matrices come from DIR/NAME.npy (binary32
[rows, columns]) where that file exists, to tell what the import of weights costs by itself.
"""

import argparse
import json
import os
import sys

import numpy as np

from contract import read_tokens
from gguf_model import Model


class Plain:
    """A llama-family model in binary32."""

    def __init__(self, path, weights_dir=None):
        self.model = Model(path)
        self.dimensions = self.model.dimensions
        self.weights_dir = weights_dir
        self.taken = 0  # matrices read from weights_dir

    def matrix(self, name):
        exported = os.path.join(self.weights_dir, name + ".npy") if self.weights_dir else ""
        if os.path.exists(exported):
            self.taken += 1
            return np.load(exported).astype(np.float32)
        return self.model.values(name).astype(np.float32)

    def linear(self, part, layer, x):
        y = x @ self.matrix(f"blk.{layer}.{part}.weight").T
        bias = self.model.vector(f"blk.{layer}.{part}.bias")
        return y if bias is None else y + bias

    def norm(self, name, x):
        mean = np.mean(np.square(x, dtype=np.float64), axis=-1, keepdims=True)
        return (x / np.sqrt(mean + float(self.dimensions.eps))).astype(np.float32) * self.model.vector(name)

    def angles(self, positions):
        dim = self.dimensions
        theta = float(dim.rope_base) ** (-2.0 * np.arange(dim.rope_dimensions // 2) / dim.rope_dimensions)
        factors = self.model.vector("rope_freqs.weight")
        theta = theta / float(dim.rope_divisor) / (1.0 if factors is None else factors.astype(np.float64))
        turns = np.arange(positions)[:, None] * theta
        return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)

    def rope(self, x, angles):
        cos, sin = (a[:, None, :] for a in angles)
        turned = self.dimensions.rope_dimensions
        first, second = x[..., 0:turned:2], x[..., 1:turned:2]
        y = x.copy()
        y[..., 0:turned:2], y[..., 1:turned:2] = first * cos - second * sin, first * sin + second * cos
        return y

    def attention(self, layer, x, angles):
        dim, positions = self.dimensions, len(x)
        q = self.rope(self.linear("attn_q", layer, x).reshape(positions, dim.heads, -1), angles)
        k = self.rope(self.linear("attn_k", layer, x).reshape(positions, dim.kv_heads, -1), angles)
        v = self.linear("attn_v", layer, x).reshape(positions, dim.kv_heads, -1)
        hidden = np.triu(np.full((positions, positions), -np.inf, np.float32), 1)
        out = []
        for h in range(dim.heads):
            g = h * dim.kv_heads // dim.heads
            scores = (q[:, h] @ k[:, g].T) / np.float32(np.sqrt(dim.key_size)) + hidden
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            out.append((weights @ v[:, g]) / weights.sum(axis=1, keepdims=True))
        return self.linear("attn_output", layer, np.concatenate(out, axis=1))

    def feed_forward(self, layer, x):
        gate = self.linear("ffn_gate", layer, x)
        with np.errstate(over="ignore"):
            inner = gate / (1 + np.exp(-gate)) * self.linear("ffn_up", layer, x)
        return self.linear("ffn_down", layer, inner)

    def logits(self, tokens):
        embedding = self.matrix("token_embd.weight")
        x, angles = embedding[tokens], self.angles(len(tokens))
        for layer in range(self.dimensions.layers):
            x = x + self.attention(layer, self.norm(f"blk.{layer}.attn_norm.weight", x), angles)
            x = x + self.feed_forward(layer, self.norm(f"blk.{layer}.ffn_norm.weight", x))
        head = self.matrix("output.weight") if "output.weight" in self.model.tensors else embedding
        return self.norm("output_norm.weight", x) @ head.T


def log_softmax(logits):
    x = logits.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def divergence(expected, found):
    """KL(expected || found) in nats at every position, from logits."""
    result = []
    for start in range(0, len(expected), 64):
        p, q = log_softmax(expected[start : start + 64]), log_softmax(found[start : start + 64])
        result.append((np.exp(p) * (p - q)).sum(axis=-1))
    return np.concatenate(result)


def main():
    parser = argparse.ArgumentParser(description="Divergence of logits from binary32 arithmetic on the same file.")
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("--tokens", required=True, metavar="IDS.json")
    parser.add_argument("--logits", required=True, metavar="X.npy")
    parser.add_argument("--weights-dir", metavar="DIR")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tokens = read_tokens(arguments.tokens)
    found = np.load(arguments.logits)
    plain = Plain(arguments.model, arguments.weights_dir)
    if found.shape != (len(tokens), plain.dimensions.vocabulary):
        print(
            f"{arguments.logits}: shape {list(found.shape)}, but {len(tokens)} tokens and a vocabulary of "
            f"{plain.dimensions.vocabulary} need {[len(tokens), plain.dimensions.vocabulary]}",
            file=sys.stderr,
        )
        return 2
    expected = plain.logits(tokens)
    if arguments.weights_dir and not plain.taken:
        print(f"{arguments.weights_dir}: holds no NAME.npy of a matrix of this model", file=sys.stderr)
        return 2
    kl = divergence(expected, found)
    result = {
        "positions": len(tokens),
        "mean_kl_nats": float(kl.mean()),
        "max_kl_nats": float(kl.max()),
        "top1_disagreement": float((expected.argmax(axis=1) != found.argmax(axis=1)).mean()),
        "matrices_from_weights_dir": plain.taken,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"positions          {result['positions']}")
        print(f"mean KL            {result['mean_kl_nats']:.3e} nats a token")
        print(f"max KL             {result['max_kl_nats']:.3e} nats")
        print(f"top-1 disagreement {100 * result['top1_disagreement']:.2f} %")
        if arguments.weights_dir:
            print(f"exported matrices  {plain.taken}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
