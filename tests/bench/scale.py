"""Rotations of many distributions, one and fifty at a time, with measurements of each run: payloads and histories of
the execution and its children, time and memory of each function, calls.

`make scale` runs them all and writes docs/performance.md and docs/measured.json, from which `bench.cost` makes
docs/cost.md. Propagation is near zero; the platform waits 0.15 seconds before each child, so one at a time is slow.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.cold_start import peak_memory
from bench.page import table, write
from local_aws.built import TEMPLATE
from local_aws.pki import Leaf
from local_aws.platform import ROOT, Execution, LocalAws, as_json

MEASURED = ROOT / "docs" / "measured.json"
PAYLOADS = ("input", "output", "parameters", "cause")
REPORT = re.compile(r"REPORT RequestId: \S+\tDuration: (\d+) ms")


def rotate(aws: LocalAws, count: int, concurrency: int) -> tuple[float, Execution]:
    """A rotation of this many distributions, in an account with as many again that have another certificate."""

    def leaf(days: int) -> Leaf:
        return aws.intermediate.leaf("*.example.com", not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=days))

    old, other = (aws.put_into_store("acm", leaf(20), name) for name in ("old", "other"))
    for certificate in (old, other):
        wanted = [
            {"aliases": [f"{certificate[-8:]}-{n}.example.com"], "certificate": certificate} for n in range(count)
        ]
        aws.control("POST", "seed", wanted)
    aws.client("secretsmanager").create_secret(Name="unwatched/scale", SecretString=as_json(leaf(199)))
    request = {"newCertificate": "unwatched/scale", "oldCertificate": old, "concurrency": concurrency}
    began = time.perf_counter()
    execution = aws.start(request, "scale").wait(7_200)
    return time.perf_counter() - began, execution


def history(aws: LocalAws, arn: str) -> list[dict[str, Any]]:
    """The events of an execution."""
    pages = (
        aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn, maxResults=1000)
    )
    return [event for page in pages for event in page["events"]]


def children(aws: LocalAws, arn: str) -> Iterable[dict[str, Any]]:
    """Every execution that the Maps of this one have started; the platform keeps no events of these."""
    states = aws.client("stepfunctions")
    for runs in states.get_paginator("list_map_runs").paginate(executionArn=arn):
        for run in runs["mapRuns"]:
            for page in states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
                for child in page["executions"]:
                    yield states.describe_execution(executionArn=child["executionArn"])


def payloads(carrier: dict[str, Any]) -> Iterable[int]:
    """The sizes of the payloads of an event or an execution, in bytes."""
    yield from (len(str(carrier[name]).encode()) for name in PAYLOADS if name in carrier)
    for details in carrier.values():
        if isinstance(details, dict):
            yield from payloads(details)


def memory(aws: LocalAws) -> dict[str, int]:
    """The peak memory among the processes of each function, in bytes."""
    most: Counter[str] = Counter()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_text().split("\0")
            if Path(os.readlink(process / "exe")).name != "bootstrap" or not any(
                str(aws.platform_port) in one for one in environment
            ):
                continue
            [name] = [one.partition("=")[2] for one in environment if one.startswith("AWS_LAMBDA_FUNCTION_NAME=")]
            most[name] = max(most[name], peak_memory(int(process.name)))
        except OSError:
            continue
    return most


def functions(aws: LocalAws) -> dict[str, dict[str, Any]]:
    """How often each function ran, its time and memory, from its log."""
    logs, used, found = aws.client("logs"), memory(aws), {}
    for function in aws.client("lambda").list_functions(MaxItems=50)["Functions"]:
        group = function["LoggingConfig"]["LogGroup"]

        def lines(group: str = group, **pattern: str) -> list[str]:
            return [event["message"] for event in logs.filter_log_events(logGroupName=group, **pattern)["events"]]

        # The platform returns 10,000 events and no further page: all reports, and a sample of the rest.
        reports = [int(one[1]) for line in lines(filterPattern="REPORT") if (one := REPORT.search(line))]
        if not reports:
            continue
        sample = lines()
        size = sum(len(line.encode()) for line in sample) / sum("REPORT" in line for line in sample)
        words = re.search(r"-([A-Z]\w+)Function", function["FunctionName"])
        assert words, function["FunctionName"]
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", words[1]).lower()
        found[name] = {
            "invocations": len(reports),
            "milliseconds": round(statistics.mean(reports), 1),
            "longestMilliseconds": max(reports),
            "mebibytes": round(used[function["FunctionName"]] / 2**20, 1),
            "mebibytesSet": function["MemorySize"],
            "logBytes": round(size),
        }
    return found


def measure(count: int, concurrency: int) -> dict[str, Any]:
    """One rotation on a new local AWS, and all its measurements."""
    with LocalAws(propagation_seconds=0, wait_scale=0.001) as aws:
        aws.deploy(TEMPLATE, PollIntervalSeconds=1)
        seconds, execution = rotate(aws, count, concurrency)
        assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
        assert execution.output["targets"]["updated"] == count, execution.output
        events, began = history(aws, execution.arn), list(children(aws, execution.arn))
        assert len(began) == count, len(began)
        assert all(child["status"] == "SUCCEEDED" for child in began)
        calls = Counter(call["operation"] for call in aws.state()["calls"] if call["service"] == "cloudfront")
        return {
            "targets": count,
            "concurrency": concurrency,
            "seconds": round(seconds, 1),
            "largestPayloadBytes": max(size for one in (*events, *began) for size in payloads(one)),
            "historyEvents": len(events),
            "calls": dict(sorted(calls.items())),
            "functions": functions(aws),
        }


def grown(runs: list[dict[str, Any]]) -> str:
    """What grows with the number of targets, and what does not."""
    rows = []
    for run in runs:
        count, calls = run["targets"], run["calls"]
        of_each = sum(calls[name] for name in ("GetDistributionConfig", "UpdateDistribution", "GetDistribution"))
        took = run["functions"]
        rows.append(
            [
                *(f"{count:,}", str(run["concurrency"]), f"{run['seconds']:,.0f}", f"{run['seconds'] / count:.3f}"),
                *(f"{took[name]['longestMilliseconds'] / 1000:.1f}" for name in ("plan-rotation", "review-targets")),
                f"{took['report-rotation']['longestMilliseconds'] / 1000:.1f}",
                *(str(calls["ListDistributions"]), f"{of_each / count:.2f}"),
                *(f"{run['largestPayloadBytes'] / 1024:.1f}", str(run["historyEvents"])),
            ]
        )
    head = ["targets", "in parallel", "s", "s per target", "s plan", "s review", "s report", "`ListDistributions`"]
    head += ["other calls of CloudFront a target", "KiB, largest payload", "events of the history"]
    return table(head, rows)


def by_function(run: dict[str, Any]) -> str:
    """Time and memory of each function in one run."""
    rows = [
        [
            *(f"`{name}`", f"{one['invocations']:,}", f"{one['milliseconds']:,.0f}", f"{one['longestMilliseconds']:,}"),
            *(str(one["mebibytes"]), str(one["mebibytesSet"])),
        ]
        for name, one in sorted(run["functions"].items())
    ]
    return table(["function", "invocations", "ms on average", "ms at most", "MiB at most", "MiB configured"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--at-once", type=int, nargs="*", default=[50, 1])
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and docs/measured.json")
    options = parser.parse_args()
    runs = []
    for concurrency in options.at_once:
        for count in options.counts:
            runs.append(measure(count, concurrency))
            print(json.dumps(runs[-1]), flush=True)
    if options.write:
        MEASURED.write_text(json.dumps(runs, indent=2) + "\n")
        write("scale", grown(runs))
        write("functions", by_function(max(runs, key=lambda run: (run["targets"], run["concurrency"]))))


if __name__ == "__main__":
    main()
