"""Jinja2 as Hugging Face transformers sets it up for chat templates, and the driver of ours beside it."""

import copy
import datetime
import json
import subprocess
import warnings

import jinja2
import jinja2.ext
import jinja2.sandbox

# What strftime_now() shows in both.
NOW = datetime.datetime(2031, 1, 2, 3, 4, 5)


class GenerationBlocks(jinja2.ext.Extension):
    """{% generation %} blocks: a call block whose caller's text is the result."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def environment():
    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlocks, jinja2.ext.loopcontrols]
    )

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


def reference_result(env, source, variables):
    """The text that Jinja2 renders, or None and the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            # A copy: some of Jinja2's filters change what they are given.
            return env.from_string(source).render(**copy.deepcopy(variables)), None
    except Exception as error:  # Python's own errors count as the template's
        return None, f"{type(error).__name__}: {error}"


def driver_results(driver, cases):
    """Ours for every (source, variables): a list of (text or None, error or None)."""
    lines = "".join(json.dumps({"template": source, "variables": variables}) + "\n" for source, variables in cases)
    done = subprocess.run([driver], input=lines.encode(), capture_output=True, timeout=600)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(replies) != len(cases):
        raise SystemExit(
            f"the driver ended with {done.returncode} after {len(replies)} of {len(cases)} cases:"
            f" {done.stderr.decode(errors='replace')[-2000:]}"
        )
    return [(reply.get("text"), reply.get("error")) for reply in replies]


def compare(driver, cases, env=None):
    """Compares all cases; prints differences; returns (equal, both_failed, different)."""
    env = env or environment()
    equal = both_failed = different = 0
    for (source, variables), (text, error) in zip(cases, driver_results(driver, cases)):
        wanted, wanted_error = reference_result(env, source, variables)
        if wanted is not None and wanted == text:
            equal += 1
        elif wanted is None and text is None:
            both_failed += 1
        else:
            different += 1
            if different <= 20:
                print(f"DIFFERENT: {source[:600]!r}")
                print(f"  variables: {json.dumps(variables, ensure_ascii=False)[:600]}")
                print(f"  jinja2: {wanted!r} {wanted_error or ''}"[:1500])
                print(f"  ours:   {text!r} {error or ''}"[:1500])
    return equal, both_failed, different
