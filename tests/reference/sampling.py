"""Section 9 of the numerics contract: Philox, the choice of a token, log-probabilities."""

from dataclasses import dataclass, field

import numpy as np

from arithmetic import LOG2E, ONE, exp2, f32, from_integer, ln, ln1m


def philox(counter, key):
    """Philox4x32-10. counter: four uint32 (arrays or numbers), key: two. Gives four uint64 arrays
    holding 32-bit words."""
    low = np.uint64(0xFFFFFFFF)
    c = [np.asarray(word, np.uint64) for word in counter]
    k = [int(word) for word in key]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        shift = np.uint64(32)
        c = [(b >> shift) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> shift) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(ids, position, choice, seed):
    """The random word b of every id."""
    ids = np.asarray(ids, np.uint64)
    zero = np.zeros_like(ids)
    four = philox((ids >> np.uint64(2), zero + position, zero + choice, zero), (seed & 0xFFFFFFFF, seed >> 32))
    return np.choose((ids & np.uint64(3)).astype(np.int64), four)


def exponential(b):
    """E of a 32-bit word b."""
    half = from_integer(np.asarray(b, np.uint64) >> np.uint64(1))
    return -ln1m(np.minimum(half * f32(2.0**-31) + f32(2.0**-32), f32(1 - 2.0**-24)))


@dataclass
class Request:
    temperature: float = 1.0
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 1.0
    frequency: float = 0.0
    presence: float = 0.0
    bias: dict = field(default_factory=dict)
    seed: int = 0
    choice: int = 0


def adjusted(logits, request, prompt, generated):
    """Bias and penalties, in the contract's order."""
    l = np.array(logits, f32)
    for token, bias in request.bias.items():
        l[token] = l[token] + f32(bias)
    seen = np.array(sorted(set(prompt) | set(generated)), dtype=np.int64)
    rep = f32(request.repetition)
    l[seen] = np.where(l[seen] > 0, l[seen] / rep, l[seen] * rep)
    ids, counts = np.unique(np.array(generated, dtype=np.int64), return_counts=True)
    l[ids] = (l[ids] - from_integer(counts) * f32(request.frequency)) - f32(request.presence)
    return l


def sample(logits, request, prompt, generated, allowed=None):
    """The token at position len(prompt) + len(generated). allowed: ids the grammar permits."""
    l = adjusted(logits, request, prompt, generated)
    ids = np.arange(len(l)) if allowed is None else np.array(sorted(allowed))
    temperature = f32(request.temperature)
    if temperature < f32(2.0**-20):
        return int(ids[np.argmax(l[ids])])
    ids = ids[np.lexsort((ids, -l[ids]))]
    w = exp2((l[ids] - l[ids[0]]) * (LOG2E / temperature))
    W = np.rint(w * f32(2.0**30)).astype(np.int64)
    if request.top_k:
        ids, w, W = ids[: request.top_k], w[: request.top_k], W[: request.top_k]
    p = int(np.rint(f32(request.top_p) * f32(2.0**30)))
    total = int(W.sum())
    length, sum_ = 1, int(W[0])
    while length < len(ids) and (sum_ << 30) < p * total:
        sum_ += int(W[length])
        length += 1
    ids, w = ids[:length], w[:length]
    kept = w >= f32(request.min_p)
    ids, w = ids[kept], w[kept]
    order = np.argsort(ids)
    ids, w = ids[order], w[order]
    race = w / exponential(words(ids, len(prompt) + len(generated), request.choice, request.seed))
    return int(ids[np.argmax(race)])


def log_probabilities(logits):
    """Of every id, from the logits as they come out of the head."""
    l = np.asarray(logits, f32)
    difference = l - l.max()
    W = np.rint(exp2(difference * (LOG2E / ONE)) * f32(2.0**30)).astype(np.int64)
    return difference - ln(from_integer(W.sum()) * f32(2.0**-30))
