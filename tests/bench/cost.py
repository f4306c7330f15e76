"""The cost of a rotation on AWS: docs/cost.md, from the counts that the tests pin and the measurements of `make scale`.

`python -m bench.cost` writes the page's tables again; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bench.page import table, write
from bench.scale import MEASURED
from local_aws.platform import ROOT

COUNTS = ROOT / "crates" / "steps" / "tests" / "it" / "rotations" / "counts.json"
PAGE = ROOT / "docs" / "cost.md"
TARGETS = (10, 100, 10_000)

# List prices of us-east-1 in USD, without free tiers: the pricing pages of Step Functions, Lambda (x86), S3,
# CloudWatch, X-Ray and Secrets Manager.
TRANSITION = 0.025 / 1_000
INVOCATION = 0.20 / 1_000_000
GIB_SECOND = 0.0000166667
WRITE_OF_S3, READ_OF_S3 = 0.005 / 1_000, 0.0004 / 1_000
LOG_BYTE = 0.50 / 1_000_000_000
TRACE = 5 / 1_000_000
READ_OF_SECRET = 0.05 / 10_000
# Assumptions, which no run on one machine can measure: AWS's response times, the length of a Step Functions log line.
SECONDS_A_CALL, BYTES_AN_EVENT = {"cloudfront": 0.5, "s3": 0.05}, 500


def counts(targets: int) -> dict[str, Any]:
    """The counts of a rotation of this many targets, with four polls each. Beyond the pinned counts they are
    extrapolated: each target adds as much as one of the second hundred, and each page of lists as much as one page."""
    pinned = json.loads(COUNTS.read_text())
    if str(targets) in pinned:
        return dict(pinned[str(targets)])
    some, many = pinned["100"], pinned["200"]

    def beyond(few: float, more: float) -> int:
        return round(more + (more - few) * (targets - 200) / 100)

    grown: dict[str, Any] = {name: beyond(some[name], many[name]) for name in ("stateTransitions", "eventsOfChildren")}
    for name in ("calls", "invocations"):
        grown[name] = {key: beyond(some[name].get(key, 0), more) for key, more in many[name].items()}
    return grown


def measured() -> dict[str, Any]:
    """The functions in the largest rotation measured, one target at a time."""
    runs = json.loads(MEASURED.read_text())
    functions: dict[str, Any] = max(runs, key=lambda run: (run["targets"], -run["concurrency"]))["functions"]
    return functions


def priced(targets: int) -> Iterable[tuple[str, str, float]]:
    """What is charged, its amount, and its price."""
    count, functions = counts(targets), measured()
    calls, invocations = count["calls"], count["invocations"]
    transitions = count["stateTransitions"]
    yield "Step Functions", f"{transitions:,} transitions", transitions * TRANSITION

    def of(service: str) -> int:
        return sum(times for call, times in calls.items() if call.startswith(f"{service}:"))

    seconds = {name: times * functions[name]["milliseconds"] / 1_000 for name, times in invocations.items()}
    busy = sum(seconds[name] * functions[name]["mebibytesSet"] / 1_024 for name in invocations)
    # Nearly all of both are in functions of 256 MiB.
    waits = sum(of(service) * each for service, each in SECONDS_A_CALL.items()) / 4
    number = sum(invocations.values())
    amount = f"{number:,} calls of functions, {busy + waits:,.0f} GB-s"
    yield "Lambda", amount, number * INVOCATION + (busy + waits) * GIB_SECOND

    writes = calls["s3:PutObject"] + calls["s3:ListObjectsV2"]
    reads = calls["s3:GetObject"]
    yield "S3", f"{writes:,} writes and lists, {reads:,} reads", writes * WRITE_OF_S3 + reads * READ_OF_S3

    lines = sum(times * functions[name]["logBytes"] for name, times in invocations.items())
    lines += (count["eventsOfChildren"] + 500) * BYTES_AN_EVENT
    yield "CloudWatch Logs", f"{lines / 1e6:,.2f} MB", lines * LOG_BYTE
    yield "X-Ray", f"{targets + 1:,} traces at most", (targets + 1) * TRACE
    secrets = calls["secretsmanager:GetSecretValue"]
    yield "Secrets Manager", f"{secrets} reads", secrets * READ_OF_SECRET


def prices() -> str:
    """A column for each number of targets."""
    columns = [list(priced(targets)) for targets in TARGETS]
    rows = []
    for lines in zip(*columns, strict=True):
        rows.append([lines[0][0], *(f"{amount}: {price:.4f}" for _, amount, price in lines)])
    rows.append(["together", *(f"**{sum(price for *_, price in column):.4f}**" for column in columns)])
    return table(["", *(f"{targets:,} targets, USD" for targets in TARGETS)], rows)


def a_target() -> str:
    """What one more target adds."""
    pinned = json.loads(COUNTS.read_text())
    some, many = pinned["100"], pinned["200"]
    rows = [["state transitions", f"{(many['stateTransitions'] - some['stateTransitions']) / 100:g}"]]
    for what, title in (("invocations", "calls of `{}`"), ("calls", "{}")):
        for name, more in many[what].items():
            each = (more - some[what].get(name, 0)) / 100
            if each:
                service, _, operation = name.partition(":")
                rows.append([title.format(f"`{operation}` of {service}" if operation else name), f"{each:g}"])
    return table(["for each target", "times"], rows)


def tables() -> dict[str, str]:
    """By the name of their marks in the page."""
    return {"prices": prices(), "a target": a_target()}


def main() -> None:
    for name, made in tables().items():
        write(name, made, PAGE)


if __name__ == "__main__":
    main()
