"""Sections 1, 2 and 6 of the numerics contract in numpy: fma, Q16 and the functions.

Arrays are binary32 unless said otherwise; numpy rounds each + - * / sqrt rint once, to nearest even.
"""

import numpy as np

f32 = np.float32


def constant(bits):
    """The binary32 whose bits are the hexadecimal digits `bits`."""
    return np.array(int(bits, 16), dtype=np.uint32).view(f32)[()]


LOG2E = constant("3fb8aa3b")
LN2 = constant("3f317218")
ONE = f32(1)
HALF = f32(0.5)
LIMIT_16 = 32512
LIMIT_8 = 127


class NumericsError(Exception):
    """An infinity, a NaN or a value of 2^32 or more where the contract forbids it."""


def fma(a, b, c):
    """a*b + c rounded once. Done in binary64: the product of two binary32 is exact there; the sum
    is rounded to odd (its error, found by TwoSum, says which way), so that rounding the result
    again, to binary32, is as rounding the exact sum."""
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    c = np.asarray(c, np.float64)
    total = np.atleast_1d(product + c)
    back = total - product
    error = (product - (total - back)) + (c - back)
    bits = total.view(np.int64)
    inexact_and_even = (error != 0) & ((bits & 1) == 0)
    outwards = np.where((error > 0) == (total > 0), 1, -1)
    bits += inexact_and_even * outwards
    return total.astype(f32).reshape(np.shape(product + c))


def polynomial(x, *coefficients):
    """P(x; c0, c1, ...) of section 6."""
    p = constant(coefficients[0])
    for c in coefficients[1:]:
        p = fma(p, x, constant(c))
    return p


def from_integer(n):
    """f32 of integers below 2^53 in magnitude (int64 or integral binary64)."""
    return np.asarray(n).astype(np.float64).astype(f32)


def bits_of(x):
    return np.ascontiguousarray(x, f32).view(np.int32)


def scaled(x, n):
    """x * 2^n for normal x and a normal result, n an integer array: exact."""
    return (bits_of(x) + (n.astype(np.int32) << 23)).view(f32)


# ------------------------------------------------------------------------------ Q16


def largest(x, axis, where):
    """max |x| along `axis`, compared as integers; NumericsError names `where`."""
    bits = (bits_of(x) & 0x7FFFFFFF).max(axis=axis, keepdims=True)
    m = bits.view(f32)
    if (bits >= bits_of(f32(2.0**32))).any():
        raise NumericsError(f"{where}: a value of 2^32 or more, an infinity or a NaN")
    return m


def scale_and_reciprocal(m, limit):
    """s and r of section 2 for the largest magnitude m; both zero below 2^-64."""
    tiny = m < f32(2.0**-64)
    divisor = np.where(tiny, ONE, m)
    s = np.where(tiny, f32(0), m / f32(limit))
    r = np.where(tiny, f32(0), f32(limit) / divisor)
    return s, r


def q16(x, where, limit=LIMIT_16):
    """Q16 along the last axis: integers as binary64 (for exact BLAS products) and the scale,
    whose last axis is 1."""
    s, r = scale_and_reciprocal(largest(x, -1, where), limit)
    return np.rint(x * r).astype(np.float64), s


# ------------------------------------------------------------------------------ functions


def exp2(x):
    x = np.asarray(x, f32)
    small = x < f32(-64)
    x = np.minimum(np.where(small, f32(0), x), f32(126))
    n = np.rint(x)
    p = polynomial(x - n, "3aad9039", "3c1e75d7", "3d635c62", "3e75fcdb", "3f317214", "3f800000")
    return np.where(small, f32(0), scaled(p, n))


def _ln(y, v):
    e = (bits_of(y) - np.int32(0x3F3504F3)) >> 23
    f = (bits_of(y) - (e << 23)).view(f32) - ONE
    if v is not None:
        f = np.where(e == 0, -v, f)
    q = polynomial(
        f, "3db584f7", "be134915", "3e18a4ea", "be299117", "3e4c68d9", "be8002e1", "3eaaab80", "befffffc"
    )
    return fma(e.astype(f32), LN2, f + q * (f * f))


def ln(y):
    """Natural logarithm of positive normal y."""
    return _ln(np.asarray(y, f32), None)


def ln1m(v):
    """ln(1 - v) for v in [0, 1 - 2^-24]."""
    v = np.asarray(v, f32)
    return _ln(ONE - v, v)


def cos_sin(h):
    """(cos, sin) of h * 2^-32 turns, h int32."""
    h = np.asarray(h, np.int32)
    with np.errstate(over="ignore"):
        k = (h + np.int32(1 << 29)) >> 30
        z = (h - (k << 30)).astype(f32) * constant("30c90fdb")
    g = z * z
    s = z + polynomial(g, "b94ca75f", "3c0883b7", "be2aaaa3") * (z * g)
    c = polynomial(g, "37cdb8ec", "bab6092b", "3d2aaaab", "bf000000", "3f800000")
    k = k & 3
    return np.choose(k, [c, -s, -c, s]), np.choose(k, [s, c, -s, -c])


def sigmoid(x):
    return ONE / (ONE + exp2(x * -LOG2E))


def silu(x):
    return x / (ONE + exp2(x * -LOG2E))


def tanh(x):
    return ONE - f32(2) / (ONE + exp2(x * constant("4038aa3b")))


def gelu_tanh(x):
    return x / (ONE + exp2(-(x * fma(x * x, constant("3dd2d3e8"), constant("40135761")))))


def gelu_erf(x):
    z = np.abs(x) * constant("3f3504f3")
    t = ONE / fma(z, constant("3ea7ba05"), ONE)
    p = polynomial(t, "3f87dc22", "bfba00e3", "3fb5f0e3", "be91a98e", "3e827906")
    q = HALF * ((p * t) * exp2((z * z) * -LOG2E))
    return x * np.where(x < 0, q, ONE - q)


# ------------------------------------------------------------------------------ norms


def rms_norm(x, gain, eps, where):
    """Section 5, along the last axis."""
    a, s = q16(x, where)
    n = f32(x.shape[-1])
    total = from_integer((a * a).sum(axis=-1, keepdims=True))
    v = ((total / n) * s) * s
    inverse = ONE / np.sqrt(v + eps)
    return (x * inverse) * gain
