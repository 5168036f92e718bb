#!/usr/bin/env python3
"""Tests of 'lockstep serve' with clients that people have: clients_test.py LOCKSTEP MODEL.gguf

Needs the packages of clients-requirements.txt, in an environment of their own: litellm wants another openai than
server_test.py.
"""

import json
import os
import subprocess
import sys

os.environ.update(USE_TORCH="0", HF_HUB_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")

import litellm  # noqa: E402: reads the environment
from support import QUESTION, Place, Test, WithServer, Server, main  # noqa: E402
from tokenizer_folder import write_tokenizer  # noqa: E402

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class LiteLlm(WithServer):
    def ask(self, provider="openai", **options):
        place = {"openai": "/v1", "groq": "/openai/v1"}[provider]
        arguments = {"messages": QUESTION, "seed": 3, "max_tokens": 16, "num_retries": 0, **options}
        return litellm.completion(model=f"{provider}/{self.server.model}", api_base=self.server.url + place,
                                  api_key=self.server.key, **arguments)

    def test_chat_and_stream_say_the_same(self):
        for provider in ("openai", "groq"):
            with self.subTest(provider):
                whole = self.ask(provider)
                self.assertEqual(16, whole.usage.completion_tokens)
                stream = self.ask(provider, stream=True, stream_options={"include_usage": True})
                chunks = list(stream)
                text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
                self.assertEqual(whole.choices[0].message.content, text)

    def test_a_tool_call(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                answer = self.ask(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=200, stream=stream)
                if stream:
                    answer = litellm.stream_chunk_builder(list(answer))
                (call,) = answer.choices[0].message.tool_calls
                self.assertEqual("weather", call.function.name)
                self.assertEqual({"city", "unit"}, set(json.loads(call.function.arguments)))

    def test_structured_output(self):
        schema = WEATHER["function"]["parameters"]
        for provider in ("openai", "groq"):
            with self.subTest(provider):
                answer = self.ask(provider, max_tokens=200, response_format={
                    "type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}})
                self.assertEqual({"city", "unit"}, set(json.loads(answer.choices[0].message.content)))

    def test_errors_are_of_the_right_class(self):
        with self.assertRaises(litellm.NotFoundError):
            litellm.completion(model="openai/none", api_base=self.server.url + "/v1", api_key="x", messages=QUESTION,
                               num_retries=0)
        with self.assertRaises(litellm.BadRequestError):
            self.ask(temperature=-1)
        with self.assertRaises(litellm.ContextWindowExceededError):
            self.ask(messages=[{"role": "user", "content": "word " * 5000}])


class Keys(Test):
    def test_a_wrong_key(self):
        with Server(keys=True) as server:
            with self.assertRaises(litellm.AuthenticationError):
                litellm.completion(model=f"openai/{server.model}", api_base=server.url + "/v1", api_key="lsk_wrong",
                                   messages=QUESTION, num_retries=0)
            answer = litellm.completion(model=f"openai/{server.model}", api_base=server.url + "/v1",
                                        api_key=server.key, messages=QUESTION, max_tokens=4)
            self.assertEqual(4, answer.usage.completion_tokens)


class GuideLlm(WithServer):
    def test_a_benchmark(self):
        tokenizer, report = Place.path("tokenizer"), Place.path("guidellm.json")
        write_tokenizer(Place.model, tokenizer)
        stand_ins = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand_ins")
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "guidellm"), "run",
             "--backend", f"kind=openai_http,target={self.server.url}",
             "--profile", "kind=concurrent,streams=4",
             "--constraint", "kind=max_requests,count=12",
             "--tokenizer", f"kind=hf_auto,model={tokenizer}",
             "--data", "kind=synthetic_text,prompt_tokens=32,output_tokens=16",
             "--output", f"kind=json,path={report}", "--disable-console"],
            env={**os.environ, "PYTHONPATH": stand_ins}, capture_output=True, timeout=120, text=True)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        with open(report) as file:
            (benchmark,) = json.load(file)["benchmarks"]
        requests = benchmark["requests"]
        self.assertEqual((12, 0), (len(requests["successful"]), len(requests["errored"])))
        for request in requests["successful"]:
            self.assertEqual(16, request["output_metrics"]["text_tokens"], request)


if __name__ == "__main__":
    main()
