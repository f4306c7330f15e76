"""The scenes of a run, in order: each is a promise and a function that tests whether it is kept.

A scene that fails raises `Failed` with a sentence. Scenes that need it are left out, and everything is removed.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .account import TEMPLATE, Account, Failed, pages, viewer_certificate, with_function
from .names import BROKEN_TARGET_POLICY
from .preflight import Pair
from .removal import find

# ACM may report a certificate in use for an hour after the last user is gone; it is not deleted before.
_ROTATION_SECONDS: Final = 3 * 3600
# More than there are targets: after the first, which goes alone, all others are updated in parallel.
_CONCURRENCY: Final = 5


class LeftOut(Exception):
    """The scene cannot run here; the text says why."""


@dataclass
class Execution:
    """A rotation that has ended, with its data from Step Functions and the rotation bucket."""

    name: str
    arn: str
    status: str
    error: str
    cause: str
    output: Any
    report: Any
    seconds: float


@dataclass
class Stage:
    """The resources that the scenes use, and their results."""

    account: Account
    old: Pair
    new: Pair
    # alias or tenant domain of each part that has one
    names: dict[str, str]
    folder: Path
    tell: Callable[[str], None]
    # how long IAM takes until a policy is in effect everywhere
    iam_settles_seconds: float = 20
    # roots of a private authority, if any
    roots: Path | None = None
    # whether the functions have the permissions on the bucket for access logs
    log_rights: bool = False
    # the template, next to the packages of the functions
    template: Path = TEMPLATE
    # part -> id of distribution or tenant
    targets: dict[str, str] = field(default_factory=dict)
    # other resources by what they are: certificates, source, web ACL, buckets
    made: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    # how long steps took, in seconds
    took: dict[str, float] = field(default_factory=dict)

    def distributions(self) -> dict[str, str]:
        """The standard distributions."""
        return {part: target for part, target in self.targets.items() if part in ("web-acl", "logs", "function")}


@dataclass(frozen=True)
class Scene:
    """A promise, and how it is tested."""

    name: str
    promise: str
    play: Callable[[Stage], None]
    # the scene cannot run without these
    needs: tuple[str, ...] = ()


def names_for(domain: str, old: Pair, new: Pair, run: str) -> dict[str, str]:
    """The alias of each part. Only one distribution can have an alias, so a single name goes to the tenant, which must
    have one; a wildcard in both certificates gives every part a unique name."""
    parts = ("web-acl", "logs", "function", "tenant")
    for wildcard in sorted(name.lower() for name in old.names if name.startswith("*.")):
        if wildcard in (name.lower() for name in new.names):
            return {part: f"{run}-{part}{wildcard[1:]}" for part in parts}
    return {"tenant": domain}


# What the scenes need


def make(stage: Stage) -> None:
    """Creates certificates, associated resources, and the distributions. Does not wait."""
    account, made, targets = stage.account, stage.made, stage.targets
    old = made["old"] = account.import_certificate(stage.old)
    aliases = {part: [name] for part, name in stage.names.items()}
    # First those that an account may not be allowed to create.
    made["function"] = account.make_function()
    targets["function"] = account.make_distribution(
        "function", old, aliases.get("function", []), DefaultCacheBehavior=with_function(made["function"])
    )
    made["web-acl"] = account.make_web_acl()
    targets["web-acl"] = account.make_distribution("web-acl", old, aliases.get("web-acl", []), WebACLId=made["web-acl"])
    made["logs"] = account.make_bucket("logs", for_logs=True)
    logging = {
        "Enabled": True,
        "IncludeCookies": False,
        "Bucket": f"{made['logs']}.s3.amazonaws.com",
        "Prefix": "",
    }
    targets["logs"] = account.make_distribution("logs", old, aliases.get("logs", []), Logging=logging)
    # Not yet tested on AWS; if it fails, everything else can still be tested.
    try:
        targets["template"] = account.make_template("template", old)
    except Failed as error:
        stage.tell(f"  {error}")
        made["no template"] = str(error)


def deploy(stage: Stage) -> None:
    """Deploys the stack as in the README; meanwhile CloudFront deploys the distributions."""
    account = stage.account
    began = time.monotonic()
    artifacts = stage.made["artifacts"] = account.make_bucket("artifacts")
    stage.outputs = account.deploy(
        artifacts,
        stage.template,
        stage.roots,
        SecretNames=f"{account.run.name}/*",
        LogBuckets=stage.made["logs"] if stage.log_rights else "",
        # No scheduled evaluation of the account's certificates.
        LookSchedule="cron(0 0 1 1 ? 2199)",
        LogRetentionDays="1",
    )
    stage.took["deploying the stack"] = time.monotonic() - began
    stage.made["source"] = account.put_secret("new", stage.new)
    account.wait_until_deployed(*stage.targets.values())


# Scenes


def make_a_tenant(stage: Stage) -> None:
    """CloudFront accepts a certificate that covers the domain as proof of its ownership."""
    account = stage.account
    if stage.roots:
        raise LeftOut("CloudFront wants a certificate of a public authority for the domain of a tenant.")
    template = stage.targets.get("template")
    if template is None:
        raise Failed(stage.made["no template"])
    domain = stage.names["tenant"]
    stage.targets["tenant"] = account.make_tenant("tenant", template, domain, stage.made["old"])
    account.wait_until_deployed(stage.targets["tenant"])


def plan(stage: Stage) -> None:
    """A dry run comes first, to see what a rotation would do."""
    before = _served(stage), _things(stage)
    done = rotate(stage, "plan", stage.made["old"], dryRun=True)
    _ends(done, "SUCCEEDED", "")
    _same("outcome of the plan", done.output["outcome"], "planned")
    _same("targets in the plan", done.output["targets"]["total"], len(stage.targets))
    _same("what there is after a dry run", (_served(stage), _things(stage)), before)


def refuse_an_uncovered_alias(stage: Stage) -> None:
    """The certificate is for another name and self-signed, so no public authority has signed it. That is a finding too
    and comes first; both are in the cause."""
    names = [name for part, name in stage.names.items() if part in stage.targets]
    if not names:
        raise LeftOut("no target has an alias here.")
    other = self_signed(f"{stage.account.run.name}.invalid", stage.old)
    source = stage.account.put_secret("uncovered", other)
    before = _served(stage), _things(stage)
    done = rotate(stage, "uncovered", stage.made["old"], source=source)
    _ends(done, "FAILED", "CertificateInvalid")
    for word in ("[AliasNotCovered]", *names):
        if word not in done.cause:
            raise Failed(f"the cause does not name {word}: {done.cause}")
    _same("what there is after a refusal", (_served(stage), _things(stage)), before)


def roll_back(stage: Stage) -> None:
    """Denies the update of one distribution, so it is refused in the middle of the rotation."""
    account = stage.account
    # The last in the plan's order, so that another one is updated before.
    broken = max(stage.distributions().values())
    role = account.physical("UpdateDistributionRole")
    arn = account.client("cloudfront").get_distribution(Id=broken)["Distribution"]["ARN"]
    denied = {"Effect": "Deny", "Action": "cloudfront:UpdateDistribution", "Resource": arn}
    iam = account.client("iam")
    iam.put_role_policy(
        RoleName=role,
        PolicyName=BROKEN_TARGET_POLICY,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denied]}),
    )
    try:
        time.sleep(stage.iam_settles_seconds)
        done = rotate(stage, "roll-back", stage.made["old"])
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=BROKEN_TARGET_POLICY)
    _ends(done, "FAILED", "RolledBack")
    for word in (broken, "AccessDenied"):
        if word not in done.cause:
            raise Failed(f"the cause does not name {word}: {done.cause}")
    _same("what is served after a rollback", _served(stage), dict.fromkeys(stage.targets, stage.made["old"]))
    moved = [one for one in done.report["targets"] if one.get("back")]
    if not moved:
        raise Failed("no target was moved before the failing one, so none was restored.")
    time.sleep(stage.iam_settles_seconds)


def rotate_acm(stage: Stage) -> None:
    """ACM to ACM. While the first target is in progress, another user edits a second one."""
    account, old = stage.account, stage.made["old"]
    before = {part: _without_certificate(stage, target) for part, target in stage.targets.items()}
    edited = max(stage.distributions(), key=lambda part: stage.targets[part])
    comment = account.named(f"{edited}, edited in between")
    met: dict[str, str] = {}

    def edit_once(_: str) -> None:
        others = [target for part, target in stage.targets.items() if part != edited]
        if not met and any(account.serves(target) != old for target in others):
            try:
                was = account.edit(stage.targets[edited], Comment=comment)
            except account.client("cloudfront").exceptions.PreconditionFailed:
                return  # The rotation was faster; so it will be said.
            met["certificate"] = was["ViewerCertificate"].get("ACMCertificateArn", "")

    done = rotate(stage, "rotate", old, meanwhile=edit_once)
    stage.made["new"] = _rotated(stage, done, len(stage.targets))
    if met.get("certificate") != old:
        raise Failed(
            f"{stage.targets[edited]} had been moved before it could be edited: edits in between were not tested."
        )
    before[edited] |= {"Comment": comment}
    after = {part: _without_certificate(stage, target) for part, target in stage.targets.items()}
    _same("configurations, certificates aside", after, before)


def rotate_iam(stage: Stage) -> None:
    """IAM to IAM, with one distribution: multi-tenant ones accept certificates of ACM only."""
    account, part = stage.account, "logs"
    target = stage.targets[part]
    old = stage.made["old in IAM"] = account.upload_certificate("old", stage.old)
    account.edit(target, ViewerCertificate=viewer_certificate(old))
    account.wait_until_deployed(target)
    done = rotate(stage, "rotate-iam", old)
    stage.made["new in IAM"] = _rotated(stage, done, 1)
    _same(f"certificate of {target}", account.serves(target), stage.made["new in IAM"])


SCENES: Final = (
    Scene("tenant", "A tenant of a multi-tenant distribution is created without any change of DNS.", make_a_tenant),
    Scene("plan", "A dry run plans for every target and changes nothing.", plan),
    Scene("uncovered", "A certificate that covers no alias is refused before any write.", refuse_an_uncovered_alias),
    Scene(
        "roll-back",
        "A failing target stops the rotation, and all targets that were moved are restored.",
        roll_back,
        ("plan",),
    ),
    Scene(
        "rotate",
        "ACM to ACM: every target is moved, an edit in between is kept, the old certificate is deleted.",
        rotate_acm,
        ("plan",),
    ),
    Scene("rotate-iam", "IAM to IAM: the same in the other store.", rotate_iam, ("plan",)),
)


# Rotations


def rotate(
    stage: Stage,
    what: str,
    old: str,
    source: str | None = None,
    meanwhile: Callable[[str], None] = lambda _: None,
    **fields: Any,
) -> Execution:
    """Runs a rotation to its end; saves its history and its folder in the bucket to the run's folder."""
    account = stage.account
    states, name = account.client("stepfunctions"), account.named(what)
    request = {
        "newCertificate": source or stage.made["source"],
        "oldCertificate": old,
        "concurrency": _CONCURRENCY,
        "verifyViewers": stage.roots is None,
        **fields,
    }
    began = time.monotonic()
    arn = states.start_execution(
        stateMachineArn=stage.outputs["RotationStateMachineArn"], name=name, input=json.dumps(request)
    )["executionArn"]

    def ended() -> Any:
        answer = states.describe_execution(executionArn=arn)
        if answer["status"] != "RUNNING":
            return answer
        meanwhile(arn)
        return None

    answer = account.until(f"the end of {name}", ended, _ROTATION_SECONDS)
    cause = answer.get("cause", "")
    done = Execution(
        name,
        arn,
        answer["status"],
        answer.get("error", ""),
        json.loads(cause)["errorMessage"] if cause.startswith("{") else cause,
        json.loads(answer["output"]) if answer.get("output") else None,
        _report(stage, name),
        time.monotonic() - began,
    )
    stage.executions[what] = done
    stage.tell(f"{name}: {done.status} {done.error}".rstrip() + f" after {done.seconds:.0f} s")
    return done


def _report(stage: Stage, name: str) -> Any:
    """The rotation's report.json."""
    s3, bucket = stage.account.client("s3"), stage.outputs["RotationBucketName"]
    found = [one["Key"] for one in pages(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"rotations/{name}/")]
    reports = [key for key in found if key.endswith("/report.json")]
    if len(reports) != 1:
        raise Failed(f"{name} left {len(reports)} reports in s3://{bucket}/rotations/{name}/, not one.")
    return json.loads(s3.get_object(Bucket=bucket, Key=reports[0])["Body"].read())


def _rotated(stage: Stage, done: Execution, targets: int) -> str:
    """The new certificate, if everything was moved to it and the old one is gone."""
    _ends(done, "SUCCEEDED", "")
    output = done.output
    _same("outcome", output["outcome"], "rotated")
    _same("targets updated", output["targets"]["updated"], targets)
    _same("fingerprint of the new certificate", output["newCertificate"]["fingerprint"], stage.new.fingerprint)
    if not output["oldCertificate"]["deleted"]:
        raise Failed(f"the old certificate was kept: {output['oldCertificate'].get('reason', 'no reason is given')}.")
    return str(output["newCertificate"]["id"])


def _ends(done: Execution, status: str, error: str) -> None:
    if (done.status, done.error) != (status, error):
        raise Failed(f"{done.name} ended {done.status} {done.error}, not {status} {error}: {done.cause}".rstrip(": "))


def _same(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise Failed(f"{what}: {found!r}, not {expected!r}.")


def _served(stage: Stage) -> dict[str, str]:
    """The certificate in the configuration of each target."""
    return {part: stage.account.serves(target) for part, target in stage.targets.items()}


def _things(stage: Stage) -> set[str]:
    """All resources of the run in the account, including those that rotations have created."""
    return {str(thing) for thing in find(stage.account) if thing.run == stage.account.run}


def _without_certificate(stage: Stage, target: str) -> dict[str, Any]:
    """A configuration without its certificate and without what CloudFront sets itself."""
    if target.startswith("dt_"):
        tenant = stage.account.tenant(target)
        kept = {name: value for name, value in tenant.items() if name not in ("LastModifiedTime", "Status")}
        domains = [domain["Domain"] for domain in kept["Domains"]]
        return kept | {"Customizations": kept["Customizations"] | {"Certificate": None}, "Domains": domains}
    config: dict[str, Any] = stage.account.config(target)[0]
    named = {"ACMCertificateArn", "IAMCertificateId", "Certificate", "CertificateSource"}
    viewer = {name: value for name, value in config["ViewerCertificate"].items() if name not in named}
    return config | {"ViewerCertificate": viewer}


def self_signed(name: str, outlives: Pair) -> Pair:
    """A throwaway certificate for one name that expires after the other one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "certrot acceptance")])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
        .not_valid_after(outlives.leaf.not_valid_after_utc + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(leaf, (), leaf.public_bytes(pem).decode(), "", private.decode())
