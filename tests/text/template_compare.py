"""Compares our chat template interpreter with Jinja2: snippets, and whole templates over conversations.

    template_compare.py --driver BUILD/tests/text/template_driver [--model MODEL.gguf] [--random N] [--seed S]

Texts must be equal, and both must fail on the same inputs. Exit code 1 if anything differs.
"""

import argparse
import pathlib
import sys

import template_conversations
import template_random
import template_reference

HERE = pathlib.Path(__file__).resolve().parent


def snippet_cases():
    text = (HERE / "template_snippets.txt").read_text(encoding="utf-8")
    variables = template_conversations.SNIPPET_VARIABLES
    for line in text.splitlines():
        if line:
            # Outside of tags, \n, \r and \t of a line stand for themselves as characters.
            yield template_conversations.with_line_breaks(line), variables


def template_cases(model):
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted((HERE / "templates").glob("*.jinja"))}
    if model:
        import gguf

        field = gguf.GGUFReader(model).fields["tokenizer.chat_template"]
        sources[pathlib.Path(model).name] = field.contents()
    for name, source in sources.items():
        for variables in template_conversations.conversations():
            yield name, source, variables


def report(what, result):
    equal, both_failed, different = result
    print(f"{what}: {equal} equal, {both_failed} refused by both, {different} different")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--model", help="a GGUF file whose own template is compared too")
    parser.add_argument("--random", type=int, default=2000, help="how many generated templates")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    env = template_reference.environment()

    different = report("snippets", template_reference.compare(options.driver, list(snippet_cases()), env))
    by_template = {}
    for name, source, variables in template_cases(options.model):
        by_template.setdefault(name, []).append((source, variables))
    for name, cases in by_template.items():
        result = template_reference.compare(options.driver, cases, env)
        different += report(name, result)
        if result[0] == 0:
            print(f"{name}: no conversation renders")
            different += 1
    cases = list(template_random.cases(options.random, options.seed))
    different += report("random", template_reference.compare(options.driver, cases, env))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
