"""docs/performance.md, into which the benches write their tables."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from local_aws.platform import ROOT

PAGE = ROOT / "docs" / "performance.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def measured(made: str) -> str:
    """A table of numbers, with the machine they were measured on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{made}\nMeasured on {os.cpu_count()} cores of {model[1] if model else platform.machine()}, "
        f"{memory:.0f} GiB, {platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}.\n"
    )


def read(name: str, page: Path = PAGE) -> str:
    """The text between the two marks of this name."""
    return page.read_text().split(f"<!-- {name} -->\n")[1]


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Prints the text, and writes it between the two marks of this name."""
    print(text)
    mark = f"<!-- {name} -->\n"
    before, _, after = page.read_text().split(mark)
    page.write_text(before + mark + text + mark + after)
