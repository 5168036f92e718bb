#!/usr/bin/env python3
"""Checks the digests in src/numerics/tensor_test.cpp against ggml's own Python package.

For every tensor type that Lockstep reads, the same pseudo-random bytes are decoded by gguf.quants and the
binary32 values are hashed. gguf computes in binary32 with a single rounding, Lockstep exactly in binary64,
so Lockstep's values rounded to binary32 must be the same bits (zeros without sign, one NaN).

Needs the packages gguf and numpy. Without an argument: compares and exits with 1 on a difference.
With --print: prints the table for the test.
"""

import hashlib
import pathlib
import re
import sys

import gguf
import numpy

TYPES = ["F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
         "IQ4_NL", "IQ4_XS", "BF16"]
BLOCKS = 64
TEST = pathlib.Path(__file__).resolve().parents[2] / "src" / "numerics" / "tensor_test.cpp"


def random_bytes(seed, count):
    """The upper bytes of a 64-bit linear congruential generator (Knuth's MMIX constants)."""
    state = seed
    result = bytearray()
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        result.append(state >> 56)
    return bytes(result)


def digest(name):
    kind = gguf.GGMLQuantizationType[name]
    row = random_bytes(int(kind), BLOCKS * gguf.GGML_QUANT_SIZES[kind][1])
    with numpy.errstate(all="ignore"):
        values = gguf.quants.dequantize(numpy.frombuffer(row, dtype=numpy.uint8), kind)
    values = values.astype(numpy.float32).ravel()
    bits = values.view(numpy.uint32).copy()
    bits[values == 0] = 0
    bits[numpy.isnan(values)] = 0x7FC00000
    return hashlib.blake2b(bits.tobytes(), digest_size=32).hexdigest()


def main():
    digests = {name: digest(name) for name in TYPES}
    if "--print" in sys.argv[1:]:
        for name, value in digests.items():
            print(f'    {{TensorType::{name}, "{value}"}},')
        return 0
    entries = dict(re.findall(r'\{TensorType::(\w+), "([0-9a-f]{64})"\}', TEST.read_text().replace("\n", " ")))
    wrong = [name for name in TYPES if entries.get(name) != digests[name]]
    for name in wrong:
        print(f"{name}: gguf gives {digests[name]}, the test says {entries.get(name)}")
    print(f"{len(TYPES) - len(wrong)} of {len(TYPES)} types agree with gguf")
    return 1 if wrong else 0


sys.exit(main())
