#!/usr/bin/env python3
"""Proves that src/text encodes and decodes as the reference implementations do.

Compared with Hugging Face's `tokenizers` (byte-level BPE with the gpt-2, smollm, llama-3 and qwen2
patterns; SentencePiece-style BPE as Llama 2's tokenizer.json builds it) and with `sentencepiece` itself.
The vocabularies are that of a GGUF model and ones that are trained here on the sources of Python's standard
library mixed with words of many scripts.

    tokenizer_compare.py --driver build/tests/text/tokenizer_driver --model model.gguf [--quick]

Every Unicode code point is encoded, and cut into words in contexts that show its class. Code points on which
the references and src/text disagree (they carry tables of different Unicode versions) are printed as ranges
and then left out of the strings; more than --most-excluded of them is a failure, and so is every other
difference. Needs the packages gguf, tokenizers and sentencepiece.
"""

import argparse
import dataclasses
import functools
import io
import os
import pathlib
import random
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
import unicodedata

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BPE, SPM = 1, 2

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


# ---------------------------------------------------------------------------------------- vocabularies


@dataclasses.dataclass
class Vocabulary:
    """The twin of lockstep::text::Vocabulary."""

    kind: int
    pre_tokenizer: str
    tokens: list
    types: list
    scores: list = dataclasses.field(default_factory=list)
    merges: list = dataclasses.field(default_factory=list)
    ids: dict = dataclasses.field(default_factory=dict)  # bos, eos, eot, unknown, padding
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = True

    def encode(self):
        def strings(values):
            parts = [struct.pack("<Q", len(values))]
            for value in values:
                data = value.encode()
                parts.append(struct.pack("<I", len(data)) + data)
            return b"".join(parts)

        name = self.pre_tokenizer.encode()
        return b"".join(
            [
                b"LSVOCAB\x01",
                struct.pack("<4B", self.kind, self.add_bos, self.add_eos, self.add_space_prefix),
                struct.pack("<5i", *(self.ids.get(n, -1) for n in ("bos", "eos", "eot", "unknown", "padding"))),
                struct.pack("<Q", len(name)) + name,
                strings(self.tokens),
                struct.pack("<Q", len(self.types)) + bytes(self.types),
                struct.pack("<Q", len(self.scores)) + struct.pack(f"<{len(self.scores)}f", *self.scores),
                strings(self.merges),
            ]
        )

    def with_type(self, *types):
        return [token for token, kind in zip(self.tokens, self.types) if kind in types]


def read_gguf(path):
    import gguf

    fields = gguf.GGUFReader(path).fields

    def value(key, default=None):
        field = fields.get("tokenizer.ggml." + key)
        return default if field is None else field.contents()

    names = {"bos": "bos_token_id", "eos": "eos_token_id", "unknown": "unknown_token_id", "padding": "padding_token_id"}
    assert value("model") == "gpt2", "a model with a byte-level BPE tokenizer is wanted"
    return Vocabulary(
        BPE,
        value("pre"),
        value("tokens"),
        value("token_type"),
        merges=value("merges"),
        ids={name: value(key) for name, key in names.items() if value(key) is not None},
    )


def reference_pre_tokenizer(name):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name == "gpt-2":
        return byte_level
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    split = pre_tokenizers.Split(Regex({"llama-bpe": LLAMA3, "qwen2": QWEN2}[name]), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def add_special_tokens(reference, vocabulary):
    special = vocabulary.with_type(CONTROL, UNKNOWN)
    reference.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    user = vocabulary.with_type(USER_DEFINED)
    reference.add_tokens([AddedToken(token, special=False, normalized=False) for token in user])
    for token in special + user:
        assert reference.token_to_id(token) == vocabulary.tokens.index(token), token
    return reference


def bpe_reference(vocabulary):
    reference = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(vocabulary.tokens)},
            merges=[tuple(merge.split(" ")) for merge in vocabulary.merges],
            ignore_merges=vocabulary.pre_tokenizer == "llama-bpe",
        )
    )
    reference.pre_tokenizer = reference_pre_tokenizer(vocabulary.pre_tokenizer)
    reference.decoder = decoders.ByteLevel()
    return add_special_tokens(reference, vocabulary)


CONTROL_TOKENS = ["<|begin|>", "<|end|>", "<|end|>>", "<tool>", "</tool>"]
USER_TOKENS = ["<user>", "<user>!", "  [pad]", "-->"]


def train_bpe(name, corpus, size):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = reference_pre_tokenizer(name)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    buffer = tempfile.mkdtemp()
    _, merges_path = trained.model.save(buffer)
    lines = pathlib.Path(merges_path).read_text(encoding="utf-8").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    if name == "llama-bpe":  # leave tokens that only the whole-word look-up reaches
        del merges[::20]
    ordered = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in ordered] + CONTROL_TOKENS + USER_TOKENS
    types = [NORMAL] * len(ordered) + [CONTROL] * len(CONTROL_TOKENS) + [USER_DEFINED] * len(USER_TOKENS)
    return Vocabulary(BPE, name, tokens, types, merges=merges)


def train_spm(corpus, size):
    """A SentencePiece model with Llama 2's settings, and the same as a Vocabulary."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        character_coverage=0.9995,
        max_sentence_length=1 << 20,
        num_threads=1,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens, types, scores = [], [], []
    for i in range(processor.get_piece_size()):
        tokens.append(processor.id_to_piece(i))
        scores.append(processor.get_score(i))
        types.append(
            UNKNOWN
            if processor.is_unknown(i)
            else CONTROL if processor.is_control(i) else BYTE if processor.is_byte(i) else NORMAL
        )
    vocabulary = Vocabulary(
        SPM, "default", tokens, types, scores, ids={"bos": 1, "eos": 2, "unknown": 0}, add_bos=False
    )
    return processor, vocabulary


def spm_reference(vocabulary):
    """As Llama 2's tokenizer.json: all pairs that join to a token, by the token's score, then by position."""
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    normal = {token for token, kind in zip(vocabulary.tokens, vocabulary.types) if kind == NORMAL}
    merges = []
    for token in normal:
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in normal and right in normal:
                merges.append((-vocabulary.scores[ids[token]], ids[left], ids[right], left, right))
    reference = Tokenizer(
        models.BPE(
            vocab=ids,
            merges=[(left, right) for *_, left, right in sorted(merges)],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    reference.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    reference.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return add_special_tokens(reference, vocabulary)


# --------------------------------------------------------------------------------------------- strings

SPACES = [
    chr(c)
    for c in [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
]
NOT_QUITE_SPACES = [chr(c) for c in (0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x1C, 0x1D, 0x1E, 0x1F, 0)]
WORDS = (
    "the of and Hello world tokenization antidisestablishmentarianism naïve façade straße İstanbul ΑΒΓ ὀδυσσεύς "
    "привет мир שלום مرحبا हिन्दी বাংলা தமிழ் ไทยแลนด์ 日本語 漢字かな 한국어 中文字符 Việt ქართული አማርኛ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈𐌰"
).split()
SNIPPETS = [
    "def f(x):\n    return x**2  # square\n",
    "for (int i = 0; i < n; ++i) {\r\n\tsum += a[i];\r\n}\r\n",
    '{"key": [1, 2.5e-3, null], "ключ": "значение"}\n',
    "SELECT * FROM t WHERE a>=10 AND b!='x';",
    "https://example.org/a?b=c&d=%20#e",
    "\\begin{align} x_{1}^{2} &= \\frac{1}{2} \\\\ \\end{align}",
    "<div class='a'>&nbsp;</div><!-- c -->",
]
EMOJI = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍💻", "🇩🇪🇫🇷", "❤️", "☺", "🤷🏿‍♀️", "1️⃣", "🫠", "🧑‍🚀"]
NUMBERS = ["0", "7", "42", "1234567890", "3.14159", "1,000,000", "½", "Ⅷ", "²", "٣٤٥", "१२३", "𝟘𝟙", "①②", "〇"]
CONTRACTIONS = ["'s", "'S", "'ſ", "'t", "'T", "'re", "'RE", "'Ve", "'m", "'ll", "'LL", "'lL", "'d", "’s", "''s", "'st"]
ODDITIES = ["Ġ", "Ċ", "▁", "▁▁", "<0x0A>", "<unk>", "\x00", "\x7f", "�", "ﬁ", "ǅ", "\u0345", "ᾳ", "K"]
PARTS_OF_SPECIAL = ["<|", "|>", "<|im_", "<|end", "<user", "<", ">", "[pad]", " [pad]", "</", "<s", "--", "->"]


@functools.cache
def characters():
    """All combining marks, and all assigned characters of planes 0 to 2."""
    categories = {chr(c): unicodedata.category(chr(c)) for c in range(0xF0000)}
    marks = [c for c, category in categories.items() if category.startswith("M")]
    assigned = [c for c, category in categories.items() if category not in ("Cn", "Cs", "Co") and c < "\U00030000"]
    return marks, assigned


def without(characters_to_drop, texts):
    table = dict.fromkeys(map(ord, characters_to_drop))
    return [text.translate(table) for text in texts]


def all_code_points():
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


class Strings:
    def __init__(self, seed, special):
        self.random = random.Random(seed)
        self.special = special
        self.marks, self.assigned = characters()

    def code_point(self):
        while True:
            c = self.random.randrange(0x110000)
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def atom(self, special):
        r = self.random
        kind = r.randrange(16 if special else 14)
        if kind == 0:
            return r.choice(WORDS)
        if kind == 1:
            return " " + r.choice(WORDS)
        if kind == 2:
            return r.choice(SNIPPETS)
        if kind == 3:
            return r.choice(NUMBERS)
        if kind == 4:
            return "".join(r.choice("0123456789") for _ in range(r.randrange(1, 9)))
        if kind == 5:
            return r.choice(SPACES) * r.randrange(1, 5)
        if kind == 6:
            return " " * r.randrange(1, 12)
        if kind == 7:
            return "".join(r.choice(SPACES + NOT_QUITE_SPACES + ["\n", "\r\n", "\n\n"]) for _ in range(r.randrange(1, 5)))
        if kind == 8:
            return r.choice(EMOJI)
        if kind == 9:
            return r.choice("aeiouกहА") + "".join(r.choice(self.marks) for _ in range(r.randrange(1, 4)))
        if kind == 10:
            return r.choice(["it", "we", "I", " ", "1", ""]) + r.choice(CONTRACTIONS) + r.choice(["", " ", "a", "1"])
        if kind == 11:
            return "".join(r.choice(self.assigned) for _ in range(r.randrange(1, 5)))
        if kind == 12:
            return self.code_point()
        if kind == 13:
            return r.choice(ODDITIES + list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
        if kind == 14:
            return r.choice(PARTS_OF_SPECIAL)
        return r.choice(self.special)

    def mix(self, special=False):
        return "".join(self.atom(special) for _ in range(self.random.randrange(1, 12)))


def code_point_probe(c):
    """Contexts in which letters, numbers, spaces and others are cut differently."""
    return f"{c}a{c}1{c}!{c}'ll {c}{c}  {c}\n"


# ------------------------------------------------------------------------------------------ comparison


class Driver:
    def __init__(self, program, vocabulary, folder, name):
        self.program = program
        self.path = os.path.join(folder, name + ".vocabulary")
        pathlib.Path(self.path).write_bytes(vocabulary.encode())

    def call(self, mode, blocks):
        data = b"".join(struct.pack("<I", len(block)) + block for block in blocks)
        result = subprocess.run([self.program, self.path, mode], input=data, stdout=subprocess.PIPE, check=True)
        return memoryview(result.stdout)

    def encode(self, texts, special):
        """A list of (ids, decoded text)."""
        output = self.call("parse" if special else "plain", [text.encode() for text in texts])
        answers, offset = [], 0
        for _ in texts:
            (count,) = struct.unpack_from("<I", output, offset)
            ids = list(struct.unpack_from(f"<{count}i", output, offset + 4))
            offset += 4 + 4 * count
            (size,) = struct.unpack_from("<I", output, offset)
            answers.append((ids, bytes(output[offset + 4 : offset + 4 + size]).decode()))
            offset += 4 + size
        assert offset == len(output)
        return answers

    def decode(self, sequences):
        output = self.call("decode", [struct.pack(f"<{len(ids)}i", *ids) for ids in sequences])
        answers, offset = [], 0
        for _ in sequences:
            (size,) = struct.unpack_from("<I", output, offset)
            answers.append(bytes(output[offset + 4 : offset + 4 + size]).decode())
            offset += 4 + size
        assert offset == len(output)
        return answers


class Report:
    def __init__(self):
        self.failures = 0
        self.strings = 0

    def fail(self, what, text, ours, theirs):
        self.failures += 1
        if self.failures <= 20:
            print(f"DIFFERENT {what}\n  text   {text!r}\n  ours   {ours}\n  theirs {theirs}")


def reference_ids(reference, texts, special):
    reference.encode_special_tokens = not special
    return [encoding.ids for encoding in reference.encode_batch_fast(texts, add_special_tokens=False)]


def compare(report, name, driver, reference, texts, special, lossless):
    ours = driver.encode(texts, special)
    theirs = reference_ids(reference, texts, special)
    decoded = reference.decode_batch(theirs, skip_special_tokens=True)
    for text, (ids, back), their_ids, their_back in zip(texts, ours, theirs, decoded):
        report.strings += 1
        if ids != their_ids:
            report.fail(f"{name} ids", text, ids, their_ids)
        elif back != their_back:
            report.fail(f"{name} decoded", text, repr(back), repr(their_back))
        elif lossless and not special and back != text:
            report.fail(f"{name} round trip", text, repr(back), repr(text))


def compare_words(driver, pre_tokenizer, texts):
    """For each text, whether it is cut into the same words."""
    output = driver.call("words", [text.encode() for text in texts])
    same, offset = [], 0
    for text in texts:
        (count,) = struct.unpack_from("<I", output, offset)
        lengths = struct.unpack_from(f"<{count}I", output, offset + 4)
        offset += 4 + 4 * count
        theirs = [end - begin for _, (begin, end) in pre_tokenizer.pre_tokenize_str(text)]
        data, ours, begin = text.encode(), [], 0
        for length in lengths:
            ours.append(len(data[begin : begin + length].decode(errors="replace")))
            begin += length
        same.append(ours == theirs and begin == len(data))
    assert offset == len(output)
    return same


def disagreeing_code_points(report, driver, reference, points):
    """Those of `points` in whose contexts the words differ, found by groups first."""
    groups = [points[i : i + 64] for i in range(0, len(points), 64)]
    texts = ["".join(code_point_probe(chr(c)) for c in group) for group in groups]
    suspects = []
    for group, same in zip(groups, compare_words(driver, reference.pre_tokenizer, texts)):
        if not same:
            suspects += [chr(c) for c in group]
    report.strings += len(texts)
    probes = [code_point_probe(c) for c in suspects]
    same = compare_words(driver, reference.pre_tokenizer, probes)
    found = [c for c, agrees in zip(suspects, same) if not agrees]
    print(f"  {len(points)} code points in {len(groups)} groups, {len(found)} disagree")
    return found


def print_ranges(found):
    points = [ord(c) for c in found]
    start = 0
    for i, point in enumerate(points):
        if i + 1 == len(points) or points[i + 1] != point + 1:
            first = points[start]
            name = unicodedata.name(chr(first), "unassigned in Python's Unicode " + unicodedata.unidata_version)
            print(f"    U+{first:04X}..U+{point:04X}  ({name})")
            start = i + 1


def random_ids(generator, vocabulary, count):
    size = len(vocabulary.tokens)
    return [[generator.randrange(size) for _ in range(generator.randrange(12))] for _ in range(count)]


def check_bpe(report, args, name, vocabulary, folder, strings, lossless):
    print(f"{name}: {len(vocabulary.tokens)} tokens, pre-tokenizer {vocabulary.pre_tokenizer}")
    driver = Driver(args.driver, vocabulary, folder, name)
    reference = bpe_reference(vocabulary)
    mixes = Strings(args.seed, vocabulary.with_type(CONTROL, USER_DEFINED))
    points = "".join(map(chr, all_code_points()))
    texts = [points[i : i + 64] for i in range(0, len(points), 64 * (50 if args.quick else 1))]
    texts += [mixes.mix() for _ in range(strings)]
    special_texts = [mixes.mix(True) for _ in range(strings // 4)]
    # The assigned planes are probed for every pattern, the rest once: the classes of all patterns are the same.
    probed = set(range(0x3000)) if args.quick else {*range(0x34000), *range(0xE0000, 0xE1000)}
    if name == "model" and not args.quick:
        probed = set(all_code_points())
    probed.update(ord(c) for text in texts[len(texts) - strings :] + special_texts for c in text)
    found = disagreeing_code_points(report, driver, reference, sorted(probed - set(range(0xD800, 0xE000))))
    print_ranges(found)
    if len(found) > args.most_excluded:
        report.fail(f"{name}: code points that disagree", "", len(found), f"at most {args.most_excluded}")
    texts, special_texts = without(found, texts), without(found, special_texts)
    cut = texts[len(texts) - strings :]
    for text, same in zip(cut, compare_words(driver, reference.pre_tokenizer, cut)):
        if not same:
            report.fail(f"{name} words", text, "", reference.pre_tokenizer.pre_tokenize_str(text))
    compare(report, name, driver, reference, texts, False, lossless)
    compare(report, name + " special, plain", driver, reference, special_texts, False, lossless)
    compare(report, name + " special, parsed", driver, reference, special_texts, True, False)
    sequences = random_ids(mixes.random, vocabulary, strings // 4)
    theirs = reference.decode_batch(sequences, skip_special_tokens=True)
    for ids, ours, text in zip(sequences, driver.decode(sequences), theirs):
        if ours != text:
            report.fail(f"{name} decoding of random ids", ids, repr(ours), repr(text))


def check_spm(report, args, corpus, folder, strings):
    processor, vocabulary = train_spm(corpus, 800 if args.quick else 4000)
    print(f"spm: {len(vocabulary.tokens)} tokens")
    driver = Driver(args.driver, vocabulary, folder, "spm")
    reference = spm_reference(vocabulary)
    mixes = Strings(args.seed, vocabulary.with_type(CONTROL, UNKNOWN))
    texts = [mixes.mix() for _ in range(strings)]
    points = [chr(c) for c in all_code_points()]
    if args.quick:
        points = points[:0x3000] + points[0x3000::97]
    texts += ["".join(points[i : i + 64]) for i in range(0, len(points), 64)]
    for text, (ids, back) in zip(texts, driver.encode(texts, False)):
        report.strings += 1
        theirs = processor.encode(text)
        if ids != theirs:
            report.fail("spm ids against sentencepiece", text, ids, theirs)
        elif back != text.replace("▁", " "):
            report.fail("spm round trip", text, repr(back), repr(text))
    texts = [mixes.mix(True) for _ in range(strings)]
    compare(report, "spm special, parsed", driver, reference, texts, True, False)
    compare(report, "spm against Hugging Face", driver, reference, texts[::2], False, False)


def training_corpus(characters):
    generator = random.Random(1)
    texts, total = [], 0
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        words = " ".join(generator.choice(WORDS + NUMBERS + EMOJI) for _ in range(200))
        texts += [text, words]
        total += len(text) + len(words)
        if total > characters:
            break
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--driver", required=True, help="the program tokenizer_driver")
    parser.add_argument("--model", help="a GGUF file with a byte-level BPE tokenizer")
    parser.add_argument("--quick", action="store_true", help="a few seconds instead of a minute or two")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-excluded", type=int, default=100)
    args = parser.parse_args()
    started = time.time()
    report = Report()
    corpus = training_corpus(200_000 if args.quick else 1_500_000)
    with tempfile.TemporaryDirectory() as folder:
        if args.model:
            strings = 2000 if args.quick else 70000
            check_bpe(report, args, "model", read_gguf(args.model), folder, strings, False)
        for name in ("gpt-2", "smollm", "llama-bpe", "qwen2"):
            vocabulary = train_bpe(name, corpus, 600 if args.quick else 4000)
            check_bpe(report, args, "trained-" + name, vocabulary, folder, 1000 if args.quick else 15000, True)
        lines = [line for text in corpus for line in text.split("\n")]
        check_spm(report, args, lines, folder, 1000 if args.quick else 15000)
    print(f"{report.strings} strings, {report.failures} differences, {time.time() - started:.0f} s")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
