#!/usr/bin/env python3
"""Tests of tools and structured output with the official clients: tools_test.py LOCKSTEP MODEL.gguf

The default model is too small to choose tools well: what it calls is valid because nothing else can be. Needs
the packages openai, groq, jsonschema and pydantic.
"""

import concurrent.futures
import datetime
import functools
import json
import os
import random
import re
import sys
import typing
import uuid

import gguf
import jsonschema
import openai
import pydantic

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import GetPrice, Place, Plan, WithServer, create, main

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Rome", "Oslo"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"anyOf": [{"enum": ["celsius", "fahrenheit"]}, {"type": "null"}]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string", "maxLength": 12}}, "required": ["zone"]}


def tool(name, parameters, **fields):
    return {"type": "function", "function": {"name": name, "description": f"Gets the {name}.",
                                             "parameters": parameters, **fields}}


TOOLS = [tool("weather", WEATHER, strict=True), tool("clock", CLOCK), {"type": "function", "function": {"name": "now"}}]
SCHEMAS = {"weather": WEATHER, "clock": CLOCK, "now": {"type": "object", "properties": {}, "maxProperties": 0}}
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
CALL_ID = re.compile("[a-z0-9]{9}")


def ask(client, **fields):
    return create(client, **{"messages": QUESTION, "max_tokens": 200, "temperature": 1, **fields})


def gather(stream):
    """What a stream's pieces make, by choice: text, calls, finish_reason; and all deltas."""
    choices, deltas = {}, []
    for chunk in stream:
        for piece in chunk.choices:
            choice = choices.setdefault(piece.index, {"content": None, "calls": [], "finish_reason": None})
            delta = piece.delta
            deltas.append(delta)
            if delta.content is not None:
                choice["content"] = (choice["content"] or "") + delta.content
            for call in delta.tool_calls or []:
                if call.index == len(choice["calls"]):
                    choice["calls"].append({"id": call.id, "name": call.function.name, "arguments": ""})
                elif call.id or call.function.name:
                    raise AssertionError(f"a further piece of a call repeats its beginning: {call}")
                choice["calls"][call.index]["arguments"] += call.function.arguments
            if piece.finish_reason:
                choice["finish_reason"] = piece.finish_reason
    return choices, deltas


@functools.cache
def vocabulary():
    return gguf.GGUFReader(Place.model).fields["tokenizer.ggml.tokens"].contents()


def token_bias(token, value):
    """A logit_bias for a token by its spelling in the vocabulary."""
    return {str(vocabulary().index(token)): value}


class Tools(WithServer):
    def check_call(self, name, arguments, call_id=None, schemas=SCHEMAS):
        self.assertIn(name, schemas)
        jsonschema.validate(json.loads(arguments), schemas[name])
        if call_id is not None:
            self.assertRegex(call_id, CALL_ID)

    def check_message(self, choice, least=1, most=1000, names=SCHEMAS):
        """A finished choice with calls, all of them valid. True unless it was cut off."""
        calls = choice.message.tool_calls or []
        if choice.finish_reason == "length":
            return False
        self.assertGreaterEqual(len(calls), least)
        self.assertLessEqual(len(calls), most)
        self.assertEqual(choice.finish_reason, "tool_calls" if calls else "stop")
        self.assertEqual(len({call.id for call in calls}), len(calls))
        for call in calls:
            self.assertIn(call.function.name, names)
            self.check_call(call.function.name, call.function.arguments, call.id)
        return True

    def test_required_and_named_calls_with_both_clients(self):
        named = {"type": "function", "function": {"name": "clock"}}
        for _, _, client in self.server.clients():
            finished = 0
            for seed in range(8):
                choice = ask(client, tools=TOOLS, tool_choice="required", seed=seed).choices[0]
                finished += self.check_message(choice)
                self.assertIsNone(choice.message.content)
                choice = ask(client, tools=TOOLS, tool_choice=named, seed=seed).choices[0]
                finished += self.check_message(choice, most=1, names=["clock"])
            self.assertGreater(finished, 8)

    def test_one_call_where_no_more_are_wanted(self):
        client = self.server.openai()
        for seed in range(8):
            choice = ask(client, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, seed=seed).choices[0]
            self.assertTrue(self.check_message(choice, most=1))

    def test_several_calls_of_one_answer(self):
        client = self.server.openai()
        most = 0
        newlines = token_bias("Ċ", 5)  # which another call begins with
        for seed in range(4):
            choice = ask(client, tools=TOOLS[2:], tool_choice="required", seed=seed, max_tokens=400,
                         logit_bias=newlines).choices[0]
            calls = choice.message.tool_calls
            most = max(most, len(calls))
            for call in calls[:-1]:
                self.check_call(call.function.name, call.function.arguments, call.id)
        self.assertGreater(most, 1)

    def test_auto_gives_text_or_calls(self):
        client = self.server.openai()
        for seed in range(8):
            choice = ask(client, tools=TOOLS, seed=seed).choices[0]
            if not choice.message.tool_calls:
                self.assertIn(choice.finish_reason, ("stop", "length"))
                self.assertNotIn("<tool_call>", choice.message.content)
            else:
                self.check_message(choice)

    def test_none_gives_text(self):
        client = self.server.openai()
        for seed in range(4):
            message = ask(client, tools=TOOLS, tool_choice="none", seed=seed, max_tokens=60).choices[0].message
            self.assertIsNone(message.tool_calls)
            self.assertNotIn("<tool_call>", message.content)

    def test_allowed_tools(self):
        client = self.server.openai()
        allowed = {"type": "allowed_tools", "allowed_tools": {
            "mode": "required", "tools": [{"type": "function", "function": {"name": name}} for name in ("weather", "now")]}}
        for seed in range(6):
            self.check_message(ask(client, tools=TOOLS, tool_choice=allowed, seed=seed).choices[0],
                               names=["weather", "now"])

    def test_streams_bring_what_whole_replies_do(self):
        for _, _, client in self.server.clients():
            for seed in range(6):
                fields = {"tools": TOOLS, "tool_choice": "required", "seed": seed}
                whole = ask(client, **fields).choices[0]
                choices, deltas = gather(ask(client, stream=True, **fields))
                streamed = choices[0]
                self.assertEqual(streamed["finish_reason"], whole.finish_reason)
                self.assertEqual([(call["name"], call["arguments"]) for call in streamed["calls"]],
                                 [(call.function.name, call.function.arguments) for call in whole.message.tool_calls])
                self.assertEqual(deltas[0].role, "assistant")
                self.assertIsNone(streamed["content"])
                first = next(delta.tool_calls[0] for delta in deltas if delta.tool_calls)
                self.assertEqual((first.type, first.function.arguments), ("function", ""))
                for call in streamed["calls"]:
                    self.assertRegex(call["id"], CALL_ID)

    def test_arguments_come_in_pieces(self):
        client = self.server.openai()
        _, deltas = gather(ask(client, stream=True, tools=TOOLS, seed=1,
                               tool_choice={"type": "function", "function": {"name": "weather"}}))
        self.assertGreater(sum(bool(delta.tool_calls) for delta in deltas), 3)

    def test_choices_of_one_request(self):
        client = self.server.openai()
        fields = {"tools": TOOLS, "tool_choice": "required", "seed": 3, "n": 4}
        choices = ask(client, **fields).choices
        self.assertEqual(len(choices), 4)
        for choice in choices:
            self.check_message(choice)
        streamed, _ = gather(ask(client, stream=True, **fields))
        for choice in choices:
            self.assertEqual([call["arguments"] for call in streamed[choice.index]["calls"]],
                             [call.function.arguments for call in choice.message.tool_calls])
        alone = ask(client, **{**fields, "n": 1}).choices[0]
        self.assertEqual([call.function for call in alone.message.tool_calls],
                         [call.function for call in choices[0].message.tool_calls])

    def test_a_call_that_is_cut_off_says_so(self):
        client = self.server.openai()
        for most in (1, 8, 24, 30):
            fields = {"tools": TOOLS[:1], "tool_choice": "required", "seed": 1, "max_tokens": most}
            choice = ask(client, **fields).choices[0]
            self.assertEqual(choice.finish_reason, "length")
            streamed, _ = gather(ask(client, stream=True, **fields))
            self.assertEqual(streamed[0]["finish_reason"], "length")

    def test_the_old_functions(self):
        client = self.server.openai()
        functions = [one["function"] for one in TOOLS[:2]]
        functions[0] = {name: value for name, value in functions[0].items() if name != "strict"}
        choice = ask(client, functions=functions, function_call={"name": "weather"}, seed=1).choices[0]
        self.assertEqual(choice.finish_reason, "function_call")
        self.check_call(choice.message.function_call.name, choice.message.function_call.arguments)
        self.assertIsNone(choice.message.tool_calls)
        name = arguments = ""
        for chunk in ask(client, functions=functions, function_call={"name": "weather"}, seed=1, stream=True):
            call = chunk.choices[0].delta.function_call if chunk.choices else None
            if call:
                name += call.name or ""
                arguments += call.arguments or ""
        self.assertEqual((name, arguments), (choice.message.function_call.name, choice.message.function_call.arguments))

    def test_results_go_back(self):
        for _, _, client in self.server.clients():
            choice = ask(client, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "weather"}},
                         seed=1).choices[0]
            call = choice.message.tool_calls[0]
            messages = QUESTION + [
                choice.message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": "18 degrees <|im_end|>"},
            ]
            answer = ask(client, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=20, seed=1)
            self.assertTrue(answer.choices[0].message.content)
            messages[1:2] = [{"role": "assistant", "content": None, "tool_calls": [
                {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": call.function.arguments}}]}]
            self.assertEqual(ask(client, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=20,
                                 seed=1).choices[0].message.content, answer.choices[0].message.content)

    def test_json_and_tools_and_streams_together(self):
        client = self.server.openai()
        schema = {"type": "object", "properties": {"answer": {"type": "boolean"}, "why": {"type": "string", "maxLength": 20}},
                  "required": ["answer", "why"], "additionalProperties": False}
        wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
        kinds = set()
        calls = token_bias("<", 10)
        for seed in range(12):
            fields = {"tools": TOOLS, "response_format": wanted, "seed": seed, "logit_bias": calls if seed % 2 else {},
                      "parallel_tool_calls": False}
            choice = ask(client, **fields).choices[0]
            streamed, _ = gather(ask(client, stream=True, **fields))
            self.assertEqual(streamed[0]["finish_reason"], choice.finish_reason)
            kinds.add(choice.finish_reason)
            if choice.finish_reason == "stop":
                jsonschema.validate(json.loads(choice.message.content), schema)
                self.assertEqual(streamed[0]["content"], choice.message.content)
            elif choice.finish_reason == "tool_calls":
                self.check_message(choice)
                self.assertIsNone(choice.message.content)
        self.assertEqual(kinds - {"length"}, {"stop", "tool_calls"})

    def test_text_and_calls_in_one_answer(self):
        client = self.server.openai()
        bias = token_bias("<", 6)
        both = 0
        for seed in range(20):
            fields = {"tools": TOOLS, "seed": seed, "logit_bias": bias, "parallel_tool_calls": False, "logprobs": True,
                      "messages": [{"role": "user", "content": "Write <tool_call> after a word."}]}
            choice = ask(client, **fields).choices[0]
            streamed, _ = gather(ask(client, stream=True, **fields))
            self.assertEqual(streamed[0]["content"] or None, choice.message.content)
            if choice.message.tool_calls:
                self.check_message(choice, most=1)
                self.assertEqual(streamed[0]["calls"][0]["arguments"], choice.message.tool_calls[0].function.arguments)
                both += bool(choice.message.content)
        self.assertGreater(both, 0)


class Formats(WithServer):
    def test_json_mode(self):
        for _, _, client in self.server.clients():
            for seed in range(6):
                choice = ask(client, messages=[{"role": "user", "content": "Write JSON with one short field."}], seed=seed,
                             response_format={"type": "json_object"}).choices[0]
                if choice.finish_reason == "stop":
                    self.assertIsInstance(json.loads(choice.message.content), dict)
                else:
                    self.assertEqual(choice.finish_reason, "length")

    def test_random_schemas(self):
        """Whatever the schema and the seed, a finished answer satisfies it, and its stream is the same."""
        client = self.server.openai()
        finished = 0
        for number in range(50):
            source = random.Random(number)
            schema = random_schema(source, 3)
            wanted = {"type": "json_schema", "json_schema": {"name": "random", "schema": schema}}
            fields = {"response_format": wanted, "seed": number, "max_tokens": 250,
                      "temperature": source.choice([0, 0.7, 1.5])}
            choices = ask(client, n=2, **fields).choices
            for choice in choices:
                if choice.finish_reason == "length":
                    continue
                self.assertEqual(choice.finish_reason, "stop")
                finished += 1
                with self.subTest(schema=schema, seed=number):
                    jsonschema.validate(json.loads(choice.message.content), schema)
            if number % 10 == 0:
                streamed, _ = gather(ask(client, stream=True, **fields))
                self.assertEqual(streamed[0]["content"], choices[0].message.content)
        self.assertGreater(finished, 60)

    def test_answers_beside_each_other_are_those_alone(self):
        client = self.server.openai()
        wanted = [{"type": "json_schema", "json_schema": {"name": "random", "schema": random_schema(random.Random(n), 2)}}
                  for n in range(8)]

        def text(number):
            return ask(client, response_format=wanted[number], seed=number, max_tokens=80).choices[0].message.content

        alone = [text(number) for number in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(text, range(8))), alone)

    def test_models_of_pydantic(self):
        client = self.server.openai()
        fields = {"model": "the-model", "messages": QUESTION, "max_tokens": 200, "response_format": Plan}
        for seed in range(4):
            parsed = client.chat.completions.parse(seed=seed, **fields).choices[0].message.parsed
            self.assertIsInstance(parsed, Plan)
            with client.chat.completions.stream(seed=seed, **fields) as stream:
                for _ in stream:
                    pass
                self.assertEqual(stream.get_final_completion().choices[0].message.parsed, parsed)

    def test_pydantic_with_formats_patterns_bounds_and_unions(self):
        class Mail(pydantic.BaseModel):
            kind: typing.Literal["mail"] = "mail"
            code: str = pydantic.Field(pattern=r"^[A-Z]{2}-\d{3}$")
            share: float = pydantic.Field(gt=0, le=1)

        class Visit(pydantic.BaseModel):
            kind: typing.Literal["visit"] = "visit"
            id: uuid.UUID
            at: datetime.datetime
            place: tuple[int, bool]

        class Answer(pydantic.BaseModel):
            event: typing.Annotated[typing.Union[Mail, Visit], pydantic.Field(discriminator="kind")]
            count: int = pydantic.Field(ge=10, le=100, multiple_of=10)

        client = self.server.openai()
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": Answer.model_json_schema()}}
        finished = 0
        for seed in range(8):
            choice = ask(client, response_format=wanted, seed=seed, temperature=1.5).choices[0]
            if choice.finish_reason == "stop":
                finished += 1
                Answer.model_validate_json(choice.message.content)
        self.assertGreater(finished, 5)

    def test_tools_of_pydantic(self):
        client = self.server.openai()
        fields = {"model": "the-model", "messages": QUESTION, "max_tokens": 200, "tool_choice": "required",
                  "parallel_tool_calls": False, "tools": [openai.pydantic_function_tool(GetPrice)], "seed": 1}
        call = client.chat.completions.parse(**fields).choices[0].message.tool_calls[0]
        self.assertIsInstance(call.function.parsed_arguments, GetPrice)
        with client.chat.completions.stream(**fields) as stream:
            events = [event.type for event in stream]
            final = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertEqual(final.function.parsed_arguments, call.function.parsed_arguments)
        self.assertIn("tool_calls.function.arguments.delta", events)
        self.assertIn("tool_calls.function.arguments.done", events)

    def test_answers_that_are_cut_off(self):
        client = self.server.openai()
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOCK}}
        choice = ask(client, response_format=wanted, max_tokens=3).choices[0]
        self.assertEqual(choice.finish_reason, "length")
        with self.assertRaises(json.JSONDecodeError):
            json.loads(choice.message.content)


class Refusals(WithServer):
    def refused(self, param, *words, **fields):
        client = self.server.openai()
        with self.assertRaises(openai.BadRequestError) as caught:
            ask(client, **fields)
        error = caught.exception
        self.assertEqual(error.param, param, error.message)
        for word in words:
            self.assertIn(word, error.message)

    def test_schemas(self):
        def wanted(schema, **fields):
            return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **fields}}}

        place = "response_format.json_schema.schema"
        self.refused(place, "patternProperties", **wanted({"type": "object", "patternProperties": {}}))
        self.refused(place, "'#/properties/a'", "looks ahead",
                     **wanted({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)"}}}))
        self.refused(place, "oneOf", "both satisfy", **wanted({"oneOf": [{"type": "number"}, {"type": "integer"}]}))
        self.refused(place, "'#/$defs/a'", **wanted({"$ref": "#/$defs/a"}))
        self.refused(place, "no finite text", **wanted({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}))
        self.refused(place, "strict", "'unit'", **wanted({**WEATHER, "required": ["city", "days"]}, strict=True))
        self.refused(place, "strict", "additionalProperties", **wanted(CLOCK, strict=True))
        self.refused("tools.0.function.parameters", "uniqueItems",
                     tools=[tool("a", {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}})])
        # Without validation the model is told the schema, and the arguments are any JSON object.
        choice = ask(self.server.groq(), tools=[tool("a", {"type": "object", "patternProperties": {}})], tool_choice="required",
                     disable_tool_validation=True, max_tokens=400).choices[0]
        self.assertEqual(choice.message.tool_calls[0].function.name, "a")

    def test_tools_and_choices(self):
        self.refused("tools.0.function.name", "a-z", tools=[tool("no spaces", CLOCK)])
        self.refused("tools.1.function.name", "two tools", tools=[tool("a", CLOCK), tool("a", CLOCK)])
        self.refused("tools.0.type", "function", tools=[{"type": "browser_search"}])
        self.refused("tools", "128", tools=[tool(f"t{i}", CLOCK) for i in range(129)])
        self.refused("tool_choice", "tools", tool_choice="required")
        self.refused("tool_choice.function.name", "nobody", tools=TOOLS,
                     tool_choice={"type": "function", "function": {"name": "nobody"}})
        self.refused("stop", "ends by itself", response_format={"type": "json_object"}, stop=["a"])
        self.refused("response_format.type", "json_schema", response_format={"type": "yaml"})

    def test_histories(self):
        call = {"id": "abc", "type": "function", "function": {"name": "now", "arguments": "{}"}}
        asked = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": "abc", "content": "noon"}
        self.refused("messages.1.tool_call_id", "abc", messages=QUESTION + [result])
        self.refused("messages.1", "needs its result", messages=QUESTION + [asked])
        self.refused("messages.1", "needs its result", messages=QUESTION + [asked] + QUESTION)
        self.refused("messages.3.tool_call_id", messages=QUESTION + [asked, result, result])
        self.refused("messages.1.tool_calls.0.function.arguments", "JSON object",
                     messages=QUESTION + [{**asked, "tool_calls": [{**call, "function": {"name": "now", "arguments": "{"}}]}])
        self.refused("messages.1.content", "missing", messages=QUESTION + [{"role": "assistant", "content": None}])


def random_schema(source, depth):
    """A schema of the part that is taken, whose texts are short."""
    kinds = ["string", "integer", "boolean", "null", "enum", "const", "number"]
    if depth > 0:
        kinds += ["object"] * 6 + ["array"] * 2 + ["anyOf", "ref"]
    kind = source.choice(kinds)
    if depth == 3:
        kind = "object"
    if kind == "string":
        least = source.randrange(4)
        return {"type": "string", "minLength": least, "maxLength": least + source.randrange(8)}
    if kind == "integer":
        least = source.randrange(-10**source.randrange(6), 100)
        return {"type": "integer", "minimum": least, "maximum": least + source.randrange(1000)}
    if kind == "enum":
        return {"enum": source.sample(["a", "b\"", "ü", 1, 2.5, None, True, ["x"], {"k": 1}], source.randrange(1, 5))}
    if kind == "const":
        return {"const": source.choice(["fixed", 7, None])}
    if kind == "anyOf":
        return {"anyOf": [random_schema(source, depth - 1) for _ in range(source.randrange(1, 4))]}
    if kind == "array":
        least = source.randrange(3)
        return {"type": "array", "items": random_schema(source, depth - 1), "minItems": least,
                "maxItems": least + source.randrange(3)}
    if kind == "object":
        names = source.sample(["name", "größe", "a b", "x\\y", "id", "tags", "value"], source.randrange(0, 4))
        return {"type": "object", "properties": {name: random_schema(source, depth - 1) for name in names},
                "required": source.sample(names, source.randrange(len(names) + 1)), "additionalProperties": False}
    if kind == "ref":
        return {"type": ["integer", "null"], "title": "either"}
    return {"type": kind}


if __name__ == "__main__":
    main()
