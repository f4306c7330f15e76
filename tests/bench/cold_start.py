"""Cold starts: every function is started again for each step of a rotation, as Lambda does for the first event.

Measured are: the time from the start of the process until it requests its first event, the time from then to its
first response with all its calls to the local AWS, its peak memory, and the size of its package. A function in Python
with boto3 that reads one certificate from ACM is measured in the same way for comparison.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.page import measured, table, write
from local_aws.built import TEMPLATE
from local_aws.platform import ROOT, LocalAws, as_json

PACKAGES = ROOT / "target" / "lambda"
PYTHON = "in Python, with boto3"
BOTO3 = """
import json, os, sys, urllib.request
import boto3
acm = boto3.client("acm")
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
with urllib.request.urlopen(f"{api}/next") as event:
    number, arn = event.headers["Lambda-Runtime-Aws-Request-Id"], json.load(event)["arn"]
answer = json.dumps({"status": acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]})
urllib.request.urlopen(urllib.request.Request(f"{api}/{number}/response", answer.encode(), method="POST"))
sys.stdin.read()
"""


@dataclass
class Start:
    """One cold start: seconds, seconds, bytes."""

    ready: float
    answered: float
    memory: int


class Runtime:
    """Lambda's side of the Runtime API, for one start of one function. Each start needs its own, because the previous
    function polls for its next event."""

    def __init__(self, event: Any) -> None:
        self.event = json.dumps(event).encode()
        self.ready = self.answered = 0.0
        self.answer: Any = None
        self.done = threading.Event()
        self.has_asked = False
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if runtime.has_asked:
                    # The second request is not answered, as for a function without calls.
                    threading.Event().wait(60)
                    return
                runtime.has_asked, runtime.ready = True, time.perf_counter()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 900) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(runtime.event)))
                self.end_headers()
                self.wfile.write(runtime.event)

            def do_POST(self) -> None:
                runtime.answered = time.perf_counter()
                runtime.answer = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"null")
                failed = self.path.endswith("/error")
                runtime.answer = {"failed": runtime.answer} if failed else runtime.answer
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                runtime.done.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A function that has responded is killed while it polls for its next event.
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, command: list[str], environment: dict[str, str]) -> tuple[Start, Any]:
        """Starts the function for the event and ends it after its response."""
        given = environment | {"AWS_LAMBDA_RUNTIME_API": self.address}
        began = time.perf_counter()
        process = subprocess.Popen(command, env=given, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            if not self.done.wait(60):
                raise TimeoutError(f"{command} has not answered")
            memory = peak_memory(process.pid)
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
            self.server.shutdown()
            self.server.server_close()
        if isinstance(self.answer, dict) and "failed" in self.answer:
            raise RuntimeError(f"{command}: {self.answer['failed']}")
        return Start(self.ready - began, self.answered - began, memory), self.answer


def peak_memory(pid: int) -> int:
    """The peak resident memory of a process, in bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@contextmanager
def unpacked() -> Iterator[Path]:
    """The programs of the functions, unpacked as Lambda does."""
    with tempfile.TemporaryDirectory(prefix="functions-") as name:
        directory = Path(name)
        for package in sorted(PACKAGES.glob("*/bootstrap.zip")):
            with zipfile.ZipFile(package) as archive:
                archive.extractall(directory / package.parent.name)
            os.chmod(directory / package.parent.name / "bootstrap", 0o755)
        yield directory


def rotation(aws: LocalAws, number: int, call: Any) -> None:
    """One rotation of one distribution, step by step, in the order of the state machine."""
    names = (f"www{number}.example.com",)
    now = dt.datetime.now(dt.UTC)
    old = aws.put_into_store("acm", aws.intermediate.leaf(*names, not_after=now + dt.timedelta(days=20)), f"o{number}")
    new = aws.intermediate.leaf(*names, not_after=now + dt.timedelta(days=199))
    source = f"unwatched/cold-{number}"
    aws.client("secretsmanager").create_secret(Name=source, SecretString=as_json(new))
    aws.control("POST", "seed", [{"aliases": list(names), "certificate": old}])
    machine = aws.outputs["RotationStateMachineArn"].replace(":stateMachine:", ":execution:")
    execution = {"id": f"{machine}:cold-{number}", "name": f"cold-{number}", "startTime": now.isoformat()[:19] + "Z"}
    time.sleep(aws.propagation_seconds + 0.1)

    state: dict[str, Any] = {"execution": execution | {"redriveCount": 0}}
    context = {"Input": {"newCertificate": source, "oldCertificate": old}, "RedriveCount": 0}
    state["plan"] = call("plan-rotation", {"state": state, "retries": 0, "execution": context})
    state["quota"] = call("check-quota", {"state": state})
    state["newCertificate"] = call("import-certificate", {"state": state})
    plan = state["plan"]
    move = {
        "way": "forward",
        "round": 0,
        "from": plan["oldCertificate"]["id"],
        "to": state["newCertificate"]["id"],
        "fingerprint": plan["newCertificate"]["fingerprint"],
    }
    lane = json.loads(
        aws.client("s3").get_object(Bucket=plan["folder"]["bucket"], Key=plan["targets"]["waves"][0][0])["Body"].read()
    )
    child = move | {"target": lane[0], "folder": plan["folder"], "verifyViewers": True}
    child |= {field: plan[field] for field in ("pollSeconds", "onFailure", "putBack")}
    child["oldFingerprint"] = plan["oldCertificate"]["fingerprint"]
    child["before"] = call("verify-viewers", {"state": child})
    child["update"] = call("update-distribution", {"state": child})
    time.sleep(aws.propagation_seconds + 0.2)
    child["deployment"] = call("poll-deployment", {"state": child})
    child["verification"] = call("verify-viewers", {"state": child})
    call("record-target", {"state": child})
    state["move"] = move | {"waves": plan["targets"]["waves"]}
    state["review"] = call("review-targets", {"state": state})
    state["deletion"] = call("delete-certificate", {"state": state})
    call("report-rotation", {"state": state, "execution": context})
    call("start-rotation", {"look": "all", "dryRun": True})


def measure(aws: LocalAws, rounds: int) -> dict[str, list[Start]]:
    """Every function, started again for each step of this many rotations; under PYTHON the one in Python."""
    starts: dict[str, list[Start]] = {}
    functions = aws.client("lambda").list_functions(MaxItems=50)["Functions"]
    with unpacked() as programs:

        def call(name: str, event: Any) -> Any:
            words = "".join(word.capitalize() for word in name.split("-"))
            [own] = [one for one in functions if f"-{words}Function" in one["FunctionName"]]
            environment = aws.functions_environment | own["Environment"]["Variables"]
            environment |= {"AWS_LAMBDA_FUNCTION_NAME": own["FunctionName"], "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}
            environment |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "g"}
            environment |= {"AWS_LAMBDA_LOG_STREAM_NAME": "s"}
            start, answer = Runtime(event).start([str(programs / name / "bootstrap")], environment)
            starts.setdefault(name, []).append(start)
            return answer

        for number in range(rounds):
            rotation(aws, number, call)
            arn = aws.put_into_store("acm", aws.intermediate.leaf("www.example.org"), f"other-{number}")
            start, _ = Runtime({"arn": arn}).start([sys.executable, "-c", BOTO3], aws.functions_environment)
            starts.setdefault(PYTHON, []).append(start)
    return starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    options = parser.parse_args()
    with LocalAws(propagation_seconds=0.05) as aws:
        aws.deploy(TEMPLATE)
        starts = measure(aws, options.rounds)
    rows = []
    for name, some in sorted(starts.items(), key=lambda one: (one[0] == PYTHON, one[0])):
        package = PACKAGES / name / "bootstrap.zip"
        size = f"{package.stat().st_size / 2**20:.2f}" if package.exists() else "–"
        ready = statistics.median(one.ready for one in some) * 1000
        answered = statistics.median(one.answered for one in some) * 1000
        memory = max(one.memory for one in some) / 2**20
        shown = name if name == PYTHON else f"`{name}`"
        rows.append([shown, f"{ready:.1f}", f"{answered:.1f}", f"{memory:.1f}", size])
    head = ["function", "ms to its first event", "ms to its first response", "MiB at most", "MiB zipped"]
    made = measured(table(head, rows))
    if options.write:
        write("cold starts", made)
    else:
        print(made)


if __name__ == "__main__":
    main()
