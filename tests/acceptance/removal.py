"""Finds the resources of runs by name and tag, and removes them.

A resource belongs to a run if its name begins with the run's name and its tag has the same name. Certificates are
recognized by their tag only: ACM's have no names, and a rotation chooses the names of those in IAM. Everything else in
the account is left alone.

Resources are removed one step at a time, and each step is retried until the resource is gone. What is in use or not
`Deployed` yet is removed in a later round. So no order has to be known, and all distributions are disabled in parallel.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from .account import PATIENCE_SECONDS, Account, pages, words
from .names import BROKEN_TARGET_POLICY, PREFIX, TAG, Run

# The resource exists and can be removed later.
_NOT_YET: Final = frozenset(
    (
        *("ResourceInUse", "ResourceInUseException", "DistributionNotDisabled", "ResourceNotDisabled", "FunctionInUse"),
        *("WAFAssociatedItemException", "DeleteConflict", "BucketNotEmpty", "PreconditionFailed", "Throttling"),
        *("ThrottlingException", "WAFOptimisticLockException", "OperationAborted", "InvalidIfMatchVersion"),
        *("IllegalUpdate", "WAFUnavailableEntityException", "WAFInternalErrorException", "InvalidRequestException"),
    )
)
# A refusal is final only after this many attempts, because permissions also take a while to propagate.
_REFUSALS: Final = 3
_GRACE_ROUNDS: Final = 40
_GONE: Final = frozenset(
    (
        *("NoSuchDistribution", "EntityNotFound", "NoSuchFunctionExists", "WAFNonexistentItemException"),
        *("ResourceNotFoundException", "NoSuchEntity", "NoSuchBucket", "NoSuchResource"),
    )
)
# Prefixes of the stack's log groups; the name of the stack follows.
_LOGS: Final = ("/aws/lambda/", "/aws/vendedlogs/states/")
_KEY_TYPES: Final = ("RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1")


@dataclass(frozen=True)
class Thing:
    """A resource of a run in the account."""

    kind: str
    id: str
    run: Run
    # does the next step; true when the resource is gone
    remove: Callable[[], bool]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def of_run(name: str | None, tags: Iterable[dict[str, str]]) -> Run | None:
    """The run by name and by tag. `name` is None if the run did not choose it."""
    value = next((tag["Value"] for tag in tags if tag["Key"] == TAG), "")
    run = Run.parse(value)
    # The tag must be exactly the name of a run, not begin with it.
    if run is None or run.name != value:
        return None
    return run if name is None or Run.parse(name) == run else None


def find(account: Account, unseen: list[str] | None = None) -> Iterator[Thing]:
    """All resources of all runs, in the best order for removal.

    A list operation that fails ends the search; with `unseen` it adds a sentence there and the search continues.
    """
    for kind, seek in _KINDS.items():
        try:
            for identity, run, step in seek(account):
                yield Thing(kind, identity, run, step)
        except ClientError as error:
            if unseen is None:
                raise
            unseen.append(f"{kind}: {error.operation_name} failed, so none is listed. {words(error)} {_cure(error)}")


def remove_all(
    account: Account, wanted: Callable[[Run], bool], patience_seconds: float = PATIENCE_SECONDS
) -> list[str]:
    """Removes all resources of the runs that are wanted, including those created in the meantime, such as the rest of a
    stack that was still being created; returns a sentence for each that is left, and for each that cannot be listed."""
    while True:
        unseen: list[str] = []
        things = [thing for thing in find(account, unseen) if wanted(thing.run)]
        left = remove(account, things, patience_seconds)
        if left or not things:
            return left + unseen


def _cure(error: ClientError) -> str:
    """What a user can do about the error."""
    code = error.response["Error"]["Code"]
    if "AccessDenied" in code or "Unauthorized" in code:
        return f"Grant the action of {error.operation_name}, then sweep again."
    if code == "DELETE_FAILED":
        return "Fix what CloudFormation reports, then sweep again."
    return "Sweep again; if it says the same, remove it by hand."


def remove(account: Account, things: Iterable[Thing], patience_seconds: float = PATIENCE_SECONDS) -> list[str]:
    """Removes these in parallel; returns a sentence for each that is left."""
    waiting, left, why, refused = list(things), [], dict[Thing, str](), Counter[Thing]()
    told = time.monotonic()
    deadline = told + patience_seconds
    while waiting:
        stacks = {thing.run for thing in waiting if thing.kind == "stack"}
        for thing in list(waiting):
            # What runs in a stack writes into its bucket, and its log groups are deleted with it.
            if thing.kind in ("bucket", "log group") and thing.run in stacks:
                continue
            try:
                gone = thing.remove()
            except ClientError as error:
                why[thing] = words(error)
                code = error.response["Error"]["Code"]
                gone = code in _GONE
                refused[thing] += not gone and code not in _NOT_YET
                if refused[thing] == _REFUSALS:
                    left.append(f"{thing}: {why[thing]} {_cure(error)}")
                    waiting.remove(thing)
                    continue
            if gone:
                waiting.remove(thing)
        if left and not any(thing.kind in ("tenant", "distribution", "stack") for thing in waiting):
            # The others are probably in use by what is left.
            deadline = min(deadline, time.monotonic() + _GRACE_ROUNDS * account.poll_seconds)
        if waiting and time.monotonic() > deadline:
            late = "it takes longer than this. Sweep again to resume."
            return left + [f"{thing}: {why.get(thing, late)}" for thing in waiting]
        if waiting:
            told = account.tell_now_and_then(told, f"still there: {', '.join(map(str, waiting))}")
            time.sleep(account.poll_seconds)
    return left


_Found = Iterator[tuple[str, Run, Callable[[], bool]]]


def _at_once(delete: Callable[..., object], **of: Any) -> Callable[[], bool]:
    """A resource that one call removes."""

    def step() -> bool:
        delete(**of)
        return True

    return step


def _tenants(account: Account) -> _Found:
    cloudfront = account.client("cloudfront")
    for one in pages(cloudfront, "list_distribution_tenants", "DistributionTenantList"):
        if Run.parse(one["Name"]) and (run := of_run(one["Name"], _cloudfront_tags(cloudfront, one["Arn"]))):
            yield one["Id"], run, lambda id=one["Id"]: _remove_tenant(cloudfront, id)


def _remove_tenant(cloudfront: Any, tenant: str) -> bool:
    answer = cloudfront.get_distribution_tenant(Identifier=tenant)
    found, etag = answer["DistributionTenant"], answer["ETag"]
    if found["Enabled"]:
        kept = {
            name: found[name] for name in ("DistributionId", "Customizations", "ConnectionGroupId") if name in found
        }
        domains = [{"Domain": domain["Domain"]} for domain in found["Domains"]]
        cloudfront.update_distribution_tenant(Id=tenant, IfMatch=etag, Domains=domains, Enabled=False, **kept)
        return False
    if found["Status"] != "Deployed":
        return False
    cloudfront.delete_distribution_tenant(Id=tenant, IfMatch=etag)
    return True


def _distributions(account: Account) -> _Found:
    cloudfront = account.client("cloudfront")
    for page in cloudfront.get_paginator("list_distributions").paginate():
        for one in page["DistributionList"].get("Items", []):
            if Run.parse(one["Comment"]) and (run := of_run(one["Comment"], _cloudfront_tags(cloudfront, one["ARN"]))):
                yield one["Id"], run, lambda id=one["Id"]: _remove_distribution(cloudfront, id)


def _remove_distribution(cloudfront: Any, distribution: str) -> bool:
    answer = cloudfront.get_distribution(Id=distribution)
    found, etag = answer["Distribution"], answer["ETag"]
    config = found["DistributionConfig"]
    if config["Enabled"]:
        cloudfront.update_distribution(Id=distribution, IfMatch=etag, DistributionConfig=config | {"Enabled": False})
        return False
    if found["Status"] != "Deployed":
        return False
    cloudfront.delete_distribution(Id=distribution, IfMatch=etag)
    return True


def _cloudfront_tags(cloudfront: Any, arn: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = cloudfront.list_tags_for_resource(Resource=arn)["Tags"].get("Items", [])
    return found


def _functions(account: Account) -> _Found:
    cloudfront = account.client("cloudfront")

    def step(name: str) -> bool:
        cloudfront.delete_function(Name=name, IfMatch=cloudfront.describe_function(Name=name)["ETag"])
        return True

    marker: dict[str, str] = {}
    while True:
        answer = cloudfront.list_functions(**marker)["FunctionList"]
        for one in answer.get("Items", []):
            arn = one["FunctionMetadata"]["FunctionARN"]
            if Run.parse(one["Name"]) and (run := of_run(one["Name"], _cloudfront_tags(cloudfront, arn))):
                yield one["Name"], run, lambda name=one["Name"]: step(name)
        if not answer.get("NextMarker"):
            return
        marker = {"Marker": answer["NextMarker"]}


def _stacks(account: Account) -> _Found:
    client = account.client("cloudformation")
    begun: set[str] = set()

    def step(name: str, run: Run) -> bool:
        try:
            status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return True
        if status == "DELETE_FAILED" and name in begun:
            reasons = [
                event.get("ResourceStatusReason", "")
                for event in client.describe_stack_events(StackName=name)["StackEvents"]
                if event["ResourceStatus"] == "DELETE_FAILED"
            ]
            said = {"Code": status, "Message": "; ".join(filter(None, reasons))}
            raise ClientError({"Error": said}, "DeleteStack")
        if status not in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"):
            _make_deletable(account, name, run)
            client.delete_stack(StackName=name)
            begun.add(name)
        return bool(status == "DELETE_COMPLETE")

    for stack in pages(client, "describe_stacks", "Stacks"):
        name, status = stack["StackName"], stack["StackStatus"]
        if not Run.parse(name) or status == "DELETE_COMPLETE":
            continue
        tags = stack.get("Tags", [])
        if status == "REVIEW_IN_PROGRESS":
            # Only a change set yet, which has the tags.
            for change in pages(client, "list_change_sets", "Summaries", StackName=name):
                tags += client.describe_change_set(ChangeSetName=change["ChangeSetId"])["Tags"]
        if run := of_run(name, tags):
            yield name, run, lambda name=name, run=run: step(name, run)


def _make_deletable(account: Account, stack: str, run: Run) -> None:
    """Stops what would continue without its stack, removes what would prevent its deletion, and tags as the run's what
    the stack leaves behind."""
    states, iam = account.client("stepfunctions"), account.client("iam")
    resources = pages(
        account.client("cloudformation"), "list_stack_resources", "StackResourceSummaries", StackName=stack
    )
    for resource in resources:
        kind, identity = resource["ResourceType"], resource.get("PhysicalResourceId")
        if not identity or resource["ResourceStatus"] == "DELETE_COMPLETE":
            continue
        try:
            if kind == "AWS::StepFunctions::StateMachine":
                # An execution would continue to move distributions after its state machine is deleted.
                running = pages(
                    states, "list_executions", "executions", stateMachineArn=identity, statusFilter="RUNNING"
                )
                for execution in running:
                    states.stop_execution(executionArn=execution["executionArn"])
            elif resource["LogicalResourceId"] == "UpdateDistributionRole":
                # IAM does not delete a role that has a policy from outside its stack.
                iam.delete_role_policy(RoleName=identity, PolicyName=BROKEN_TARGET_POLICY)
            elif kind == "AWS::S3::Bucket":
                tag_bucket(account.client("s3"), identity, run)
        except ClientError as error:
            if error.response["Error"]["Code"] not in (*_GONE, "StateMachineDoesNotExist"):
                raise


def tag_bucket(s3: Any, name: str, run: Run) -> None:
    """Adds the run's tag and keeps the other tags."""
    # Tags with this prefix are CloudFormation's and cannot be set by others.
    kept = [tag for tag in _bucket_tags(s3, name) if tag["Key"] != TAG and not tag["Key"].startswith("aws:")]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [*kept, {"Key": TAG, "Value": run.name}]})


def _bucket_tags(s3: Any, name: str) -> list[dict[str, str]]:
    try:
        found: list[dict[str, str]] = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchTagSet", "NoSuchBucket"):
            raise
        return []
    return found


def _web_acls(account: Account) -> _Found:
    client = account.client("wafv2")

    def step(name: str, id: str) -> bool:
        token = client.get_web_acl(Name=name, Scope="CLOUDFRONT", Id=id)["LockToken"]
        client.delete_web_acl(Name=name, Scope="CLOUDFRONT", Id=id, LockToken=token)
        return True

    marker: dict[str, str] = {}
    while True:
        answer = client.list_web_acls(Scope="CLOUDFRONT", **marker)
        for one in answer.get("WebACLs", []):
            if Run.parse(one["Name"]):
                tags = client.list_tags_for_resource(ResourceARN=one["ARN"])["TagInfoForResource"]["TagList"]
                if run := of_run(one["Name"], tags):
                    yield one["Name"], run, lambda name=one["Name"], id=one["Id"]: step(name, id)
        if not answer.get("NextMarker") or not answer.get("WebACLs"):
            return
        marker = {"NextMarker": answer["NextMarker"]}


def _acm_certificates(account: Account) -> _Found:
    acm = account.client("acm")
    listed = pages(acm, "list_certificates", "CertificateSummaryList", Includes={"keyTypes": list(_KEY_TYPES)})
    for arn in [one["CertificateArn"] for one in listed]:
        if run := of_run(None, acm.list_tags_for_certificate(CertificateArn=arn).get("Tags", [])):
            yield arn, run, _at_once(acm.delete_certificate, CertificateArn=arn)


def _iam_certificates(account: Account) -> _Found:
    iam = account.client("iam")
    listed = pages(iam, "list_server_certificates", "ServerCertificateMetadataList", PathPrefix="/cloudfront/")
    for name in [one["ServerCertificateName"] for one in listed]:
        # A rotation chooses the name of its import, and copies the tags of the old certificate.
        if run := of_run(None, iam.list_server_certificate_tags(ServerCertificateName=name).get("Tags", [])):
            yield name, run, _at_once(iam.delete_server_certificate, ServerCertificateName=name)


def _secrets(account: Account) -> _Found:
    client = account.client("secretsmanager")
    for one in pages(client, "list_secrets", "SecretList", Filters=[{"Key": "name", "Values": [PREFIX]}]):
        if run := of_run(one["Name"], one.get("Tags", [])):
            step = _at_once(client.delete_secret, SecretId=one["Name"], ForceDeleteWithoutRecovery=True)
            yield one["Name"], run, step


def _buckets(account: Account) -> _Found:
    s3 = account.client("s3")

    def step(name: str) -> bool:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if keys:
                s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
        s3.delete_bucket(Bucket=name)
        return True

    for one in pages(s3, "list_buckets", "Buckets", Prefix=PREFIX):
        name = one["Name"]
        if Run.parse(name) and (run := of_run(name, _bucket_tags(s3, name))):
            yield name, run, lambda name=name: step(name)


def _log_groups(account: Account) -> _Found:
    logs = account.client("logs")
    for folder in _LOGS:
        for one in pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=folder + PREFIX):
            path, arn = one["logGroupName"], one["arn"].removesuffix(":*")
            if Run.parse(name := path.removeprefix(folder)):
                tags = logs.list_tags_for_resource(resourceArn=arn)["tags"].items()
                if run := of_run(name, [{"Key": key, "Value": value} for key, value in tags]):
                    yield path, run, _at_once(logs.delete_log_group, logGroupName=path)


_KINDS: Final[dict[str, Callable[[Account], _Found]]] = {
    "tenant": _tenants,
    "distribution": _distributions,
    "stack": _stacks,
    "function": _functions,
    "web ACL": _web_acls,
    "ACM certificate": _acm_certificates,
    "IAM certificate": _iam_certificates,
    "secret": _secrets,
    "bucket": _buckets,
    "log group": _log_groups,
}
