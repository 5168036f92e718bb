#!/usr/bin/env python3
"""Tests of /v1/responses with the official client: responses_test.py LOCKSTEP MODEL.gguf

Needs the packages openai, groq and gguf.
"""

import json

import openai

from support import Place, QUESTION, WithServer, main

INPUT = QUESTION[0]["content"]


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
                              ({"tools": [{"type": "web_search"}]}, "tools"),
                              ({"text": {"format": {"type": "json_object"}}}, "text.format.type")):
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


if __name__ == "__main__":
    main()
