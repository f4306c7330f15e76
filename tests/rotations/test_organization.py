"""The stack of `conftest.py` is deployed under an organization's rules, so rotations of other files run under them too.

The local AWS has only some of them: docs/local-aws.md. `tests/contract/test_organization.py` checks the template.
"""

from __future__ import annotations

from typing import Any

from contract.translated import ORGANIZATION
from local_aws.platform import STACK, LocalAws, client
from rotations.account import Account


def test_a_rotation_under_an_organizations_rules(account: Account) -> None:
    old = account.old()
    [target] = account.targets(old, count=1)
    output = account.rotate(account.new(), old).output
    assert output["outcome"] == "rotated"
    assert account.serving(target) == [output["newCertificate"]["id"]]


def test_the_stack_has_the_organizations_path_and_key(local_aws: LocalAws) -> None:
    made = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in local_aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    }
    assert "NoticeKey" not in made
    # Roles of the stack are ministack's, those of tests moto's.
    roles = client("iam", local_aws.platform).list_roles()["Roles"]
    assert {one["Path"] for one in roles} == {ORGANIZATION["RolePath"]}
    assert {one["RoleName"] for one in roles} == {made[name] for name in made if name.endswith("Role")}
    [stack] = local_aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    [key] = [one["ParameterValue"] for one in stack["Parameters"] if one["ParameterKey"] == "KeyArn"]
    asked = {"QueueUrl": made["UndeliveredQueue"], "AttributeNames": ["All"]}
    assert local_aws.client("sqs").get_queue_attributes(**asked)["Attributes"]["KmsMasterKeyId"] == key
    groups = log_groups(local_aws)
    assert len(groups) == 12
    assert {one["kmsKeyId"] for one in groups} == {key}
    assert {one["retentionInDays"] for one in groups} == {90}


def log_groups(aws: LocalAws) -> list[dict[str, Any]]:
    """The log groups of the stack."""
    groups: list[dict[str, Any]] = aws.client("logs").describe_log_groups()["logGroups"]
    return [one for one in groups if f"/{STACK}/" in one["logGroupName"]]


def test_the_tags_of_the_stack_are_those_of_its_resources(local_aws: LocalAws) -> None:
    tag, aws = {"CostCenter": "42"}, local_aws.client
    found = [one["FunctionArn"] for one in aws("lambda").list_functions()["Functions"]]
    tagged = [aws("lambda").list_tags(Resource=arn)["Tags"] for arn in found]
    [queue] = aws("sqs").list_queues(QueueNamePrefix=f"{STACK}-")["QueueUrls"]
    tagged.append(aws("sqs").list_queue_tags(QueueUrl=queue)["Tags"])
    for group in log_groups(local_aws):
        arn = group["arn"].removesuffix(":*")
        tagged.append(aws("logs").list_tags_for_resource(resourceArn=arn)["tags"])
    listed = [aws("sns").list_tags_for_resource(ResourceArn=local_aws.outputs["NoticeTopicArn"])["Tags"]]
    for alarm in aws("cloudwatch").describe_alarms()["MetricAlarms"]:
        listed.append(aws("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
    tagged += [{one["Key"]: one["Value"] for one in tags} for tags in listed]
    assert len(tagged) == 11 + 1 + 12 + 1 + 4
    assert [tags for tags in tagged if not tag.items() <= tags.items()] == []
