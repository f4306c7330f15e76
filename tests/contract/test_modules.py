"""Dependencies between modules: the core uses no crate above it, steps do not use each other, there are no cycles."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CRATES = Path(__file__).resolve().parents[2] / "crates"
ABOVE = re.compile(r"\brotation[_-](aws|steps|cli|viewer)\b")
# `crate::module::…` in code and in doc links, and `use crate::{module, …}`.
PATHS = re.compile(r"\bcrate::(\w+)")
GROUPS = re.compile(r"\bcrate::\{([^}]*)\}")


def code(path: Path) -> str:
    """A module's text without its inline tests, which may use anything."""
    return path.read_text().partition("#[cfg(test)]\nmod tests {")[0]


def modules(crate: str) -> dict[str, set[str]]:
    """The top-level modules of a crate, with their submodules, and the modules they use."""
    source = CRATES / crate / "src"
    known: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.rs")):
        name = path.relative_to(source).parts[0].removesuffix(".rs")
        if name in ("lib", "main", "bin") or path.stem in ("tests", "fixtures"):
            continue
        text = code(path)
        named = {word for group in GROUPS.findall(text) for word in re.findall(r"\w+", group)}
        known.setdefault(name, set()).update(named | set(PATHS.findall(text)))
    return {name: (named & known.keys()) - {name} for name, named in known.items()}


def test_the_core_names_no_crate_above_it():
    found = [
        f"{path.relative_to(CRATES)}: {line.strip()}"
        for path in sorted((CRATES / "core").rglob("*.rs"))
        for line in path.read_text().splitlines()
        if ABOVE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("crate", ["core", "aws", "steps", "cli"])
def test_modules_have_no_cyclic_dependencies(crate):
    try:
        TopologicalSorter(modules(crate)).prepare()
    except CycleError as circle:
        raise AssertionError(f"{crate}: {' -> '.join(circle.args[1])}") from None


def test_steps_do_not_use_each_other():
    known = modules("steps")
    steps = known.keys() - {"account", "lambda"}
    binaries = {path.stem.replace("-", "_") for path in (CRATES / "steps/src/bin").glob("*.rs")}
    assert steps == binaries
    assert {step: known[step] & steps for step in steps if known[step] & steps} == {}
    # Nor do the shared modules use any step.
    assert {name: known[name] & steps for name in known.keys() - steps if known[name] & steps} == {}
