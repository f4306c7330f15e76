"""The template as CloudFormation processes it: translated by SAM, resolved for one stack, with the composed names.

aws = translate(stack="certificate-rotation", parameters={"SourceBucket": "sources"})
aws.resources["PlanRotationRole"].arn
aws.policies_of("PlanRotationRole")
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from awscli.customizations.cloudformation.yamlhelper import yaml_parse
from ministack.core import responses
from ministack.services.cloudformation import engine
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra/template.yaml"

STACK = "certificate-rotation"
ACCOUNT = "111122223333"
REGION = "us-east-1"

# An organization's rules: every parameter for them.
ORGANIZATION = {
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundaries/team",
    "RolePath": "/teams/web/",
    "KeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-1111-4111-8111-111111111111",
    "VpcSubnetIds": "subnet-0a1b2c3d4e5f60718,subnet-0817f6e5d4c3b2a10",
    "VpcSecurityGroupIds": "sg-0a1b2c3d4e5f60718",
}


@dataclass(frozen=True)
class Kind:
    """What CloudFormation assigns to a resource of one type without a name."""

    # The value of Ref, composed from `name` (composed), `arn`, `random`, `stack` and the properties.
    ref: str
    # The longest name, from the service's API reference; 0 if no name is composed.
    longest: int = 0
    # From the same, and `ref`.
    arn: str = ""
    # Further attributes.
    attributes: Mapping[str, str] = field(default_factory=dict)
    # False for resource handlers that leave out the stack's name.
    of_the_stack: bool = True
    lower: bool = False


KINDS = {
    "AWS::CloudWatch::Alarm": Kind("{name}", 255, "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
    "AWS::CloudWatch::Dashboard": Kind(
        "{name}", 255, "arn:aws:cloudwatch::{account}:dashboard/{name}", of_the_stack=False
    ),
    "AWS::Events::Rule": Kind("{name}", 64, "arn:aws:events:{region}:{account}:rule/{name}"),
    "AWS::IAM::ManagedPolicy": Kind(
        "{arn}", 128, "arn:aws:iam::{account}:policy{Path}{name}", attributes={"PolicyArn": "{arn}"}
    ),
    "AWS::IAM::Policy": Kind("{random}", attributes={"Id": "{random}"}),
    "AWS::IAM::Role": Kind("{name}", 64, "arn:aws:iam::{account}:role{Path}{name}", {"RoleId": "AROA{random}"}),
    "AWS::KMS::Key": Kind("{random}", 0, "arn:aws:kms:{region}:{account}:key/{random}", {"KeyId": "{random}"}),
    "AWS::Lambda::EventInvokeConfig": Kind("{random}"),
    "AWS::Lambda::Function": Kind("{name}", 64, "arn:aws:lambda:{region}:{account}:function:{name}"),
    "AWS::Lambda::Permission": Kind("{random}", attributes={"Id": "{random}"}),
    "AWS::Logs::LogGroup": Kind("{LogGroupName}", 0, "arn:aws:logs:{region}:{account}:log-group:{LogGroupName}:*"),
    "AWS::S3::Bucket": Kind("{name}", 63, "arn:aws:s3:::{name}", lower=True),
    "AWS::S3::BucketPolicy": Kind("{Bucket}"),
    "AWS::SNS::Subscription": Kind("{TopicArn}:{random}", attributes={"Arn": "{TopicArn}:{random}"}),
    "AWS::SNS::Topic": Kind("{arn}", 256, "arn:aws:sns:{region}:{account}:{name}", {"TopicName": "{name}"}),
    "AWS::SQS::Queue": Kind(
        "https://sqs.{region}.amazonaws.com/{account}/{name}",
        80,
        "arn:aws:sqs:{region}:{account}:{name}",
        {"QueueName": "{name}"},
    ),
    "AWS::SQS::QueuePolicy": Kind("{random}", attributes={"Id": "{random}"}),
    "AWS::Scheduler::Schedule": Kind("{name}", 64, "arn:aws:scheduler:{region}:{account}:schedule/default/{name}"),
    "AWS::StepFunctions::StateMachine": Kind(
        "{arn}", 80, "arn:aws:states:{region}:{account}:stateMachine:{name}", {"Name": "{name}"}, of_the_stack=False
    ),
}


@dataclass(frozen=True)
class Resource:
    logical: str
    type: str
    # Resolved: without intrinsic functions.
    properties: dict[str, Any]
    # The name that CloudFormation composes, or "".
    name: str
    arn: str
    # The value of Ref.
    ref: str


@dataclass(frozen=True)
class Translated:
    stack: str
    # The output of SAM, with intrinsic functions.
    template: dict[str, Any]
    # Those whose condition holds, by logical id.
    resources: dict[str, Resource]

    def before(self, logical: str) -> set[str]:
        """What CloudFormation has created before this resource: everything it refers to or depends on."""
        names = set(self.resources)
        found: set[str] = set()
        ahead = {logical}
        while ahead:
            ahead = {one for name in ahead for one in engine._extract_deps(self.template["Resources"][name], names)}
            ahead -= found
            found |= ahead
        return found

    def of_type(self, type: str) -> dict[str, Resource]:
        return {logical: one for logical, one in self.resources.items() if one.type == type}

    def policies_of(self, role: str, made: set[str] | None = None) -> list[dict[str, Any]]:
        """The policy documents of a role (inline, attached, or in separate policies), by its logical id.

        With `made`, as long as only these resources exist.
        """
        one = self.resources[role]
        assert one.type == "AWS::IAM::Role", role
        found = [policy["PolicyDocument"] for policy in one.properties.get("Policies", [])]
        attached = set(one.properties.get("ManagedPolicyArns", []))
        own = {policy.arn for policy in self.of_type("AWS::IAM::ManagedPolicy").values()}
        assert attached <= own, f"{role} has policies whose text the template does not have: {attached - own}"
        for other in self.resources.values():
            if other.type not in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                continue
            there = made is None or other.logical in made
            if other.arn in attached or (there and one.name in other.properties.get("Roles", [])):
                found.append(other.properties["PolicyDocument"])
        return found


def parse(text: str) -> dict[str, Any]:
    """A template in YAML, with the long forms of intrinsic functions."""
    template: dict[str, Any] = json.loads(_as_json(text))
    return template


@lru_cache
def _as_json(text: str) -> str:
    return json.dumps(yaml_parse(text))


def packaged(template: dict[str, Any], bucket: str = "artifacts") -> dict[str, Any]:
    """The output of `aws cloudformation package`: files are S3 objects."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        for reference in ("CodeUri", "DefinitionUri"):
            if reference in resource["Properties"]:
                resource["Properties"][reference] = f"s3://{bucket}/{'0' * 32}"
    return template


@lru_cache(maxsize=200)
def _sam(text: str, region: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """Like `samtranslator.translator.transform`, for any region."""
    template, values = packaged(parse(text)), dict(parameters)
    to_py27_compatible_template(template, values)
    # Names of logical ids are hashes in the order of Python 2.7; the template refers to no managed policy by name.
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    return json.dumps(undo_mark_unicode_str_in_template(translator.translate(template, values)))


def composed(stack: str, logical: str, longest: int) -> str:
    """The name that CloudFormation gives to a resource without one.

    From `IdentifierUtils` of aws-cloudformation/cloudformation-cli-java-plugin, which AWS's resource handlers use: 13
    characters are for the random end; the rest is divided between the two names. What one does not need, the other
    gets; an odd character goes to the stack's.
    """
    stack = re.sub("-{2,}", "-", stack)
    if not stack:
        head = logical[: longest - 13]
    else:
        free = longest - 13 - 1
        of_the_logical = min(len(logical), free // 2)
        of_the_stack = min(len(stack), free - of_the_logical)
        head = f"{stack[:of_the_stack]}-{logical[: free - of_the_stack]}"
    return f"{head}-{_random(stack, logical)}"


def _random(stack: str, logical: str) -> str:
    """Twelve characters, the same for the same resource."""
    return hashlib.sha256(f"{stack}/{logical}".encode()).hexdigest()[:12].upper()


def translate(
    stack: str = STACK,
    account: str = ACCOUNT,
    region: str = REGION,
    parameters: Mapping[str, str] | None = None,
    text: str | None = None,
) -> Translated:
    """The template (or `text`) for a stack of this name with these parameters.

    Raises `ValueError` if CloudFormation rejects a parameter or a rule of the template does.
    """
    given = dict(parameters or {})
    template = json.loads(_sam(TEMPLATE.read_text() if text is None else text, region, tuple(sorted(given.items()))))
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    values = engine._resolve_parameters(template, [{"Key": name, "Value": value} for name, value in given.items()])
    conditions = engine._evaluate_conditions(template, values)
    engine._evaluate_rules(template, values, conditions)

    made: dict[str, dict[str, Any]] = {}
    identifier = f"arn:aws:cloudformation:{region}:{account}:stack/{stack}/{_random(stack, '')}"

    def resolved(value: Any) -> Any:
        return engine._resolve_refs(value, made, values, conditions, template.get("Mappings", {}), stack, identifier)

    resources: dict[str, Resource] = {}
    for logical in engine._topological_sort(template["Resources"], conditions):
        resource = template["Resources"][logical]
        if not conditions.get(resource.get("Condition"), True):
            continue
        kind = KINDS[resource["Type"]]
        properties = resolved(resource.get("Properties", {}))
        name = ""
        if kind.longest:
            name = composed(stack if kind.of_the_stack else "", logical, kind.longest)
            name = name.lower() if kind.lower else name
        known = {"Path": "/"} | properties
        known |= {"name": name, "region": region, "account": account, "random": _random(stack, logical)}
        known["arn"] = kind.arn.format(**known)
        known["ref"] = kind.ref.format(**known)
        attributes = {"Arn": known["arn"]} if kind.arn else {}
        attributes |= {attribute: text.format(**known) for attribute, text in kind.attributes.items()}
        made[logical] = {"PhysicalResourceId": known["ref"], "Attributes": attributes}
        resources[logical] = Resource(logical, resource["Type"], properties, name, known["arn"], known["ref"])
    return Translated(stack, template, resources)
