#!/usr/bin/env python3
"""The numerics contract, a second time: numpy, written from docs/numerics.md alone.

    contract.py MODEL.gguf --tokens IDS.json --logits OUT.npy [--weights faithful|int8] [--kv 16|8]
                [--int16 TYPE-OR-TENSOR]...
    contract.py --check-functions [--stride N] [--only exp2|ln|race|turns]

IDS.json is a list of token ids or {"tokens": [...]}; OUT.npy is binary32 [positions, vocabulary].
--int16 takes matrices of a quantised type (Q8_0) or one tensor as plain int16 instead of a group code.
The second form adds the bits of the functions of section 6 over all their inputs and compares the
sums with those printed there (two to eight minutes each; with a stride other than 1 the sums are
only printed). Needs the packages numpy, gguf and mpmath. NumPy's BLAS is used on integers whose sums
stay below 2^53, where binary64 is exact in any order.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import mpmath
import numpy as np

import arithmetic as arith
from arithmetic import LIMIT_8, LIMIT_16, LOG2E, NumericsError, ONE, f32, from_integer, q16
from gguf_model import Groups, Model
from sampling import exponential

# ------------------------------------------------------------------------------ weights

L1_BOUND = 2**24 - 1


@dataclass(frozen=True)
class Matrix:
    """w: int16 [rows, columns]; scale: binary32 [rows]."""

    name: str
    w: np.ndarray
    scale: np.ndarray


def sum_in_order(v):
    """The sum of |v| along each row in order of the columns, one binary64 addition at a time."""
    total = np.zeros(len(v))
    for column in np.ascontiguousarray(np.abs(v).T):
        total = total + column
    return total


def row_scale(t, name):
    """sw of section 3 and the mask of rows that are not zero."""
    if not (t < 2.0**32).all():
        raise NumericsError(f"{name}: a row scale of 2^32 or more, or a weight that is not finite")
    live = t >= 2.0**-44
    return np.where(live, t, 0).astype(f32), live


def import_plain(name, v, limit):
    """A plain int16 (limit 32512) or int8 (limit 127) matrix from exact values."""
    t = np.maximum(np.abs(v).max(axis=1) / limit, sum_in_order(v) / float(L1_BOUND - v.shape[1]))
    sw, live = row_scale(t, name)
    divisor = np.where(live, sw, ONE).astype(np.float64)[:, None]
    w = np.where(live[:, None], np.rint(v / divisor), 0)
    return w, sw


def import_groups(name, v, groups):
    """A group code of section 3, expanded to its integers."""
    e = 2 ** (groups.bits - 2) + 1
    mu_limit = 4095 if groups.bits == 4 else 1023
    t = np.abs(v).max(axis=1) / (LIMIT_16 - e)
    t = np.maximum(t, sum_in_order(v) / float(L1_BOUND - e * v.shape[1]))
    t = np.maximum(t, np.abs(groups.d).max(axis=1) / mu_limit)
    t = np.maximum(t, np.abs(groups.c).max(axis=1) / LIMIT_16)
    sw, live = row_scale(t, name)
    divisor = np.where(live, sw, ONE).astype(np.float64)[:, None]
    mu = np.where(live[:, None], np.rint(groups.d / divisor), 0)
    o = np.where(live[:, None], np.rint(groups.c / divisor), 0)
    assert np.abs(mu).max() <= mu_limit and np.abs(o).max() <= LIMIT_16, name
    spread = lambda x: np.repeat(x, groups.columns_a_group, axis=1)
    return spread(mu) * groups.codes + spread(o), sw


def import_matrix(model, name, weights="faithful", int16=()):
    """int16: names of tensors and of quantised types that become plain int16."""
    source = model.matrix(name)
    v = source.values() if isinstance(source, Groups) else source
    plain = name in int16 or model.tensors[name].tensor_type.name in int16
    if weights == "int8":
        w, sw = import_plain(name, v, LIMIT_8)
    elif isinstance(source, Groups) and not plain:
        w, sw = import_groups(name, v, source)
    else:
        w, sw = import_plain(name, v, LIMIT_16)
    assert np.abs(w).max() <= LIMIT_16 and np.abs(w).sum(axis=1).max() <= L1_BOUND, name
    return Matrix(name, w.astype(np.int16), sw)


# ------------------------------------------------------------------------------ RoPE


def frequencies(dimensions, factors):
    """F_i of section 7 as uint64: powers and pi with 256 bits."""
    with mpmath.workprec(256):
        result = []
        for i in range(dimensions.rope_dimensions // 2):
            exponent = mpmath.mpf(-2 * i) / dimensions.rope_dimensions
            theta = mpmath.power(mpmath.mpf(float(dimensions.rope_base)), exponent)
            theta = theta / mpmath.mpf(float(dimensions.rope_divisor))
            if factors is not None:
                theta = theta / mpmath.mpf(float(factors[i]))
            result.append(int(mpmath.nint(mpmath.ldexp(theta, 64) / (2 * mpmath.pi))))
    return np.array([f % 2**64 for f in result], dtype=np.uint64)


def rope(x, angles):
    """x: [positions, heads, elements]; angles: (cos, sin) [positions, pairs]. Pairs (2i, 2i+1)."""
    cos, sin = (a[:, None, :] for a in angles)
    turned = 2 * cos.shape[-1]
    first, second = x[..., 0:turned:2], x[..., 1:turned:2]
    y = x.copy()
    y[..., 0:turned:2] = first * cos - second * sin
    y[..., 1:turned:2] = first * sin + second * cos
    return y


# ------------------------------------------------------------------------------ attention


def dither(positions):
    """j_t of section 8."""
    reversed_ = np.array([int(f"{t % 256:08b}"[::-1], 2) for t in range(positions)])
    return (from_integer(reversed_) + f32(0.5)) / f32(256) - f32(0.5)


def attention_head(q, k, v, c, j, where):
    """One head over the whole sequence. q, k, v: pairs of Q16 integers [T, elements], scales [T, 1]."""
    (qa, qs), (ka, ks), (va, vs) = q, k, v
    seen = np.tri(len(qa), dtype=bool)
    z = from_integer(qa @ ka.T) * ((qs * c) * ks.T)
    peak = np.where(seen, z, f32(-np.inf)).max(axis=1, keepdims=True)
    e = np.where(seen, arith.exp2(np.where(seen, z - peak, f32(0))), f32(0))
    total = np.where(seen, np.rint(e * f32(2.0**24) + j), f32(0)).astype(np.int64).sum(axis=1, keepdims=True)
    weighted = e * vs.T
    cs, r = arith.scale_and_reciprocal(arith.largest(weighted, -1, where), LIMIT_16)
    ca = np.where(seen & (r != 0), np.rint(weighted * r + j), f32(0)).astype(np.float64)
    return from_integer(ca @ va) * (cs / (from_integer(total) * f32(2.0**-24)))


# ------------------------------------------------------------------------------ the network


class Network:
    """A llama-family model under the contract."""

    def __init__(self, path, weights="faithful", kv_bits=16, int16=()):
        self.model = Model(path)
        self.dimensions = self.model.dimensions
        self.weights, self.int16 = weights, int16
        self.kv_limit = LIMIT_16 if kv_bits == 16 else LIMIT_8
        self.frequencies = frequencies(self.dimensions, self.model.vector("rope_freqs.weight"))
        self.matrices = {}
        self.embedding = self.head = self.matrix("token_embd.weight")
        if "output.weight" in self.model.tensors:
            self.head = self.matrix("output.weight")

    def matrix(self, name):
        if name not in self.matrices:
            self.matrices[name] = import_matrix(self.model, name, self.weights, self.int16)
        return self.matrices[name]

    def product(self, matrix, quantised, bias=None):
        """Section 4 for all positions: [T, rows]."""
        a, s = quantised
        parts = []
        for start in range(0, len(matrix.w), 8192):
            w = matrix.w[start : start + 8192].astype(np.float64)
            parts.append(from_integer(a @ w.T) * (matrix.scale[start : start + 8192] * s))
        y = np.concatenate(parts, axis=1)
        return y if bias is None else y + bias

    def linear(self, part, layer, quantised):
        name = f"blk.{layer}.{part}"
        return self.product(self.matrix(name + ".weight"), quantised, self.model.vector(name + ".bias"))

    def attention(self, layer, x, angles):
        dim, positions = self.dimensions, len(x)
        where = f"attention, layer {layer}"
        q, k, v = (self.linear(part, layer, x_q) for x_q in [q16(x, where)] for part in ("attn_q", "attn_k", "attn_v"))
        q = rope(q.reshape(positions, dim.heads, dim.key_size), angles)
        k = rope(k.reshape(positions, dim.kv_heads, dim.key_size), angles)
        v = v.reshape(positions, dim.kv_heads, dim.value_size)
        qa, qs = q16(q, where)
        ka, ks = q16(k, where, self.kv_limit)
        va, vs = q16(v, where, self.kv_limit)
        c = (ONE / np.sqrt(f32(dim.key_size))) * LOG2E
        j = dither(positions)
        out = []
        for h in range(dim.heads):
            g = h * dim.kv_heads // dim.heads
            pairs = ((qa[:, h], qs[:, h]), (ka[:, g], ks[:, g]), (va[:, g], vs[:, g]))
            out.append(attention_head(*pairs, c, j, where))
        return self.linear("attn_output", layer, q16(np.concatenate(out, axis=1), where))

    def feed_forward(self, layer, x):
        quantised = q16(x, f"feed-forward, layer {layer}")
        gate = self.linear("ffn_gate", layer, quantised)
        up = self.linear("ffn_up", layer, quantised)
        inner = arith.silu(gate) * up
        return self.linear("ffn_down", layer, q16(inner, f"feed-forward, layer {layer}"))

    def norm(self, name, x):
        return arith.rms_norm(x, self.model.vector(name), self.dimensions.eps, name)

    def hidden(self, tokens):
        """The residual stream after the last layer: [T, width]."""
        embedding = self.embedding
        x = from_integer(embedding.w[tokens]) * embedding.scale[tokens][:, None]
        with np.errstate(over="ignore"):
            turns = np.arange(len(tokens), dtype=np.uint64)[:, None] * self.frequencies
        angles = arith.cos_sin((turns >> np.uint64(32)).astype(np.uint32).view(np.int32))
        for layer in range(self.dimensions.layers):
            x = x + self.attention(layer, self.norm(f"blk.{layer}.attn_norm.weight", x), angles)
            x = x + self.feed_forward(layer, self.norm(f"blk.{layer}.ffn_norm.weight", x))
        return x

    def logits(self, tokens):
        """binary32 [T, vocabulary]."""
        x = self.norm("output_norm.weight", self.hidden(np.asarray(tokens)))
        return self.product(self.head, q16(x, "head"))


def read_tokens(path):
    with open(path) as file:
        data = json.load(file)
    return np.array(data["tokens"] if isinstance(data, dict) else data, dtype=np.int64)


# ------------------------------------------------------------------------------ check sums


def sum_of_bits(function, ranges, stride):
    """The bits of function's results over ranges of uint32 inputs, added modulo 2^64. The function
    gives one binary32 array or several; one sum for each."""
    sums, chunk = None, 1 << 13
    for start, end in ranges:
        for low in range(start, end, chunk * stride):
            inputs = np.arange(low, min(low + chunk * stride, end), stride, dtype=np.int64).astype(np.uint32)
            results = function(inputs)
            results = results if isinstance(results, tuple) else (results,)
            parts = [int(r.view(np.uint32).sum(dtype=np.uint64)) for r in results]
            sums = [(a + b) % 2**64 for a, b in zip(sums or [0] * len(parts), parts)]
    return sums


CHECKS = {
    "exp2": (
        lambda n: arith.exp2(n.view(f32)),
        [(0, 0x42FC0001), (0x80000000, 0xC2800001)],
        ["2132f49c44f4c7b1"],
    ),
    "ln": (lambda n: arith.ln(n.view(f32)), [(0x00800000, 0x7F800000)], ["403b809c71e3f2b8"]),
    "race": (lambda n: exponential(n.astype(np.uint64) << np.uint64(1)), [(0, 1 << 31)], ["1f8709675ba03a09"]),
    "turns": (lambda n: arith.cos_sin(n.view(np.int32)), [(0, 1 << 32)], ["7ef9b57cdf9cac50"] * 2),
}


def check_functions(stride, only):
    failed = False
    for name, (function, ranges, expected) in CHECKS.items():
        if only and name != only:
            continue
        sums = [f"{s:016x}" for s in sum_of_bits(function, ranges, stride)]
        verdict = "" if stride != 1 else "  as printed" if sums == expected else f"  WRONG, expected {expected}"
        failed |= "WRONG" in verdict
        print(f"{name}: {' '.join(sums)}{verdict}", flush=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description="The numerics contract in numpy.")
    parser.add_argument("model", nargs="?", metavar="MODEL.gguf")
    parser.add_argument("--tokens", metavar="IDS.json")
    parser.add_argument("--logits", metavar="OUT.npy")
    parser.add_argument("--weights", choices=("faithful", "int8"), default="faithful")
    parser.add_argument("--kv", type=int, choices=(16, 8), default=16)
    parser.add_argument("--int16", action="append", default=[], metavar="TYPE-OR-TENSOR")
    parser.add_argument("--check-functions", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--only", choices=tuple(CHECKS))
    arguments = parser.parse_args()
    if arguments.check_functions:
        return check_functions(arguments.stride, arguments.only)
    if not (arguments.model and arguments.tokens and arguments.logits):
        parser.error("MODEL.gguf, --tokens and --logits are needed")
    network = Network(arguments.model, arguments.weights, arguments.kv, arguments.int16)
    np.save(arguments.logits, network.logits(read_tokens(arguments.tokens)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
