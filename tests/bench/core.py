"""Times of the decisions: the medians of `cargo bench --package rotation-core --bench core`, as a table."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.page import measured, table, write
from local_aws.platform import ROOT

CRITERION = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion"


def shown(nanoseconds: float) -> str:
    """In the largest unit in which the number is at least 1."""
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.0f} ns"


def rows() -> list[list[str]]:
    """For every bench: its name, its median, and the 95 % confidence interval."""
    made = []
    for estimates in sorted(CRITERION.glob("*/new/estimates.json")):
        name = json.loads((estimates.parent / "benchmark.json").read_text())["title"]
        median = json.loads(estimates.read_text())["median"]
        between = median["confidence_interval"]
        ends = f"{shown(between['lower_bound'])} to {shown(between['upper_bound'])}"
        made.append([name, shown(median["point_estimate"]), ends])
    return made


if __name__ == "__main__":
    write("core", measured(table(("decision", "median", "95 % interval"), rows())))
