#!/usr/bin/env python3
"""docs/conformance.md must name tests that exist: a table of promises that nobody keeps is worse than none."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
defined = set()
for file in (root / "tests").rglob("*_test.cpp"):
    defined |= {f"{s}.{t}" for s, t in re.findall(r"TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", file.read_text())}
named = set(re.findall(r"`([A-Z]\w+\.[a-z0-9]\w+)`", (root / "docs/conformance.md").read_text()))
missing = sorted(named - defined)
if missing or len(named) < 50:
    sys.exit(f"docs/conformance.md names {len(named)} tests; these do not exist: {missing}")
