#!/usr/bin/env python3
"""Compares two logits files bit for bit: compare_logits.py A.npy B.npy

Prints the first position and vocabulary index that differ and how many do; exit status 1 then.
"""

import sys

import numpy as np


def main():
    if len(sys.argv) != 3:
        print("usage: compare_logits.py A.npy B.npy", file=sys.stderr)
        return 2
    a, b = (np.load(path) for path in sys.argv[1:])
    for path, x in zip(sys.argv[1:], (a, b)):
        if x.dtype != np.float32:
            print(f"{path}: holds {x.dtype}, not float32", file=sys.stderr)
            return 2
    if a.shape != b.shape:
        print(f"shapes differ: {list(a.shape)} and {list(b.shape)}")
        return 1
    different = np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)
    if not different.any():
        print(f"equal: {a.size} values, {list(a.shape)}")
        return 0
    first = tuple(int(i) for i in np.argwhere(different)[0])
    place = f"position {first[0]}, vocabulary index {first[1]}" if len(first) == 2 else f"index {first}"
    bits = [int(x[first].view(np.uint32)) for x in (a, b)]
    print(f"{place}: {a[first]!r} ({bits[0]:08x}) and {b[first]!r} ({bits[1]:08x})")
    rows = f" in {different.any(axis=1).sum()} of {len(a)} positions" if a.ndim == 2 else ""
    print(f"{int(different.sum())} of {a.size} values differ{rows}; largest difference {np.abs(a - b).max():g}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
