#!/usr/bin/env python3
"""Writes tiny llama-family GGUF files for the tests.

Every file is the same on every machine: the numbers come from SplitMix64 in integers and from
IEEE-754 operations that are rounded correctly everywhere (no libm, no numpy.random).

    make_tiny.py OUT_DIR [NAME...]    writes OUT_DIR/NAME.gguf (all names when none is given)
    make_tiny.py --list               prints the names and what each one covers

Needs the packages gguf and numpy.
"""

import argparse
import hashlib
import os
import sys
from dataclasses import dataclass, field, replace

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter

# bytes a block, elements a block, (offset of each binary16 scale, its share of d), standard
# deviation of the dequantised values of random blocks whose d is 1.
BLOCKS = {
    Type.Q4_0: (18, 32, [(0, 1.0)], 4.6),
    Type.Q4_1: (20, 32, [(0, 1.0), (2, -7.5)], 4.6),
    Type.Q5_0: (22, 32, [(0, 1.0)], 9.2),
    Type.Q5_1: (24, 32, [(0, 1.0), (2, -15.5)], 9.2),
    Type.Q8_0: (34, 32, [(0, 1.0)], 74.0),
    Type.Q2_K: (84, 256, [(80, 1.0), (82, 1.5)], 14.0),
    Type.Q3_K: (110, 256, [(108, 1.0)], 42.0),
    Type.Q4_K: (144, 256, [(0, 1.0), (2, 7.5)], 259.0),
    Type.Q5_K: (176, 256, [(0, 1.0), (2, 15.5)], 520.0),
    Type.Q6_K: (210, 256, [(208, 1.0)], 1366.0),
    Type.IQ4_NL: (18, 32, [(0, 1.0)], 67.0),
    Type.IQ4_XS: (136, 256, [(0, 1.0)], 1240.0),
}
PLAIN = (Type.F32, Type.F16, Type.BF16)


@dataclass(frozen=True)
class Config:
    """One file. `types` maps a part of a tensor's name to a type other than `type`."""

    covers: str
    type: Type = Type.F32
    types: dict = field(default_factory=dict)
    width: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 0  # 0: width / heads
    feed_forward: int = 128
    vocabulary: int = 300
    context: int = 256
    tied: bool = True
    biases: bool = False
    eps: float = 1e-5
    rope_base: float = 10000.0
    rope_dimensions: int = 0  # 0: the whole head
    rope_linear: float = 0.0  # 0: no scaling
    rope_factors: bool = False
    zero_rows: bool = False  # some rows of every matrix zero, tiny or dominated by one weight
    flat_rows: bool = False  # weights of nearly one size, so that the L1 bound sets the scale
    gain: float = 1.5
    pre: str = "smollm"


def configurations():
    small = Config("")
    wide = replace(small, width=256, heads=4, kv_heads=1, feed_forward=256, layers=2)
    embedding_f16 = {"token_embd": Type.F16}
    table = {
        "f32": replace(small, covers="F32 matrices, tied head"),
        "f16": replace(small, covers="F16 matrices, separate head", type=Type.F16, tied=False, layers=3),
        "bf16": replace(small, covers="BF16 matrices, separate head", type=Type.BF16, tied=False),
        "q8_0": replace(small, covers="Q8_0 matrices and tied head", type=Type.Q8_0, pre="gpt-2"),
        "q4_0": replace(small, covers="Q4_0 matrices, F16 embedding", type=Type.Q4_0, types=embedding_f16),
        "q4_1": replace(
            small,
            covers="Q4_1 matrices with a Q8_0 tied embedding, 6 heads on 2 (the shape of SmolLM2)",
            type=Type.Q4_1,
            types={"token_embd": Type.Q8_0},
            width=96,
            heads=6,
            feed_forward=160,
            layers=3,
            rope_base=100000.0,
        ),
        "q5_0": replace(small, covers="Q5_0 everywhere, separate head", type=Type.Q5_0, tied=False),
        "q5_1": replace(small, covers="Q5_1 everywhere, tied head", type=Type.Q5_1),
        "q2_k": replace(wide, covers="Q2_K matrices, Q8_0 embedding", type=Type.Q2_K, types={"token_embd": Type.Q8_0}),
        "q3_k": replace(wide, covers="Q3_K matrices, Q8_0 embedding", type=Type.Q3_K, types={"token_embd": Type.Q8_0}),
        "q4_k": replace(wide, covers="Q4_K matrices and tied embedding", type=Type.Q4_K),
        "q5_k": replace(wide, covers="Q5_K matrices and tied embedding", type=Type.Q5_K),
        "q6_k": replace(wide, covers="Q6_K matrices and tied embedding", type=Type.Q6_K, layers=1),
        "iq4_nl": replace(small, covers="IQ4_NL matrices, Q8_0 embedding", type=Type.IQ4_NL, types={"token_embd": Type.Q8_0}),
        "iq4_xs": replace(wide, covers="IQ4_XS matrices and tied embedding", type=Type.IQ4_XS),
        "k_mixed": replace(
            wide,
            covers="Q4_K with Q6_K values, down and head, Q3_K keys, F32 output: kinds mixed in one layer",
            type=Type.Q4_K,
            types={
                "attn_v": Type.Q6_K,
                "ffn_down": Type.Q6_K,
                "attn_k": Type.Q3_K,
                "attn_output": Type.F32,
                "output.weight": Type.Q6_K,
            },
            tied=False,
            layers=1,
        ),
        "odd72": replace(
            small,
            covers="width 72, 3 heads of 24 on 1, feed-forward 77, vocabulary 131, F32",
            width=72,
            heads=3,
            kv_heads=1,
            feed_forward=77,
            vocabulary=131,
        ),
        "odd100": replace(
            small,
            covers="width 100, 5 heads of 20 on 1, feed-forward 250, vocabulary 131, F16, separate head",
            type=Type.F16,
            width=100,
            heads=5,
            kv_heads=1,
            feed_forward=250,
            vocabulary=131,
            tied=False,
        ),
        "head40": replace(
            small, covers="5 heads of 40 on 1", type=Type.F16, width=200, heads=5, kv_heads=1, feed_forward=96, layers=1
        ),
        "head80": replace(
            small, covers="2 heads of 80 on 1, Q8_0", type=Type.Q8_0, width=160, heads=2, kv_heads=1
        ),
        "head128": replace(
            small, covers="2 heads of 128 on 1 in a width of 96", type=Type.F16, width=96, heads=2, kv_heads=1, head_size=128
        ),
        "head_narrow": replace(
            small,
            covers="4 heads of 24 on 4 in a width of 128: heads narrower than width / heads",
            type=Type.F16,
            width=128,
            kv_heads=4,
            head_size=24,
        ),
        "bias": replace(small, covers="biases on all attention and feed-forward matrices", biases=True),
        "bias_q4_1": replace(
            small, covers="the same on Q4_1 matrices, separate Q8_0 head", type=Type.Q4_1, biases=True, tied=False,
            types={"token_embd": Type.Q8_0, "output.weight": Type.Q8_0},
        ),
        "rope_base": replace(small, covers="RoPE base 500000, eps 1e-6", rope_base=500000.0, eps=1e-6),
        "rope_linear": replace(small, covers="linear RoPE scaling by 4", rope_linear=4.0),
        "rope_llama3": replace(small, covers="RoPE factors in rope_freqs.weight", rope_base=500000.0, rope_factors=True),
        "rope_partial": replace(
            small, covers="RoPE over 16 of 32 elements of a head", type=Type.F16, width=128, rope_dimensions=16
        ),
        "zero_rows": replace(
            small, covers="zero rows, rows below 2^-44, rows with one large weight, F32, separate head", zero_rows=True, tied=False
        ),
        "zero_rows_q4_1": replace(
            small, covers="the same in Q4_1 with a Q8_0 embedding", type=Type.Q4_1, zero_rows=True,
            types={"token_embd": Type.Q8_0},
        ),
        "flat_rows": replace(
            small, covers="feed-forward 1600 of nearly equal weights: the L1 bound sets the scale, F16",
            type=Type.F16, width=32, heads=2, kv_heads=1, feed_forward=1600, layers=1, flat_rows=True,
        ),
        "flat_rows_q8_0": replace(
            small, covers="the same in Q8_0",
            type=Type.Q8_0, width=32, heads=2, kv_heads=1, feed_forward=1600, layers=1, flat_rows=True,
        ),
    }
    return table


# ---------------------------------------------------------------------------------- numbers


def random_words(key, count):
    """`count` 64-bit integers of SplitMix64, started from a hash of the text `key`."""
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        z = np.uint64(start) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def random_bell(key, count):
    """Bell-shaped binary64 numbers of mean 0 and deviation 1: four 16-bit uniforms, summed."""
    z = random_words(key, count)
    total = np.zeros(count, dtype=np.int64)
    for shift in (0, 16, 32, 48):
        total += ((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    # A 16-bit uniform has deviation 65536 / sqrt(12), so four have 65536 / sqrt(3).
    return (total - 2 * 65535) / 37837.0


def random_unit(key, count):
    """Uniform binary64 numbers in [0, 1)."""
    return (random_words(key, count) >> np.uint64(40)).astype(np.float64) / 2.0**24


def as_bf16(x):
    """binary32 to BF16, rounded to nearest even, as uint16."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + np.uint64(0x7FFF) + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)


# ---------------------------------------------------------------------------------- tensors


def plain_matrix(key, config, rows, columns, deviation):
    x = random_bell(key, rows * columns).reshape(rows, columns) * deviation
    if config.flat_rows:
        signs = np.where(x < 0, -1.0, 1.0)
        x = signs * deviation * (1.0 + random_unit(key + "/flat", rows * columns).reshape(rows, columns) / 16)
    if config.zero_rows:
        x[1::7] = 0.0
        x[2::7, 0::2] *= -0.0
        x[3::11] *= 2.0**-60
        x[4::11, columns // 2] = 8.0
    return x


def block_matrix(key, config, kind, rows, columns, deviation):
    """Random blocks of a quantised type: codes and inner scales are random bytes."""
    size, elements, scales, spread = BLOCKS[kind]
    if columns % elements:
        raise ValueError(f"{key}: {columns} columns are not whole blocks of {kind.name}")
    blocks = rows * columns // elements
    words = random_words(key, (blocks * size + 7) // 8)
    data = words.astype("<u8").view(np.uint8)[: blocks * size].reshape(blocks, size).copy()
    if config.flat_rows and kind == Type.Q8_0:
        code = 119 + (data[:, 2:] & 7).astype(np.int64)
        data[:, 2:] = np.where(data[:, 2:] & 8, code, (256 - code) & 255).astype(np.uint8)
        spread = 123.0
    d = deviation / spread * (0.75 + 0.5 * random_unit(key + "/d", blocks))
    d = np.where(random_words(key + "/sign", blocks) % np.uint64(8) == 0, -d, d)
    row = np.arange(blocks) // (columns // elements)
    if config.zero_rows:
        d = np.where(row % 7 == 1, 0.0, d)
        d = np.where((row % 11 == 4) & (np.arange(blocks) % 2 == 0), d * 8, d)
    for offset, share in scales:
        jitter = 1.0 if share == 1.0 else 0.9 + 0.2 * random_unit(f"{key}/{offset}", blocks)
        data[:, offset : offset + 2] = (d * share * jitter).astype("<f2").reshape(-1, 1).view(np.uint8)
    return data.reshape(rows, -1)


def add_matrix(writer, name, config, key, rows, columns, deviation):
    kind = config.type
    for part, other in config.types.items():
        if part in name and not (part == "output.weight" and name != part):
            kind = other
    key = f"{key}/{name}"
    if kind not in PLAIN:
        writer.add_tensor(name, block_matrix(key, config, kind, rows, columns, deviation), raw_dtype=kind)
        return
    x = plain_matrix(key, config, rows, columns, deviation)
    if kind == Type.BF16:
        writer.add_tensor(name, as_bf16(x).view(np.uint8).reshape(rows, columns * 2), raw_dtype=kind)
    else:
        writer.add_tensor(name, x.astype(np.float16 if kind == Type.F16 else np.float32))


def add_vector(writer, name, key, count, middle, deviation):
    x = middle + deviation * random_bell(f"{key}/{name}", count)
    writer.add_tensor(name, x.astype(np.float32))


# ---------------------------------------------------------------------------------- tokenizer

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = (
    "Ġ t|Ġ a|i n|h e|r e|o n|e r|Ġt he|a t|Ġ s|Ġ o|e n|Ġ c|e s|Ġ w|n d|i t|o r|i s|a l|Ġ p|in g|Ġ f|a n|"
    "e d|Ġ b|o u|Ġa nd|Ġt o|Ġo f|Ġ in|Ġ m|Ġ h|l l|Ġ l|Ġ d|a r|Ġ e|Ċ Ċ|Ġ n|Ġ re|o m|i c|Ġ is|Ġ g|a s|"
    "i on|Ġt h|Ġ (|v e|e t|Ġb e|r o|l e|Ġ 1|c t|i d|Ġ T|u t|o t"
).split("|")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_spelling():
    """The 256 characters with which byte-level BPE writes bytes, by byte value."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(256, 512))
    return [chr(b) if b in visible else chr(next(hidden)) for b in range(256)]


def add_tokenizer(writer, config):
    room = config.vocabulary - len(SPECIAL)
    bytes_ = byte_spelling()[: min(256, room)]
    merges = MERGES[: max(0, room - 256)]
    unused = room - len(bytes_) - len(merges)
    tokens = SPECIAL + bytes_ + [m.replace(" ", "") for m in merges] + [f"<|unused_{i}|>" for i in range(unused)]
    types = [3] * len(SPECIAL) + [1] * (len(bytes_) + len(merges)) + [5] * unused
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(config.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


# ---------------------------------------------------------------------------------- the file


def add_header(writer, name, config, head_size):
    writer.add_name(f"tiny {name}")
    writer.add_description(config.covers)
    writer.add_license("apache-2.0")
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_vocab_size(config.vocabulary)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_rope_dimension_count(config.rope_dimensions or head_size)
    if config.head_size:
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    if config.rope_linear:
        writer.add_string("llama.rope.scaling.type", "linear")
        writer.add_float32("llama.rope.scaling.factor", config.rope_linear)


def add_layer(writer, config, key, layer, head_size):
    q, kv, width, inner = config.heads * head_size, config.kv_heads * head_size, config.width, config.feed_forward
    shapes = {
        "attn_q": (q, width),
        "attn_k": (kv, width),
        "attn_v": (kv, width),
        "attn_output": (width, q),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    add_vector(writer, f"blk.{layer}.attn_norm.weight", key, width, 1.0, 0.2)
    add_vector(writer, f"blk.{layer}.ffn_norm.weight", key, width, 1.0, 0.2)
    for part, (rows, columns) in shapes.items():
        add_matrix(writer, f"blk.{layer}.{part}.weight", config, key, rows, columns, config.gain / np.sqrt(columns))
        if config.biases:
            add_vector(writer, f"blk.{layer}.{part}.bias", key, rows, 0.0, 0.3)


def write_model(path, name, config):
    head_size = config.head_size or config.width // config.heads
    writer = GGUFWriter(path, "llama")
    add_header(writer, name, config, head_size)
    add_tokenizer(writer, config)
    spread = 2.0 / np.sqrt(config.width)
    add_matrix(writer, "token_embd.weight", config, name, config.vocabulary, config.width, spread)
    for layer in range(config.layers):
        add_layer(writer, config, name, layer, head_size)
    if config.rope_factors:
        half = (config.rope_dimensions or head_size) // 2
        factors = [1.0 if 3 * i < half else 8.0 if 3 * i >= 2 * half else 1.0 + 7.0 * i / half for i in range(half)]
        writer.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    add_vector(writer, "output_norm.weight", name, config.width, 1.0, 0.2)
    if not config.tied:
        add_matrix(writer, "output.weight", config, name, config.vocabulary, config.width, spread)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description="Writes tiny llama-family GGUF files for the tests.")
    parser.add_argument("out_dir", nargs="?", metavar="OUT_DIR")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names and what each one covers")
    arguments = parser.parse_args()
    table = configurations()
    if arguments.list:
        for name, config in table.items():
            print(f"{name:16} {config.covers}")
        return 0
    if arguments.out_dir is None:
        parser.error("OUT_DIR is missing")
    unknown = [name for name in arguments.names if name not in table]
    if unknown:
        parser.error(f"no configuration is named {', '.join(unknown)}; --list prints the names")
    os.makedirs(arguments.out_dir, exist_ok=True)
    for name in arguments.names or table:
        write_model(os.path.join(arguments.out_dir, f"{name}.gguf"), name, table[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
