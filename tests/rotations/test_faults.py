"""Whole rotations while the network and AWS fail: a proxy with a seed between the functions and AWS.

test_rotations.py injects single faults into single calls. Here any call may fail in any of the ways of `FAULTS`.
Each test prints its seed and what was fired; with the same seed the nth call of an operation has the same outcome.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ResponseStreamingError

from local_aws.pki import Leaf
from local_aws.platform import Execution, LocalAws, as_bundle, client
from local_aws.viewer import Viewer
from rotations.account import IMPORTS, SOURCE_BUCKET, Account
from rotations.leaks import assert_no_key_is_left
from rotations.test_rotations import rotated

FAULTS: dict[str, dict[str, Any]] = {
    "AWS's own fault": {"error": {"code": "InternalError", "status": 500}},
    "not available": {"error": {"code": "ServiceUnavailable", "status": 503}},
    "reset before the effect": {"reset": True},
    "reset after the effect": {"response": {"abort_frac": 0}},
    "cut in the middle": {"response": {"abort_frac": 0.5}},
    # A shorter response that looks complete. Not for S3: half an object is a valid object.
    "half an answer": {"response": {"truncate_frac": 0.5}},
    "throttled": {},
    "slow": {"latency": {"min": 50, "max": 400}},
}
# The throttling error of each service.
THROTTLING = {
    "acm": {"code": "ThrottlingException", "status": 400},
    "cloudfront": {"code": "Throttling", "status": 400},
    "iam": {"code": "Throttling", "status": 400},
    "s3": {"code": "SlowDown", "status": 503},
    "secretsmanager": {"code": "ThrottlingException", "status": 400},
    "service-quotas": {"code": "TooManyRequestsException", "status": 400},
    "ssm": {"code": "ThrottlingException", "status": 400},
}
WITH_AN_END = ("acm", "cloudfront", "iam", "secretsmanager", "service-quotas", "ssm")
# What every rotation calls, in addition to its store: enough that each kind of fault gets its own operation.
EVERYWHERE = [
    *(("cloudfront", name) for name in ("ListDistributions", "GetDistributionConfig", "GetDistribution")),
    *(("cloudfront", "UpdateDistribution"), ("s3", "PutObject"), ("s3", "ListObjectsV2")),
]
OPERATIONS = {
    "acm": [*EVERYWHERE, ("acm", "GetCertificate"), ("acm", "DeleteCertificate")],
    "iam": [*EVERYWHERE, ("iam", "UploadServerCertificate"), ("iam", "DeleteServerCertificate")],
}
HALVED = {"acm": ("cloudfront", "ListDistributions"), "iam": ("cloudfront", "GetDistribution")}
# About 20 of 100 calls fail; 3 attempts of the SDK and 11 of the state machine must be enough.
PROBABILITY = 0.03


def rule(kind: str, service: str, **fields: Any) -> dict[str, Any]:
    """A fault of this kind for a service."""
    fault = {"error": THROTTLING[service]} if kind == "throttled" else FAULTS[kind]
    return {"name": kind, "service": service} | fault | fields


def mix(seed: int, store: str) -> list[dict[str, Any]]:
    """Each kind once for certain, at an operation drawn by the seed, and with a small probability at any call."""
    operations = random.Random(seed).sample(OPERATIONS[store], len(OPERATIONS[store]))
    certain = dict(zip([kind for kind in FAULTS if kind != "half an answer"], operations, strict=False))
    certain["half an answer"] = HALVED[store]
    rules = [rule(kind, service, operation=name, times=1) for kind, (service, name) in certain.items()]
    for kind in FAULTS:
        services = WITH_AN_END if kind == "half an answer" else THROTTLING
        rules += [rule(kind, service, probability=PROBABILITY) for service in services]
    return rules


@pytest.fixture(scope="module")
def faulty_aws() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002, faults=True) as aws:
        aws.client("s3").create_bucket(Bucket=SOURCE_BUCKET)
        aws.deploy(SourceBucket=SOURCE_BUCKET)
        yield aws
        assert_no_key_is_left(aws)


@pytest.fixture
def account(faulty_aws: LocalAws) -> Iterator[Account]:
    faulty_aws.control("POST", "reset")
    faulty_aws.proxy.clear()
    yield Account(faulty_aws)
    faulty_aws.proxy.clear()


def in_secrets_manager(account: Account, leaf: Leaf) -> str:
    return account.secret(leaf)


def in_parameter_store(account: Account, leaf: Leaf) -> str:
    name = f"/tls/{account.number}"
    account.aws.client("ssm").put_parameter(Name=name, Type="SecureString", Value=as_bundle(leaf))
    return f"ssm:{name}"


def in_s3(account: Account, leaf: Leaf) -> str:
    key = f"{account.number}/www.pem"
    account.aws.client("s3").put_object(Bucket=SOURCE_BUCKET, Key=key, Body=as_bundle(leaf).encode())
    return f"s3://{SOURCE_BUCKET}/{key}"


def scene(account: Account, store: str, count: int) -> tuple[str, list[str], list[str]]:
    """The old certificate, the distributions that serve it, and distributions that serve another one."""
    old, other = account.old(store), account.old("acm", "*.example.org")
    targets = account.targets(old, count)
    account.command(targets[0], inject_xml='<QuantumSettings mode="entangled"><Spin>up</Spin></QuantumSettings>')
    return old, targets, account.seed(*({"aliases": [f"{n}.example.org"], "certificate": other} for n in range(2)))


def new(account: Account) -> Leaf:
    return account.leaf("www.example.com", "*.example.com", days=199)


def but_the_certificate(account: Account, target: str) -> tuple[str, str, str]:
    """A distribution's configuration, byte by byte, without the certificate it serves."""
    document = account.aws.control("GET", f"distribution/{target}")["document"]
    rest, found = re.subn(r"<(\w+:)?ViewerCertificate>.*</(\w+:)?ViewerCertificate>", "", document, flags=re.DOTALL)
    assert found == 1
    viewer = account.distributions()[target]["viewer_certificate"]
    return rest, viewer["ssl_support_method"], viewer["minimum_protocol_version"]


def under_faults(
    account: Account, rules: list[dict[str, Any]], seed: int, rotate: Callable[[], Execution]
) -> tuple[Execution, set[str]]:
    """Runs a rotation to its end under these rules; returns the kinds of faults fired, and removes the rules."""
    proxy = account.aws.proxy
    names = [alias for one in account.distributions().values() for alias in one["aliases"]]
    with Viewer(account.aws, names) as viewer:
        proxy.rules(rules, seed)
        execution = rotate()
    fired = proxy.fired()
    by_call = Counter((f"{one.service}:{one.operation}", one.kind) for one in fired)
    print(f"seed {seed}: {execution.status} {execution.error} {execution.cause}")
    print("\n".join(f"{count:6} {call:55} {kind}" for (call, kind), count in sorted(by_call.items())))
    proxy.clear()
    print(f"{viewer.handshakes.total()} handshakes as a viewer, {len(viewer.failures)} failed")
    assert viewer.failures == []
    assert all(viewer.handshakes[name] > 10 for name in names), viewer.handshakes
    return execution, {one.kind for one in fired}


@pytest.mark.parametrize(
    ("seed", "store", "put", "count", "concurrency"),
    [
        (1, "acm", in_s3, 5, 1),
        (2, "acm", in_parameter_store, 4, 1),
        (3, "iam", in_secrets_manager, 4, 1),
        (4, "acm", in_secrets_manager, 6, 3),
        (5, "iam", in_secrets_manager, 6, 3),
    ],
)
def test_a_rotation_succeeds_under_random_faults(
    account: Account, seed: int, store: str, put: Callable[[Account, Leaf], str], count: int, concurrency: int
) -> None:
    old, targets, bystanders = scene(account, store, count)
    source = put(account, new(account))
    stored, imports = account.certificates(), len(account.calls(*IMPORTS))
    before, was = account.distributions(), {target: but_the_certificate(account, target) for target in targets}

    execution, kinds = under_faults(
        *(account, mix(seed, store), seed),
        lambda: account.rotate(source, old, store=store, concurrency=concurrency),
    )
    assert kinds == FAULTS.keys()
    now = rotated(execution, updated=count)["newCertificate"]["id"]
    after = account.distributions()
    assert account.serving(*targets) == [now] * count
    assert {one["status"] for one in after.values()} == {"Deployed"}
    assert [len(after[target]["history"]) - len(before[target]["history"]) for target in targets] == [1] * count
    assert {target: but_the_certificate(account, target) for target in targets} == was
    assert [after[one] for one in bystanders] == [before[one] for one in bystanders]
    assert account.most_in_progress() <= concurrency
    assert account.certificates() == stored - {old} | {now}
    assert [call["status"] for call in account.calls(*IMPORTS)[imports:]] == [200]
    deletions = [call for call in account.calls("DeleteCertificate", "DeleteServerCertificate") if call["status"] < 300]
    deployed = max(after[target]["history"][-1]["time"] for target in targets) + account.aws.propagation_seconds
    assert [call["time"] >= deployed for call in deletions] == [True]


def test_one_target_whose_responses_are_always_lost(account: Account) -> None:
    old, targets, _ = scene(account, "acm", 4)
    source = account.secret(new(account))
    lost = rule("reset after the effect", "cloudfront", operation="UpdateDistribution", resource=targets[2])
    execution, kinds = under_faults(account, [lost, *mix(6, "acm")], 6, lambda: account.rotate(source, old))
    assert kinds == FAULTS.keys()
    now = rotated(execution, updated=4)["newCertificate"]["id"]
    assert account.serving(*targets) == [now] * 4
    assert account.distributions()[targets[2]]["versions"] == 2, "changed once, whatever was sent again"


def test_one_target_that_cannot_be_updated(account: Account) -> None:
    old, targets, bystanders = scene(account, "acm", 4)
    source, stored = account.secret(new(account)), account.certificates()
    before, was = account.distributions(), {target: but_the_certificate(account, target) for target in targets}
    never = rule("AWS's own fault", "cloudfront", operation="UpdateDistribution", resource=sorted(targets)[1])
    execution, _ = under_faults(
        *(account, [never, *mix(7, "acm")], 7), lambda: account.rotate(source, old, concurrency=2)
    )
    assert (execution.status, execution.error) == ("FAILED", "RolledBack")
    assert sorted(targets)[1] in execution.cause
    serving, after = account.serving(*targets), account.distributions()
    assert serving == [old] * 4
    assert stored < account.certificates() and set(serving) <= account.certificates()
    for arn in set(serving):
        certificate = account.aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        assert certificate["NotBefore"] < dt.datetime.now(dt.UTC) < certificate["NotAfter"]
    assert {one["status"] for one in after.values()} == {"Deployed"}
    assert {target: but_the_certificate(account, target) for target in targets} == was
    assert [after[one] for one in bystanders] == [before[one] for one in bystanders]
    assert account.most_in_progress() <= 2
    # AWS works again: the same input continues with the remaining targets and the existing certificate.
    made = len(account.calls("ImportCertificate"))
    output = account.rotate(source, old).output
    assert output["outcome"] == "rotated" and output["newCertificate"]["imported"] is False
    assert account.serving(*targets) == [output["newCertificate"]["id"]] * 4
    assert len(account.calls("ImportCertificate")) == made


def through_the_proxy(account: Account, service: str) -> Any:
    """A client that calls through the functions' proxy, without retries."""
    half = account.aws.services if service == "acm" else account.aws.platform
    once = Config(retries={"total_max_attempts": 1}, response_checksum_validation="when_required")
    return client(service, account.aws.proxies[half], config=once)


def test_the_same_seed_gives_the_same_faults(account: Account) -> None:
    client = through_the_proxy(account, "acm")

    def fates(seed: int) -> list[str]:
        account.aws.proxy.rules([rule(kind, "acm", probability=0.1) for kind in FAULTS], seed)
        for _ in range(40):
            with contextlib.suppress(BotoCoreError, ClientError):
                client.list_certificates()
        return [one.kind for one in account.aws.proxy.fired()]

    first = fates(1)
    assert len(first) > 10 and len(set(first)) > 3
    assert fates(2) != first
    assert fates(1) == first


@pytest.mark.parametrize(
    ("kind", "effect", "error", "words"),
    [
        ("reset before the effect", False, ConnectionClosedError, "closed"),
        ("reset after the effect", True, ConnectionClosedError, "closed"),
        ("throttled", False, ClientError, "SlowDown"),
        ("not available", False, ClientError, "ServiceUnavailable"),
    ],
)
def test_faults_before_and_after_the_effect(
    account: Account, kind: str, effect: bool, error: type[Exception], words: str
) -> None:
    account.aws.proxy.rules([rule(kind, "s3", operation="PutObject", resource=SOURCE_BUCKET, times=1)])
    client, key = through_the_proxy(account, "s3"), f"{account.number}/{kind}"
    with pytest.raises(error, match=words):
        client.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=b"x")
    assert account.aws.client("s3").list_objects_v2(Bucket=SOURCE_BUCKET, Prefix=key)["KeyCount"] == effect
    client.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=b"x")
    [fired] = account.aws.proxy.fired()
    assert (fired.service, fired.operation, fired.resource, fired.kind) == ("s3", "PutObject", SOURCE_BUCKET, kind)


def test_half_a_response_looks_complete_and_a_cut_one_does_not(account: Account) -> None:
    kinds = ("half an answer", "cut in the middle")
    account.aws.proxy.rules([rule(kind, "s3", operation="GetObject", times=1) for kind in kinds])
    client, key = through_the_proxy(account, "s3"), f"{account.number}/object"
    client.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=b"x" * 1_000)
    assert client.get_object(Bucket=SOURCE_BUCKET, Key=key)["Body"].read() == b"x" * 500
    cut = client.get_object(Bucket=SOURCE_BUCKET, Key=key)["Body"]
    with pytest.raises(ResponseStreamingError):
        cut.read()
    assert [one.kind for one in account.aws.proxy.fired()] == list(kinds)
