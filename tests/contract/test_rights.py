"""Every call of every rotation, evaluated with the policies of the template after SAM and CloudFormation.

`calls.txt` has the calls of steps and state machine, written by the tests in Rust that make them. The calls of AWS's
services are derived from the template. Each call must be allowed, each probe denied, and each part of each policy must
change the result for one of them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from contract.policies import Document, Question, decided
from contract.translated import ACCOUNT, ORGANIZATION, REGION, Translated, translate

ROOT = Path(__file__).resolve().parents[2]
CALLS = ROOT / "crates/steps/tests/it/steps/calls.txt"
DEFINITION = json.loads((ROOT / "statemachine/rotation.asl.json").read_text())

OTHER_ACCOUNT = "444455556666"
SOURCE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/sources"
# With every optional part that a parameter adds.
EVERYTHING = {
    **{"SourceBucket": "sources", "SourceKeyArn": SOURCE_KEY},
    **{"LogBuckets": "access-logs-*", "EdgeFunctions": "edge-*", "ExtraRoots": "/roots/NAME"},
}

# What an organization adds to its rules: the boundary, with nothing but the services that the page names, and the key's
# policy of the page.
RULES = (ROOT / "docs/deployment.md").read_text().partition("\n## An organization's rules\n")[2].partition("\n## ")[0]
OWN_KEY = ORGANIZATION["KeyArn"]
OWN_KEY_POLICY: Document = json.loads(RULES.partition("```json\n")[2].partition("```")[0])
SERVICES = re.findall(r"`([a-z0-9]+)`", RULES.partition("The boundary must allow ")[2].partition(".\n")[0])
BOUNDARY: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": [f"{one}:*" for one in SERVICES], "Resource": "*"}],
}


# --- Calls


@dataclass(frozen=True)
class Call:
    # The logical id of a role, or a service.
    caller: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        keys = " ".join(f"{key}={value}" for key, value in self.context.items())
        return f"{self.caller} {self.action} {self.resource} {keys}".rstrip()


@dataclass(frozen=True)
class Also:
    """A further permission that AWS requires for a call, in addition to the action of the call's name."""

    # The call, with a key of its context if it depends on it.
    of: str
    action: str
    # The resource: `resource`, its `bucket` and `key`, the `source_key`, the `bucket_key` or the `notice_key`. Without
    # such a key nothing is required.
    on: str
    # The AWS page.
    source: str
    context: Mapping[str, str] = field(default_factory=dict)
    # Only for calls on resources that match.
    only: str = "*"


def of_kms(service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}


ALSO = [
    Also(
        "s3:GetObject absent",
        "s3:ListBucket",
        "arn:aws:s3:::{bucket}",
        "S3 API, GetObject: without it the answer to what is not there is 403. That the key then counts as s3:prefix is"
        " not documented; ceph/ceph#68577 and kopia/kopia#3072 found it so.",
        {"s3:prefix": "{key}"},
    ),
    Also(
        "s3:PutObject s3:if-match",
        "s3:GetObject",
        "{resource}",
        "S3 User Guide, How to prevent object overwrites with conditional writes",
    ),
    Also(
        "s3:GetObject",
        "kms:Decrypt",
        "{source_key}",
        "S3 User Guide, Using server-side encryption with AWS KMS keys",
        of_kms("s3"),
        only="arn:aws:s3:::sources/*",
    ),
    Also(
        "s3:GetObject",
        "kms:Decrypt",
        "{bucket_key}",
        "S3 User Guide, Using server-side encryption with AWS KMS keys",
        of_kms("s3"),
    ),
    Also("s3:PutObject", "kms:GenerateDataKey", "{bucket_key}", "the same page", of_kms("s3")),
    Also(
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "{source_key}",
        "Secrets Manager User Guide, Secret encryption and decryption",
        of_kms("secretsmanager"),
    ),
    Also(
        "ssm:GetParameter",
        "kms:Decrypt",
        "{source_key}",
        "Systems Manager User Guide, AWS KMS encryption for Parameter Store SecureString parameters",
        of_kms("ssm"),
        only="*:parameter/tls/*",
    ),
    Also(
        "sns:Publish",
        "kms:Decrypt",
        "{notice_key}",
        "SNS Developer Guide, Managing Amazon SNS encryption keys and costs",
        of_kms("sns"),
    ),
    Also("sns:Publish", "kms:GenerateDataKey", "{notice_key}", "the same page", of_kms("sns")),
    Also(
        "acm:ImportCertificate aws:TagKeys",
        "acm:AddTagsToCertificate",
        "{resource}",
        "Service Authorization Reference, API operations defined by AWS Certificate Manager",
        {"aws:TagKeys": "KEY"},
    ),
    Also(
        "iam:UploadServerCertificate aws:TagKeys",
        "iam:TagServerCertificate",
        "{resource}",
        "IAM User Guide, Tag server certificates",
        {"aws:TagKeys": "KEY"},
    ),
    # For distributions that use these. It is not known whether CloudFront checks them again if they do not change.
    *(
        Also("cloudfront:UpdateDistribution", action, on, source)
        for source, actions, on in [
            (
                "Service Authorization Reference, API operations defined by Amazon CloudFront",
                ["cloudfront:GetVpcOrigin"],
                f"arn:aws:cloudfront::{ACCOUNT}:vpcorigin/ID",
            ),
            (
                "aws/aws-sdk-java#2901: Unable to verify read permissions on Web ACL",
                ["wafv2:GetWebACL"],
                f"arn:aws:wafv2:{REGION}:{ACCOUNT}:global/webacl/NAME/ID",
            ),
            ("the same of AWS WAF Classic", ["waf:GetWebACL"], f"arn:aws:waf::{ACCOUNT}:webacl/ID"),
            (
                "CloudFront Developer Guide, Permissions for standard logging (legacy)",
                ["s3:GetBucketAcl", "s3:PutBucketAcl"],
                "arn:aws:s3:::access-logs-1",
            ),
            (
                "CloudFront Developer Guide, Set up IAM permissions and roles for Lambda@Edge",
                ["lambda:GetFunction", "lambda:EnableReplication", "lambda:DisableReplication"],
                f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:edge-1:3",
            ),
        ]
        for action in actions
    ),
    Also(
        "servicequotas:RequestServiceQuotaIncrease",
        "iam:CreateServiceLinkedRole",
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/servicequotas.amazonaws.com/AWSServiceRoleForServiceQuotas",
        "Service Quotas User Guide, Using service-linked roles: an account's first request makes it",
        {"iam:AWSServiceName": "servicequotas.amazonaws.com"},
    ),
]

# Where the action differs from the call: S3 User Guide, Required permissions for Amazon S3 API operations.
GRANTED_AS = {"s3:ListObjectsV2": "s3:ListBucket"}


def role_of(step: str) -> str:
    name = "rotation-state-machine" if step == "state-machine" else step
    return "".join(word.capitalize() for word in name.split("-")) + "Role"


def key_of(aws: Translated, logical: str) -> str:
    """The ARN of the KMS key of a bucket, a topic, a queue or a log group; empty for AWS's own keys."""
    properties = aws.resources[logical].properties
    for rule in properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
        properties = rule["ServerSideEncryptionByDefault"]
    key = "".join(properties.get(name, "") for name in ("KMSMasterKeyID", "KmsMasterKeyId", "KmsKeyId"))
    return {one.ref: one.arn for one in aws.of_type("AWS::KMS::Key").values()}.get(key, key)


def of_steps(aws: Translated) -> Iterator[Call]:
    """The calls recorded by the tests in Rust, with the names of this stack."""
    resources = aws.resources
    functions = {
        f"function:{'-'.join(re.findall('[A-Z][a-z]+', logical)[:-1]).lower()}": one.arn.split(":", 5)[5]
        for logical, one in aws.of_type("AWS::Lambda::Function").items()
    }
    names = functions | {
        "arn:aws:s3:::rotation-bucket": resources["RotationBucket"].arn,
        f"arn:aws:sns:{REGION}:{ACCOUNT}:notices": resources["NoticeTopic"].arn,
        "stateMachine:rotation": resources["RotationStateMachine"].arn.split(":", 5)[5],
        "execution:rotation:": resources["RotationStateMachine"].arn.split(":")[6].join(["execution:", ":"]),
    }
    known = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    for line in CALLS.read_text().splitlines():
        if line.startswith("#"):
            continue
        step, call, resource, *marks = line.split(" ")
        resource = known.sub(lambda name: names[name[0]], resource)
        context = {"aws:SecureTransport": "true"} if call.startswith("s3:") else {}
        context |= {key: value for key, _, value in (mark.partition("=") for mark in marks) if value}
        role = role_of(step)
        yield Call(role, GRANTED_AS.get(call, call), resource, context)
        bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
        known_here = {
            "resource": resource,
            "bucket": bucket,
            "key": key,
            "source_key": SOURCE_KEY,
            "bucket_key": key_of(aws, "RotationBucket") if bucket == resources["RotationBucket"].name else "",
            "notice_key": key_of(aws, "NoticeTopic"),
        }
        asked = {call} | {f"{call} {mark.partition('=')[0]}" for mark in marks}
        for also in (also for also in ALSO if also.of in asked and fnmatchcase(resource, also.only)):
            keys = {key: value.format(**known_here) for key, value in also.context.items()}
            if also.action.startswith("s3:"):
                keys["aws:SecureTransport"] = "true"
            if on := also.on.format(**known_here):
                yield Call(role, also.action, on, keys)


def of_lambda_in_a_vpc(role: str) -> Iterator[Call]:
    """Lambda Developer Guide, Giving Lambda functions access to resources in an Amazon VPC."""
    own = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-0a1b2c3d"
    for action in ("Create", "Delete"):
        yield Call(role, f"ec2:{action}NetworkInterface", own)
    for action in ("Assign", "Unassign"):
        yield Call(role, f"ec2:{action}PrivateIpAddresses", own)
    yield from (Call(role, f"ec2:Describe{what}", "*") for what in ("NetworkInterfaces", "Subnets"))
    # VPC User Guide, Share your VPC subnets with other accounts.
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for resource in ("subnet/subnet-0a1b2c3d", "security-group/sg-0a1b2c3d"):
            yield Call(role, "ec2:CreateNetworkInterface", f"arn:aws:ec2:{REGION}:{account}:{resource}")


def to_queue(aws: Translated, caller: str, arn: str, keys: Mapping[str, str] | None = None) -> Iterator[Call]:
    """SQS Developer Guide, Key management: producers need both actions, services by the key's policy.

    EventBridge brings no source: SNS Developer Guide, Managing Amazon SNS encryption keys and costs.
    """
    [queue] = [logical for logical, one in aws.of_type("AWS::SQS::Queue").items() if one.arn == arn]
    yield Call(caller, "sqs:SendMessage", arn, keys or {})
    if key := key_of(aws, queue):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Call(caller, action, key, {} if keys else of_kms("sqs"))


# The calls of Step Functions under the state machine's role, except its tasks.
OF_STATE_MACHINES = {
    "Step Functions Developer Guide, Using CloudWatch Logs to log execution history": (
        *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
        *(
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ),
    ),
    "Step Functions Developer Guide, IAM policies for X-Ray tracing": (
        *("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
    ),
}


def maps(states: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The distributed Maps of a definition."""
    for state in states.values():
        inner = state.get("ItemProcessor", {})
        if inner.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            yield state
        yield from maps(inner.get("States", {}))


def of_services(aws: Translated) -> Iterator[Call]:
    """The calls of AWS's services for this stack: under its roles, or as service principals."""
    roles = {one.arn: logical for logical, one in aws.of_type("AWS::IAM::Role").items()}

    for name, machine in aws.of_type("AWS::StepFunctions::StateMachine").items():
        role = roles[machine.properties["RoleArn"]]
        # Step Functions Developer Guide, Prevent cross-service confused deputy issues.
        keys = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": machine.arn}
        yield Call("states.amazonaws.com", "sts:AssumeRole", machine.properties["RoleArn"], keys)
        assert machine.properties["TracingConfiguration"]["Enabled"] and machine.properties["LoggingConfiguration"], (
            name
        )
        for actions in OF_STATE_MACHINES.values():
            yield from (Call(role, action, "*") for action in actions)
        # Step Functions Developer Guide, IAM policies for using Distributed Map states: children are executions of the
        # state machine, whose names have the Map's label; DescribeExecution and StopExecution are documented for the
        # state machine's executions.
        execution = machine.arn.replace(":stateMachine:", ":execution:")
        for state in maps(DEFINITION["States"]):
            yield Call(role, "states:StartExecution", machine.arn)
            for resource in (f"{execution}:NAME", f"{execution}/{state['Label']}:NAME"):
                yield Call(role, "states:DescribeExecution", resource)
                yield Call(role, "states:StopExecution", resource)
                yield Call(role, "states:RedriveExecution", resource)

    for function in aws.of_type("AWS::Lambda::Function").values():
        yield Call("lambda.amazonaws.com", "sts:AssumeRole", function.properties["Role"])
        role = roles[function.properties["Role"]]
        group = function.properties["LoggingConfig"]["LogGroup"]
        stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:2026/11/27/[$LATEST]0"
        # Lambda Developer Guide, Sending Lambda function logs to CloudWatch Logs. The log group already exists.
        yield from (Call(role, action, stream) for action in ("logs:CreateLogStream", "logs:PutLogEvents"))
        # Lambda Developer Guide, Visualize Lambda function invocations using AWS X-Ray.
        assert function.properties["TracingConfig"]["Mode"] == "Active", function.logical
        yield from (Call(role, action, "*") for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"))
        [logs] = [logical for logical, one in aws.of_type("AWS::Logs::LogGroup").items() if one.ref == group]
        if key := key_of(aws, logs):
            # AWS Managed Policy Reference, CloudWatchLogsAPIKeyAccess.
            for action in ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"):
                yield Call(role, action, key, of_kms("logs"))
        if "VpcConfig" in function.properties:
            yield from of_lambda_in_a_vpc(role)
    for logical, logs in aws.of_type("AWS::Logs::LogGroup").items():
        if key := key_of(aws, logical):
            # CloudWatch Logs User Guide, Encrypt log data in CloudWatch Logs using AWS Key Management Service.
            for action in ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"):
                keys = {"kms:EncryptionContext:aws:logs:arn": logs.arn.removesuffix(":*")}
                yield Call(f"logs.{REGION}.amazonaws.com", f"kms:{action}", key, keys)
    for invoked in aws.of_type("AWS::Lambda::EventInvokeConfig").values():
        # Lambda Developer Guide, Capturing records of Lambda asynchronous invocations.
        [function] = [one for one in aws.resources.values() if one.ref == invoked.properties["FunctionName"]]
        queue = invoked.properties["DestinationConfig"]["OnFailure"]["Destination"]
        yield from to_queue(aws, roles[function.properties["Role"]], queue)

    for schedule in aws.of_type("AWS::Scheduler::Schedule").values():
        # EventBridge Scheduler User Guide, Setting up the execution role; Configuring a dead-letter queue.
        target = schedule.properties["Target"]
        yield Call("scheduler.amazonaws.com", "sts:AssumeRole", target["RoleArn"])
        yield Call(roles[target["RoleArn"]], "lambda:InvokeFunction", target["Arn"])
        yield from to_queue(aws, roles[target["RoleArn"]], target["DeadLetterConfig"]["Arn"])
    for rule in aws.of_type("AWS::Events::Rule").values():
        # EventBridge User Guide, Using resource-based policies; Using dead-letter queues.
        for target in rule.properties["Targets"]:
            keys = {"aws:SourceArn": rule.arn}
            yield Call("events.amazonaws.com", "lambda:InvokeFunction", target["Arn"], keys)
            yield from to_queue(aws, "events.amazonaws.com", target["DeadLetterConfig"]["Arn"], keys)
    for alarm in aws.of_type("AWS::CloudWatch::Alarm").values():
        # CloudWatch User Guide, Setting up Amazon SNS notifications; SNS Developer Guide, Enable compatibility between
        # event sources from AWS services and encrypted topics.
        keys = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": alarm.arn}
        for topic in {*alarm.properties["AlarmActions"], *alarm.properties.get("OKActions", [])}:
            yield Call("cloudwatch.amazonaws.com", "sns:Publish", topic, keys | {"aws:SourceOwner": ACCOUNT})
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                yield Call("cloudwatch.amazonaws.com", action, key_of(aws, "NoticeTopic"), keys)


# --- Policies

# Where a policy is: of a role, with its number, or of a resource.
Place = tuple[str, str, int]


def policies_of(aws: Translated) -> dict[Place, Document]:
    """Every policy of the stack, by its place."""
    found: dict[Place, Document] = {}
    for role, one in aws.of_type("AWS::IAM::Role").items():
        found |= {("identity", role, number): document for number, document in enumerate(aws.policies_of(role))}
        found["resource", role, 0] = one.properties["AssumeRolePolicyDocument"]
    holders = ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::Lambda::Function")
    by_ref = {one.ref: logical for logical, one in aws.resources.items() if one.type in holders}
    for policy in aws.of_type("AWS::S3::BucketPolicy").values():
        found["resource", by_ref[policy.properties["Bucket"]], 0] = policy.properties["PolicyDocument"]
    for policy in aws.of_type("AWS::SQS::QueuePolicy").values():
        for queue in policy.properties["Queues"]:
            found["resource", by_ref[queue], 0] = policy.properties["PolicyDocument"]
    for key, one in aws.of_type("AWS::KMS::Key").items():
        found["resource", key, 0] = one.properties["KeyPolicy"]
    for permission in aws.of_type("AWS::Lambda::Permission").values():
        given = dict(permission.properties)
        logical = by_ref[given.pop("FunctionName")]
        document = found.setdefault(("resource", logical, 0), {"Version": "2012-10-17", "Statement": []})
        # The statement of AddPermission: Lambda Developer Guide, Viewing resource-based IAM policies in Lambda.
        statement = {"Effect": "Allow", "Principal": {"Service": given.pop("Principal")}, "Action": given.pop("Action")}
        statement |= {"Resource": aws.resources[logical].arn}
        statement["Condition"] = {"ArnLike": {"aws:SourceArn": given.pop("SourceArn")}}
        assert not given, f"what does AddPermission make of {given}?"
        document["Statement"].append(statement)
    for topic, one in aws.of_type("AWS::SNS::Topic").items():
        assert not aws.of_type("AWS::SNS::TopicPolicy")
        # SNS Developer Guide: the policy of a topic without one.
        found["default", topic, 0] = {
            "Version": "2008-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": ["sns:Publish", "sns:Subscribe", "sns:GetTopicAttributes"],
                    "Resource": one.arn,
                    "Condition": {"StringEquals": {"aws:SourceOwner": ACCOUNT}},
                }
            ],
        }
    return found


# The key of the sources belongs to the user: "Default key policy", KMS Developer Guide.
DEFAULT_KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}


def question(aws: Translated, policies: Mapping[Place, Document], call: Call) -> Question:
    role = aws.resources.get(call.caller)
    [about] = [
        logical
        for logical, one in aws.resources.items()
        if one.arn and (call.resource == one.arn or call.resource.startswith(f"{one.arn}/"))
    ] or [""]
    on_it = policies.get(("resource", about, 0)) or policies.get(("default", about, 0))
    of_others = {SOURCE_KEY: DEFAULT_KEY_POLICY, OWN_KEY: OWN_KEY_POLICY}
    return Question(
        principal=role.arn if role else call.caller,
        action=call.action,
        resource=call.resource,
        context=tuple(call.context.items()),
        identity=[document for place, document in policies.items() if place[:2] == ("identity", call.caller)],
        resource_policy=of_others.get(call.resource, on_it),
        boundary=BOUNDARY if role and "PermissionsBoundary" in role.properties else None,
    )


# --- Probes: calls that are never made and must not be allowed


# Keys of a request's context, with a value that no call has: caller, action, resource, key, value.
FOREIGN = [
    ("*Role", "s3:*", "{RotationBucket}*", "aws:SecureTransport", "false"),
    # PlanRotation and StartRotation may list all keys.
    *(
        (f"{step}Role", "s3:ListBucket", "{RotationBucket}", "s3:prefix", "claims/ID.json")
        for step in ("UpdateDistribution", "ReviewTargets", "DeleteCertificate", "ReportRotation")
    ),
    ("*", "events:PutEvents", "*", "events:source", "aws.acm"),
    ("*", "iam:CreateServiceLinkedRole", "*", "iam:AWSServiceName", "autoscaling.amazonaws.com"),
    ("*", "kms:Decrypt", SOURCE_KEY, "kms:ViaService", f"ec2.{REGION}.amazonaws.com"),
    ("*Role", "kms:*", OWN_KEY, "kms:ViaService", f"ec2.{REGION}.amazonaws.com"),
    (
        *("logs.*", "kms:*", OWN_KEY, "kms:EncryptionContext:aws:logs:arn"),
        f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:/aws/lambda/other",
    ),
    ("cloudwatch.amazonaws.com", "kms:*", "*", "aws:SourceAccount", OTHER_ACCOUNT),
    ("states.amazonaws.com", "sts:AssumeRole", "*", "aws:SourceAccount", OTHER_ACCOUNT),
    # Any rule of the account may send to the queue: EventBridge truncates rule names, so no pattern would match them.
    ("events.amazonaws.com", "lambda:*", "*", "aws:SourceArn", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/other"),
    *(
        (
            "events.amazonaws.com",
            actions,
            "*",
            "aws:SourceArn",
            f"arn:aws:events:{REGION}:{OTHER_ACCOUNT}:rule/{{rule}}",
        )
        for actions in ("lambda:*", "sqs:*")
    ),
]

# The same call on another resource of its kind: which part of the ARN is replaced, and by what.
ELSEWHERE = [
    (f":{ACCOUNT}:", f":{OTHER_ACCOUNT}:"),
    (r"^arn:aws:s3:::[^/]+", "arn:aws:s3:::others"),
    (r"(?<=/)(rotations|claims|notices)/", "elsewhere/"),
    (":secret:tls/", ":secret:other/"),
    (r":parameter/(tls|roots)/", ":parameter/other/"),
    (f":acm:{REGION}:", ":acm:eu-west-1:"),
    (r"/L-\w+", "/L-00000000"),
    ("/servicequotas.amazonaws.com/", "/autoscaling.amazonaws.com/"),
    (r"(:stateMachine|:execution|:function):[\w-]+", r"\1:other"),
    (r"/RotateLane:", "/OtherMap:"),
    (r":key/[\w-]+", ":key/other"),
    (r"(:sns|:sqs)(:[^:]+:\d+):.*", r"\1\2:other"),
    (r":event-bus/default", ":event-bus/other"),
    (r":log-group:[^:]+", ":log-group:/aws/lambda/other"),
    # A certificate that is replaced may have any path, so reading is not among these.
    (r"(?<=:server-certificate/)cloudfront/", "other/"),
]
READS_ANY_PATH = "iam:GetServerCertificate"


def kind(call: Call) -> tuple[str, str]:
    """A caller that makes one such call may make all calls of this kind."""
    resource = call.resource
    if resource.startswith("arn:aws:s3:::"):
        resource = "/".join(resource.split("/")[:2])
    if call.action == READS_ANY_PATH:
        resource = resource.partition("/")[0]
    return call.action, resource


def probes(aws: Translated, calls: Sequence[Call]) -> list[Call]:
    found: dict[str, Call] = {}

    def add(call: Call) -> None:
        found[str(call)] = call

    names = {logical: one.arn for logical, one in aws.resources.items()}
    for caller, action, resource, key, value in FOREIGN:
        concerned = [
            call
            for call in calls
            if fnmatchcase(call.caller, caller)
            and fnmatchcase(call.action, action)
            and fnmatchcase(call.resource, resource.format(**names))
        ]
        assert concerned or (resource == OWN_KEY and key_of(aws, "RotationBucket") != OWN_KEY), (caller, action, key)
        assert all(key in call.context for call in concerned), (caller, action, key)
        for call in concerned:
            rule = call.context[key].rpartition("/")[2]
            add(replace(call, context={**call.context, key: value.format(rule=rule)}))
            # A Deny applies only if the key is present.
            if key != "aws:SecureTransport":
                add(replace(call, context={name: value for name, value in call.context.items() if name != key}))
    # What Lambda may do in a VPC, the functions' code may not: Lambda Developer Guide, Using source function ARN.
    code = {"lambda:SourceFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"}
    for call in calls:
        if call.action.startswith("ec2:"):
            add(replace(call, context=code))
    of_roles = [call for call in calls if call.caller in aws.resources]
    for call in of_roles:
        for part, other in ELSEWHERE:
            moved = re.sub(part, other, call.resource)
            if moved != call.resource and not (call.action == READS_ANY_PATH and other == "other/"):
                add(replace(call, resource=moved))
    # Calls of another role that this one does not make.
    own: dict[str, set[tuple[str, str]]] = {}
    for call in of_roles:
        own.setdefault(call.caller, set()).add(kind(call))
    for caller, kinds in own.items():
        for call in of_roles:
            if kind(call) not in kinds:
                add(replace(call, caller=caller))
    made = {str(call) for call in calls}
    return [call for name, call in found.items() if name not in made]


# --- Mutations: a policy without one part


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Mutation:
    place: Place
    what: str
    # The actions that it affects.
    action: str
    document: Document

    def __str__(self) -> str:
        kind, logical, _ = self.place
        return f"{kind} policy of {logical} without {self.what}"


def less(place: Place, document: Document) -> Iterator[Mutation]:
    """The document without each action on each resource, each condition, and each value of a condition, in turn."""
    statements = listed(document["Statement"])
    for number, statement in enumerate(statements):
        unknown = set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
        assert not unknown, f"{place}: what is it without {unknown}?"

        def but(*instead: Document, number: int = number) -> Document:
            return {**document, "Statement": [*statements[:number], *instead, *statements[number + 1 :]]}

        actions = listed(statement["Action"])
        resources = listed(statement.get("Resource", ""))
        for action in actions:
            for resource in resources:
                rest = []
                if others := [one for one in actions if one != action]:
                    rest.append({**statement, "Action": others})
                if others := [one for one in resources if one != resource]:
                    rest.append({**statement, "Action": action, "Resource": others})
                what = f"{statement['Effect']} {action} on {resource or 'itself'}"
                yield Mutation(place, what, action, but(*rest))
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                changed = copy.deepcopy(statement)
                del changed["Condition"][operator][key]
                if not changed["Condition"][operator]:
                    del changed["Condition"][operator]
                if not changed["Condition"]:
                    del changed["Condition"]
                for action in actions:
                    yield Mutation(place, f"{operator} {key} for {action}", action, but(changed))
                for value in listed(values) if len(listed(values)) > 1 else []:
                    changed = copy.deepcopy(statement)
                    changed["Condition"][operator][key] = [one for one in values if one != value]
                    for action in actions:
                        yield Mutation(place, f"{operator} {key} {value} for {action}", action, but(changed))


# --- Tests


@pytest.fixture(scope="module", params=[{}, ORGANIZATION], ids=["plain", "organization"])
def aws(request: pytest.FixtureRequest) -> Translated:
    return translate(parameters=EVERYTHING | request.param)


def calls_of(aws: Translated) -> list[Call]:
    return list({str(call): call for call in [*of_steps(aws), *of_services(aws)]}.values())


def results(aws: Translated, calls: Sequence[Call]) -> list[tuple[Call, bool]]:
    policies = policies_of(aws)
    answers = decided(ACCOUNT, [question(aws, policies, call) for call in calls])
    return [(call, answer == "Allowed") for call, answer in zip(calls, answers, strict=True)]


def none_of(found: list[str]) -> None:
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def calls(aws: Translated) -> list[Call]:
    return calls_of(aws)


def test_every_call_is_allowed(aws: Translated, calls: list[Call]) -> None:
    none_of([str(call) for call, is_allowed in results(aws, calls) if not is_allowed])
    assert len(calls) > 200


def test_the_calls_include_an_increase_of_every_quota() -> None:
    watched = set(re.findall(r'code: "(L-\w+)"', (ROOT / "crates/core/src/plan/quota.rs").read_text()))
    assert set(re.findall(r"RequestServiceQuotaIncrease \S+/(L-\w+)", CALLS.read_text())) == watched


def test_without_parameters_only_their_permissions_are_missing() -> None:
    aws = translate()
    switched_on = re.compile(
        r"arn:aws:s3:::(sources|access-logs-1)\b|arn:aws:kms:.*:key/sources|.*:function:edge-1:3|.*:parameter/roots/"
    )
    for call, is_allowed in results(aws, calls_of(aws)):
        assert is_allowed != bool(switched_on.match(call.resource)), str(call)


def test_probes_are_not_allowed(aws: Translated, calls: list[Call]) -> None:
    asked = probes(aws, calls)
    none_of([str(call) for call, is_allowed in results(aws, asked) if is_allowed])
    assert len(asked) > 1_000


def test_each_part_of_each_policy_is_needed(aws: Translated, calls: list[Call]) -> None:
    """Without an action on a resource, a call is denied; without a condition, a probe is allowed."""
    policies = policies_of(aws)
    asked = [(call, True) for call in calls] + [(call, False) for call in probes(aws, calls)]
    mutations, questions, expected = [], [], []
    for place, document in policies.items():
        if place[0] == "default":
            continue
        for mutation in less(place, document):
            mutated = {**policies, place: mutation.document}
            for call, is_allowed in asked:
                if not fnmatchcase(call.action.lower(), mutation.action.lower()):
                    continue
                if place[0] == "identity" and call.caller != place[1]:
                    continue
                one, before = question(aws, mutated, call), question(aws, policies, call)
                if one != before:
                    mutations.append(str(mutation))
                    questions.append(one)
                    expected.append(is_allowed)
            mutations.append(str(mutation))
            questions.append(None)
            expected.append(None)
    answers = iter(decided(ACCOUNT, [one for one in questions if one]))
    noticed: dict[str, bool] = {}
    for mutation, one, is_allowed in zip(mutations, questions, expected, strict=True):
        differs = one is not None and (next(answers) == "Allowed") != is_allowed
        noticed[mutation] = noticed.get(mutation, False) or differs
    none_of([mutation for mutation, is_noticed in noticed.items() if not is_noticed])
    assert len(noticed) > 200
