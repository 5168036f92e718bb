#!/usr/bin/env python3
"""Tests of /v1/responses with the official client: responses_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq, gguf, jsonschema and pydantic.
"""

import json
import typing

import openai
import pydantic

import tools_test
from support import GetPrice, Place, Plan, QUESTION, WithServer, main
from tools_test import CLOCK, TOOLS, token_bias

INPUT = QUESTION[0]["content"]
FLAT_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]
EVENTS_OF_TEXT = ["response.output_item.added", "response.content_part.added", "response.output_text.delta",
                  "response.output_text.done", "response.content_part.done", "response.output_item.done"]
EVENTS_OF_CALL = ["response.output_item.added", "response.function_call_arguments.delta",
                  "response.function_call_arguments.done", "response.output_item.done"]


def respond(client, **fields):
    return client.responses.create(model="the-model", **{"input": INPUT, "temperature": 0, **fields})


class Responses(WithServer):
    def said(self, *options):
        return self.good("run", "-m", Place.model, "--context", 2048, "--json", *options, INPUT).json

    def test_the_text_is_that_of_lockstep_run(self):
        client = self.server.openai()
        for fields, options in (({"max_output_tokens": 24}, ["-n", 24]),
                                ({"max_output_tokens": 24, "instructions": "Be brief."}, ["-n", 24, "--system", "Be brief."]),
                                ({"max_output_tokens": 600}, ["-n", 600])):
            with self.subTest(**fields):
                said = self.said(*options)
                whole = respond(client, **fields)
                self.assertEqual(said["text"], whole.output_text)
                self.assertEqual((said["prompt_tokens"], len(said["tokens"])),
                                 (whole.usage.input_tokens, whole.usage.output_tokens))
                stopped = said["finish_reason"] == "stop"
                self.assertEqual("completed" if stopped else "incomplete", whole.status)
                self.assertEqual(None if stopped else "max_output_tokens",
                                 whole.incomplete_details and whole.incomplete_details.reason)
                with client.responses.stream(model="the-model", input=INPUT, temperature=0, **fields) as stream:
                    deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
                    if stopped:
                        self.assertEqual(said["text"], stream.get_final_response().output_text)
                self.assertEqual(said["text"], deltas)

    def test_the_order_of_a_stream(self):
        for tokens, last in ((8, "response.incomplete"), (600, "response.completed")):
            events = list(respond(self.server.openai(), stream=True, max_output_tokens=tokens))
            self.assertEqual(list(range(len(events))), [event.sequence_number for event in events])
            types = [event.type for event in events if event.type != "response.output_text.delta"]
            self.assertEqual(["response.created", "response.in_progress", "response.output_item.added",
                              "response.content_part.added", "response.output_text.done", "response.content_part.done",
                              "response.output_item.done", last], types)
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            end = events[-1].response
            self.assertEqual([text] * 4, [events[-4].text, events[-3].part.text, events[-2].item.content[0].text,
                                          end.output_text])
            self.assertEqual("in_progress", events[0].response.status)
            self.assertEqual((events[0].response.id, events[2].item.id), (end.id, end.output[0].id))
            self.assertEqual(last.removeprefix("response."), end.status)

    def test_a_conversation(self):
        client = self.server.openai()
        first = respond(client, input=[{"role": "user", "content": "Name a colour."}], max_output_tokens=8)
        history = [{"role": "user", "content": "Name a colour."}, *[one.model_dump() for one in first.output],
                   {"role": "user", "content": [{"type": "input_text", "text": "Another one."}]}]
        second = respond(client, input=history, max_output_tokens=8)
        messages = [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": first.output_text},
                    {"role": "user", "content": "Another one."}]
        chat = client.chat.completions.create(model="the-model", messages=messages, temperature=0, max_tokens=8)
        self.assertEqual(chat.choices[0].message.content, second.output_text)
        self.assertGreater(second.usage.input_tokens_details.cached_tokens, 0)

    def test_what_the_reply_repeats(self):
        response = respond(self.server.openai(), max_output_tokens=4, metadata={"a": "b"}, user="me", top_p=0.5,
                           extra_headers={"Groq-Beta": "inference-metrics"})
        self.assertEqual(("me", 0.5, 0, 4, False), (response.user, response.top_p, response.temperature,
                                                    response.max_output_tokens, response.store))
        times = dict(response.metadata)
        self.assertEqual("b", times.pop("a"))
        self.assertEqual({"completion_time", "prompt_time", "queue_time", "total_time"}, set(times))
        self.assertAlmostEqual(float(times["prompt_time"]) + float(times["completion_time"]), float(times["total_time"]))
        self.assertEqual({}, respond(self.server.openai(), max_output_tokens=4).metadata)

    def test_log_probabilities(self):
        fields = {"max_output_tokens": 8, "top_logprobs": 2, "include": ["message.output_text.logprobs"]}
        told = respond(self.server.openai(), **fields).output[0].content[0]
        self.assertEqual(told.text, b"".join(bytes(one.bytes) for one in told.logprobs).decode())
        self.assertEqual([2] * 8, [len(one.top_logprobs) for one in told.logprobs])
        events = list(respond(self.server.openai(), stream=True, **fields))
        streamed = [one.logprob for event in events if event.type == "response.output_text.delta" for one in event.logprobs]
        self.assertEqual([one.logprob for one in told.logprobs], streamed)
        self.assertEqual(streamed, [one.logprob for one in events[-1].response.output[0].content[0].logprobs])

    def test_refusals(self):
        client = self.server.openai()
        for fields, param in (({"previous_response_id": "resp_1"}, "previous_response_id"), ({"store": True}, "store"),
                              ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
                              ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
                              ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"$ref": "#/$defs/a"}}}},
                               "text.format.schema"),
                              ({"tools": [{"type": "function", "name": "a", "parameters": {
                                  "type": "object", "patternProperties": {}}}]}, "tools.0.parameters"),
                              ({"input": [{"type": "function_call_output", "call_id": "a", "output": "b"}]},
                               "input.0.call_id")):
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as caught:
                respond(client, **fields)
            self.assertEqual(param, caught.exception.param)
        with self.assertRaises(openai.BadRequestError) as caught:
            respond(client, input="a b c " * 2000)
        self.assertEqual(("context_length_exceeded", "input"), (caught.exception.code, caught.exception.param))
        with self.assertRaises(openai.NotFoundError):
            client.responses.create(model="none", input="a")

    def test_events_have_names(self):
        status, _, _ = self.server.send("POST", "/v1/responses", b"{}")
        self.assertEqual(400, status)
        body = json.dumps({"model": "the-model", "input": INPUT, "stream": True, "max_output_tokens": 2}).encode()
        with self.server.connect() as connection:
            connection.sendall(b"POST /openai/v1/responses HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            read = b""
            while data := connection.recv(65536):
                read += data
        events = read.decode().split("\r\n\r\n", 1)[1].removesuffix("\n\n").split("\n\n")
        for event in events:
            name, data = event.split("\n")
            self.assertEqual(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))["type"])


def calls_of(response):
    return [(item.name, item.arguments) for item in response.output if item.type == "function_call"]


class Tools(WithServer):
    def ask(self, stream=False, **fields):
        body = {name: fields.pop(name) for name in ("seed", "logit_bias") if name in fields}
        return respond(self.server.openai(), extra_body=body, stream=stream,
                       **{"temperature": 1, "max_output_tokens": 200, "tools": FLAT_TOOLS, **fields})

    def chat(self, **fields):
        return tools_test.ask(self.server.openai(), **{"messages": QUESTION, "tools": TOOLS, **fields}).choices[0]

    def check_events(self, events, response):
        """What a stream's events say of each item is what the whole response says; returns that."""
        self.assertEqual(list(range(len(events))), [event.sequence_number for event in events])
        self.assertEqual(["response.created", "response.in_progress"], [event.type for event in events[:2]])
        end = events[-1]
        self.assertEqual(f"response.{end.response.status}", end.type)
        self.assertEqual((response.status, calls_of(response), response.output_text),
                         (end.response.status, calls_of(end.response), end.response.output_text))
        rest = events[2:-1]
        for index, item in enumerate(end.response.output):
            own = [event for event in rest if event.output_index == index]
            self.assertEqual(own, rest[:len(own)])  # one item after the other
            rest = rest[len(own):]
            is_call = item.type == "function_call"
            order = EVENTS_OF_CALL if is_call else EVENTS_OF_TEXT
            self.assertEqual(order, [event.type for i, event in enumerate(own) if own[i - 1].type != event.type])
            self.assertEqual({item.id}, {event.item_id if hasattr(event, "item_id") else event.item.id for event in own})
            deltas = "".join(event.delta for event in own if event.type.endswith("delta"))
            begun = own[0].item
            self.assertEqual("in_progress", begun.status)
            if is_call:
                self.assertEqual([item.arguments] * 2, [deltas, own[-2].arguments])
                self.assertEqual((item.call_id, item.name, ""), (begun.call_id, begun.name, begun.arguments))
            else:
                self.assertEqual([item.content[0].text] * 2, [deltas, own[-3].text])
                self.assertEqual([], begun.content)
            self.assertEqual(item, own[-1].item)
        self.assertEqual([], rest)
        return end.response

    def test_calls_are_those_of_chat_completions(self):
        allowed = [{"type": "function", "name": "weather"}, {"type": "function", "name": "now"}]
        for flat, nested in (
                ("required", "required"), ("none", "none"),
                ({"type": "function", "name": "clock"}, {"type": "function", "function": {"name": "clock"}}),
                ({"type": "allowed_tools", "mode": "required", "tools": allowed},
                 {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                     {"type": "function", "function": {"name": tool["name"]}} for tool in allowed]}})):
            for seed in range(3):
                with self.subTest(choice=flat, seed=seed):
                    choice = self.chat(tool_choice=nested, seed=seed)
                    response = self.ask(tool_choice=flat, seed=seed)
                    self.assertEqual([(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []],
                                     calls_of(response))
                    self.assertEqual(choice.message.content or "", response.output_text)
                    finished = choice.finish_reason != "length"
                    self.assertEqual("completed" if finished else "incomplete", response.status)
                    self.assertEqual(flat, response.tool_choice if isinstance(flat, str)
                                     else response.tool_choice.model_dump(exclude_unset=True))
                    self.assertEqual(["weather", "clock", "now"], [tool.name for tool in response.tools])
                    self.check_events(list(self.ask(tool_choice=flat, seed=seed, stream=True)), response)
                    for item in response.output:
                        if item.type == "function_call" and finished:
                            self.assertRegex(item.id, "^fc_[0-9a-z]{26}$")
                            self.assertRegex(item.call_id, tools_test.CALL_ID)
                            self.assertEqual("completed", item.status)

    def test_one_call_or_several(self):
        newlines = token_bias("\u010a", 5)  # which another call begins with
        fields = {"tools": FLAT_TOOLS[2:], "tool_choice": "required", "max_output_tokens": 400, "logit_bias": newlines}
        several = 0
        for seed in range(4):
            response = self.ask(seed=seed, **fields)
            several += len(calls_of(response)) > 1
            self.assertEqual(len(response.output), len({item.call_id for item in response.output}))
            self.check_events(list(self.ask(seed=seed, stream=True, **fields)), response)
            self.assertEqual(1, len(calls_of(self.ask(seed=seed, parallel_tool_calls=False, **fields))))
        self.assertGreater(several, 0)

    def test_a_text_and_a_call(self):
        both = pieces = 0
        for seed in range(12):
            fields = {"seed": seed, "logit_bias": token_bias("<", 6), "parallel_tool_calls": False,
                      "input": "Write <tool_call> after a word.", "include": ["message.output_text.logprobs"]}
            response = self.ask(**fields)
            events = list(self.ask(stream=True, **fields))
            end = self.check_events(events, response)
            if [item.type for item in response.output] != ["message", "function_call"]:
                continue
            both += 1
            pieces += sum(event.type == EVENTS_OF_CALL[1] for event in events)
            part = response.output[0].content[0]
            told = b"".join(bytes(one.bytes) for one in part.logprobs).decode()
            self.assertTrue(told.startswith(part.text), (told, part.text))
            self.assertLess(len(told), len(part.text) + 20)  # and the call's tokens are not told
            self.assertEqual(part, end.output[0].content[0])
        self.assertGreater(both, 0)
        self.assertGreater(pieces, both)  # a call is told while it is written

    def test_a_call_that_is_cut_off(self):
        for most in (1, 24, 30):
            fields = {"tool_choice": "required", "seed": 1, "max_output_tokens": most, "tools": FLAT_TOOLS[:1]}
            response = self.ask(**fields)
            self.assertEqual(("incomplete", "max_output_tokens"), (response.status, response.incomplete_details.reason))
            self.assertEqual(["incomplete"] * (most > 1), [item.status for item in response.output])
            self.check_events(list(self.ask(stream=True, **fields)), response)

    def test_a_loop_of_two_steps(self):
        first = self.ask(tool_choice={"type": "function", "name": "weather"}, seed=1)
        call = first.output[0]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees <|im_end|>"}
        chat = self.chat(tool_choice="none", seed=1, max_tokens=20, messages=QUESTION + [
            {"role": "assistant", "content": None, "tool_calls": [{"id": call.call_id, "type": "function", "function": {
                "name": call.name, "arguments": call.arguments}}]},
            {"role": "tool", "tool_call_id": call.call_id, "content": result["output"]}])
        self.assertTrue(chat.message.content)
        for output in (first.output, [item.model_dump() for item in first.output],
                       [{"type": "reasoning", "id": "rs_1", "summary": []}, *first.output]):
            second = self.ask(input=[*QUESTION, *output, result], tool_choice="none", seed=1, max_output_tokens=20)
            self.assertEqual(chat.message.content, second.output_text)
        third = self.ask(input=[*QUESTION, *first.output, result, *second.output, *QUESTION], seed=1, max_output_tokens=4)
        self.assertGreater(third.usage.input_tokens_details.cached_tokens, 100)

    def test_models_of_pydantic(self):
        client = self.server.openai()
        for seed in range(3):
            fields = {"model": "the-model", "input": INPUT, "max_output_tokens": 200, "text_format": Plan,
                      "extra_body": {"seed": seed}}
            parsed = client.responses.parse(**fields)
            self.assertIsInstance(parsed.output_parsed, Plan)
            self.assertEqual("Plan", parsed.text.format.name)
            with client.responses.stream(**fields) as stream:
                done = [event.parsed for event in stream if event.type == "response.output_text.done"]
                self.assertEqual([parsed.output_parsed] * 2, [*done, stream.get_final_response().output_parsed])
            again = client.responses.parse(**{**fields, "input": [*QUESTION, *parsed.output, *QUESTION]})
            self.assertIsInstance(again.output_parsed, Plan)

    def test_tools_of_pydantic(self):
        client = self.server.openai()
        fields = {"model": "the-model", "input": INPUT, "max_output_tokens": 200, "tool_choice": "required",
                  "parallel_tool_calls": False, "tools": [openai.pydantic_function_tool(GetPrice)], "extra_body": {"seed": 1}}
        call = client.responses.parse(**fields).output[0]
        self.assertIsInstance(call.parsed_arguments, GetPrice)
        with client.responses.stream(**fields) as stream:
            snapshots = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
            final = stream.get_final_response().output[0]
        self.assertEqual((call.parsed_arguments, call.arguments), (final.parsed_arguments, snapshots[-1]))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
        answer = client.responses.parse(**{**fields, "input": [*QUESTION, call, result], "tool_choice": "none"})
        self.assertTrue(answer.output_text)

    def test_json(self):
        schema = {**CLOCK, "additionalProperties": False}
        for flat, nested in (
                ({"type": "json_object"}, {"type": "json_object"}),
                ({"type": "json_schema", "name": "clock", "strict": True, "schema": schema},
                 {"type": "json_schema", "json_schema": {"name": "clock", "strict": True, "schema": schema}})):
            for seed in range(3):
                choice = tools_test.ask(self.server.openai(), messages=QUESTION, response_format=nested, seed=seed).choices[0]
                fields = {"seed": seed, "tools": [], "text": {"format": flat}}
                response = self.ask(**fields)
                self.assertEqual(choice.message.content, response.output_text)
                self.assertEqual(flat, response.text.format.model_dump(exclude_unset=True, by_alias=True))
                self.check_events(list(self.ask(stream=True, **fields)), response)
                if response.status == "completed":
                    self.assertIsInstance(json.loads(response.output_text), dict)


if __name__ == "__main__":
    main()
