#!/usr/bin/env python3
"""Tests of /v1/tokenize and /v1/detokenize: tokenize_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import json

from support import Place, QUESTION, WithServer, main

TEXT = "Why is the sky blue? \U0001f600<|im_end|>"


class Tokenize(WithServer):
    def post(self, path, **fields):
        status, _, body = self.server.send("POST", path, json.dumps(fields))
        self.assertEqual(200, status, body)
        return body

    def ids(self, text, *options):
        return self.good("tokenize", "-m", Place.model, "--json", *options, text).json["tokens"]

    def test_a_prompt_and_back(self):
        for prefix in ("/v1", "/openai/v1", ""):
            told = self.post(prefix + "/tokenize", prompt=TEXT)
            self.assertEqual({"count": len(told["tokens"]), "max_model_len": 2048, "token_strs": None,
                              "tokens": self.ids(TEXT, "--special")}, told)
            back = self.post(prefix + "/detokenize", tokens=told["tokens"])
            self.assertEqual({"prompt": TEXT, "content": TEXT}, back)

    def test_the_texts_of_tokens(self):
        told = self.post("/v1/tokenize", model="the-model", prompt="Why is the sky", return_token_strs=True)
        self.assertEqual(["Why", " is", " the", " sky"], told["token_strs"])

    def test_a_conversation_has_the_tokens_that_its_answer_is_charged(self):
        told = self.post("/v1/tokenize", messages=QUESTION)
        answer = self.server.openai().chat.completions.create(model="the-model", messages=QUESTION, max_tokens=1)
        self.assertEqual(answer.usage.prompt_tokens, told["count"])
        self.assertIn("<|im_start|>user", self.post("/v1/detokenize", tokens=told["tokens"])["prompt"])

    def test_the_shape_of_llama_cpp(self):
        self.assertEqual({"tokens": self.ids(TEXT, "--special")}, self.post("/tokenize", content=TEXT))
        self.assertEqual({"tokens": self.ids(TEXT)}, self.post("/tokenize", content=TEXT, parse_special=False))
        pieces = self.post("/tokenize", content="Why is", with_pieces=True)["tokens"]
        self.assertEqual(list(zip(self.ids("Why is"), ["Why", " is"])), [(one["id"], one["piece"]) for one in pieces])
        self.assertEqual({"tokens": []}, self.post("/tokenize", content=""))

    def test_refusals(self):
        for path, fields, says in (("/v1/tokenize", {}, "one of 'prompt', 'messages' and 'content'"),
                                   ("/v1/tokenize", {"prompt": "a", "messages": QUESTION}, "and no more"),
                                   ("/v1/tokenize", {"prompt": "a", "content": "b"}, "'prompt' is unsupported"),
                                   ("/v1/tokenize", {"messages": QUESTION, "add_generation_prompt": False}, "must be true"),
                                   ("/v1/tokenize", {"messages": QUESTION, "add_special_tokens": True}, "must be false"),
                                   ("/v1/tokenize", {"model": "none", "prompt": "a"}, "does not exist"),
                                   ("/v1/detokenize", {}, "'tokens' is missing"),
                                   ("/v1/detokenize", {"tokens": ["a"]}, "'tokens.0'"),
                                   ("/v1/detokenize", {"tokens": [99999999]}, "token 99999999 is not in the vocabulary")):
            with self.subTest(says):
                status, _, body = self.server.send("POST", path, json.dumps(fields))
                self.assertIn(status, (400, 404))
                self.assertIn(says, body["error"]["message"])


if __name__ == "__main__":
    main()
