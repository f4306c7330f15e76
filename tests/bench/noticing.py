"""How long after a distribution is Deployed this system and other tools notice it, in real time.

`python -m bench.noticing` is part of `make noticing`, takes a quarter of an hour and writes a table into
docs/performance.md. Each contender runs four rotations of three distributions one after the other, all contenders in
parallel, each on a separate local AWS. A deployment takes 3 to 5 minutes; the nth takes the same time for every
contender. The times of Deployed and of each read are in the log of the local AWS.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading

from bench.page import measured, table, write
from bench.side_by_side import AT_ONCE, CONTENDERS, THIS_IAM, in_parallel, noticed, scene
from local_aws.built import TEMPLATE
from local_aws.platform import LocalAws

ROTATIONS, COUNT = 4, 3
# One from each ten seconds between 3 and 5 minutes, in random order: evenly spread over the parts of a minute.
_CHANCE = random.Random(7)
PROPAGATIONS = _CHANCE.sample([10 * (18 + n + _CHANCE.random()) for n in range(12)], ROTATIONS * COUNT)
# Propagation until the bench sets that of this deployment: this takes less than a second, and no read may return
# Deployed before.
AT_LEAST = 5.0


def rotate(aws: LocalAws, name: str, propagations: list[float]) -> tuple[list[float], int]:
    """One rotation: how late each deployment was noticed, and how many reads there were."""
    one = scene(aws, CONTENDERS[name].store, COUNT)
    took: dict[str, float] = {}
    ended = threading.Event()

    def decide() -> None:
        while not ended.wait(0.2):
            for target in aws.state()["distributions"]:
                if target["certificate"] != one.old and target["id"] not in took:
                    took[target["id"]] = propagations[len(took)]
                    aws.control("POST", f"distribution/{target['id']}", {"propagation_seconds": took[target["id"]]})

    deciding = threading.Thread(target=decide)
    deciding.start()
    ran = CONTENDERS[name].run(aws, one)
    ended.set()
    deciding.join()
    state = aws.state()
    assert ran.code == 0 and len(took) == COUNT, ran
    return noticed(state, took), sum(call["operation"] == "GetDistribution" for call in state["calls"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contender", choices=CONTENDERS, help="one rotation by this one only")
    parser.add_argument("--rotation", type=int, default=0, choices=range(ROTATIONS), help="which of all")
    options = parser.parse_args()
    if options.contender:
        this = CONTENDERS[options.contender].is_this
        with LocalAws(propagation_seconds=AT_LEAST, wait_scale=1, services_only=not this) as aws:
            if this:
                aws.deploy(TEMPLATE)
            ours = PROPAGATIONS[options.rotation * COUNT :][:COUNT]
            print(json.dumps(rotate(aws, options.contender, ours)))
        return
    names = [name for name in CONTENDERS if name not in (AT_ONCE, THIS_IAM)]
    wanted = [("--contender", name, "--rotation", str(number)) for name in names for number in range(ROTATIONS)]
    answers = iter(in_parallel("bench.noticing", *wanted))
    rows = []
    for name in names:
        some = [next(answers) for _ in range(ROTATIONS)]
        late = sorted(one for each, _ in some for one in each)
        looks = sum(count for _, count in some) / len(PROPAGATIONS)
        times = (f"{value:.0f}" for value in (statistics.median(late), statistics.mean(late), late[-1])) if late else ()
        rows.append([name, f"{looks:.1f}", *(times or ("never polls", "", ""))])
    head = ("", "polls per deployment", "s late, median", "s late, mean", "s late, at most")
    write("noticing", measured(table(head, rows)))


if __name__ == "__main__":
    main()
