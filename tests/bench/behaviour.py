"""How this system and other tools handle failures: one table, from runs on the local AWS.

`make behaviour` writes it into docs/performance.md. Three distributions with one alias each, and one fault at a time:
none; the new certificate covers one alias of three; another client edits each configuration once, between read and
write; every second update is throttled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from bench.page import table, write
from bench.side_by_side import AT_ONCE, CONTENDERS, Ran, Scene, in_parallel, scene
from local_aws.built import TEMPLATE
from local_aws.platform import LocalAws

# Long enough that the updates of a tool that does not wait are in progress together.
PROPAGATION = 10.0
COUNT = 3
HEAD = (
    "",
    "no fault",
    "maximum in progress",
    "new certificate covers one alias of three",
    "each configuration edited once during the rotation",
    "every second update throttled",
    "old certificate deleted",
    "certificates left",
)


def moved(aws: LocalAws, one: Scene) -> int:
    """How many distributions have a certificate other than the old one."""
    return sum(target["certificate"] != one.old for target in aws.state()["distributions"])


def at_once(aws: LocalAws) -> int:
    """The most distributions that were between update and Deployed at the same time."""
    begun = sorted(target["history"][-1]["time"] for target in aws.state()["distributions"])
    return max(sum(time <= other < time + PROPAGATION for other in begun) for time in begun)


def edited(aws: LocalAws, one: Scene) -> None:
    for target in one.targets:
        aws.control("POST", f"distribution/{target}", {"edit_on_read": 1})


def throttled(aws: LocalAws, _: Scene) -> None:
    fault = {"service": "cloudfront", "operation": "UpdateDistribution", "code": "Throttling", "every": 2}
    aws.control("POST", "faults", fault | {"message": "Rate exceeded", "times": 99})


class Trial:
    """One local AWS on which a contender is tested, with an empty account each time."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.aws, self.name, self.contender = aws, name, CONTENDERS[name]
        self.number = 0

    def run(self, prepare: Callable[[LocalAws, Scene], None] | None = None, *names: str) -> tuple[Scene, Ran]:
        self.number += 1
        one = scene(self.aws, self.contender.store, COUNT, names or None, self.number)
        if prepare:
            prepare(self.aws, one)
        return one, self.contender.run(self.aws, one)

    def row(self) -> list[str]:
        def came_to(one: Scene, ran: Ran) -> str:
            count = moved(self.aws, one)
            how = "" if (ran.code == 0) == (count == COUNT) else f", exit {ran.code}"
            return f"{count}/{COUNT}{how}"

        one, ran = self.run()
        state: dict[str, Any] = self.aws.state()
        stored = {certificate["CertificateArn"] for certificate in state["acm_certificates"]}
        stored |= {certificate["ServerCertificateId"] for certificate in state["iam_certificates"]}
        cells = [came_to(one, ran), str(at_once(self.aws))]
        last = ["no" if one.old in stored else "yes", str(len(stored))]
        for prepare, names in ((None, ("site0.example.com",)), (edited, ()), (throttled, ())):
            one, ran = self.run(prepare, *names)
            cells.append(came_to(one, ran))
            writes = [call for call in self.aws.state()["calls"] if call["operation"] == "UpdateDistribution"]
            if names and not writes:
                cells[-1] += ", refused before any write"
        return [self.name, *cells, *last]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contender", choices=CONTENDERS, help="the row of this one only")
    options = parser.parse_args()
    if options.contender:
        this = CONTENDERS[options.contender].is_this
        with LocalAws(propagation_seconds=PROPAGATION, wait_scale=0.01, services_only=not this) as aws:
            if this:
                aws.deploy(TEMPLATE)
            print(json.dumps(Trial(aws, options.contender).row()))
        return
    # In parallel: the waiters of other tools poll every 60 seconds.
    rows = in_parallel("bench.behaviour", *(("--contender", name) for name in CONTENDERS if name != AT_ONCE))
    write("behaviour", table(HEAD, rows))


if __name__ == "__main__":
    main()
