#!/usr/bin/env python3
"""Tests of /v1/completions with the official client: completions_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import openai

from support import Place, WithServer, main

PROMPT = "The capital of France is"


def complete(client, **fields):
    return client.completions.create(model="the-model", **{"prompt": PROMPT, "temperature": 0, **fields})


def stream(client, **fields):
    """The chunks. The client's types have no null for a finish_reason, which OpenAI's chunks have."""
    return list(complete(client.with_options(_extra_kwargs={"_strict_response_validation": False}), stream=True, **fields))


class Completions(WithServer):
    def run_raw(self, prompt, *options):
        return self.good("run", "-m", Place.model, "--context", 2048, "--json", "--raw", *options, prompt).json

    def test_the_text_is_that_of_lockstep_run(self):
        client = self.server.openai()
        for fields, options in (({}, ["-n", 16]), ({"max_tokens": 30, "temperature": 0.8, "seed": 7, "stop": ["\n"]},
                                                   ["-n", 30, "--temperature", 0.8, "--seed", 7, "--stop", "\n"])):
            with self.subTest(**fields):
                said = self.run_raw(PROMPT, *options)
                whole = complete(client, **fields)
                self.assertEqual((said["text"], said["finish_reason"]),
                                 (whole.choices[0].text, whole.choices[0].finish_reason))
                self.assertEqual(said["prompt_tokens"], whole.usage.prompt_tokens)
                streamed = stream(client, **fields)
                self.assertEqual(said["text"], "".join(chunk.choices[0].text for chunk in streamed))
                self.assertEqual(said["finish_reason"], streamed[-1].choices[0].finish_reason)
                echoed = complete(client, echo=True, **fields)
                self.assertEqual(PROMPT + said["text"], echoed.choices[0].text)
                echoed = stream(client, echo=True, **fields)
                self.assertEqual(PROMPT + said["text"], "".join(chunk.choices[0].text for chunk in echoed))

    def test_prompts_of_all_forms(self):
        client = self.server.openai()
        prompts = [PROMPT, "One, two, three,"]
        tokens = [self.good("tokenize", "-m", Place.model, "--json", prompt).json["tokens"] for prompt in prompts]
        texts = [complete(client, prompt=prompt).choices[0].text for prompt in prompts]
        for form in (prompts, tokens):
            both = complete(client, prompt=form)
            self.assertEqual(texts, [choice.text for choice in both.choices])
            self.assertEqual([0, 1], [choice.index for choice in both.choices])
            self.assertEqual(len(tokens[0]) + len(tokens[1]), both.usage.prompt_tokens)
        self.assertEqual(prompts[1] + texts[1], complete(client, prompt=tokens[1], echo=True).choices[0].text)
        # Two choices of each: the first of each is the one that comes alone.
        fields = {"temperature": 1.2, "seed": 3, "max_tokens": 8}
        four = complete(client, prompt=prompts, n=2, **fields)
        alone = [complete(client, prompt=prompt, **fields).choices[0].text for prompt in prompts]
        self.assertEqual(alone, [four.choices[0].text, four.choices[2].text])
        self.assertEqual(4, len({choice.text for choice in four.choices}))
        streamed = [""] * 4
        for chunk in stream(client, prompt=prompts, n=2, **fields):
            streamed[chunk.choices[0].index] += chunk.choices[0].text
        self.assertEqual([choice.text for choice in four.choices], streamed)

    def test_log_probabilities(self):
        client = self.server.openai()
        choice = complete(client, max_tokens=20, logprobs=3).choices[0]
        told = choice.logprobs
        self.assertEqual(choice.text, "".join(told.tokens))
        self.assertEqual([sum(map(len, told.tokens[:i])) for i in range(20)], told.text_offset)
        for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs):
            self.assertEqual((3, logprob), (len(top), top[token]))
            self.assertEqual(max(top.values()), logprob)
        parts = [chunk.choices[0].logprobs for chunk in stream(client, max_tokens=20, logprobs=3)]
        self.assertEqual(told.text_offset, [offset for part in parts for offset in part.text_offset])
        self.assertEqual(told.token_logprobs, [one for part in parts for one in part.token_logprobs])

    def test_characters_of_several_tokens(self):
        told = complete(self.server.openai(), prompt="A list of emoji: \U0001f600 \U0001f603 \U0001f604", max_tokens=40,
                        logprobs=1).choices[0]
        self.assertTrue(any(token.startswith("bytes:\\x") for token in told.logprobs.tokens), told.logprobs.tokens)
        self.assertLessEqual(told.logprobs.text_offset[-1], len(told.text))

    def test_usage_of_a_stream(self):
        chunks = stream(self.server.openai(), stream_options={"include_usage": True})
        self.assertEqual(([], 16), (chunks[-1].choices, chunks[-1].usage.completion_tokens))
        self.assertTrue(all(chunk.usage is None for chunk in chunks[:-1]))

    def test_errors(self):
        client = self.server.openai()
        for fields, says in (({"prompt": ""}, "'prompt' : it has no tokens"),
                             ({"prompt": [99999999]}, "token 99999999 is not in the vocabulary"),
                             ({"prompt": ["a"] * 33, "n": 128}, "4224 answers at once; up to 2048"),
                             ({"best_of": 3}, "'best_of'"), ({"suffix": "x"}, "'suffix'")):
            with self.subTest(says), self.assertRaises(openai.BadRequestError) as caught:
                complete(client, **fields)
            self.assertIn(says, str(caught.exception))
        with self.assertRaises(openai.BadRequestError) as caught:
            complete(client, prompt="a b c " * 2000)
        self.assertEqual(("context_length_exceeded", "prompt"), (caught.exception.code, caught.exception.param))


if __name__ == "__main__":
    main()
