#!/usr/bin/env python3
"""Tests of /v1/embeddings with the official client: embeddings_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, numpy, groq and gguf.
"""

import json

import numpy
import openai

from support import Place, WithServer, main

TEXTS = ["The cat sat on the mat.", "A cat was sitting on a mat.", "Stocks fell sharply on Monday."]


def embed(client, given, **fields):
    """The client asks for base64 by itself, of which its types know nothing."""
    return client.embeddings.create(model="the-model", input=given, **fields)


class Embeddings(WithServer):
    def client(self):
        return self.server.openai(_strict_response_validation=False)

    def vectors(self, given, **fields):
        return numpy.array([item.embedding for item in embed(self.client(), given, **fields).data])

    def test_alike_texts_are_near_each_other(self):
        vectors = self.vectors(TEXTS)
        numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        self.assertGreater(vectors[0] @ vectors[1], vectors[0] @ vectors[2])

    def test_inputs_of_all_forms_and_both_encodings(self):
        client = self.client()
        tokens = [self.good("tokenize", "-m", Place.model, "--json", text).json["tokens"] for text in TEXTS]
        wanted = self.vectors(TEXTS, encoding_format="float")
        for given in (TEXTS, tokens):
            answer = embed(client, given)
            self.assertEqual([0, 1, 2], [item.index for item in answer.data])
            self.assertEqual(sum(map(len, tokens)), answer.usage.prompt_tokens)
            self.assertEqual(answer.usage.prompt_tokens, answer.usage.total_tokens)
            numpy.testing.assert_array_equal(wanted.astype("float32"),
                                             numpy.array([item.embedding for item in answer.data], "float32"))
        numpy.testing.assert_array_equal(wanted[1], self.vectors(TEXTS[1], encoding_format="float")[0])
        numpy.testing.assert_array_equal(wanted[1], self.vectors(tokens[1], encoding_format="float")[0])

    def test_many_inputs_in_one_request(self):
        texts = [f"{number}" for number in range(2048)]
        together = self.vectors(texts)
        self.assertEqual(2048, len({tuple(vector) for vector in together}))
        for number in (0, 1000, 2047):
            numpy.testing.assert_array_equal(together[number], self.vectors(texts[number])[0])

    def test_errors(self):
        client = self.client()
        for given, fields, says in (("a", {"dimensions": 8}, "'dimensions'"), ("", {}, "'input' : it has no tokens"),
                                    (["a"] * 2049, {}, "up to 2048"), ([99999999], {}, "not in the vocabulary")):
            with self.subTest(says), self.assertRaises(openai.BadRequestError) as caught:
                embed(client, given, **fields)
            self.assertIn(says, str(caught.exception))
        with self.assertRaises(openai.BadRequestError) as caught:
            embed(client, "a b c " * 2000)
        self.assertEqual(("context_length_exceeded", "input"), (caught.exception.code, caught.exception.param))
        status, _, _ = self.server.send("POST", "/v1/embeddings", json.dumps({"model": "none", "input": "a"}))
        self.assertEqual(404, status)


if __name__ == "__main__":
    main()
