#!/usr/bin/env python3
"""Checks that the files named in the documentation exist: check_docs.py [ROOT]

Looked at are README.md and docs/*.md: relative links, and words in backticks that look like a path of the
repository, which is one whose first part is a folder at the top (`src/store/cache.h`), a folder of src
(`store/cache.h`) or `./`. A path may hold * and {h,cpp}, and end in a line number. What the build makes
(build*/, .venv/) is not looked for.
"""

import glob
import itertools
import pathlib
import re
import sys

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
BACKTICKS = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w./*{},+-]+$")
MADE = re.compile(r"(\./)?(build|\.venv|\.git)")


def expand(pattern):
    """`a.{h,cpp}` as a.h and a.cpp."""
    parts = [part[1:-1].split(",") if part.startswith("{") else [part]
             for part in re.split(r"(\{[^{}]*\})", pattern)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def exists(bases, path):
    return all(any(glob.glob(str(base / one), include_hidden=True) for base in bases) for one in expand(path))


def paths_in_backticks(root, text):
    tops = {entry.name for entry in root.iterdir() if entry.is_dir()}
    folders = {entry.name for entry in (root / "src").iterdir() if entry.is_dir()}
    for words in BACKTICKS.findall(text):
        for word in words.split():
            word = re.sub(r":\d+(-\d+)?$", "", word).rstrip(".,;")
            first = word.split("/")[0]
            if "/" in word and PATH.match(word) and not MADE.match(word) and first in tops | folders | {"."}:
                yield word


def check(root, path):
    text = path.read_text()
    for word in paths_in_backticks(root, text):
        if not exists([root, root / "src", root / "include"], word):
            yield f"`{word}`"
    for target in LINK.findall(FENCE.sub("", text)):
        target = target.split("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not exists([path.parent], target):
            yield f"the link to {target}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    files = [path for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))] if path.is_file()]
    problems = [f"{path.relative_to(root)}: {problem} leads to nothing"
                for path in files for problem in check(root, path)]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
