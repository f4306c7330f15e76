"""The same rotation by this system and by tools in use today, on the same local AWS, in the same run.

`python -m bench.side_by_side 10 100 1000` is part of `make bench`, and writes a table for each number of distributions
into docs/performance.md. The wall time is that of one rotation, in order: import, update of every distribution and
(with tools that wait) its deployment, deletion of the old certificate. CPU and memory are those of the tool, not of the
local AWS: the script and its children, or the functions of this system.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.cold_start import peak_memory
from bench.page import PAGE, measured, table, write
from local_aws.built import TEMPLATE
from local_aws.pki import Leaf
from local_aws.platform import ROOT, LocalAws, as_json

HERE = Path(__file__).parent / "contenders"
INSTALLED = ROOT / ".local" / "contenders"
# Zero: the waiters of boto3 and the CLI poll at once and then every 60 seconds, which would dominate the result.
PROPAGATION = 0.0
# From this number on one round, and only the tools that do not start a program for each distribution.
MANY = 1000
IAM_SERVER_CERTIFICATES = "L-BF35879D"


@dataclass
class Scene:
    """An account that serves the old certificate everywhere, and the files that the authority has sent."""

    store: str
    old: str
    leaf: Leaf
    targets: list[str]
    directory: Path
    number: int


@dataclass
class Ran:
    """The result of a rotation."""

    seconds: float
    cpu_seconds: float
    memory: int
    code: int
    said: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    noticed: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Contender:
    """A tool: how it runs, which store it uses, and whether it starts a program for each distribution."""

    run: Callable[[LocalAws, Scene], Ran]
    store: str = "acm"
    starts_each: bool = False
    is_this: bool = False


def scene(aws: LocalAws, store: str, count: int, names: Iterable[str] | None = None, number: int = 0) -> Scene:
    """A new account in which a certificate stays in use until no distribution that served it is in progress."""
    aws.control("POST", "reset")
    # Some tools upload a certificate for each distribution.
    quotas = {IAM_SERVER_CERTIFICATES: max(20, count + 2)}
    aws.control("POST", "settings", {"in_use_lag_seconds": aws.propagation_seconds, "quotas": quotas})
    now = dt.datetime.now(dt.UTC)
    domain = ("*.example.com",)
    old = put(aws, store, aws.intermediate.leaf(*domain, not_after=now + dt.timedelta(days=20)))
    leaf = aws.intermediate.leaf(*(names or domain), not_after=now + dt.timedelta(days=199))
    wanted = [{"aliases": [f"site{n}.example.com"], "certificate": old} for n in range(count)]
    targets = aws.control("POST", "seed", wanted)["ids"]
    directory = aws.directory / f"authority-{number}"
    directory.mkdir(exist_ok=True)
    for name, pem in (("certificate", leaf.certificate_pem), ("key", leaf.key_pem), ("chain", leaf.chain_pem)):
        (directory / f"{name}.pem").write_text(pem)
    time.sleep(aws.propagation_seconds + 0.2)
    return Scene(store, old, leaf, targets, directory, number)


def put(aws: LocalAws, store: str, leaf: Leaf) -> str:
    """The old certificate; in IAM with the path and name that certbot-s3front uses."""
    if store == "acm":
        return aws.put_into_store(store, leaf, "old")
    uploaded = aws.client("iam").upload_server_certificate(
        Path="/cloudfront/letsencrypt/",
        ServerCertificateName="le-example.com-1",
        CertificateBody=leaf.certificate_pem,
        PrivateKey=leaf.key_pem,
        CertificateChain=leaf.chain_pem,
    )
    return str(uploaded["ServerCertificateMetadata"]["ServerCertificateId"])


def by_script(*command: str | Path, programs: Path = Path(sys.executable).parent) -> Callable[[LocalAws, Scene], Ran]:
    """A contender that is a program with the arguments OLD CERTIFICATE KEY CHAIN; `programs` is its bin directory."""

    def run(aws: LocalAws, scene: Scene) -> Ran:
        files = [str(scene.directory / f"{name}.pem") for name in ("certificate", "key", "chain")]
        environment = aws.environment | {"PATH": f"{programs}:{os.environ['PATH']}"}
        environment |= {"AWS_ENDPOINT_URL_STS": aws.services, "DISTRIBUTIONS": " ".join(scene.targets)}
        said = scene.directory / "said"
        with said.open("w") as output:
            ran = launch(scene.directory / "used", [*map(str, command), scene.old, *files], environment, output)
        ran.said = said.read_text()
        return ran

    return run


def launch(result: Path, command: list[str], environment: dict[str, str], output: Any = None) -> Ran:
    """Runs a program and measures it with all its children, since all of them use the machine."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).parent / "launcher.py"), str(result)]
    subprocess.run([*launcher, *command], env=environment, stdout=output, stderr=subprocess.STDOUT, check=True)
    seconds, cpu, memory, code = result.read_text().split()
    return Ran(float(seconds), float(cpu), int(memory) * 1024, int(code))


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
    """The CPU seconds of all running functions, and the highest peak memory among them."""
    seconds, memory = 0.0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "exe")).name != "bootstrap":
                continue
            if str(aws.platform_port) not in (process / "environ").read_text():
                continue
            pid = int(process.name)
            # The process's own clock, numbered as by clock_getcpuclockid(3): /proc counts in hundredths of a second.
            seconds += time.clock_gettime((~pid << 3) | 2)
            memory = max(memory, peak_memory(pid))
        except OSError:
            continue
    return seconds, memory


THIS, THIS_IAM, AT_ONCE = "this system", "this system, IAM", "this system, 40 at once"
CONTENDERS = {
    THIS: Contender(by_this, is_this=True),
    AT_ONCE: Contender(partial(by_this, concurrency=40), is_this=True),
    THIS_IAM: Contender(by_this, "iam", is_this=True),
    "boto3 script": Contender(by_script("python", HERE / "rotate_with_boto3.py")),
    "AWS CLI and jq": Contender(by_script("bash", HERE / "rotate_with_cli.sh"), starts_each=True),
    "certbot-s3front": Contender(
        by_script("bash", HERE / "rotate_with_certbot_s3front.sh", programs=INSTALLED / "certbot-s3front" / "bin"),
        "iam",
        starts_each=True,
    ),
    "Lemur": Contender(by_script("python", HERE / "rotate_with_lemur.py", programs=INSTALLED / "lemur" / "bin"), "iam"),
}


def noticed(state: Any, propagation: dict[str, float]) -> list[float]:
    """How long after each distribution became Deployed it was first read, if at all."""
    late = []
    for target in state["distributions"]:
        deployed = target["history"][-1]["time"] + propagation[target["id"]]
        looks = [
            call["time"] - deployed
            for call in state["calls"]
            if call["operation"] == "GetDistribution" and call["resource"] == target["id"] and call["time"] >= deployed
        ]
        late += looks[:1]
    return late


def measure(aws: LocalAws, name: str, count: int, number: int) -> Ran:
    """One rotation; it must have completed."""
    contender = CONTENDERS[name]
    one = scene(aws, contender.store, count, number=number)
    before = len(aws.state()["calls"])
    ran = contender.run(aws, one)
    state = aws.state()
    ran.calls = Counter(call["operation"] for call in state["calls"][before:])
    ran.noticed = noticed(state, dict.fromkeys(one.targets, aws.propagation_seconds))
    new = {target["certificate"] for target in state["distributions"]}
    assert ran.code == 0 and one.old not in new, (name, count, ran)
    return ran


def in_parallel(module: str, *arguments: tuple[str, ...]) -> list[Any]:
    """The JSON that a module prints for each of these, each in a process with a separate local AWS."""
    command = [sys.executable, "-m", module]
    running = [subprocess.Popen([*command, *one], stdout=subprocess.PIPE, text=True) for one in arguments]
    said = [process.communicate()[0] for process in running]
    assert not any(process.returncode for process in running), said
    return [json.loads(one) for one in said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3, help=f"from {MANY} distributions on it is one")
    parser.add_argument("--all", action="store_true", help=f"{MANY} distributions also by those that take long")
    options = parser.parse_args()
    assert shutil.which("jq"), "the contender with the AWS CLI needs jq"
    # The CPU seconds of a function that has ended would be lost.
    os.environ["LAMBDA_WARM_TTL_SECONDS"] = "7200"
    with LocalAws(propagation_seconds=PROPAGATION, wait_scale=0.001) as aws:
        aws.deploy(TEMPLATE, PollIntervalSeconds=1, DeploymentDeadlineMinutes=30)
        number = 0
        for count in options.counts:
            names = [
                name
                for name, one in CONTENDERS.items()
                if name != THIS_IAM and (options.all or count < MANY or not one.starts_each)
            ]
            ran: dict[str, list[Ran]] = {name: [] for name in names}
            for _ in range(options.rounds if count < MANY else 1):
                for name in names:
                    number += 1
                    ran[name].append(measure(aws, name, count, number))
            made = measured(page(count, ran))
            # Numbers that are not on the page are only printed.
            if f"<!-- {count} distributions -->" in PAGE.read_text():
                write(f"{count} distributions", made)
            else:
                print(made)


def page(count: int, ran: dict[str, list[Ran]]) -> str:
    """Medians, with those of other tools as multiples of this system's; folded, the calls of the last round."""
    rows = []
    own: dict[str, float] = {}

    def cell(kind: str, value: float, digits: int = 2) -> str:
        of_this = own.setdefault(kind, value)
        ratio = value / of_this
        return f"{value:.{digits}f}" + (f" ({ratio:.{1 if ratio >= 1 else 2}f}×)" if rows else "")

    for name, some in ran.items():
        seconds = statistics.median(one.seconds for one in some)
        cpu = statistics.median(one.cpu_seconds for one in some)
        late = [one for ran in some for one in ran.noticed]
        rows.append(
            [
                name,
                cell("seconds", seconds),
                cell("CPU", cpu),
                f"{cpu / count * 1000:.0f}",
                cell("memory", max(one.memory for one in some) / 2**20, 1),
                f"{statistics.median(late) * 1000:.0f}" if late else "never polls",
                str(some[-1].calls.total()),
            ]
        )
    head = [
        f"{count} distributions",
        "s",
        "s of CPU",
        "ms of CPU each",
        "MiB at most",
        "ms from Deployed to noticing",
        "calls",
    ]
    calls = {name: some[-1].calls for name, some in ran.items()}
    operations = sorted(set().union(*calls.values()))
    each = [[operation, *(str(one[operation] or "") for one in calls.values())] for operation in operations]
    folded = "<details><summary>Calls of CloudFront, ACM, IAM and Service Quotas</summary>"
    return f"{table(head, rows)}\n{folded}\n\n{table(('operation', *calls), each)}\n</details>\n"


if __name__ == "__main__":
    main()
