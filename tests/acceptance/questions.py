"""Questions about AWS that only an account can answer, with separate calls on resources of the run.

The calls of the functions cannot be seen from here, so answers about them are read from the reports of the rotations.
A question that this run cannot ask gets a reason instead of an answer.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .account import Failed, viewer_certificate, words
from .names import TAG
from .preflight import Pair
from .scenes import Stage

# How long to wait for an answer that may take time.
_PATIENCE_SECONDS: Final = 900
_BURST: Final = 20
_QUOTAS: Final = (
    ("acm", "L-F141DD1D"),
    ("acm", "L-DA1D8B98"),
    ("acm", "L-D2CB7DE9"),
    ("acm", "L-3808DC70"),
    ("iam", "L-BF35879D"),
    ("cloudfront", "L-DA9DCC93"),
)


class NotAsked(str):
    """Why a part of a question could not be asked."""


@dataclass(frozen=True)
class Question:
    """Something that is not documented, or documented in two ways."""

    number: int
    text: str
    ask: Callable[[Stage], Iterator[str]]


@dataclass(frozen=True)
class Answer:
    """The answer; `evidence` are the files of the calls that were made for it."""

    question: Question
    said: tuple[str, ...]
    not_asked: tuple[str, ...]
    evidence: tuple[str, ...]


def attempt(call: Callable[[], Any]) -> str:
    """ "accepted", or the error of AWS."""
    try:
        call()
    except ClientError as error:
        return words(error)
    return "accepted."


def associations(stage: Stage) -> Iterator[str]:
    what = {
        "web-acl": "a web ACL",
        "logs": f"access logs in a bucket that LogBuckets {'names' if stage.log_rights else 'does not name'}",
        "function": "a CloudFront function",
        "template": "tenants",
        "tenant": "a template",
    }
    rotation = stage.executions.get("rotate")
    if not rotation:
        yield NotAsked("no rotation came so far.")
        return
    by_id = {one["target"]["id"]: one for one in rotation.report["targets"]}
    for part, target in stage.targets.items():
        forward = by_id.get(target, {}).get("forward") or {}
        failure = forward.get("failure")
        came = (
            f"{failure['error']}: {failure['cause']}" if failure else "updated with the rights of the template's role."
        )
        yield f"{target}, with {what[part]}: {came}"
    yield NotAsked("Lambda@Edge, whose functions cannot be deleted for hours after their last use, and VPC origins.")


def fresh_certificate(stage: Stage) -> Iterator[str]:
    account, tenant = stage.account, _target(stage, "tenant")
    cloudfront = account.client("cloudfront")

    def update(certificate: str) -> None:
        answer = cloudfront.get_distribution_tenant(Identifier=tenant)
        cloudfront.update_distribution_tenant(
            Id=tenant,
            IfMatch=answer["ETag"],
            DistributionId=answer["DistributionTenant"]["DistributionId"],
            Domains=[{"Domain": stage.names["tenant"]}],
            Customizations={"Certificate": {"Arn": certificate}},
        )

    new = account.serves(tenant)
    nowhere = f"{new.rpartition('/')[0]}/00000000-0000-4000-8000-000000000000"
    yield f"A certificate that does not exist: {attempt(lambda: update(nowhere))}"
    with _response_only(cloudfront):
        yield f"A request that holds Status of a domain, which only answers have: {attempt(lambda: update(new))}"
    fresh = account.import_certificate(stage.new)
    yield from _until_accepted(stage, "a tenant", lambda: update(fresh))


def _target(stage: Stage, part: str) -> str:
    if part not in stage.targets:
        raise Failed(f"this run has no {part}.")
    return stage.targets[part]


class _response_only:
    """Adds members to requests that boto3 would not send."""

    def __init__(self, cloudfront: Any) -> None:
        self._events, self._name = cloudfront.meta.events, "before-call.cloudfront.UpdateDistributionTenant"

    def __enter__(self) -> None:
        self._events.register(self._name, self._put)

    def __exit__(self, *_: object) -> None:
        self._events.unregister(self._name, self._put)

    @staticmethod
    def _put(params: dict[str, Any], **_: Any) -> None:
        end = b"</Domain></member>"
        if end not in params["body"]:
            raise Failed("boto3 writes domains of a tenant otherwise than it did.")
        params["body"] = params["body"].replace(end, b"</Domain><Status>active</Status></member>")


def _until_accepted(stage: Stage, target: str, update: Callable[[], None]) -> Iterator[str]:
    began, refusals = time.monotonic(), dict[str, int]()
    while (came := attempt(update)) != "accepted.":
        refusals[came] = refusals.get(came, 0) + 1
        if time.monotonic() - began > _PATIENCE_SECONDS:
            break
        time.sleep(min(2, stage.account.poll_seconds))
    for refusal, times in refusals.items():
        yield f"A certificate imported just now, given to {target}: refused {times} times with {refusal}"
    taken = "accepted" if came == "accepted." else "not accepted"
    yield f"A certificate imported just now, given to {target}: {taken} after {time.monotonic() - began:.0f} s."


def inactive_domains(stage: Stage) -> Iterator[str]:
    yield NotAsked("it takes a certificate of a public authority that does not cover the domain of a tenant.")


def ecdsa_under_rsa(stage: Stage) -> Iterator[str]:
    account = stage.account
    pair = _mixed(account.run.name)
    arns: list[str] = []
    came = attempt(lambda: arns.append(account.import_certificate(pair)))
    yield f"ImportCertificate of a P-256 leaf that an RSA 2048 authority issued: {came}"
    for arn in arns:
        account.client("acm").delete_certificate(CertificateArn=arn)
    yield NotAsked("whether CloudFront takes it: that wants one of a public authority.")


def http_versions(stage: Stage) -> Iterator[str]:
    account = stage.account
    one, other = stage.targets["web-acl"], stage.targets["function"]
    if account.serves(one) != account.serves(other):
        yield NotAsked(f"{one} and {other} do not share a certificate any more.")
        return
    had = account.config(one)[0]["HttpVersion"]
    came = attempt(lambda: account.edit(one, HttpVersion="http2and3"))
    yield f"{one} goes from {had} to http2and3 while {other} with the same certificate stays at {had}: {came}"
    if came == "accepted.":
        account.edit(one, HttpVersion=had)


def preconditions(stage: Stage) -> Iterator[str]:
    account, target = stage.account, stage.targets["web-acl"]
    cloudfront = account.client("cloudfront")
    config, etag = account.config(target)
    account.edit(target, Comment=account.named("web-acl, edited once more"))

    def update(**more: str) -> str:
        return attempt(lambda: cloudfront.update_distribution(Id=target, DistributionConfig=config, **more))

    yield f"UpdateDistribution with an ETag of before: {update(IfMatch=etag)}"
    yield f"UpdateDistribution without If-Match: {update()}"
    yield NotAsked("pricing plans and continuous deployment, which this run does not make.")


def times(stage: Stage) -> Iterator[str]:
    for name, rotation in stage.executions.items():
        yield f"{rotation.name} took {rotation.seconds:.0f} s and ended {rotation.error or rotation.status}."
        for one in rotation.report["targets"] if name.startswith(("rotate", "roll-back")) else ():
            for way in ("forward", "back"):
                if deployment := (record := one.get(way) or {}).get("deployment"):
                    seconds = (_parsed(deployment["at"]) - _parsed(record["update"]["since"])).total_seconds()
                    retries = record["update"].get("retries", 0)
                    yield (
                        f"{one['target']['id']}, {way}: {deployment['status']} after {seconds:.0f} s, by look "
                        f"{deployment['looks']}; the update took {retries} retries."
                    )
    for what, seconds in stage.took.items():
        yield f"{what}: {seconds:.0f} s."
    yield from _letting_go(stage)
    yield from _burst(stage)


def _parsed(moment: str) -> dt.datetime:
    return dt.datetime.fromisoformat(moment)


def _letting_go(stage: Stage) -> Iterator[str]:
    """How long a new certificate is not visible yet, and how long an old one is still reported in use."""
    account, acm = stage.account, stage.account.client("acm")
    target, cloudfront = stage.targets["web-acl"], stage.account.client("cloudfront")
    arn = cloudfront.get_distribution(Id=target)["Distribution"]["ARN"]
    left, fresh = account.serves(target), account.import_certificate(stage.new)

    def names_it(certificate: str) -> bool:
        return arn in acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"]

    yield from _until_accepted(
        stage, "a distribution", lambda: account.edit(target, ViewerCertificate=viewer_certificate(fresh))
    )
    began = time.monotonic()
    account.wait_until_deployed(target)
    yield f"{target} was Deployed {time.monotonic() - began:.0f} s after that update."
    for certificate, what, wanted in ((fresh, "new", True), (left, "old", False)):
        try:
            account.until("InUseBy", lambda one=certificate, so=wanted: names_it(one) is so, _PATIENCE_SECONDS)
            came = f"after {time.monotonic() - began:.0f} s"
        except Failed:
            came = f"not yet after {_PATIENCE_SECONDS} s"
        yield f"InUseBy of the {what} certificate {'names' if wanted else 'no longer names'} the distribution: {came}."


def _burst(stage: Stage) -> Iterator[str]:
    account, target = stage.account, stage.targets["function"]
    cloudfront = account.session.client("cloudfront", config=Config(retries={"total_max_attempts": 1}))
    began = time.monotonic()
    for n in range(1, _BURST + 1):
        config, etag = account.config(target)
        came = attempt(
            lambda: cloudfront.update_distribution(Id=target, IfMatch=etag, DistributionConfig=config)  # noqa: B023
        )
        if came != "accepted.":
            yield f"UpdateDistribution number {n} in {time.monotonic() - began:.1f} s: {came}"
            return
    yield f"{_BURST} UpdateDistribution, one after the other, in {time.monotonic() - began:.1f} s: none was throttled."


def real_bytes(stage: Stage) -> Iterator[str]:
    cloudfront, targets = stage.account.client("cloudfront"), stage.targets
    cloudfront.get_distribution_config(Id=targets["web-acl"])
    cloudfront.get_distribution(Id=targets["function"])
    # The other list operations would show other resources of the account.
    acl = stage.made["web-acl"]
    cloudfront.list_distributions_by_web_acl_id(WebACLId=acl)
    missing = {
        "A distribution": lambda: cloudfront.get_distribution(Id="E0000000000000"),
        "A tenant": lambda: cloudfront.get_distribution_tenant(Identifier="dt_000000000000000000000000000"),
    }
    for what, call in missing.items():
        yield f"{what} that does not exist: {attempt(call)}"
    yield "The bodies of a configuration, a distribution and a list are kept as they came."
    tenant = cloudfront.get_distribution_tenant(Identifier=_target(stage, "tenant"))["DistributionTenant"]
    cloudfront.list_distribution_tenants(AssociationFilter={"DistributionId": tenant["DistributionId"]})
    cloudfront.get_connection_group(Identifier=tenant["ConnectionGroupId"])
    yield "So are those of a tenant, a list of tenants and a connection group."


def service_quotas(stage: Stage) -> Iterator[str]:
    client = stage.account.client("service-quotas")
    for service, code in _QUOTAS:
        for operation in ("get_service_quota", "get_aws_default_service_quota"):
            try:
                quota = getattr(client, operation)(ServiceCode=service, QuotaCode=code)["Quota"]
                came = f"{quota['Value']:.0f}, {quota.get('QuotaName', 'without a name')}"
            except ClientError as error:
                came = words(error).rstrip(".")
            yield f"{operation} of {service} {code}: {came}."
    yield NotAsked("whether re-imports count against the yearly quota: only an account at its quota shows it.")


def conflicts(stage: Stage) -> Iterator[str]:
    acm, iam = stage.account.client("acm"), stage.account.client("iam")
    served = stage.account.serves(stage.targets["web-acl"])
    came = attempt(lambda: acm.delete_certificate(CertificateArn=served))
    yield f"DeleteCertificate of ACM while a distribution serves it: {came}"
    if in_iam := stage.made.get("new in IAM"):
        listed = iam.get_paginator("list_server_certificates").paginate(PathPrefix="/cloudfront/")
        metadata = [one for page in listed for one in page["ServerCertificateMetadataList"]]
        [name] = [one["ServerCertificateName"] for one in metadata if one["ServerCertificateId"] == in_iam]
        came = attempt(lambda: iam.delete_server_certificate(ServerCertificateName=name))
        yield f"DeleteServerCertificate of IAM while a distribution serves it: {came}"
    else:
        yield NotAsked("DeleteServerCertificate: no distribution serves a certificate of IAM.")
    yield NotAsked("LimitExceededException of ImportCertificate: that takes as many imports as the quota allows.")


def tag_index(stage: Stage) -> Iterator[str]:
    """Managed certificates, and distributions and tenants to be left alone, are found in this index."""
    account, index = stage.account, stage.account.client("resourcegroupstaggingapi")

    def indexed() -> set[str]:
        pages = index.get_paginator("get_resources").paginate(TagFilters=[{"Key": TAG, "Values": [account.run.name]}])
        return {one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]}

    known = indexed()
    for part in ("web-acl", "template", "tenant"):
        if target := stage.targets.get(part):
            is_in = any(arn.endswith(f"/{target}") for arn in known)
            yield f"{target} ({part}) is {'in' if is_in else 'not in'} the index."
    fresh = account.import_certificate(stage.new)
    for what, wanted in (("A tagged certificate is in it", True), ("A deleted one is no longer in it", False)):
        began = time.monotonic()
        try:
            account.until("the index", lambda so=wanted: (fresh in indexed()) is so, _PATIENCE_SECONDS)
            yield f"{what} after {time.monotonic() - began:.0f} s."
        except Failed:
            yield f"{what}: not yet after {_PATIENCE_SECONDS} s."
        if wanted:
            account.client("acm").delete_certificate(CertificateArn=fresh)


# Questions that change what others read come last.
QUESTIONS: Final = (
    Question(
        1,
        "Does an update of a distribution check unchanged associations, and with whose permissions?",
        associations,
    ),
    Question(3, "Does the update of a template check domains of tenants that no certificate covers?", inactive_domains),
    Question(4, "Does ACM accept an ECDSA certificate that an RSA authority issued?", ecdsa_under_rsa),
    Question(8, "What are CloudFront's responses, byte for byte?", real_bytes),
    Question(
        9, "What does Service Quotas report for the quotas that are checked, and do re-imports count?", service_quotas
    ),
    Question(10, "Which error refuses the deletion of a certificate while CloudFront serves it?", conflicts),
    Question(11, "What does the index of tags name, and how soon does it know a change?", tag_index),
    Question(5, "Must distributions that share a certificate have the same HTTP versions?", http_versions),
    Question(6, "Does an update ever fail its precondition for anything but a stale ETag?", preconditions),
    Question(
        2,
        "How does a tenant's update respond to a certificate that is not visible yet, or does not exist?",
        fresh_certificate,
    ),
    Question(7, "How long does everything take, and which rate of updates is throttled?", times),
)


def ask(stage: Stage, question: Question) -> Answer:
    """Asks one question; an error becomes the reason why it has no answer or only a part of one."""
    calls = stage.folder / "calls"
    before = {path.name for path in calls.glob("*.json")}
    came: list[str] = []
    try:
        for sentence in question.ask(stage):
            came.append(sentence)
    except (ClientError, Failed) as error:
        said = words(error) if isinstance(error, ClientError) else str(error)
        came.append(NotAsked(f"a precondition was missing, or it failed on the way: {said}"))
    return Answer(
        question,
        tuple(one for one in came if not isinstance(one, NotAsked)),
        tuple(one for one in came if isinstance(one, NotAsked)),
        tuple(sorted({path.name for path in calls.glob("*.json")} - before)),
    )


def _mixed(name: str) -> Pair:
    """A P-256 certificate of an authority with an RSA key."""
    now = dt.datetime.now(dt.UTC)
    authority_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "certrot acceptance RSA")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "certrot acceptance P-256")])

    def certificate(of: x509.Name, public: Any, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )

    root = certificate(issuer, authority_key.public_key(), True).sign(authority_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(f"{name}.invalid")])
    leaf = (
        certificate(subject, key.public_key(), False).add_extension(names, False).sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return Pair(leaf, (root,), leaf.public_bytes(pem).decode(), root.public_bytes(pem).decode(), private)
