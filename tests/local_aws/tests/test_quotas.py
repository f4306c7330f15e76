"""Service Quotas, over the wire."""

from __future__ import annotations

import pytest

from local_aws.pki import Authority
from local_aws.tests.client import IMPORTED, Aws, refused


@pytest.mark.parametrize(
    ("service", "code", "value"),
    [
        ("acm", "L-F141DD1D", 2500),
        ("acm", "L-DA1D8B98", 5000),
        ("acm", "L-D2CB7DE9", 2500),
        ("acm", "L-3808DC70", 5000),
        ("iam", "L-BF35879D", 20),
        ("cloudfront", "L-DA9DCC93", 2),
    ],
)
def test_quotas_have_applied_and_default_values(aws: Aws, service: str, code: str, value: float) -> None:
    applied, default = aws.quotas.get_service_quota, aws.quotas.get_aws_default_service_quota
    quota = {"ServiceCode": service, "QuotaCode": code}
    assert applied(**quota)["Quota"]["Value"] == default(**quota)["Quota"]["Value"] == value
    aws.control("settings", {"quotas": {code: value + 1}})
    assert (applied(**quota)["Quota"]["Value"], default(**quota)["Quota"]["Value"]) == (value + 1, value)
    aws.control("settings", {"quotas": {code: None}})
    refused("NoSuchResourceException", applied, 400, **quota)
    assert default(**quota)["Quota"]["Value"] == value
    aws.control("settings", {"quotas": {code: "absent"}})
    refused("NoSuchResourceException", applied, 400, **quota)
    refused("NoSuchResourceException", default, 400, **quota)
    refused("NoSuchResourceException", applied, 400, ServiceCode="s3", QuotaCode=code)


def test_quotas_of_global_services_are_in_us_east_1(aws: Aws) -> None:
    elsewhere = aws.client("service-quotas", "eu-west-1")
    refused("NoSuchResourceException", elsewhere.get_service_quota, 400, ServiceCode="iam", QuotaCode="L-BF35879D")
    elsewhere.get_service_quota(ServiceCode="acm", QuotaCode="L-F141DD1D")


def test_an_increase_is_pending_until_it_is_decided(aws: Aws, issuer: Authority) -> None:
    aws.control("settings", {"quotas": {"L-D2CB7DE9": 1}})
    leaf = issuer.leaf("www.example.com")
    aws.import_acm(leaf)
    increase = aws.quotas.request_service_quota_increase
    refused("IllegalArgumentException", increase, 400, **IMPORTED, DesiredValue=1)
    asked = increase(**IMPORTED, DesiredValue=2)["RequestedQuota"]
    assert (asked["Status"], asked["DesiredValue"]) == ("PENDING", 2)
    refused("ResourceAlreadyExistsException", increase, 400, **IMPORTED, DesiredValue=3)
    history = aws.quotas.list_requested_service_quota_change_history_by_quota
    assert history(**IMPORTED, Status="PENDING")["RequestedQuotas"] == [asked]
    refused("LimitExceededException", aws.import_acm, 400, leaf=leaf)

    aws.control(f"quota-request/{asked['Id']}", {"status": "APPROVED"})
    decided = aws.quotas.get_requested_service_quota_change(RequestId=asked["Id"])["RequestedQuota"]
    assert decided["Status"] == "APPROVED"
    assert history(**IMPORTED, Status="PENDING")["RequestedQuotas"] == []
    assert aws.quotas.get_service_quota(**IMPORTED)["Quota"]["Value"] == 2
    aws.import_acm(leaf)
    refused("NoSuchResourceException", aws.quotas.get_requested_service_quota_change, 400, RequestId="unknown")


@pytest.mark.parametrize("status", ["DENIED", "CASE_CLOSED", "NOT_APPROVED", "INVALID_REQUEST"])
def test_a_denied_increase_changes_nothing_and_may_be_requested_again(aws: Aws, status: str) -> None:
    asked = aws.quotas.request_service_quota_increase(**IMPORTED, DesiredValue=3000)["RequestedQuota"]
    aws.control(f"quota-request/{asked['Id']}", {"status": status})
    decided = aws.quotas.get_requested_service_quota_change(RequestId=asked["Id"])["RequestedQuota"]
    assert decided["Status"] == status
    assert aws.quotas.get_service_quota(**IMPORTED)["Quota"]["Value"] == 2500
    aws.quotas.request_service_quota_increase(**IMPORTED, DesiredValue=3000)


def test_increases_are_decided_automatically_after_a_time(aws: Aws) -> None:
    aws.control("settings", {"quota_decision": {"*": "deny", "L-D2CB7DE9": "approve", "after_seconds": 600}})
    increase = aws.quotas.request_service_quota_increase
    approved = increase(**IMPORTED, DesiredValue=3000)["RequestedQuota"]["Id"]
    denied = increase(ServiceCode="iam", QuotaCode="L-BF35879D", DesiredValue=30)["RequestedQuota"]["Id"]

    def status(request_id: str) -> str:
        return aws.quotas.get_requested_service_quota_change(RequestId=request_id)["RequestedQuota"]["Status"]

    assert (status(approved), status(denied)) == ("PENDING", "PENDING")
    aws.control("settings", {"quota_decision": {"after_seconds": 0}})
    assert (status(approved), status(denied)) == ("APPROVED", "DENIED")
    assert aws.quotas.get_service_quota(**IMPORTED)["Quota"]["Value"] == 3000
    assert aws.iam.get_account_summary()["SummaryMap"]["ServerCertificatesQuota"] == 20
