"""How the peers' scripts are called, and what they print.

    PEER MODEL.gguf [--threads 2] [--repeats 1] WORK...

A WORK is prefill=TOKENS, decode=TOKENS or decode=TOKENS@DEPTH, or streams=STREAMSxTOKENS (all streams decode after a
prompt of 32 tokens each). Printed is a JSON object: "version" of the peer and, for each work, "tok_s" and what else the
peer tells of its best setting. A work that a peer cannot do has a "refused" with its reason instead.
"""

import argparse
import json
import re
from dataclasses import dataclass

STREAM_PROMPT = 32


@dataclass(frozen=True)
class Work:
    name: str
    kind: str
    tokens: int
    depth: int = 0
    streams: int = 1


def parse_work(text):
    for pattern, make in (
        (r"prefill=(\d+)", lambda m: Work(text, "prefill", int(m[1]))),
        (r"decode=(\d+)(?:@(\d+))?", lambda m: Work(text, "decode", int(m[1]), depth=int(m[2] or 0))),
        (r"streams=(\d+)x(\d+)", lambda m: Work(text, "streams", int(m[2]), depth=STREAM_PROMPT, streams=int(m[1]))),
    ):
        match = re.fullmatch(pattern, text)
        if match:
            return make(match)
    raise argparse.ArgumentTypeError(f"'{text}' is no work: prefill=512, decode=128@2048, streams=16x64")


def main(doc, open_peer):
    """`open_peer(arguments)` gives the version and a function that measures one work."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("works", metavar="WORK", nargs="+", type=parse_work)
    arguments = parser.parse_args()
    version, measure = open_peer(arguments)
    result = {"version": version, "works": {work.name: measure(work) for work in arguments.works}}
    print(json.dumps(result, indent=1))
