"""The control API: what tests do to distributions, tenants and calls, and what they read."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from local_aws.pki import Authority
from local_aws.platform import until
from local_aws.state import Fault
from local_aws.tests.client import IMPORTED, Aws, create_tenant, refused


def test_another_user_edits_between_read_and_write(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old, "comment": "mine"})
    aws.control(f"distribution/{target}", {"edit_on_read": 2})
    for _ in range(2):
        refused("PreconditionFailed", aws.move, 412, distribution_id=target, arn=new)
    aws.move(target, arn=new)
    assert aws.config(target)[0]["Comment"].startswith("edited")
    before = aws.config(target)[1]
    aws.control(f"distribution/{target}", {"edit": True})
    assert aws.config(target)[1] != before


def test_a_distribution_vanishes(aws: Aws, old: str, new: str) -> None:
    first, second = aws.seed(
        {"aliases": ["a.example.com"], "certificate": old}, {"aliases": ["b.example.com"], "certificate": old}
    )
    aws.control(f"distribution/{first}", {"vanish": True})
    refused("NoSuchDistribution", aws.config, 404, distribution_id=first)
    aws.control(f"distribution/{second}", {"vanish_on_read": True})
    refused("NoSuchDistribution", aws.move, 404, distribution_id=second, arn=new)
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == []


def test_a_distribution_drifts_to_another_certificate(aws: Aws, old: str, new: str, issuer: Authority) -> None:
    third = aws.import_acm(issuer.leaf("www.example.com"))
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.control(f"distribution/{target}", {"drift_on_read": {"ACMCertificateArn": third}})
    refused("PreconditionFailed", aws.move, 412, distribution_id=target, arn=new)
    assert aws.config(target)[0]["ViewerCertificate"]["ACMCertificateArn"] == third
    aws.control(f"distribution/{target}", {"viewer_certificate": {"CloudFrontDefaultCertificate": True}})
    assert aws.config(target)[0]["ViewerCertificate"]["CertificateSource"] == "cloudfront"
    assert aws.acm.describe_certificate(CertificateArn=third)["Certificate"]["InUseBy"] == []


def test_tenants_take_the_same_commands(aws: Aws, template: str, old: str, new: str) -> None:
    tenant_id = create_tenant(aws, template, "shop.example.com", old)["DistributionTenant"]["Id"]

    def read() -> Any:
        return aws.cloudfront.get_distribution_tenant(Identifier=tenant_id)

    document = aws.control(f"tenant/{tenant_id}", method="GET")["document"]
    assert f"<Customizations><Certificate><Arn>{old}</Arn></Certificate></Customizations>" in document
    before = read()["ETag"]
    aws.control(f"tenant/{tenant_id}", {"edit": True})
    assert read()["ETag"] != before
    aws.control(f"tenant/{tenant_id}", {"edit_on_read": 1})
    assert read()["ETag"] != read()["ETag"]
    aws.control(f"tenant/{tenant_id}", {"viewer_certificate": {"Arn": new}})
    assert read()["DistributionTenant"]["Customizations"]["Certificate"]["Arn"] == new
    aws.control(f"tenant/{tenant_id}", {"propagation_seconds": 600})
    assert read()["DistributionTenant"]["Status"] == "InProgress"
    aws.control(f"tenant/{tenant_id}", {"vanish_on_read": True})
    read()
    refused("EntityNotFound", read, 404)


@pytest.mark.parametrize(
    ("service", "operation", "call"),
    [
        ("cloudfront", "ListDistributions", lambda aws: aws.cloudfront.list_distributions()),
        ("acm", "ListCertificates", lambda aws: aws.acm.list_certificates()),
        ("iam", "ListServerCertificates", lambda aws: aws.iam.list_server_certificates()),
        (
            "service-quotas",
            "GetServiceQuota",
            lambda aws: aws.quotas.get_service_quota(ServiceCode="acm", QuotaCode="L-F141DD1D"),
        ),
        ("resourcegroupstaggingapi", "GetResources", lambda aws: aws.tagging.get_resources()),
    ],
)
def test_faults_are_in_the_envelope_of_each_service(
    aws: Aws, service: str, operation: str, call: Callable[[Aws], Any]
) -> None:
    aws.control(
        "faults",
        {
            "service": service,
            "operation": operation,
            "code": "ServiceUnavailable",
            "status": 503,
            "message": "try later",
            "times": 2,
            "skip": 1,
        },
    )
    call(aws)
    for _ in range(2):
        assert refused("ServiceUnavailable", lambda: call(aws), 503) == "try later"
    call(aws)
    assert [(one["operation"], one["status"], one["error"]) for one in aws.state()["calls"]] == [
        (operation, 200, None),
        (operation, 503, "ServiceUnavailable"),
        (operation, 503, "ServiceUnavailable"),
        (operation, 200, None),
    ]
    assert aws.state()["faults"][0]["fired"] == 2


def test_a_rate_allows_a_burst_and_then_that_many_calls_a_second(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    # Over the wire, with a bucket that is not refilled within the test ...
    fault = {"service": "cloudfront", "operation": "List*", "code": "Throttling", "times": 100}
    aws.control("faults", fault | {"rate": 1e-6, "burst": 3})
    for _ in range(3):
        aws.cloudfront.list_distributions()
    refused("Throttling", aws.cloudfront.list_distributions)
    refused("Throttling", aws.cloudfront.list_distributions)
    assert aws.state()["faults"][0]["fired"] == 2

    # ... and with a fake clock, so that it is refilled.
    throttled, bucket = [], Fault("cloudfront", "List*", times=100, rate=2, burst=3)
    now = time.monotonic()
    monkeypatch.setattr("local_aws.state.time.monotonic", lambda: now)
    for pause in (0, 0, 0, 0, 1.1, 0, 0):
        now += pause
        throttled.append(bucket.fires("cloudfront", "ListDistributions", None))
    assert throttled == [False, False, False, True, False, False, True]


def test_a_fault_after_the_effect_and_for_one_resource(aws: Aws, old: str, new: str) -> None:
    first, second = aws.seed(
        {"aliases": ["a.example.com"], "certificate": old}, {"aliases": ["b.example.com"], "certificate": old}
    )
    aws.control(
        "faults",
        {
            "service": "cloudfront",
            "operation": "UpdateDistribution",
            "code": "InternalError",
            "status": 500,
            "resource": second,
            "after_effect": True,
        },
    )
    aws.move(first, arn=new)
    refused("InternalError", aws.move, 500, distribution_id=second, arn=new)
    assert [one["certificate"] for one in aws.state()["distributions"]] == [new, new]
    aws.control("faults", method="DELETE")
    assert aws.state()["faults"] == []


def test_a_slow_call_takes_effect_after_its_caller_gave_up(aws: Aws, issuer: Authority) -> None:
    aws.control(
        "faults", {"service": "acm", "operation": "ImportCertificate", "after_effect": True, "latency_seconds": 1}
    )
    impatient = aws.client("acm", read_timeout=0.3)
    leaf = issuer.leaf("www.example.com")
    with pytest.raises(ReadTimeoutError):
        impatient.import_certificate(
            Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem
        )
    until(lambda: len(aws.state()["acm_certificates"]) == 1)


def test_a_fault_may_have_a_probability(aws: Aws) -> None:
    fault = {"service": "iam", "operation": "GetAccountSummary", "code": "Throttling", "times": 1000}
    aws.control("faults", fault | {"probability": 0})
    aws.iam.get_account_summary()
    aws.control("faults", fault | {"probability": 1})
    refused("Throttling", aws.iam.get_account_summary, 400)


def test_state_reports_resources_and_calls(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.move(target, arn=new)
    state = aws.state()
    (distribution,) = state["distributions"]
    assert distribution["aliases"] == ["www.example.com"]
    assert distribution["viewer_certificate"]["id"] == new
    assert distribution["etag"] == aws.config(target)[1]
    assert distribution["versions"] == 2
    assert [one["certificate"] for one in distribution["history"]] == [old, new]
    assert [one["CertificateArn"] for one in state["acm_certificates"]] == [old, new]
    calls = [(one["service"], one["operation"], one["resource"], one["status"]) for one in state["calls"]]
    assert calls == [
        ("acm", "ImportCertificate", None, 200),
        ("acm", "ImportCertificate", None, 200),
        ("cloudfront", "GetDistributionConfig", target, 200),
        ("cloudfront", "UpdateDistribution", target, 200),
    ]


def test_the_state_holds_no_private_key(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    aws.import_acm(leaf)
    aws.upload_iam(leaf)
    assert "PRIVATE KEY" not in json.dumps(aws.state())


def test_an_invalid_control_call_is_an_error(aws: Aws) -> None:
    (target,) = aws.seed({})
    for path, body in (
        (f"distribution/{target}", {"edti": True}),
        (f"distribution/{target}", {"viewer_certificate": {}}),
        ("distribution/E0", {"edit": True}),
        ("settings", {"propagation": 3}),
        ("settings", {"quotas": {"L-0": 3}}),
        ("faults", {"service": "acm"}),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            aws.control(path, body)
        assert caught.value.code == 400
    assert aws.state()["distributions"][0]["versions"] == 1


def test_reset_empties_the_account(aws: Aws, old: str, issuer: Authority) -> None:
    aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.upload_iam(issuer.leaf("www.example.com"))
    aws.control("settings", {"propagation_seconds": 9, "quotas": {"L-BF35879D": 1}})
    aws.quotas.request_service_quota_increase(**IMPORTED, DesiredValue=3000)
    aws.control("reset")
    state = aws.state()
    assert [state[kind] for kind in ("distributions", "acm_certificates", "iam_certificates", "calls")] == [[]] * 4
    assert (state["quota_requests"], state["quotas"]["L-BF35879D"]) == ([], 20)
    assert state["settings"]["propagation_seconds"] == 0
