#!/usr/bin/env python3
"""Tests of the reference itself: reference_test.py (needs numpy, gguf, mpmath)."""

import os
import sys
import tempfile
import unittest
from fractions import Fraction

import gguf
import numpy as np

import arithmetic as arith
import contract
import fidelity
import sampling
from arithmetic import NumericsError, f32
from gguf_model import Groups

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import make_tiny

TOKENS = np.array([1, 5, 17, 100, 64, 3, 99, 127, 40, 40, 7, 2, 88, 91, 12, 13])


def random_floats(key, count):
    bits = (make_tiny.random_words(key, count) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    exponent = np.uint32(97) + (bits >> np.uint32(23)) % np.uint32(60)
    return (bits & np.uint32(0x807FFFFF) | exponent << np.uint32(23)).view(f32)


def nearest(x):
    """The binary32 nearest to the fraction x, ties to even: by search among its neighbours."""
    guess = f32(float(x))
    near = [np.nextafter(guess, f32(-np.inf)), guess, np.nextafter(guess, f32(np.inf))]
    return min(near, key=lambda y: (abs(Fraction(float(y)) - x), int(y.view(np.uint32)) & 1))


class Arithmetic(unittest.TestCase):
    def test_fma_rounds_once(self):
        a, b = random_floats("a", 3000), random_floats("b", 3000)
        c = random_floats("c", 3000)
        # A third of the sums cancel, a third lie close to the middle between two binary32.
        c[::3] = -(a[::3] * b[::3])
        a[1::3] = 1 + np.arange(1000).astype(f32) * f32(2.0**-23)
        b[1::3], c[1::3] = 1 + f32(2.0**-12), random_floats("tiny", 1000) * f32(2.0**-40)
        found = arith.fma(a, b, c)
        for x, y, z, result in zip(a, b, c, found):
            exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
            self.assertEqual(float(nearest(exact)), float(result))

    def test_fma_in_the_middle_between_two_numbers(self):
        # 1 + 2^-24 is a tie; a product 2^-60 beside it decides.
        for sign, expected in ((1, 1 + 2.0**-23), (-1, 1.0)):
            self.assertEqual(arith.fma(f32(sign * 2.0**-30), f32(2.0**-30), f32(1)), 1)
            tie = arith.fma(f32(1 + 2.0**-12), f32(1 + 2.0**-12), f32(sign * 2.0**-60))
            self.assertEqual(tie, f32(1 + 2.0**-11 + (2.0**-23 if sign > 0 else 0)))

    def test_q16(self):
        a, s = arith.q16(np.array([[0.0, -2.0, 1.0]], f32), "x")
        self.assertEqual(a.tolist(), [[0, -32512, 16256]])
        self.assertEqual(s[0, 0], f32(2) / f32(32512))
        a, s = arith.q16(np.full((1, 3), 2.0**-65, f32), "x")
        self.assertEqual((a.tolist(), s[0, 0]), ([[0, 0, 0]], 0))
        for bad in (np.nan, np.inf, -np.inf, 2.0**32):
            with self.assertRaises(NumericsError):
                arith.q16(np.array([[0, bad, 1]], f32), "x")

    def test_functions_are_close_to_the_true_ones(self):
        x = np.linspace(-20, 20, 4001).astype(f32)
        wide = x.astype(np.float64)
        close = lambda found, true, error: self.assertLess(np.max(np.abs(found - true) / (np.abs(true) + 1e-30)), error)
        close(arith.exp2(x), np.exp2(wide), 2e-7)
        close(arith.ln(np.exp2(x)), np.log(np.exp2(x).astype(np.float64)), 1e-6)
        close(arith.silu(x), wide / (1 + np.exp(-wide)), 5e-6)
        self.assertLess(np.abs(arith.tanh(x) - np.tanh(wide)).max(), 3e-7)
        tanh_form = np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)
        self.assertLess(np.abs(arith.gelu_tanh(x) - 0.5 * wide * (1 + np.tanh(tanh_form))).max(), 2e-6)
        from math import erf

        true = np.array([0.5 * v * (1 + erf(v / 2**0.5)) for v in wide])
        self.assertLess(np.abs(arith.gelu_erf(x) - true).max(), 3e-6)

    def test_turns(self):
        h = np.arange(-(2**31), 2**31, 65521, dtype=np.int64).astype(np.int32)
        cos, sin = arith.cos_sin(h)
        turn = h.astype(np.float64) * (2 * np.pi / 2**32)
        self.assertLess(np.abs(cos - np.cos(turn)).max(), 2e-7)
        self.assertLess(np.abs(sin - np.sin(turn)).max(), 2e-7)


class Sampling(unittest.TestCase):
    def test_philox_known_answers(self):
        zero = [int(x) for x in sampling.philox((0, 0, 0, 0), (0, 0))]
        self.assertEqual(zero, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
        ones = [int(x) for x in sampling.philox((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2)]
        self.assertEqual(ones, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])

    def test_shares_follow_the_probabilities(self):
        logits = np.log(np.array([0.5, 0.3, 0.15, 0.05])).astype(f32)
        drawn = [sampling.sample(logits, sampling.Request(seed=n), [0], []) for n in range(2000)]
        shares = np.bincount(drawn, minlength=4) / 2000
        self.assertLess(np.abs(shares - [0.5, 0.3, 0.15, 0.05]).max(), 0.04)

    def test_filters(self):
        logits = np.log(np.array([0.1, 0.4, 0.1, 0.4])).astype(f32)
        drawn = lambda **options: {sampling.sample(logits, sampling.Request(seed=n, **options), [], []) for n in range(200)}
        self.assertEqual(drawn(), {0, 1, 2, 3})
        self.assertEqual(drawn(top_k=1), {1})
        self.assertEqual(drawn(top_k=3), {0, 1, 3})
        self.assertEqual(drawn(top_p=0.79), {1, 3})
        self.assertEqual(drawn(top_p=0.0), {1})
        self.assertEqual(drawn(min_p=0.5), {1, 3})
        self.assertEqual(drawn(temperature=0), {1})
        self.assertEqual(drawn(temperature=0, bias={0: 5.0}), {0})

    def test_log_probabilities(self):
        logits = random_floats("l", 100) % f32(8)
        self.assertLess(np.abs(sampling.log_probabilities(logits) - fidelity.log_softmax(logits)).max(), 2e-6)


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.paths = {}
        for name, config in make_tiny.configurations().items():
            cls.paths[name] = os.path.join(cls.folder.name, name + ".gguf")
            make_tiny.write_model(cls.paths[name], name, config)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_blocks_decode_as_the_gguf_package_does(self):
        for path in self.paths.values():
            model = contract.Model(path)
            for name, tensor in model.tensors.items():
                if len(tensor.shape) == 2:
                    expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                    np.testing.assert_allclose(model.values(name), expected.reshape(tensor.shape[::-1]), 1e-6, 1e-6)

    def test_import_stays_in_its_bounds_and_close(self):
        for path in self.paths.values():
            model = contract.Model(path)
            for name, tensor in model.tensors.items():
                if len(tensor.shape) != 2:
                    continue
                matrix, v = contract.import_matrix(model, name), model.values(name)
                source = model.matrix(name)
                half_steps = 2 ** (source.bits - 1) + 1 if isinstance(source, Groups) else 1
                step = matrix.scale.astype(np.float64)[:, None]
                zero = np.abs(v) < 2.0**-28
                error = np.abs(matrix.w * step - v)
                self.assertTrue((zero | (error <= step * half_steps / 2 * (1 + 1e-3))).all(), f"{path} {name}")

    def test_close_to_ordinary_arithmetic(self):
        for name, path in self.paths.items():
            plain = fidelity.Plain(path).logits(TOKENS)
            found = contract.Network(path).logits(TOKENS)
            self.assertLess(fidelity.divergence(plain, found).mean(), 1e-3, name)
            found = contract.Network(path, kv_bits=8).logits(TOKENS)
            self.assertLess(fidelity.divergence(plain, found).mean(), 0.02, name)

    def test_a_position_does_not_depend_on_later_ones(self):
        for name in ("q4_1", "bias", "rope_llama3", "odd100"):
            network = contract.Network(self.paths[name])
            whole, part = network.logits(TOKENS), network.logits(TOKENS[:7])
            self.assertEqual(whole[:7].tobytes(), part.tobytes(), name)

    def test_files_are_the_same_every_time(self):
        again = os.path.join(self.folder.name, "again")
        make_tiny.write_model(again, "q4_k", make_tiny.configurations()["q4_k"])
        with open(again, "rb") as a, open(self.paths["q4_k"], "rb") as b:
            self.assertEqual(a.read(), b.read())


if __name__ == "__main__":
    unittest.main()
