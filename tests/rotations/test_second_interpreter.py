"""The state machine in a second interpreter: its behavior must not depend on the interpreter.

The first is ministack's, the second moto's, which descends from LocalStack's and shares no code with the first. moto
runs the deployed definition; functions and bucket stay in ministack, to which moto sends its invocations and reads.
It waits in real time, so these are the scenarios without long waits.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws.platform import Execution, LocalAws, client, free_port, wait_until_it_answers
from rotations.account import WRITES, Account


@dataclass
class SecondInterpreter:
    """moto with the deployed definition."""

    url: str
    machine: str = ""

    def client(self, service: str) -> Any:
        return client(service, self.url)

    def deploy(self, definition: str) -> None:
        self.machine = self.client("stepfunctions").create_state_machine(
            name="rotation", definition=definition, roleArn="arn:aws:iam::123456789012:role/rotation"
        )["stateMachineArn"]

    def start(self, request: Any, name: str) -> Execution:
        arn = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=name, input=json.dumps(request)
        )["executionArn"]
        return Execution(self, arn)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    # The second interpreter waits these seconds in real time. The short interval is allowed only with a short deadline.
    with LocalAws(propagation_seconds=0.3, wait_scale=0.1) as aws:
        aws.deploy(PollIntervalSeconds=1, DeploymentDeadlineMinutes=30)
        yield aws


@pytest.fixture(scope="module")
def second(aws: LocalAws) -> Iterator[SecondInterpreter]:
    interpreter = SecondInterpreter(f"http://127.0.0.1:{(port := free_port())}")
    # MOTO_PORT: the port at which moto expects all of AWS, and to which it sends the calls of a state.
    environment = os.environ | {"MOTO_PORT": str(aws.platform_port)}
    server = [str(Path(sys.executable).parent / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with (aws.logs / "second-interpreter.log").open("wb") as log:
        process = subprocess.Popen(server, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_it_answers(process, f"{interpreter.url}/moto-api/data.json")
        config = json.dumps({"stepfunctions": {"execute_state_machine": True}}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{interpreter.url}/moto-api/config", config)).close()
        deployed = aws.client("stepfunctions").describe_state_machine(
            stateMachineArn=aws.outputs["RotationStateMachineArn"]
        )
        interpreter.deploy(deployed["definition"])
        yield interpreter
    finally:
        process.terminate()
        process.wait()


# Each sets up the account and returns the input.


def everything_is_rotated(account: Account) -> Any:
    old = account.old()
    account.targets(old, 2)
    return {"newCertificate": account.new(), "oldCertificate": old}


def several_at_once(account: Account) -> Any:
    old = account.old()
    account.targets(old, 4)
    return {"newCertificate": account.new(), "oldCertificate": old, "concurrency": 2}


def from_iam_to_acm(account: Account) -> Any:
    old = account.old("iam")
    account.targets(old, 2)
    return {"newCertificate": account.new(), "oldCertificate": old, "store": "acm", "deleteOld": False}


def an_edit_in_between(account: Account) -> Any:
    old = account.old()
    for target in account.targets(old, 2):
        account.command(target, edit_on_read=1)
    return {"newCertificate": account.new(), "oldCertificate": old}


def an_alias_is_not_covered(account: Account) -> Any:
    old = account.old()
    account.targets(old, 1)
    return {"newCertificate": account.new("www.example.com"), "oldCertificate": old}


def the_input_is_no_object(account: Account) -> Any:
    account.targets(account.old())
    return ["tls/www"]


def the_second_target_fails(account: Account) -> Any:
    old = account.old()
    second = sorted(account.targets(old))[1]
    account.fault("UpdateDistribution", code="InvalidWebACLId", message="no such ACL", resource=second, times=9)
    return {"newCertificate": account.new(), "oldCertificate": old}


def the_second_target_fails_and_that_is_all(account: Account) -> Any:
    return the_second_target_fails(account) | {"onFailure": "stop"}


def the_old_one_is_still_used(account: Account) -> Any:
    old = account.old()
    account.targets(old, 1)
    balancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/www/0123456789abcdef"
    account.aws.control("POST", "acm/in-use", {"arn": old, "by": [balancer]})
    return {"newCertificate": account.new(), "oldCertificate": old}


def no_target_serves_it(account: Account) -> Any:
    account.targets(account.old())
    return {"newCertificate": account.new(), "oldCertificate": account.old()}


def a_dry_run(account: Account) -> Any:
    return everything_is_rotated(account) | {"dryRun": True}


@pytest.mark.parametrize(
    ("scene", "ending"),
    [
        (everything_is_rotated, "rotated"),
        (several_at_once, "rotated"),
        (from_iam_to_acm, "rotated"),
        (an_edit_in_between, "rotated"),
        (the_old_one_is_still_used, "rotated"),
        (no_target_serves_it, "nothingToDo"),
        (a_dry_run, "planned"),
        (an_alias_is_not_covered, "AliasNotCovered"),
        (the_input_is_no_object, "RequestInvalid"),
        (the_second_target_fails, "RolledBack"),
        (the_second_target_fails_and_that_is_all, "RotationIncomplete"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_both_interpreters_do_the_same(
    aws: LocalAws, second: SecondInterpreter, scene: Callable[[Account], Any], ending: str
) -> None:
    first_did, second_did = (did(aws, interpreter, scene) for interpreter in (aws, second))
    assert first_did["ending"] == ending
    assert second_did == first_did


def did(aws: LocalAws, interpreter: LocalAws | SecondInterpreter, scene: Callable[[Account], Any]) -> Any:
    """The result in the execution's output and in the account, without what is new each time."""
    aws.control("POST", "reset")
    account = Account(aws)
    given = scene(account)
    made = len(aws.state()["calls"])
    execution = interpreter.start(given, f"run-{account.number}").wait()
    output = execution.output or {}
    writes = [call for call in aws.state()["calls"][made:] if call["operation"] in WRITES]
    outcome = {
        "status": execution.status,
        "ending": output.get("outcome", execution.error),
        "cause": execution.cause.splitlines(),
        "output": output,
        "targets": {
            target: [one["certificate"], one["status"], one["versions"]]
            for target, one in account.distributions().items()
        },
        "most in progress": account.most_in_progress(),
        "certificates": list(account.certificates()),
        "writes": [f"{call['operation']} {call['resource']} {call['status']}" for call in writes],
    }
    outcome = anonymous(outcome, account, given)
    # The order of lanes is not defined.
    return outcome | {name: sorted(outcome[name]) for name in ("certificates", "writes")}


def anonymous(outcome: Any, account: Account, given: Any) -> Any:
    """Replaces ids, folders and times by what they stand for."""
    text = json.dumps(outcome)
    named = {target: f"target {n}" for n, target in enumerate(sorted(account.distributions()))}
    if isinstance(given, dict):
        named |= {given["oldCertificate"]: "the old certificate", given["newCertificate"]: "the source"}
    for name, meaning in named.items():
        text = text.replace(name, meaning)
    for pattern, meaning in (
        (r"arn:aws:acm:[0-9a-z:-]+:certificate/[0-9a-f-]{36}|ASCA[0-9A-Z]+", "another certificate"),
        (r"rotations/[^/]+/[0-9TZ]+/", "folder/"),
        (r"sha256:[0-9a-f]{64}", "a fingerprint"),
        (r"20\d\d-\d\d-\d\dT[0-9:.]+Z", "a time"),
    ):
        text = re.sub(pattern, meaning, text)
    return json.loads(text)
