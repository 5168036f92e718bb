#!/usr/bin/env python3
"""Tests of Ollama's API with its own client: ollama_test.py LOCKSTEP MODEL.gguf

Needs the packages ollama, openai, groq, gguf, jsonschema and pydantic.
"""

import json
import typing

import jsonschema
import ollama
import pydantic

import tools_test
from support import Place, QUESTION, Server, WithServer, main, tiny
from tools_test import CLOCK, tool

# In words that the client's own classes of tools do not leave out.
SCHEMAS = {"weather": {"type": "object", "required": ["city", "days"], "properties": {
    "city": {"type": "string", "enum": ["Paris", "Rome"]}, "days": {"type": "integer", "enum": [1, 2, 3]}}},
    "clock": {"type": "object", "required": [], "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}}}}
TOOLS = [tool(name, schema) for name, schema in SCHEMAS.items()]

PROMPT = QUESTION[0]["content"]
GREEDY = {"temperature": 0, "num_predict": 24}


class Ollama(WithServer):
    def setUp(self):
        self.client = ollama.Client(self.server.url)
        self.addCleanup(self.client._client.close)

    def said(self, *options, prompt=PROMPT):
        return self.good("run", "-m", Place.model, "--context", 2048, "--json", *options, prompt).json

    def test_the_text_is_that_of_lockstep_run(self):
        said = self.said("-n", 24)
        for call, text_of, asked in ((self.client.chat, lambda part: part.message.content, {"messages": QUESTION}),
                                     (self.client.generate, lambda part: part.response, {"prompt": PROMPT})):
            with self.subTest(call=call.__name__):
                whole = call(model="the-model", options=GREEDY, **asked)
                self.assertEqual((said["text"], said["finish_reason"]), (text_of(whole), whole.done_reason))
                self.assertEqual((said["prompt_tokens"], 24), (whole.prompt_eval_count, whole.eval_count))
                parts = list(call(model="the-model:latest", options=GREEDY, stream=True, **asked))
                self.assertEqual(said["text"], "".join(text_of(part) for part in parts))
                self.assertEqual([False] * (len(parts) - 1) + [True], [part.done for part in parts])
                self.assertEqual(("length", 24), (parts[-1].done_reason, parts[-1].eval_count))
                self.assertIsNone(parts[0].eval_count)

    def test_options(self):
        said = self.said("-n", 30, "--temperature", 0.8, "--seed", 7, "--top-p", 0.9, "--top-k", 40)
        answer = self.client.generate("the-model", PROMPT, options={"seed": 7, "num_predict": 30})
        self.assertEqual(said["text"], answer.response)  # the rest is as Ollama has it
        said = self.said("-n", 30, "--stop", "scattering")
        answer = self.client.generate("the-model", PROMPT,
                                      options=ollama.Options(temperature=0, num_predict=30, stop=["scattering"], num_ctx=1024))
        self.assertEqual((said["text"], "stop"), (answer.response, answer.done_reason))

    def test_a_system_message_and_a_raw_prompt(self):
        said = self.said("-n", 24, "--system", "Be brief.")
        self.assertEqual(said["text"], self.client.generate("the-model", PROMPT, system="Be brief.", options=GREEDY).response)
        said = self.said("-n", 24, "--raw")
        self.assertEqual(said["text"], self.client.generate("the-model", PROMPT, raw=True, options=GREEDY).response)

    def test_durations(self):
        answer = self.client.chat("the-model", QUESTION, options=GREEDY)
        self.assertGreater(answer.eval_duration, 1_000_000)
        self.assertGreaterEqual(answer.total_duration, answer.eval_duration + answer.prompt_eval_duration - 2)
        self.assertEqual(0, answer.load_duration)
        self.assertRegex(answer.created_at, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

    def test_log_probabilities(self):
        whole = self.client.chat("the-model", QUESTION, options=GREEDY, logprobs=True, top_logprobs=2)
        self.assertEqual(whole.message.content, "".join(one.token for one in whole.logprobs))
        self.assertEqual([2] * 24, [len(one.top_logprobs) for one in whole.logprobs])

    def test_the_models(self):
        self.assertEqual(["the-model", "org/alias"], [model.model for model in self.client.list().models])
        running = self.client.ps().models[0]
        self.assertEqual(("the-model", 2048), (running.model, running.context_length))
        self.assertGreater(running.size, 1_000_000)
        shown = self.client.show("the-model")
        self.assertIn("<|im_start|>", shown.template)
        self.assertEqual(2048, shown.modelinfo["lockstep.context_length"])
        self.assertEqual(["completion", "tools", "embedding"], shown.capabilities)
        self.assertRegex(self.server.get("/api/version")[2]["version"], r"^\d+\.\d+\.\d+$")

    def test_embeddings(self):
        answer = self.client.embed("the-model", [PROMPT, "Stocks fell."])
        self.assertEqual(2, len(answer.embeddings))
        wanted = self.server.openai(_strict_response_validation=False).embeddings.create(model="the-model", input=PROMPT)
        self.assertEqual(len(wanted.data[0].embedding), len(answer.embeddings[0]))
        for one, other in zip(wanted.data[0].embedding, answer.embeddings[0]):
            self.assertAlmostEqual(one, other, places=6)
        self.assertEqual(2048, self.client.embed("the-model", "a b c " * 2000).prompt_eval_count)
        with self.assertRaises(ollama.ResponseError):
            self.client.embed("the-model", "a b c " * 2000, truncate=False)

    def test_requests_that_only_load(self):
        self.assertEqual("load", self.client.generate("the-model", "").done_reason)
        self.assertEqual("load", self.client.chat("the-model", [], keep_alive=0).done_reason)

    def test_errors(self):
        for call, status, says in (
                (lambda: self.client.chat("none", QUESTION), 404, "does not exist"),
                (lambda: self.client.chat("the-model", QUESTION, format={"patternProperties": {}}), 400, "'format'"),
                (lambda: self.client.chat("the-model", QUESTION, tools=[{"type": "mcp"}]), 400, "'tools.0.type'"),
                (lambda: self.client.chat("the-model", QUESTION + [{"role": "tool", "content": "1", "tool_name": "a"}]), 400,
                 "'messages.1.tool_name'"),
                (lambda: self.client.chat("the-model", [{"role": "user", "content": "a b c " * 2000}]), 400, "reduce the length"),
                (lambda: list(self.client.generate("the-model", "a", options={"num_ctx": 4096}, stream=True)), 400,
                 "'options.num_ctx' : value must be up to 2048"),
                (lambda: self.client.show("none"), 404, "does not exist"),
                (lambda: self.client.chat("the-model", [{"role": "user", "content": "a", "images": [b"\x89PNG"]}]), 400,
                 "'messages.0.images'")):
            with self.subTest(says), self.assertRaises(ollama.ResponseError) as caught:
                call()
            self.assertEqual(status, caught.exception.status_code)
            self.assertIn(says, caught.exception.error)

    def test_errors_of_every_path_are_sentences(self):
        for method, path, body, status, says in (("GET", "/api/chat", None, 405, "POST"), ("POST", "/api/pull", b"{}", 404, "/api/pull"),
                                                 ("POST", "/api/chat", b"{", 400, "JSON"),
                                                 ("POST", "/api/show", b"a" * (5 << 20), 413, "larger")):
            answered, _, reply = self.server.send(method, path, body)
            self.assertEqual(status, answered)
            self.assertIn(says, reply["error"])
            self.assertIsInstance(reply["error"], str)
        self.assertIn("message", self.server.send("GET", "/v1/chat/completions")[2]["error"])
        with Server(model=tiny(), context=256, keys=True) as server:
            for method, path in (("GET", "/api/tags"), ("POST", "/api/chat")):
                status, headers, reply = server.send(method, path, headers={"authorization": "Bearer wrong"})
                self.assertEqual((401, "Incorrect API key provided."), (status, reply["error"]))
                self.assertEqual("Bearer", headers["www-authenticate"])

    def test_the_lines_of_a_stream(self):
        body = json.dumps({"model": "the-model", "messages": QUESTION, "options": {"num_predict": 3}}).encode()
        with self.server.connect() as connection:
            connection.sendall(b"POST /api/chat HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            read = b""
            while data := connection.recv(65536):
                read += data
        head, lines = read.split(b"\r\n\r\n", 1)
        self.assertIn(b"application/x-ndjson", head)
        self.assertTrue(lines.endswith(b"\n"))
        last = json.loads(lines.splitlines()[-1])
        self.assertEqual({"role": "assistant", "content": ""}, last["message"])


class Weather(pydantic.BaseModel):
    city: typing.Literal["Paris", "Rome"]
    days: list[int] = pydantic.Field(max_length=3)


def add(a: int, b: int) -> int:
    """Adds.

    Args:
      a: A number
      b: Another
    """
    return a + b


class Tools(WithServer):
    def setUp(self):
        self.client = ollama.Client(self.server.url)
        self.addCleanup(self.client._client.close)

    def ask(self, seed, tokens=200, **fields):
        options = {"seed": seed, "num_predict": tokens, "temperature": 1, "top_k": 0, "top_p": 1}
        return self.client.chat("the-model", **{"messages": QUESTION, "options": options, **fields})

    # A model as small as this has to be shown calls to make one.
    def ask_for_a_call(self, seed, **fields):
        shown = [message for time in ("noon", "one", "two") for message in (
            {"role": "user", "content": "What is the time?"},
            {"role": "assistant", "tool_calls": [{"function": {"name": "clock", "arguments": {"zone": "UTC"}}}]},
            {"role": "tool", "tool_name": "clock", "content": time})]
        return self.ask(seed, messages=[*shown, {"role": "user", "content": "What is the time?"}], tools=TOOLS, **fields)

    def test_answers_are_those_of_chat_completions(self):
        client = self.server.openai()
        calls = 0
        for seed in range(16):
            answer = self.ask_for_a_call(seed)
            messages = [message for number, time in enumerate(("noon", "one", "two"), 1) for message in (
                {"role": "user", "content": "What is the time?"},
                {"role": "assistant", "tool_calls": [{"id": f"{number:09}", "type": "function", "function": {
                    "name": "clock", "arguments": '{"zone": "UTC"}'}}]},
                {"role": "tool", "tool_call_id": f"{number:09}", "content": time})]
            messages.append({"role": "user", "content": "What is the time?"})
            choice = tools_test.ask(client, messages=messages, tools=TOOLS, seed=seed).choices[0]
            self.assertEqual(choice.message.content or "", answer.message.content)
            wanted = choice.message.tool_calls or []
            told = answer.message.tool_calls or []
            self.assertEqual("length" if choice.finish_reason == "length" else "stop", answer.done_reason)
            if answer.done_reason == "stop":
                self.assertEqual([(call.function.name, json.loads(call.function.arguments)) for call in wanted],
                                 [(call.function.name, call.function.arguments) for call in told])
            for call in told:
                calls += 1
                jsonschema.validate(call.function.arguments, SCHEMAS[call.function.name])
            parts = list(self.ask_for_a_call(seed, stream=True))
            self.assertEqual(answer.message.content, "".join(part.message.content for part in parts))
            self.assertEqual(told, [call for part in parts for call in part.message.tool_calls or []])
            self.assertEqual([False] * (len(parts) - 1) + [True], [part.done for part in parts])
            self.assertIsNone(parts[-1].message.tool_calls)
        self.assertGreater(calls, 0)

    def test_a_loop_with_functions(self):
        call = ollama.Message.ToolCall(function=ollama.Message.ToolCall.Function(name="add", arguments={"b": 2, "a": 3}))
        messages = [*QUESTION, ollama.Message(role="assistant", tool_calls=[call]),
                    {"role": "tool", "tool_name": "add", "content": str(add(**call.function.arguments))}]
        answer = self.ask(1, messages=messages, tools=[add], tokens=8)
        self.assertTrue(answer.message.content)
        unnamed = [*messages[:2], {"role": "tool", "content": "5"}]
        self.assertEqual(answer.message.content, self.ask(1, messages=unnamed, tools=[add], tokens=8).message.content)
        self.assertNotEqual(answer.prompt_eval_count, self.ask(1, tokens=8).prompt_eval_count)

    def test_json(self):
        finished = 0
        for seed in range(4):
            for wanted, check in (("json", json.loads), (Weather.model_json_schema(), Weather.model_validate_json),
                                  (CLOCK, lambda text: jsonschema.validate(json.loads(text), CLOCK))):
                whole = self.ask(seed, format=wanted)
                self.assertEqual(whole.message.content, "".join(
                    part.message.content for part in self.ask(seed, format=wanted, stream=True)))
                if whole.done_reason == "stop":
                    finished += 1
                    check(whole.message.content)
                options = {"seed": seed, "num_predict": 200}
                for fields in ({}, {"raw": True}, {"system": "Be brief."}):
                    generated = self.client.generate("the-model", PROMPT, format=wanted, options=options, **fields)
                    if generated.done_reason == "stop":
                        finished += 1
                        check(generated.response)
        self.assertGreater(finished, 20)


if __name__ == "__main__":
    main()
