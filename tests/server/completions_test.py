#!/usr/bin/env python3
"""Tests of /v1/completions with the official client: completions_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import json

import openai

from support import Place, WithServer, main, write

PROMPT = "The capital of France is"


def complete(client, **fields):
    return client.completions.create(model="the-model", **{"prompt": PROMPT, "temperature": 0, **fields})


def tolerant(client):
    """A client that takes null where OpenAI's answers have it and its own types do not: for the finish_reason of a
    chunk and for how likely a prompt's first token is."""
    return client.with_options(_extra_kwargs={"_strict_response_validation": False})


def stream(client, **fields):
    """The chunks."""
    return list(complete(tolerant(client), stream=True, **fields))


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

    def test_log_probabilities_of_the_prompt(self):
        """What an evaluation harness asks for: the same numbers as those of the same tokens in an answer."""
        client = tolerant(self.server.openai())
        answer = complete(client, max_tokens=20, logprobs=2).choices[0]
        prompt = self.good("tokenize", "-m", Place.model, "--json", PROMPT).json["tokens"]
        both = self.good("tokenize", "-m", Place.model, "--json", PROMPT + answer.text).json["tokens"]
        self.assertEqual(len(prompt) + 20, len(both), "the text has other tokens than were chosen")
        for text in (both, PROMPT + answer.text):
            scored = complete(client, prompt=text, max_tokens=0, echo=True, logprobs=2)
            told = scored.choices[0].logprobs
            self.assertEqual((PROMPT + answer.text, "length"), (scored.choices[0].text, scored.choices[0].finish_reason))
            self.assertEqual((len(both), 0), (scored.usage.prompt_tokens, scored.usage.completion_tokens))
            self.assertEqual([None], told.token_logprobs[:1])
            self.assertEqual([None], told.top_logprobs[:1])
            self.assertEqual(answer.logprobs.token_logprobs, told.token_logprobs[len(prompt):])
            self.assertEqual(answer.logprobs.top_logprobs, told.top_logprobs[len(prompt):])
            self.assertEqual(PROMPT + answer.text, "".join(told.tokens))
            self.assertEqual([sum(map(len, told.tokens[:i])) for i in range(len(both))], told.text_offset)
        likely = self.good("eval", "-m", Place.model, "--context", 2048, "--tokens", write("both.json", json.dumps(both)), "--json")
        self.assertAlmostEqual(likely.json["nll"], -sum(told.token_logprobs[1:]) / (len(both) - 1), 6)

    def test_log_probabilities_of_prompt_and_answer(self):
        client = tolerant(self.server.openai())
        chat = "<|im_start|>user\nSay \u00abyes\u00bb.<|im_end|>\n<|im_start|>assistant\n"
        fields = {"prompt": [chat, PROMPT], "max_tokens": 60, "echo": True, "logprobs": 1}
        whole = complete(client, **fields)
        self.assertEqual("stop", whole.choices[0].finish_reason)
        self.assertEqual(whole.usage.total_tokens, sum(len(choice.logprobs.tokens) for choice in whole.choices),
                         "one for each token, the end mark among them")
        told = whole.choices[0].logprobs
        self.assertEqual("<|im_end|>", told.tokens[-1])
        self.assertEqual(whole.choices[0].text + "<|im_end|>", "".join(told.tokens))
        self.assertEqual([sum(map(len, told.tokens[:i])) for i in range(len(told.tokens))], told.text_offset)
        self.assertTrue(all(logprob <= 0 for logprob in told.token_logprobs[1:]))
        parts = [[], []]
        for chunk in stream(client, **fields):
            parts[chunk.choices[0].index].append(chunk.choices[0])
        for choice, chunks in zip(whole.choices, parts):
            self.assertEqual(choice.text, "".join(part.text for part in chunks))
            for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
                self.assertEqual(getattr(choice.logprobs, name),
                                 [one for part in chunks for one in getattr(part.logprobs, name)], name)

    def test_a_prompt_and_nothing_else(self):
        client = tolerant(self.server.openai())
        choice = complete(client, max_tokens=0).choices[0]
        self.assertEqual(("", "length", None), (choice.text, choice.finish_reason, choice.logprobs))
        choice = complete(client, max_tokens=0, echo=True).choices[0]
        self.assertEqual((PROMPT, "length"), (choice.text, choice.finish_reason))
        told = complete(client, prompt=[5], max_tokens=0, echo=True, logprobs=0).choices[0].logprobs
        self.assertEqual(([None], [None], [0]), (told.token_logprobs, told.top_logprobs, told.text_offset))
        self.assertEqual(PROMPT, "".join(chunk.choices[0].text for chunk in stream(client, max_tokens=0, echo=True)))

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
