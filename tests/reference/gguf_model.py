"""Reads llama-family GGUF files for the reference: dimensions, and tensors as exact binary64.

A quantised tensor comes as its groups, `v = d * code + c` with `code` centred on zero
(`q - 2^(b-1)` of section 3 of docs/numerics.md); d and c are exact in binary64, because every
scale in these formats is a binary16 times a small integer.
"""

from dataclasses import dataclass

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader

PLAIN = (Type.F32, Type.F16, Type.BF16)


@dataclass(frozen=True)
class Dimensions:
    width: int
    layers: int
    heads: int
    kv_heads: int
    key_size: int  # elements of one head of q and k
    value_size: int  # elements of one head of v
    feed_forward: int
    vocabulary: int
    eps: np.float32
    rope_base: np.float32
    rope_dimensions: int
    rope_divisor: np.float32  # linear scaling; 1 without


@dataclass(frozen=True)
class Groups:
    """A quantised matrix. codes: [rows, columns] int; d, c: [rows, columns / columns_a_group]."""

    bits: int
    columns_a_group: int
    codes: np.ndarray
    d: np.ndarray
    c: np.ndarray

    def values(self):
        """The exact elements, binary64 [rows, columns]."""
        spread = lambda x: np.repeat(x, self.columns_a_group, axis=1)
        return spread(self.d) * self.codes + spread(self.c)


# ------------------------------------------------------------------- blocks of quantised types
# Each takes blocks as uint8 [n, bytes] and gives (codes [n, elements], d [n, groups], c or None).


def half(block, offset):
    """The binary16 at `offset` of each block, as binary64 [n, 1]."""
    return np.ascontiguousarray(block[:, offset : offset + 2]).view("<f2").astype(np.float64)


def nibbles(data):
    """Two nibbles a byte, low ones first: [n, k] to [n, 2k]."""
    return np.concatenate([data & 15, data >> 4], axis=1).astype(np.int64)


def fifth_bits(block, offset):
    """32 single bits of a little-endian word, times 16."""
    word = np.ascontiguousarray(block[:, offset : offset + 4]).view("<u4").astype(np.int64)
    return ((word >> np.arange(32)) & 1) << 4


def q4_0(block):
    return nibbles(block[:, 2:]) - 8, half(block, 0), None


def q4_1(block):
    d = half(block, 0)
    return nibbles(block[:, 4:]) - 8, d, half(block, 2) + 8 * d


def q5_0(block):
    return (nibbles(block[:, 6:]) | fifth_bits(block, 2)) - 16, half(block, 0), None


def q5_1(block):
    d = half(block, 0)
    return (nibbles(block[:, 8:]) | fifth_bits(block, 4)) - 16, d, half(block, 2) + 16 * d


def q8_0(block):
    return block[:, 2:].view(np.int8).astype(np.int64), half(block, 0), None


def two_bits(data):
    """64 bytes of 2-bit codes: each run of 32 bytes holds four runs of 32 codes, low bits first."""
    runs = data.reshape(len(data), 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    return (runs & 3).reshape(len(data), 256).astype(np.int64)


def q2_k(block):
    d = half(block, 80) * (block[:, :16] & 15)
    m = half(block, 82) * (block[:, :16] >> 4)
    return two_bits(block[:, 16:80]) - 2, d, 2 * d - m


def q3_k(block):
    high = (block[:, None, :32] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    codes = two_bits(block[:, 32:96]) | (high.reshape(len(block), 256).astype(np.int64) << 2)
    packed = block[:, 96:108].astype(np.int64)
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    top = np.concatenate([(packed[:, 8:] >> shift) & 3 for shift in (0, 2, 4, 6)], axis=1)
    return codes - 4, half(block, 108) * ((low | top << 4) - 32), None


def scales_and_minima(packed):
    """Eight 6-bit scales and eight 6-bit minima out of 12 bytes."""
    a, b, both = (packed[:, i : i + 4].astype(np.int64) for i in (0, 4, 8))
    scales = np.concatenate([a & 63, (both & 15) | (a >> 6) << 4], axis=1)
    minima = np.concatenate([b & 63, (both >> 4) | (b >> 6) << 4], axis=1)
    return scales, minima


def runs_of_nibbles(data):
    """Runs of 32 bytes, each giving 32 low nibbles and then 32 high ones."""
    runs = data.reshape(len(data), -1, 32)
    return np.stack([runs & 15, runs >> 4], axis=2).reshape(len(data), -1).astype(np.int64)


def q4_k(block):
    scales, minima = scales_and_minima(block[:, 4:16])
    d = half(block, 0) * scales
    return runs_of_nibbles(block[:, 16:]) - 8, d, 8 * d - half(block, 2) * minima


def q5_k(block):
    scales, minima = scales_and_minima(block[:, 4:16])
    d = half(block, 0) * scales
    high = (block[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    codes = runs_of_nibbles(block[:, 48:]) | (high.reshape(len(block), 256).astype(np.int64) << 4)
    return codes - 16, d, 16 * d - half(block, 2) * minima


def q6_k(block):
    low = block[:, :128].reshape(-1, 2, 1, 64) >> np.array([0, 4], np.uint8).reshape(1, 1, 2, 1)
    high = block[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    codes = (low & 15).reshape(-1, 256).astype(np.int64) | (high & 3).reshape(-1, 256).astype(np.int64) << 4
    return codes - 32, half(block, 208) * block[:, 192:208].view(np.int8), None


CODEBOOK = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])


def iq4_nl(block):
    return CODEBOOK[nibbles(block[:, 2:])], half(block, 0), None


def iq4_xs(block):
    high = np.ascontiguousarray(block[:, 2:4]).view("<u2").astype(np.int64)
    top = (high >> (2 * np.arange(8))) & 3
    low = np.stack([block[:, 4:8] & 15, block[:, 4:8] >> 4], axis=2).reshape(-1, 8).astype(np.int64)
    runs = block[:, 8:].reshape(-1, 8, 16)
    codes = np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 256)
    return CODEBOOK[codes], half(block, 0) * ((low | top << 4) - 32), None


# type: (bits and columns of the group code of the import, decoder, elements a block)
QUANTISED = {
    Type.Q4_0: (4, 32, q4_0, 32),
    Type.Q4_1: (4, 32, q4_1, 32),
    Type.Q5_0: (5, 32, q5_0, 32),
    Type.Q5_1: (5, 32, q5_1, 32),
    Type.Q8_0: (8, 32, q8_0, 32),
    Type.Q2_K: (4, 16, q2_k, 256),
    Type.Q3_K: (4, 16, q3_k, 256),
    Type.Q4_K: (4, 32, q4_k, 256),
    Type.Q5_K: (5, 32, q5_k, 256),
    Type.Q6_K: (6, 16, q6_k, 256),
    Type.IQ4_NL: (8, 32, iq4_nl, 32),
    Type.IQ4_XS: (8, 32, iq4_xs, 256),
}


class Model:
    """One GGUF file of architecture "llama"."""

    def __init__(self, path):
        reader = GGUFReader(path)
        self.metadata = reader.fields
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        if self.value("general.architecture") != "llama":
            raise ValueError(f"{path}: the reference knows the architecture llama only")
        self.dimensions = self._dimensions()

    def value(self, key, default=None):
        field = self.metadata.get(key)
        return default if field is None else field.contents()

    def _dimensions(self):
        width = self.value("llama.embedding_length")
        heads = self.value("llama.attention.head_count")
        key_size = self.value("llama.attention.key_length", width // heads)
        scaling = self.value("llama.rope.scaling.type", "none")
        if scaling not in ("none", "linear"):
            raise ValueError(f"llama.rope.scaling.type is {scaling}; the reference knows none and linear")
        divisor = self.value("llama.rope.scaling.factor", 1.0) if scaling == "linear" else 1.0
        return Dimensions(
            width=width,
            layers=self.value("llama.block_count"),
            heads=heads,
            kv_heads=self.value("llama.attention.head_count_kv", heads),
            key_size=key_size,
            value_size=self.value("llama.attention.value_length", key_size),
            feed_forward=self.value("llama.feed_forward_length"),
            vocabulary=int(self.tensors["token_embd.weight"].shape[1]),
            eps=np.float32(self.value("llama.attention.layer_norm_rms_epsilon")),
            rope_base=np.float32(self.value("llama.rope.freq_base", 10000.0)),
            rope_dimensions=self.value("llama.rope.dimension_count", key_size),
            rope_divisor=np.float32(divisor),
        )

    def vector(self, name):
        """A tensor of one dimension as binary32, or None where the file has none."""
        tensor = self.tensors.get(name)
        if tensor is None:
            return None
        if tensor.tensor_type not in (Type.F32, Type.F16):
            raise ValueError(f"{name}: a vector of type {tensor.tensor_type.name}")
        return np.array(tensor.data).astype(np.float32).reshape(-1)

    def matrix(self, name):
        """A matrix: binary64 [rows, columns] for plain types, Groups for quantised ones."""
        tensor = self.tensors[name]
        columns, rows = (int(n) for n in tensor.shape)
        kind = tensor.tensor_type
        if kind == Type.BF16:
            bits = np.ascontiguousarray(tensor.data).view("<u2").astype(np.uint32) << 16
            return bits.view(np.float32).astype(np.float64).reshape(rows, columns)
        if kind in PLAIN:
            return np.array(tensor.data).astype(np.float64).reshape(rows, columns)
        if kind not in QUANTISED:
            raise ValueError(f"{name}: the reference does not read type {kind.name}")
        bits, columns_a_group, decode, elements = QUANTISED[kind]
        blocks = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(rows * columns // elements, -1)
        codes, d, c = decode(blocks)
        groups = columns // columns_a_group
        c = np.zeros_like(d) if c is None else c
        return Groups(bits, columns_a_group, codes.reshape(rows, columns), d.reshape(rows, groups), c.reshape(rows, groups))

    def values(self, name):
        """A matrix as exact elements, binary64 [rows, columns]."""
        matrix = self.matrix(name)
        return matrix.values() if isinstance(matrix, Groups) else matrix
