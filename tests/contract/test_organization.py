"""Each parameter for an organization's rules reaches every resource that it concerns, SAM's own included.

By type of resource, so that a new role, log group, bucket, queue, topic or function that forgets one is found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.policies import Question, decided
from contract.test_deployable import SCHEMAS, changed, listed, starter
from contract.test_rights import CALLS, OWN_KEY, OWN_KEY_POLICY, RULES
from contract.translated import ACCOUNT, ORGANIZATION, REGION, Translated, translate

ROOT = Path(__file__).resolve().parents[2]
EMAIL = {"NoticeEmail": "tls@example.com"}
PLAIN = translate(parameters=EMAIL)
ORGANIZED = translate(parameters=ORGANIZATION | EMAIL | {"LogRetentionDays": "7"})

# What is demanded of a resource of a type, by parameter: where it is, and its value.
Demand = tuple[str, Any]
SUBNETS, GROUPS = ORGANIZATION["VpcSubnetIds"].split(","), ORGANIZATION["VpcSecurityGroupIds"].split(",")
ENCRYPTION = "BucketEncryption/ServerSideEncryptionConfiguration"
ENCRYPTED = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": OWN_KEY}
DEMANDS: dict[str, dict[str, list[Demand]]] = {
    "PermissionsBoundary": {"AWS::IAM::Role": [("PermissionsBoundary", ORGANIZATION["PermissionsBoundary"])]},
    "RolePath": {
        "AWS::IAM::Role": [("Path", ORGANIZATION["RolePath"])],
        "AWS::IAM::ManagedPolicy": [("Path", ORGANIZATION["RolePath"])],
    },
    "KeyArn": {
        "AWS::S3::Bucket": [(ENCRYPTION, [{"ServerSideEncryptionByDefault": ENCRYPTED, "BucketKeyEnabled": True}])],
        "AWS::Logs::LogGroup": [("KmsKeyId", OWN_KEY)],
        "AWS::SNS::Topic": [("KmsMasterKeyId", OWN_KEY)],
        # AWS::SQS::Queue: "Only one server-side encryption option is supported per queue".
        "AWS::SQS::Queue": [("KmsMasterKeyId", OWN_KEY), ("SqsManagedSseEnabled", None)],
    },
    "LogRetentionDays": {"AWS::Logs::LogGroup": [("RetentionInDays", "7")]},
    "VpcSubnetIds": {"AWS::Lambda::Function": [("VpcConfig", {"SubnetIds": SUBNETS, "SecurityGroupIds": GROUPS})]},
}
# Connects to CloudFront's edges.
OUTSIDE = "VerifyViewersFunction"
# Types that none of the parameters concerns: they hold no data, and run nothing.
UNCONCERNED = {
    *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::Policy"),
    *("AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription"),
    *("AWS::SQS::QueuePolicy", "AWS::Scheduler::Schedule"),
    # Its executions are under a key of Step Functions: the inputs have no certificate and no key.
    "AWS::StepFunctions::StateMachine",
}


def at(properties: Any, path: str) -> Any:
    """A property by its path; None if there is none."""
    for name in path.split("/"):
        properties = (properties or {}).get(name)
    return properties


def unreached(aws: Translated, parameter: str) -> set[str]:
    """The resources that a parameter concerns and does not reach."""
    return {
        logical
        for type, demands in DEMANDS[parameter].items()
        for logical, one in aws.of_type(type).items()
        if logical != OUTSIDE or type != "AWS::Lambda::Function"
        if any(at(one.properties, path) != value for path, value in demands)
    }


@pytest.mark.parametrize("parameter", DEMANDS)
def test_a_parameter_reaches_every_resource_that_it_concerns(parameter: str) -> None:
    assert unreached(ORGANIZED, parameter) == set()
    assert all(ORGANIZED.of_type(type) for type in DEMANDS[parameter])


def test_every_type_of_resource_is_concerned_or_not() -> None:
    concerned = {type for types in DEMANDS.values() for type in types}
    types = {one.type for one in ORGANIZED.resources.values()}
    assert types == concerned | UNCONCERNED
    assert not concerned & UNCONCERNED
    # With a key of one's own there is no other.
    assert {one.type for one in PLAIN.resources.values()} - types == {"AWS::KMS::Key"}


def test_the_function_that_connects_to_edges_is_in_no_vpc() -> None:
    functions = ORGANIZED.of_type("AWS::Lambda::Function")
    assert [name for name, one in functions.items() if "VpcConfig" not in one.properties] == [OUTSIDE]
    vpc = ORGANIZED.resources["VpcPolicy"].arn
    roles = {one.properties["Role"] for name, one in functions.items() if name != OUTSIDE}
    attached = {one.arn for one in ORGANIZED.of_type("AWS::IAM::Role").values() if vpc in managed(one.properties)}
    assert attached == roles


def managed(role: dict[str, Any]) -> list[str]:
    arns: list[str] = role.get("ManagedPolicyArns", [])
    return arns


def test_nothing_logs_into_a_group_without_retention() -> None:
    """Every writer has a log group of the template, and no role may create another."""
    groups = ORGANIZED.of_type("AWS::Logs::LogGroup").values()
    used = {one.properties["LoggingConfig"]["LogGroup"] for one in ORGANIZED.of_type("AWS::Lambda::Function").values()}
    [machine] = ORGANIZED.of_type("AWS::StepFunctions::StateMachine").values()
    [destination] = machine.properties["LoggingConfiguration"]["Destinations"]
    arn = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]
    assert used | {arn} == {one.arn if one.arn == arn else one.ref for one in groups}
    for role in ORGANIZED.of_type("AWS::IAM::Role"):
        for document in ORGANIZED.policies_of(role):
            for statement in document["Statement"]:
                assert not {"logs:CreateLogGroup", "logs:*", "*"} & set(listed(statement["Action"])), role


def test_without_the_parameters_nothing_of_them_is_in_the_template() -> None:
    assert set(PLAIN.resources) - set(ORGANIZED.resources) == {"NoticeKey"}
    assert set(ORGANIZED.resources) - set(PLAIN.resources) == {"VpcPolicy"}
    properties = {"PermissionsBoundary", "Path", "KmsKeyId", "VpcConfig"}
    assert [name for name, one in PLAIN.resources.items() if properties & set(one.properties)] == []
    encrypted = [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    assert at(PLAIN.resources["RotationBucket"].properties, ENCRYPTION) == encrypted
    assert at(PLAIN.resources["UndeliveredQueue"].properties, "SqsManagedSseEnabled") in (True, "true")
    assert "KmsMasterKeyId" not in PLAIN.resources["UndeliveredQueue"].properties
    assert at(PLAIN.resources["NoticeTopic"].properties, "KmsMasterKeyId") == PLAIN.resources["NoticeKey"].ref
    assert "ec2:" not in json.dumps([one.properties for one in PLAIN.resources.values()])


# --- Each of them forgotten once


def without(logical: str, *names: str) -> Callable[[dict[str, Any]], None]:
    def forgotten(resources: dict[str, Any]) -> None:
        for name in names:
            del resources[logical]["Properties"][name]

    return forgotten


def new(type: str, **properties: Any) -> Callable[[dict[str, Any]], None]:
    """A new resource, like its neighbours but without the parameter."""

    def added(resources: dict[str, Any]) -> None:
        resources["New"] = {"Type": type, "Properties": properties}

    return added


def role_by_sam(resources: dict[str, Any]) -> None:
    """SAM creates the role of the schedule again."""
    del resources["StartRotationFunctionDailyLookRole"]
    del resources["StartRotationFunction"]["Properties"]["Events"]["DailyLook"]["Properties"]["RoleArn"]


DAILY = {"StartRotationFunctionDailyLookRole"}
TRUST = {"Version": "2012-10-17", "Statement": []}


@pytest.mark.parametrize(
    ("fault", "parameter", "found"),
    [
        (without("PollDeploymentRole", "PermissionsBoundary"), "PermissionsBoundary", {"PollDeploymentRole"}),
        (new("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST), "PermissionsBoundary", {"New"}),
        (role_by_sam, "PermissionsBoundary", DAILY),
        (role_by_sam, "RolePath", DAILY),
        (without("TracingPolicy", "Path"), "RolePath", {"TracingPolicy"}),
        (without("RotationBucket", "BucketEncryption"), "KeyArn", {"RotationBucket"}),
        (without("RotationStateMachineLogs", "KmsKeyId"), "KeyArn", {"RotationStateMachineLogs"}),
        (without("NoticeTopic", "KmsMasterKeyId"), "KeyArn", {"NoticeTopic"}),
        (without("UndeliveredQueue", "KmsMasterKeyId"), "KeyArn", {"UndeliveredQueue"}),
        (new("AWS::SQS::Queue"), "KeyArn", {"New"}),
        (without("StartRotationLogs", "RetentionInDays"), "LogRetentionDays", {"StartRotationLogs"}),
        (new("AWS::Logs::LogGroup", LogGroupName="/new"), "LogRetentionDays", {"New"}),
    ],
)
def test_a_resource_that_a_parameter_does_not_reach_is_found(
    fault: Callable[[dict[str, Any]], None], parameter: str, found: set[str]
) -> None:
    aws = changed(fault, **ORGANIZATION | {"LogRetentionDays": "7"})
    assert unreached(aws, parameter) == found


def test_a_function_outside_of_the_vpc_is_found() -> None:
    def forgotten(resources: dict[str, Any]) -> None:
        resources["RecordTargetFunction"]["Properties"]["VpcConfig"] = {"Ref": "AWS::NoValue"}

    assert unreached(changed(forgotten, **ORGANIZATION), "VpcSubnetIds") == {"RecordTargetFunction"}


# --- The page


def test_every_statement_of_the_keys_policy_is_needed() -> None:
    """`test_rights.py` asks for the calls themselves."""
    log = ORGANIZED.resources["RotationStateMachineLogs"].arn.removesuffix(":*")
    of_log = (("kms:EncryptionContext:aws:logs:arn", log),)
    asked = {
        "LetIamPoliciesOfThisAccountDecide": ("RecordTargetRole", "kms:GenerateDataKey", ()),
        "LogGroups": (f"logs.{REGION}.amazonaws.com", "kms:Encrypt", of_log),
        "EventsToTheQueue": ("events.amazonaws.com", "kms:GenerateDataKey", ()),
        "AlarmsToTheTopic": ("cloudwatch.amazonaws.com", "kms:Decrypt", (("aws:SourceAccount", ACCOUNT),)),
    }
    assert [one["Sid"] for one in OWN_KEY_POLICY["Statement"]] == list(asked)
    for sid, (caller, action, context) in asked.items():
        role = ORGANIZED.resources.get(caller)
        identity = ORGANIZED.policies_of(caller) if role else []
        context = (("kms:ViaService", f"s3.{REGION}.amazonaws.com"),) if role else context
        rest = {**OWN_KEY_POLICY, "Statement": [one for one in OWN_KEY_POLICY["Statement"] if one["Sid"] != sid]}
        given = {"principal": role.arn if role else caller, "action": action, "resource": OWN_KEY, "context": context}
        questions = [Question(**given, identity=identity, resource_policy=policy) for policy in (OWN_KEY_POLICY, rest)]
        assert decided(ACCOUNT, questions) == ["Allowed", "ImplicitlyDenied"], sid


KEY_ON_THE_PAGE = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/KEY-ID"


def test_whoever_follows_rotations_gets_the_key_through_aws_only() -> None:
    statement = json.loads(RULES.split("```json\n")[2].partition("```")[0].replace(KEY_ON_THE_PAGE, OWN_KEY))
    identity = [*starter(), {"Version": "2012-10-17", "Statement": [statement]}]
    for service, allowed in (("s3", True), ("logs", True), ("sqs", True), ("ec2", False)):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            via = (("kms:ViaService", f"{service}.{REGION}.amazonaws.com"),)
            asked = Question(f"arn:aws:iam::{ACCOUNT}:role/person", action, OWN_KEY, via, identity, OWN_KEY_POLICY)
            assert (decided(ACCOUNT, [asked]) == ["Allowed"]) == allowed, (service, action)


def test_the_page_names_the_services_that_functions_call_from_a_vpc() -> None:
    said = re.findall(r"`([a-z0-9]+)`", RULES.partition("The functions call ")[2].partition(", in us-east-1")[0])
    calls = [line.split(" ")[:2] for line in CALLS.read_text().splitlines() if not line.startswith("#")]
    steps = {step for step, _ in calls} - {"verify-viewers", "state-machine"}
    assert len(steps) == 10
    assert sorted({call.partition(":")[0] for step, call in calls if step in steps}) == said


# "Resource type definition schema", CloudFormation CLI User Guide: `tagging`. The other types have no tags in their
# service's API either, except IAM's managed policies.
NOT_BY_CLOUDFORMATION = {"AWS::IAM::ManagedPolicy"}


def test_the_page_names_the_types_that_get_the_tags_of_a_stack() -> None:
    section = RULES.partition("\n### Tags\n")[2]
    lines = [set(re.findall(r"`(AWS::\w+::\w+)`", line)) for line in section.splitlines() if "tagged" in line[:14]]
    tagged, by_nobody, without_tags = lines
    types = {one.type for aws in (PLAIN, ORGANIZED) for one in aws.resources.values()}
    assert tagged | by_nobody | without_tags == types
    assert by_nobody == NOT_BY_CLOUDFORMATION
    names = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    for type in types:
        schema = json.loads((SCHEMAS / f"resources/{names[type]}.json").read_text())
        assert schema.get("tagging", {}).get("taggable", False) == (type in tagged), type
