"""The benches measure what they say: a script's memory is its own, and the README agrees with docs/performance.md."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from bench.core import shown
from bench.cost import PAGE as COST
from bench.cost import counts, tables
from bench.page import PAGE, read
from bench.scale import MEASURED
from bench.side_by_side import CONTENDERS, launch, noticed

ROOT = PAGE.parents[1]


def test_the_comparison_in_the_readme_agrees_with_the_table() -> None:
    """Its section says for all four others, and for this system, what happened with these two faults."""
    rows = [row.strip("| ").split(" | ") for row in read("behaviour").splitlines()[2:]]
    assert {row[0] for row in rows} <= CONTENDERS.keys()
    ours = [row for row in rows if row[0].startswith("this system")]
    others = [row for row in rows if row not in ours]
    assert len(others) == 4
    assert {row[3] for row in ours} == {"0/3, refused before any write"} and {row[4] for row in ours} == {"3/3"}
    assert {row[3][:3] for row in others} == {"1/3"} and {row[4][:3] for row in others} == {"0/3"}
    compared = (ROOT / "README.md").read_text().partition("## Compared")[2]
    assert "all four change one distribution" in compared and "all four update none of the three" in compared


def test_contenders_are_pinned() -> None:
    for lock in (ROOT / "tests/bench/contenders").glob("*.lock"):
        wanted = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
        assert wanted == [line for line in wanted if re.fullmatch(r"[\w.-]+==[\w.]+", line)]


def test_the_memory_of_a_script_is_not_that_of_its_parent(tmp_path: Path) -> None:
    ballast = bytearray(os.urandom(1)) * (400 << 20)
    script = [sys.executable, "-I", "-S", "-c", f"a = bytearray(b'x') * ({100 << 20}); import os; os._exit(3)"]
    for command in (script, ["bash", "-c", '"$@"; exit 3', "bash", *script]):
        ran = launch(tmp_path / "used", command, dict(os.environ))
        assert 100 <= ran.memory / 2**20 < 125 and ran.code == 3, (ran, len(ballast))


def test_a_read_before_deployed_does_not_count_as_noticing() -> None:
    looks = [{"operation": "GetDistribution", "resource": "E1", "time": time} for time in (99.0, 160.0, 221.0, 280.0)]
    both = [{"id": one, "history": [{"time": 0.0}, {"time": 100.0}]} for one in ("E1", "E2")]
    assert noticed({"distributions": both, "calls": looks}, {"E1": 120.0, "E2": 120.0}) == [1.0]


def test_times_are_shown_in_their_unit() -> None:
    assert [shown(one) for one in (12.4, 12_400, 12_400_000)] == ["12 ns", "12.40 µs", "12.40 ms"]


def test_prices_are_from_the_counts_and_measurements() -> None:
    for name, made in tables().items():
        assert read(name, COST) == made, "python -m bench.cost writes it"


def test_the_extrapolated_counts_for_ten_thousand_targets_were_measured() -> None:
    runs = [run for run in json.loads(MEASURED.read_text()) if run["targets"] == 10_000]
    assert {run["concurrency"] for run in runs} == {1, 50}
    for run in runs:
        assert run["largestPayloadBytes"] < 262_144 and run["historyEvents"] < 25_000
        invocations = counts(10_000)["invocations"]
        # A deployment that takes no time is polled once, not four times. The page says that this was measured before
        # targets were also looked at before their update.
        once = {"verify-viewers": invocations["verify-viewers"] // 2}
        expected = invocations | once | {"poll-deployment": invocations["poll-deployment"] // 4}
        assert {name: one["invocations"] for name, one in run["functions"].items()} == expected
