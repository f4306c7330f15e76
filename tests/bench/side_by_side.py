"""The same rotation by this system and by what people use today, on the same local AWS, in the same run.

`python -m bench.side_by_side 10 100 1000` prints a table for each number of distributions, and is part of `make bench`.
The wall time is that of one rotation, in order: import, every distribution updated and waited for, the old certificate
deleted. CPU and memory are those of the programs that do it: the script and its children, or the functions of this
system; not of the local AWS.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cold_start import peak_memory
from bench.page import table
from local_aws.pki import Leaf
from local_aws.platform import LocalAws, as_json

HERE = Path(__file__).parent / "contenders"
# None: boto3's waiter and the CLI's look at once and then every 60 seconds, which would be all that is measured.
PROPAGATION = 0.0


@dataclass
class Scene:
    """An account that serves the old certificate everywhere, and the files that the authority has sent."""

    old: str
    leaf: Leaf
    targets: list[str]
    directory: Path
    number: int


@dataclass
class Ran:
    """What came of a rotation."""

    seconds: float
    cpu_seconds: float
    memory: int
    code: int
    said: str = ""
    calls: Counter[str] = field(default_factory=Counter)


def scene(aws: LocalAws, count: int, names: Iterable[str] | None = None, number: int = 0) -> Scene:
    """A fresh account."""
    aws.control("POST", "reset")
    now = dt.datetime.now(dt.UTC)
    domain = ("*.example.com",)
    old = aws.put_into_store("acm", aws.intermediate.leaf(*domain, not_after=now + dt.timedelta(days=20)), "old")
    leaf = aws.intermediate.leaf(*(names or domain), not_after=now + dt.timedelta(days=199))
    wanted = [{"aliases": [f"site{n}.example.com"], "certificate": old} for n in range(count)]
    targets = aws.control("POST", "seed", wanted)["ids"]
    directory = aws.directory / f"authority-{number}"
    directory.mkdir(exist_ok=True)
    for name, pem in (("certificate", leaf.certificate_pem), ("key", leaf.key_pem), ("chain", leaf.chain_pem)):
        (directory / f"{name}.pem").write_text(pem)
    time.sleep(aws.propagation_seconds + 0.2)
    return Scene(old, leaf, targets, directory, number)


def by_script(*command: str | Path) -> Callable[[LocalAws, Scene], Ran]:
    """A contender that is a program with the arguments OLD CERTIFICATE KEY CHAIN."""

    def run(aws: LocalAws, scene: Scene) -> Ran:
        files = [str(scene.directory / f"{name}.pem") for name in ("certificate", "key", "chain")]
        environment = aws.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        said = scene.directory / "stderr"
        began = time.perf_counter()
        with said.open("w") as stderr:
            process = subprocess.Popen(
                [*map(str, command), scene.old, *files], env=environment, stdout=subprocess.DEVNULL, stderr=stderr
            )
            # Of it and of all its children, which is what a person pays for.
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
        return Ran(seconds, cpu, used.ru_maxrss * 1024, process.returncode, said.read_text())

    return run


def by_this(aws: LocalAws, scene: Scene, **request: Any) -> Ran:
    """A rotation by the deployed state machine."""
    source = f"unwatched/bench-{scene.number}-{time.time_ns()}"
    aws.client("secretsmanager").create_secret(Name=source, SecretString=as_json(scene.leaf))
    cpu_before, began = functions(aws)[0], time.perf_counter()
    given = {"newCertificate": source, "oldCertificate": scene.old, **request}
    execution = aws.start(given, source.replace("/", "-")).wait(3600)
    seconds = time.perf_counter() - began
    cpu, memory = functions(aws)
    code = 0 if execution.status == "SUCCEEDED" else 1
    return Ran(seconds, cpu - cpu_before, memory, code, f"{execution.error} {execution.cause}".strip())


def functions(aws: LocalAws) -> tuple[float, int]:
    """The seconds of CPU of all functions that are there, and the most memory that one of them ever had."""
    ticks, memory = 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "exe")).name != "bootstrap":
                continue
            if str(aws.platform_port) not in (process / "environ").read_text():
                continue
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            memory = max(memory, peak_memory(int(process.name)))
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK"), memory


CONTENDERS: dict[str, Callable[[LocalAws, Scene], Ran]] = {
    "this system": by_this,
    "boto3 script": by_script(sys.executable, HERE / "rotate_with_boto3.py"),
    "AWS CLI and jq": by_script("bash", HERE / "rotate_with_cli.sh"),
}


def measure(aws: LocalAws, name: str, count: int, number: int) -> Ran:
    """One rotation; it must have reached its goal."""
    one = scene(aws, count, number=number)
    before = len(aws.state()["calls"])
    ran = CONTENDERS[name](aws, one)
    state = aws.state()
    ran.calls = Counter(call["operation"] for call in state["calls"][before:])
    new = {target["certificate"] for target in state["distributions"]}
    assert ran.code == 0 and len(new) == 1 and one.old not in new, (name, count, ran)
    return ran


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    assert shutil.which("jq"), "the contender with the AWS CLI needs jq"
    with LocalAws(propagation_seconds=PROPAGATION, wait_scale=0.001) as aws:
        aws.deploy(PollIntervalSeconds=1, DeploymentDeadlineMinutes=30)
        number = 0
        for count in options.counts:
            ran: dict[str, list[Ran]] = {name: [] for name in CONTENDERS}
            for _ in range(options.rounds):
                for name in CONTENDERS:
                    number += 1
                    ran[name].append(measure(aws, name, count, number))
            print(page(count, {name: summary(some) for name, some in ran.items()}))


def summary(some: list[Ran]) -> dict[str, Any]:
    """Medians of several rotations; the calls are those of the last one."""
    return {
        "seconds": round(statistics.median(one.seconds for one in some), 2),
        "cpuSeconds": round(statistics.median(one.cpu_seconds for one in some), 2),
        "mebibytes": round(max(one.memory for one in some) / 2**20, 1),
        "calls": dict(sorted(some[-1].calls.items())),
    }


def page(count: int, results: dict[str, Any]) -> str:
    """One table: the numbers of this system, and those of the others as multiples of it too."""
    own = results["this system"]
    rows = []
    for name, one in results.items():
        ratio = "" if one is own else f" ({one['seconds'] / own['seconds']:.1f} times)"
        cpu = "" if one is own else f" ({one['cpuSeconds'] / max(own['cpuSeconds'], 0.01):.1f} times)"
        calls = ", ".join(f"{call} {times}" for call, times in one["calls"].items())
        rows.append([name, f"{one['seconds']}{ratio}", f"{one['cpuSeconds']}{cpu}", str(one["mebibytes"]), calls])
    head = [f"{count} distributions", "s", "s of CPU", "MiB at most", "calls of CloudFront, ACM, IAM, Service Quotas"]
    return table(head, rows)


if __name__ == "__main__":
    main()
