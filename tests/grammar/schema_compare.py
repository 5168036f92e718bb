#!/usr/bin/env python3
"""Checks texts written at random along grammars of schemas with other readers of the schemas.

    schema_compare.py --driver BUILD/tests/grammar/schema_driver [--random N] [--seed S]

Every text must satisfy its schema for jsonschema and for jsonschema_rs, which both know formats, and where the
schema is of a pydantic type, be one of it. Exit code 1 if anything differs.
"""

import argparse
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import random
import re
import subprocess
import sys
import typing
import uuid
from typing import Annotated, Literal, Optional, Union

import jsonschema
import jsonschema_rs
import pydantic
from pydantic import Field

TEXTS = 20  # of each schema


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(ge=0, lt=10, description="How many are left", examples=[9])


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    age: float = Field(gt=0, le=30.5)
    friends: list["Pet"] = Field(max_length=2)


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]


class Open(pydantic.BaseModel):
    model_config = {"extra": "allow"}
    a: int
    b: Optional[bool] = None


class Order(pydantic.BaseModel):
    number: str = Field(pattern=r"^[A-Z]{2}-\d{4,6}$", title="Number")
    id: uuid.UUID
    made: datetime.datetime
    due: Optional[datetime.date] = None
    price: Annotated[float, Field(ge=0, multiple_of=0.25)]
    share: Annotated[float, Field(gt=0, lt=1)]
    amount: Annotated[int, Field(ge=5, le=500, multiple_of=5)]
    place: tuple[float, float, str]
    notes: dict[str, int]
    by_colour: dict[Colour, bool]
    pets: list[Pet] = Field(max_length=2)


TYPES = [
    Cat, Dog, Pet, Open, Order, Colour, datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
    pydantic.AwareDatetime, uuid.UUID, pydantic.UUID4, pydantic.UUID7, pydantic.AnyUrl, pydantic.HttpUrl,
    ipaddress.IPv4Address, ipaddress.IPv6Address, pydantic.IPvAnyAddress, pydantic.PositiveInt,
    pydantic.Base64Bytes, pydantic.Base64UrlBytes, pydantic.SecretStr, pathlib.Path, bytes, tuple[int, str],
    tuple[int, ...], dict[str, int], dict[Colour, float], Optional[int], typing.Any,
    dict[Annotated[str, Field(pattern="^a")], int], typing.NamedTuple("Point", [("x", int), ("y", str)]),
    Annotated[str, Field(pattern="[a-f]+$", min_length=3, max_length=9)],
    Annotated[float, Field(gt=0, le=1.5)], Annotated[float, Field(ge=-273.15)],
    Annotated[int, Field(gt=3, multiple_of=7)], Annotated[list[Union[int, bool, None]], Field(min_length=1)],
]
# What pydantic knows beyond the schema: HttpUrl's schema is AnyUrl's.
BEYOND_SCHEMA = {pydantic.HttpUrl: "scheme"}

FORMATS = ["date-time", "date", "time", "duration", "uuid", "ipv4", "ipv6", "hostname", "email", "uri"]

PATTERNS = [r"^\d{3}-\d{4}$", r"^(\([0-9]{3}\))?[0-9]{3}-[0-9]{4}$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "^a|b$", "x",
            r"^[\w.%+-]{1,8}$", r"^#(?:[0-9a-fA-F]{3}){1,2}$", r"^\S+( \S+)*$", r"^[^\x00-\x1f]*$", "^.{2,5}$",
            r"^(?:en|de)(?:-[A-Z]{2})?$", r'^"[^"\\]*"$', r"^[à-ÿ]+\u00df?$", r"^\D\W?$", r"^[\s\S]{3}$", "^$|^-$"]


def random_pattern(source, depth=2):
    atoms = ["a", "b", "[ab]", "[^a]", ".", r"\d", r"\w", r"\s", r"\S", "é", r"\.", '"', r"\\", "😀", "[é-ü]"]

    def sequence(deeper):
        parts = []
        for _ in range(source.randrange(1, 4)):
            nested = deeper > 0 and source.random() < 0.3
            part = f"({source.choice(['', '?:'])}{choice(deeper - 1)})" if nested else source.choice(atoms)
            parts.append(part + source.choice(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"]))
        return "".join(parts)

    def choice(deeper):
        return "|".join(sequence(deeper) for _ in range(source.choice([1, 1, 2])))

    return source.choice(["", "^"]) + f"(?:{choice(depth)})" + source.choice(["", "$"])


def random_number(source):
    return round(source.uniform(-1, 1) * 10 ** source.randrange(5), source.randrange(4))


def random_schema(source, depth):
    kinds = ["pattern", "format", "number", "integer", "const", "null"]
    if depth > 0:
        kinds += ["oneOf", "tuple", "open", "map", "object", "array"]
    kind = source.choice(kinds)
    if kind == "pattern":
        schema = {"type": "string", "pattern": random_pattern(source)}
        if source.random() < 0.5:
            schema["maxLength"] = source.randrange(3, 40)
        if source.random() < 0.3:
            schema["minLength"] = source.randrange(3)
        return schema
    if kind == "format":
        return {"type": "string", "format": source.choice(FORMATS)}
    if kind in ("number", "integer"):
        schema = {"type": kind}
        least = random_number(source)
        if source.random() < 0.7:
            schema[source.choice(["minimum", "exclusiveMinimum"])] = least
        if source.random() < 0.7:
            schema[source.choice(["maximum", "exclusiveMaximum"])] = round(least + source.choice([0.5, 3, 1000]), 3)
        if source.random() < 0.3:
            schema["multipleOf"] = source.choice([2, 3, 10] if kind == "integer" else [0.5, 0.25, 2])
        return schema
    if kind == "const":
        return {"const": source.choice(["x", 1, None, [True]])}
    if kind == "oneOf":
        branches = [{"type": "object", "properties": {"kind": {"const": name}, "value": random_schema(source, depth - 1)},
                     "required": ["kind"]} for name in source.sample(["a", "b", "c"], 2)]
        return {"oneOf": branches + [{"type": "boolean"}]}
    if kind == "tuple":
        return {"type": "array", "prefixItems": [random_schema(source, depth - 1) for _ in range(2)], "maxItems": 3,
                "items": source.choice([False, {"type": "null"}])}
    if kind == "open":
        return {"type": "object", "properties": {"a": random_schema(source, depth - 1), "é": {}},
                "required": ["a"], "additionalProperties": random_schema(source, depth - 1)}
    if kind == "map":
        return {"type": "object", "propertyNames": {"pattern": "^[a-c]"}, "minProperties": source.randrange(2),
                "maxProperties": 3, "additionalProperties": random_schema(source, depth - 1)}
    if kind == "object":
        return {"type": "object", "properties": {name: random_schema(source, depth - 1) for name in "abc"},
                "required": ["b"], "minProperties": 1}
    if kind == "array":
        return {"type": "array", "items": random_schema(source, depth - 1), "maxItems": 2}
    return {"type": "null"}


def same_multiples(_, step, value, __):
    """multipleOf as it is meant, without the error of a division of doubles."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if decimal.Decimal(repr(value)) % decimal.Decimal(repr(step)) != 0:
            yield jsonschema.ValidationError(f"{value} is no multiple of {step}")


Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"multipleOf": same_multiples})


def cases(options):
    """A name, a schema, whether it may be refused, and what reads a text further."""
    for one in TYPES:
        adapter = pydantic.TypeAdapter(one)

        def read(text, one=one, adapter=adapter):
            try:
                adapter.validate_json(text)
            except pydantic.ValidationError as error:
                if BEYOND_SCHEMA.get(one, "-") not in str(error):
                    raise

        yield str(one), adapter.json_schema(), False, read
    for name in FORMATS:
        yield name, {"type": "string", "format": name}, False, None
    for pattern in PATTERNS:
        yield pattern, {"type": "string", "pattern": pattern}, False, None
    source = random.Random(options.seed)
    for number in range(options.random):
        yield f"random {number}", random_schema(source, 3), True, None


def problem(schema, text, read):
    value = json.loads(text)
    try:
        Validator(schema, format_checker=Validator.FORMAT_CHECKER).validate(value)
        jsonschema_rs.validator_for(schema, validate_formats=True, ignore_unknown_formats=True).validate(value)
        if read:
            read(text)
    except (jsonschema.ValidationError, jsonschema_rs.ValidationError, pydantic.ValidationError) as error:
        return f"{type(error).__module__}: {error}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--random", type=int, default=400, help="how many random schemas")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    all_cases = list(cases(options))
    schemas = "".join(json.dumps(schema) + "\n" for _, schema, _, _ in all_cases)
    answers = subprocess.run([options.driver, str(TEXTS), str(options.seed)], input=schemas, encoding="utf-8",
                             stdout=subprocess.PIPE, check=True).stdout.split("\n")[:-1]
    texts = refused = wrong = 0
    for (name, schema, may_be_refused, read), line in zip(all_cases, answers, strict=True):
        answer = json.loads(line)
        if isinstance(answer, str):
            refused += 1
            if not may_be_refused or not re.search("no string satisfies|no number of|no integer of|too large", answer):
                wrong += 1
                print(f"{name}: {schema}\n  refused: {answer}")
            continue
        for text in answer:
            texts += 1
            found = problem(schema, text, read)
            if found:
                wrong += 1
                print(f"{name}: {schema}\n  {text}\n  {found}")
                break
    print(f"{len(all_cases)} schemas, {refused} refused, {texts} texts, {wrong} wrong")
    return 1 if wrong or refused > len(all_cases) / 5 else 0


if __name__ == "__main__":
    sys.exit(main())
