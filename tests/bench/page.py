"""docs/performance.md, into which the benches write their tables."""

from __future__ import annotations

from collections.abc import Sequence

from local_aws.platform import ROOT

PAGE = ROOT / "docs" / "performance.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def write(name: str, text: str) -> None:
    """Puts this between the two marks of this name."""
    mark = f"<!-- {name} -->\n"
    before, _, after = PAGE.read_text().split(mark)
    PAGE.write_text(before + mark + text + mark + after)
