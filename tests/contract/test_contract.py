"""State machine, template and code must agree on names, errors, settings and permissions.

Nothing is deployed here; the tests of whole rotations do that.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "statemachine/rotation.asl.json"
TEMPLATE = ROOT / "infra/template.yaml"
STEPS = ROOT / "crates/steps/src"

MACHINE = json.loads(DEFINITION.read_text())
STACK = cfn_yaml.load(str(TEMPLATE))
RESOURCES = STACK["Resources"]

# Prefixes of AWS's error names, for errors outside the step's own code.
RESERVED = ("States.", "Lambda.", "Runtime.", "Sandbox.")

# Lambda cannot run the function at the moment: service exceptions ("Handle transient Lambda service exceptions"), the
# account's concurrency is used up, the function is being updated or initialized.
LAMBDA_IS_OUT = {
    *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
    *("Lambda.ClientExecutionTimeoutException", "Lambda.TooManyRequestsException"),
    *("Lambda.ResourceConflictException", "Lambda.ResourceNotReadyException"),
}
# The function's process ended or timed out. Runtime.ExitError was recorded; Runtime.OutOfMemory and Sandbox.Timedout
# are in many published logs; the others are assumed to have these names.
DIED = {
    *("Lambda.Unknown", "Runtime.ExitError", "Runtime.OutOfMemory", "Runtime.InvalidEntrypoint", "Runtime.Unknown"),
    *("Sandbox.Failure", "Sandbox.Timedout", "States.Timeout"),
}

# Step errors that the state machine does not distinguish: a retry cannot help, and the general Catch of the state ends
# or halts the rotation.
NOT_RETRIED = {"AccessDenied", "DeploymentStalled", "Internal", "Refused"}

# Its failures are caught by name, so that the execution can fail in this state with an ending.
LAST_STEP = "ReportRotation"

# Functions that run a second time, in another state with the same input, which includes the result of the first time.
AGAIN = {"ReportNotWritten": LAST_STEP, "AssumeQuota": "CheckQuota"}

# States that run the function of another state with their own input.
BORROWED = {"SurveyViewers": "VerifyViewers"}

# A failure here fails the execution, or the child of the Map, and is not caught: a redrive continues here.
NOT_CAUGHT = {"RecordTarget", "ReportNotWritten"}

# Documented for callers, who match on these names.
ENDINGS = {
    "RequestInvalid",
    "SourceUnreadable",
    "CertificateNotFound",
    "CertificateInvalid",
    "AliasNotCovered",
    "TargetNotRotatable",
    "QuotaDenied",
    "AlreadyRunning",
    "RolledBack",
    "RotationIncomplete",
}


# --- The state machine


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, including those inside Maps."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


STATES = list(states(MACHINE))
ALL_TASKS = {name: state for name, state in STATES if state["Type"] == "Task"}
TASKS = {name: state for name, state in ALL_TASKS.items() if name not in AGAIN | BORROWED}


def retries() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in STATES:
        for retry in state.get("Retry", []):
            yield name, retry


def test_the_definition_is_valid():
    run(str(ROOT / "tests/node_modules/.bin/asl-validator"), "--json-path", str(DEFINITION))


def test_state_names_are_unique():
    names = [name for name, _ in STATES]
    assert sorted(names) == sorted(set(names))


def test_every_state_has_a_comment():
    assert [name for name, state in STATES if not state.get("Comment")] == []


def test_every_task_has_a_time_limit_and_a_general_catch():
    assert TASKS
    for name, task in ALL_TASKS.items():
        # With a shorter limit, the function would still be running when the next attempt begins.
        assert task["TimeoutSeconds"] >= function((AGAIN | BORROWED).get(name, name))["Timeout"], name
        if name in NOT_CAUGHT:
            assert "Catch" not in task, name
        elif name != LAST_STEP:
            assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


def test_the_last_step_catches_everything_but_the_endings():
    [catch] = TASKS[LAST_STEP]["Catch"]
    caught = set(catch["ErrorEquals"])
    assert caught == {error for retry in TASKS[LAST_STEP]["Retry"] for error in retry["ErrorEquals"]} | (
        NOT_RETRIED - {"DeploymentStalled"}
    )
    assert caught >= LAMBDA_IS_OUT | DIED
    assert catch["Next"] == "ReportNotWritten"


def test_a_second_run_gets_the_same_input():
    for name, first in AGAIN.items():
        for field in ("Resource", "TimeoutSeconds", "Parameters", "ResultPath", "Next"):
            assert ALL_TASKS[name][field] == TASKS[first][field], (name, field)
        assert name in [catch["Next"] for catch in TASKS[first]["Catch"]]


def test_lanes_end_before_the_targets_are_reviewed():
    """When a Map fails, functions that its lanes have called are still running."""
    [catch] = dict(STATES)["RotateTargets"]["Catch"]
    wait = dict(STATES)[catch["Next"]]
    assert (wait["Type"], wait["Next"]) == ("Wait", "ReviewTargets")
    assert wait["Seconds"] >= TASKS["UpdateDistribution"]["TimeoutSeconds"]


def test_every_task_gets_its_number_of_retries():
    for name, task in TASKS.items():
        given = {"state.$": "$", "retries.$": "$$.State.RetryCount"}
        if name in ("PlanRotation", LAST_STEP):
            given["execution.$"] = "$$.Execution"
        assert task["Parameters"] == given, name


def test_no_retry_matches_every_error():
    for name, retry in retries():
        assert not {"States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"]), name


EVERYWHERE = None
# With the report not written, the last step calls neither S3 nor any other service.
ASKS_NOBODY = "ReportNotWritten"
HOUR = 3600
# Which errors have the same Retry, in which states, and for how long at least. A minimum is a promise, so there is no
# jitter: with full jitter every pause may be as short as zero. All others have jitter, so that lanes do not retry all
# at once.
POLICY = [
    ({"Throttled"} | LAMBDA_IS_OUT, EVERYWHERE, None),
    ({"Unavailable"}, EVERYWHERE, None),
    (DIED, EVERYWHERE, None),
    ({"Throttled", "Unavailable"}, {"CheckQuota"}, None),
    (LAMBDA_IS_OUT, {"CheckQuota"}, None),
    # Every attempt gets a few of a hundred pages further.
    ({"Throttled"}, {"ReviewTargets"}, 2 * HOUR),
    ({"Unavailable"} | LAMBDA_IS_OUT | DIED, {"ReviewTargets"}, 2 * HOUR),
    (LAMBDA_IS_OUT | DIED, {"ReportNotWritten"}, 6 * HOUR),
    ({"Unfinished"}, {"PlanRotation", "ReviewTargets", "DeleteCertificate"}, None),
    ({"TargetChanged"}, {"UpdateDistribution"}, None),
    # Terraform retries for a minute, and users still get the error.
    ({"CertificateNotAccepted"}, {"UpdateDistribution"}, 180),
    ({"CertificateChangeInProgress"}, {"UpdateDistribution"}, HOUR),
    ({"WrongCertificateServed", "EdgeUnreachable"}, {"VerifyViewers"}, 600),
    ({"CertificateInUse"}, {"DeleteCertificate"}, HOUR),
]


def pauses(retry: dict[str, Any]) -> list[float]:
    """The longest pauses, in seconds."""
    longest = [retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"])]
    return [min(pause, retry["MaxDelaySeconds"]) for pause in longest]


def patience(retry: dict[str, Any]) -> tuple[float, float, float]:
    """How many seconds it retries: at least, almost certainly, at most.

    With full jitter each pause is between zero and its longest. The sum is below `almost certainly` less than once in
    a million times (Hoeffding's inequality).
    """
    longest = pauses(retry)
    most = sum(longest)
    if retry["JitterStrategy"] == "NONE":
        return most, most, most
    assert retry["JitterStrategy"] == "FULL"
    doubt = math.sqrt(math.log(1e6) * sum(pause**2 for pause in longest) / 2)
    return 0, max(0, most / 2 - doubt), most


def spoken(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 3:
        return f"{round(seconds)} s" if seconds else "–"
    return f"{minutes // 60} h {minutes % 60:02}" if minutes >= 60 else f"{minutes} min"


def policy(errors: set[str]) -> list[tuple[set[str], dict[str, Any]]]:
    """The Retry of these errors, and the states that have it."""
    found: list[tuple[set[str], dict[str, Any]]] = []
    for name, retry in retries():
        if set(retry["ErrorEquals"]) == errors:
            rest = {key: value for key, value in retry.items() if key != "ErrorEquals"}
            alike = [where for where, other in found if other == rest]
            if alike:
                alike[0].add(name)
            else:
                found.append(({name}, rest))
    return found


def test_every_retry_is_one_of_the_policy():
    elsewhere = [(errors, states) for errors, states, _ in POLICY if states]
    for errors, states, least in POLICY:
        if states is EVERYWHERE:
            # Except where another line has one of these errors, or where no call is made that could return it.
            states = {name for name in ALL_TASKS if not any(errors & other and name in at for other, at in elsewhere)}
            states -= set() if errors & (LAMBDA_IS_OUT | DIED) else {ASKS_NOBODY}
        matching = [retry for where, retry in policy(errors) if where == states]
        assert matching, f"{sorted(errors)} should be retried alike in {sorted(states)}: {policy(errors)}"
        at_least, all_but_surely, _ = patience(matching[0])
        assert (matching[0]["JitterStrategy"] == "NONE") == (least is not None), errors
        assert at_least >= (least or 0), errors
        if "Lambda.TooManyRequestsException" in errors:
            assert all_but_surely >= 600, "ten minutes without Lambda end nothing"
    # And nothing else is retried.
    known = [errors for errors, _, _ in POLICY]
    assert [(name, retry) for name, retry in retries() if set(retry["ErrorEquals"]) not in known] == []


def test_transient_errors_are_retried_in_every_state():
    for name, task in ALL_TASKS.items():
        retried = [error for retry in task["Retry"] for error in retry["ErrorEquals"]]
        assert len(retried) == len(set(retried)), name
        passes = LAMBDA_IS_OUT | DIED
        assert set(retried) >= (passes if name == ASKS_NOBODY else passes | {"Throttled", "Unavailable"}), name
        # Three events each, of the 25,000 that an execution's history may have.
        assert sum(retry["MaxAttempts"] for retry in task["Retry"]) * 3 < 1_000, name


def test_the_architecture_has_the_times_of_all_retries():
    rows = []
    for errors, states, _ in POLICY:
        [(_, retry)] = [one for one in policy(errors) if states is None or one[0] == states]
        own = sorted(error for error in errors if not error.startswith(RESERVED))
        named = [f"`{error}`" for error in own]
        named += ["Lambda unavailable"] if errors >= LAMBDA_IS_OUT else []
        named += ["a process died"] if errors >= DIED else []
        where = ", ".join(f"`{name}`" for name in sorted(states)) if states else "everywhere else"
        durations = " | ".join(map(spoken, patience(retry)))
        rows.append(f"| {', '.join(named)} | {where} | {retry['MaxAttempts']} times | {durations} |")
    text = (ROOT / "ARCHITECTURE.md").read_text()
    missing = [row for row in rows if row not in text]
    assert missing == [], "in ARCHITECTURE.md there should be:\n" + "\n".join(rows)


def test_every_failed_state_can_be_redriven():
    """The table in ARCHITECTURE.md says for every state what follows a failure."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    _, _, table = text.partition("| state | what may fail | then | a redrive |")
    lines = table.split("\n\n")[0].strip().splitlines()[1:]
    rows = {name: line.split(" | ") for line in lines for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert sorted(rows) == sorted(name for name, _ in STATES)
    for name, state in STATES:
        then = rows[name][2]
        general = [catch["Next"] for catch in state.get("Catch", []) if catch["ErrorEquals"] == ["States.ALL"]]
        assert re.findall(r"^caught: `(\w+)`", then) == general, name
        # A Fail state fails again at every redrive.
        assert state["Type"] != "Fail", name
        # So does a Choice that matches nothing and has no Default.
        assert state["Type"] != "Choice" or state["Default"], name
        ends = state["Type"] != "Succeed" and not general
        assert then.startswith("ends the ") == ends, name


# --- One name, four spellings


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def snake(name: str) -> str:
    return kebab(name).replace("-", "_")


def pascal(name: str) -> str:
    return "".join(word.capitalize() for word in re.split("[-_]", name))


def module(name: str) -> str:
    return (STEPS / f"{snake(name)}.rs").read_text()


FUNCTIONS = {
    name.removesuffix("Function")
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}


# Starts executions; it is not a step of the state machine.
STARTS = "StartRotation"


def function(name: str) -> dict[str, Any]:
    return RESOURCES[f"{name}Function"]["Properties"]


def test_states_functions_binaries_and_modules_have_one_name():
    binaries = {pascal(path.stem) for path in (STEPS / "bin").glob("*.rs")}
    entry = re.compile(r"pub async fn (step|handle)\(")
    modules = {pascal(path.stem) for path in STEPS.glob("*.rs") if entry.search(path.read_text())}
    assert set(TASKS) == FUNCTIONS - {STARTS}
    assert binaries == FUNCTIONS
    assert modules == FUNCTIONS


def test_every_function_runs_the_step_of_its_name():
    for name, task in TASKS.items():
        assert task["Resource"] == f"${{{name}Function}}"
        assert function(name)["CodeUri"] == f"../target/lambda/{kebab(name)}/bootstrap.zip"
        assert f"run({snake(name)}::step, |aws| {{" in (STEPS / f"bin/{kebab(name)}.rs").read_text()
    assert f"serve({snake(STARTS)}::handle, |aws| {{" in (STEPS / f"bin/{kebab(STARTS)}.rs").read_text()


def test_borrowed_functions():
    for name, owner in BORROWED.items():
        assert ALL_TASKS[name]["Resource"] == TASKS[owner]["Resource"], name


def test_every_substitution_exists_and_is_used():
    used = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))
    given = RESOURCES["RotationStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert set(given) == used
    for name, value in given.items():
        assert value == {"Fn::Sub": f"${{{name}.Arn}}"}


# --- Errors


CORE = ROOT / "crates/core/src"


def names_in(path: Path, type: str) -> set[str]:
    """The strings that `fn name` of this type returns."""
    body = re.search(rf"^impl {type} {{.*?fn name\(.*?\n    }}\n", path.read_text(), re.DOTALL | re.MULTILINE)
    assert body, f"{type} has no fn name in {path}"
    return set(re.findall(r'"(\w+)"', body[0].partition("fn name(")[2]))


def test_the_state_machine_and_the_steps_have_the_same_errors():
    handlers = [handler for _, state in STATES for handler in state.get("Retry", []) + state.get("Catch", [])]
    handled = {error for handler in handlers for error in handler["ErrorEquals"]}
    told_apart = {error for error in handled if not error.startswith(RESERVED)}
    assert not {error for _, retry in retries() for error in retry["ErrorEquals"]} & NOT_RETRIED
    assert told_apart | NOT_RETRIED == names_in(CORE / "failure.rs", "StepErrorName")


def test_executions_end_with_the_names_of_the_contract():
    assert names_in(CORE / "failure.rs", "Ending") == ENDINGS
    # No Retry has the name of an ending.
    assert not ENDINGS & {error for _, retry in retries() for error in retry["ErrorEquals"]}


def section(title: str) -> set[str]:
    """The headings in one section of the runbook."""
    text = (ROOT / "docs/runbook.md").read_text()
    body = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert body, title
    return set(re.findall(r"^### (.+)$", body[1], re.MULTILINE))


def test_the_runbook_has_a_heading_for_every_ending_step_error_alarm_and_notice():
    alarms = {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert section("Endings") == ENDINGS
    assert section("Alarms") == alarms
    assert section("Notices") == names_in(CORE / "automation/notice.rs", "Kind")
    named = {name for heading in section("Step errors") for name in heading.split(", ")}
    assert {name for name in named if not name.startswith(RESERVED)} == names_in(CORE / "failure.rs", "StepErrorName")
    # Descriptions of alarms refer to the runbook.
    for name in alarms:
        assert f"See docs/runbook.md, {name}." in str(RESOURCES[name]["Properties"]["AlarmDescription"]), name


def test_the_runbook_has_a_heading_for_every_outcome_and_status():
    names = set(re.findall(r'=> \("(\w+)",', (CORE / "ending/conclude.rs").read_text()))
    assert names == {"rotated", "nothingToDo", "planned"}
    # The other statuses of executions: SUCCEEDED has outcomes and FAILED has endings.
    names |= {"TIMED_OUT", "ABORTED"}
    headings = {name for heading in section("Outcomes and states") for name in re.split(r"[ ,]+", heading)}
    assert names - headings == set()


# --- The template


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_deployment_of_the_packaged_template_names_a_bucket():
    """It may be larger than 51,200 bytes, which is all that a request takes (AWS CloudFormation quotas)."""
    commands = [
        command
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for command in re.sub(r"\\\n", " ", block).splitlines()
        if "cloudformation deploy" in command and "packaged.yaml" in command
    ]
    assert len(commands) >= 2
    for command in commands:
        assert "--s3-bucket YOUR-ARTIFACT-BUCKET" in command, command


def test_the_template_is_valid():
    run(str(Path(sys.executable).parent / "cfn-lint"), str(TEMPLATE))


def test_every_parameter_has_a_default_and_is_used():
    text = TEMPLATE.read_text()
    for name, parameter in STACK["Parameters"].items():
        assert parameter["Description"], name
        assert "Default" in parameter, name
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), name


def test_functions_get_exactly_the_settings_that_their_code_reads():
    # Variable and field: the doc comment of each field of Settings begins with its variable.
    documented = re.compile(r"/// `(\w+)`(?: and `(\w+)`)?:[^\n]*(?:\n\s*///[^\n]*)*\n\s*pub (\w+):")
    found = documented.findall((STEPS / "lambda/context.rs").read_text())
    settings = {variable: field for *variables, field in found for variable in variables if variable}
    # Not in the template: further roots are set from outside.
    assert settings.pop("SSL_CERT_FILE")
    # Neither is the address of the edges: viewers get it from DNS.
    assert settings.pop("VIEWER_EDGE")
    for name in FUNCTIONS:
        given = set(function(name).get("Environment", {}).get("Variables", {}))
        code = module(name)
        # Modules that read settings for the modules that use them.
        code += "".join(
            (STEPS / f"account/{used}.rs").read_text()
            for used in ("claim", "notify", "roots")
            if f"use crate::account::{used}::" in code
            or (used == "roots" and "use crate::account::examination::" in code)
        )
        code += "settings.stack" if "measure_stack(" in code else ""
        assert given == {variable for variable, field in settings.items() if f"settings.{field}" in code}, name


def test_the_template_has_no_endpoint():
    # Except the addresses of subscribers to notices.
    text = re.sub(r"Endpoint: !Ref Notice\w+", "", TEMPLATE.read_text())
    assert "endpoint" not in text.lower()


# These have no tags; roles, their policy and log groups are identified by the stack's name, because the template has no
# room for more.
UNTAGGED = {
    *("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::Logs::LogGroup"),
    *("AWS::CloudWatch::Dashboard", "AWS::IAM::Policy", "AWS::S3::BucketPolicy"),
    *("AWS::SNS::Subscription", "AWS::SQS::QueuePolicy"),
}


def test_everything_that_takes_tags_is_tagged():
    for name, resource in RESOURCES.items():
        if resource["Type"] in UNTAGGED:
            continue
        defaults = STACK["Globals"]["Function"] if resource["Type"] == "AWS::Serverless::Function" else {}
        tags = (defaults | resource["Properties"])["Tags"]
        if isinstance(tags, list):
            tags = {tag["Key"]: tag["Value"] for tag in tags}
        assert tags["application"] == "cloudfront-certificate-rotation", name


def test_alarms_and_dashboard_use_existing_metrics():
    code = "".join(path.read_text() for path in STEPS.glob("*.rs"))
    measured = set(re.findall(r'\(\s*"(\w+)",\s*Unit::', code))
    [namespace] = re.findall(r'NAMESPACE: &str = "(\w+)"', (CORE / "metrics.rs").read_text())
    body = json.loads(
        re.sub(r"\$\{[^}]+\}", "x", RESOURCES["RotationDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    )
    shown = set()
    for widget in body["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], dict):
                # A search: every certificate.
                assert f"{{{namespace},CertificateArn}}" in metric[0]["expression"]
                shown |= set(re.findall(r"\} (\w+)", metric[0]["expression"]))
            else:
                assert metric[0] in (namespace, ".")
                shown.add(metric[1])
    alarms = {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    shown |= {alarm["MetricName"] for alarm in alarms.values() if alarm["Namespace"] == namespace}
    # Every metric is shown, and every metric shown is published.
    assert shown == measured
    listed = str(RESOURCES["RotationDashboard"]["Properties"]["DashboardBody"])
    for name, alarm in alarms.items():
        assert f"${{{name}.Arn}}" in listed, name
        assert alarm["AlarmActions"] == [{"Ref": "NoticeTopic"}], name


# --- Permissions


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def documents(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if resource["Type"] == "AWS::IAM::Role":
        for policy in resource["Properties"]["Policies"]:
            yield policy["PolicyDocument"]
    if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        yield resource["Properties"]["PolicyDocument"]


def statements(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for document in documents(resource):
        for statement in document["Statement"]:
            # Under a condition: present or not.
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def attached(role: dict[str, Any]) -> list[str]:
    """The managed policies of a role, those under a condition included."""
    arns = role["Properties"].get("ManagedPolicyArns", [])
    return [(one["Fn::If"][1] if "Fn::If" in one else one)["Ref"] for one in arns]


def holders(name: str, resource: dict[str, Any]) -> list[str]:
    """The roles that a policy applies to; for a role, the role itself."""
    if resource["Type"] == "AWS::IAM::ManagedPolicy":
        return [role for role, one in RESOURCES.items() if name in attached(one)]
    return [role["Ref"] for role in resource["Properties"]["Roles"]] if "Roles" in resource["Properties"] else [name]


# Name of the role, action, resources.
GRANTS = [
    (role, action, listed(statement["Resource"]))
    for name, resource in RESOURCES.items()
    for statement in statements(resource)
    for action in listed(statement["Action"])
    for role in holders(name, resource)
]


def test_every_function_has_a_role_and_a_log_group_of_its_own():
    for name in FUNCTIONS:
        assert function(name)["Role"] == {"Fn::Sub": f"${{{name}Role.Arn}}"}
        assert function(name)["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}Logs"}
    roles = {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::IAM::Role"}
    others = {"RotationStateMachineRole", "StartRotationFunctionDailyLookRole"}
    assert roles == {f"{name}Role" for name in FUNCTIONS} | others
    # No managed policies of AWS, which may later allow more.
    for role in roles - others:
        vpc = [] if role == "VerifyViewersRole" else ["VpcPolicy"]
        assert attached(RESOURCES[role]) == ["TracingPolicy", *vpc], role


# "You must add the asterisk": "Set up IAM permissions and roles for Lambda@Edge" in the CloudFront Developer Guide.
WITH_ASTERISK = {"lambda:EnableReplication*", "lambda:DisableReplication*"}


def test_no_action_is_a_wildcard():
    assert {action for _, action, _ in GRANTS if re.search(r"[*?]", action)} == WITH_ASTERISK


# The calls of each step, written by the tests in Rust.
CALLS = ROOT / "crates/steps/tests/it/steps/calls.txt"


def test_clients_are_made_before_the_first_event():
    """Clients of all services that a function calls, except those of sources and notices, which few events need."""
    later = {"secretsmanager", "ssm", "sns", "events"}
    for name in FUNCTIONS:
        lines = [line.split(" ") for line in CALLS.read_text().splitlines()]
        called = {call.partition(":")[0] for step, call, *_ in lines if step == kebab(name)} - later
        made = set(re.findall(r"aws\.(\w+)\(\);", (STEPS / "bin" / f"{kebab(name)}.rs").read_text()))
        assert {{"quotas": "servicequotas", "tagging": "tag"}.get(one, one) for one in made} == called, name


def test_the_stack_says_the_version_of_the_workspace():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    assert STACK["Outputs"]["Version"]["Value"] == workspace["package"]["version"]
