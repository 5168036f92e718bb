#!/usr/bin/env python3
"""Tests of 'lockstep serve --strict' with the official clients: strict_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import groq
import openai

from support import QUESTION, Server, Test, create, main, text_of_stream

from cli.support import tiny


def history(**message):
    return [QUESTION[0], {"role": "assistant", "content": "It scatters.", **message}, QUESTION[0]]


class Strict(Test):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--strict", model=tiny(), context=256)
        cls.addClassCleanup(cls.server.__exit__, None)

    def test_what_groq_takes(self):
        for name, _, client in self.server.clients():
            with self.subTest(name):
                fields = {"max_tokens": 4, "stop": ["a", "b", "c", "d"], "user": "me", "frequency_penalty": 0.5}
                whole = create(client, messages=history(), **fields)
                self.assertEqual(whole.choices[0].message.content,
                                 text_of_stream(create(client, messages=history(), stream=True, **fields)))
        create(self.server.groq(), messages=history(reasoning="Light."), max_tokens=2, metadata={"a": "b"}, store=True,
               citation_options="enabled", service_tier="auto")

    def test_what_groq_refuses(self):
        says = "for 'role:assistant' the following must be satisfied[("
        for fields, message in (
                ({"n": 2}, "'n' : number must be at most 1"),
                ({"logprobs": True}, "'logprobs' :"),
                ({"logit_bias": {"1": 2}}, "'logit_bias' :"),
                ({"extra_body": {"ignore_eos": True}}, "property 'ignore_eos' is unsupported"),
                ({"extra_body": {"top_k": 3}}, "property 'top_k' is unsupported, did you mean 'top_p'?"),
                ({"stop": list("abcde")}, "'stop' : maximum number of items is 4"),
                ({"messages": history(refusal=None)}, says + "'messages.1' : property 'refusal' is unsupported)]"),
                ({"messages": history(reasoning_content="a")}, "property 'reasoning_content' is unsupported"),
                ({"messages": history(function_call=None)}, says + "'messages.1.function_call' : value must be an object)]"),
                ({"messages": history(name="n")}, "property 'name' is unsupported"),
                ({"response_format": {"type": "json_object"}, "extra_body": {"reasoning_format": "raw"}},
                 "'reasoning_format' : 'raw' can not stand beside JSON or tools"),
                ({"response_format": {"type": "json_object"}}, "must contain the word 'json'")):
            with self.subTest(message):
                with self.assertRaises(openai.BadRequestError) as caught:
                    create(self.server.openai(), **{"max_tokens": 2, **fields})
                self.assertIn(message, caught.exception.body["message"])
                self.assertEqual("invalid_request_error", caught.exception.body["type"])
        with self.assertRaises(groq.BadRequestError):
            create(self.server.groq(), n=2)
        with self.assertRaises(openai.BadRequestError):
            self.server.openai().responses.create(model="the-model", input="a", prompt_cache_key="k")

    def test_temperature_0_is_the_most_likely_token_still(self):
        texts = {create(self.server.groq(), max_tokens=12, seed=seed).choices[0].message.content for seed in range(3)}
        self.assertEqual(1, len(texts))


class Lenient(Test):
    """What clients send that changes no answer."""

    def test_asides(self):
        with Server(model=tiny(), context=256) as server:
            client = server.openai()
            plain = create(client, messages=history(), max_tokens=8)
            extra = {"cache_prompt": True, "keep_alive": "5m", "include_reasoning": True, "reasoning_format": "raw"}
            full = create(client, max_tokens=8, safety_identifier="me", prompt_cache_key="k", modalities=["text"],
                          stop=[], tools=[], metadata={"a": "b"}, store=False, extra_body=extra,
                          messages=history(refusal=None, reasoning="Light.", reasoning_content="Light.", annotations=[],
                                           audio=None, tool_calls=None, function_call=None))
            self.assertEqual(plain.choices[0].message.content, full.choices[0].message.content)


if __name__ == "__main__":
    main()
