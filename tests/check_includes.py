#!/usr/bin/env python3
"""Checks the direction of includes: check_includes.py [ROOT]

A folder of src/ may include itself and the folders named below; tests/, fuzz/ and bench/ may include all.
Also checks that an included file exists and that every header says #pragma once.
"""

import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": [],
    "machine": ["base"],
    "numerics": ["base"],
    "text": ["base"],
    "grammar": ["base"],
    "store": ["base"],
    "import": ["base", "numerics"],
    "graph": ["base", "numerics"],
    "models": ["base", "numerics", "import", "graph"],
    "program": ["base", "numerics"],
    "compiler": ["base", "numerics", "graph", "machine", "program"],
    "targets": ["base", "machine", "numerics", "program"],
    "engine": ["base", "numerics", "text", "program", "targets"],
    "constrain": ["base", "engine", "grammar", "text"],
    "http": ["base"],
    "database": ["base", "store"],
    "accounts": ["base", "database"],
    "server": ["base", "constrain", "engine", "grammar", "text", "store", "http", "database", "accounts"],
    "api": None,  # None: everything
    "cli": None,
}
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')


def check_file(root, path, folder):
    """Yields what is wrong in one file; folder is its folder in src/, or None outside."""
    text = path.read_text()
    name = path.relative_to(root)
    if path.suffix == ".h" and folder is not None and "#pragma once" not in text:
        yield f"{name}: has no #pragma once"
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        included = match[1]
        if not any((base / included).is_file() for base in (root / "src", root / "include", path.parent)):
            yield f'{name}:{number}: "{included}" is neither in src/ nor in include/'
            continue
        other = included.split("/")[0]
        allowed = MAY_INCLUDE.get(folder)
        if allowed is not None and other != folder and other not in allowed:
            yield f'{name}:{number}: {folder}/ must not include "{included}"'


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    problems = []
    files = 0
    for top in ("src", "include", "tests", "fuzz", "bench"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".c"):
                continue
            files += 1
            folder = path.relative_to(root / top).parts[0] if top == "src" else None
            if folder is not None and folder not in MAY_INCLUDE:
                problems.append(f"{path.relative_to(root)}: the folder {folder} is not listed in tests/check_includes.py")
                continue
            problems += check_file(root, path, folder)
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} problems")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
