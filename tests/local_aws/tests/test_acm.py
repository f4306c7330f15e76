"""ACM, over the wire."""

from __future__ import annotations

import datetime as dt

import pytest

from local_aws.pki import Authority, KeyType, key_pem
from local_aws.tests.client import ACCOUNT, ALL_KEY_TYPES, Aws, refused


def test_a_certificate_is_in_use_until_nothing_serves_it(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    arn = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{target}"
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == [arn]
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    aws.move(target, arn=new)
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == []
    aws.acm.delete_certificate(CertificateArn=old)
    refused("ResourceNotFoundException", aws.acm.describe_certificate, 400, CertificateArn=old)


def test_a_certificate_is_reported_in_use_for_a_while_after_it_is_released(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.control("settings", {"in_use_lag_seconds": 600})
    aws.move(target, arn=new)
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    aws.control("settings", {"in_use_lag_seconds": 0})
    aws.acm.delete_certificate(CertificateArn=old)


def test_users_outside_cloudfront_are_in_in_use_by(aws: Aws, old: str) -> None:
    gateway = "arn:aws:cloudfront::111111111111:distribution/EAPIGATEWAY"
    aws.control("acm/in-use", {"arn": old, "by": [gateway]})
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == [gateway]
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    aws.control("acm/in-use", {"arn": old, "by": []})
    aws.acm.delete_certificate(CertificateArn=old)


def test_a_load_balancer_of_moto_is_in_in_use_by(aws: Aws, old: str) -> None:
    ec2, elb = aws.client("ec2"), aws.client("elbv2")
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
    balancer = elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": old}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
    )
    (user,) = aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"]
    # AWS returns the load balancer, moto its listener.
    assert user.startswith(balancer.replace(":loadbalancer/", ":listener/"))
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)


@pytest.mark.parametrize(
    ("key_type", "algorithm"), [("RSA-2048", "RSA-2048"), ("P-256", "EC-prime256v1"), ("P-384", "EC-secp384r1")]
)
def test_an_imported_certificate_is_described(aws: Aws, issuer: Authority, key_type: KeyType, algorithm: str) -> None:
    leaf = issuer.leaf("www.example.com", "example.com", key_type=key_type)
    arn = aws.import_acm(leaf, Tags=[{"Key": "run", "Value": "r-1"}])
    assert arn.startswith(f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/")
    detail = aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (detail["Type"], detail["Status"], detail["KeyAlgorithm"]) == ("IMPORTED", "ISSUED", algorithm)
    assert detail["SubjectAlternativeNames"] == ["www.example.com", "example.com"]
    assert int(detail["Serial"].replace(":", ""), 16) == leaf.certificate.serial_number
    assert detail["NotAfter"] == leaf.certificate.not_valid_after_utc
    assert "ImportedAt" in detail
    got = aws.acm.get_certificate(CertificateArn=arn)
    assert (got["Certificate"], got["CertificateChain"]) == (leaf.certificate_pem, leaf.chain_pem)
    assert aws.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "run", "Value": "r-1"}]


def test_list_certificates_hides_all_but_small_rsa_keys_by_default(aws: Aws, issuer: Authority) -> None:
    arns = {
        key_type: aws.import_acm(issuer.leaf("www.example.com", key_type=key_type))
        for key_type in ("RSA-2048", "RSA-3072", "P-256")
    }
    listed = aws.acm.list_certificates()["CertificateSummaryList"]
    assert [one["CertificateArn"] for one in listed] == [arns["RSA-2048"]]
    listed = aws.acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
    assert [one["CertificateArn"] for one in listed] == [arns["P-256"]]
    listed = aws.acm.list_certificates(Includes={"keyTypes": ALL_KEY_TYPES})["CertificateSummaryList"]
    assert {one["CertificateArn"] for one in listed} == set(arns.values())


def test_list_certificates_pages_and_summarizes(aws: Aws, issuer: Authority) -> None:
    names = [f"n{n}.example.com" for n in range(120)]
    key = issuer.leaf("x").key
    arns = [aws.import_acm(issuer.leaf(*names, key=key)) for _ in range(5)]
    aws.seed({"aliases": ["n1.example.com"], "certificate": arns[0]})
    pages = list(
        aws.acm.get_paginator("list_certificates").paginate(
            Includes={"keyTypes": ALL_KEY_TYPES},
            CertificateStatuses=["ISSUED"],
            PaginationConfig={"PageSize": 2},
        )
    )
    assert [len(page["CertificateSummaryList"]) for page in pages] == [2, 2, 1]
    summaries = [one for page in pages for one in page["CertificateSummaryList"]]
    assert [one["CertificateArn"] for one in summaries] == arns
    assert [one["InUse"] for one in summaries] == [True, False, False, False, False]
    backwards = aws.acm.list_certificates(
        Includes={"keyTypes": ALL_KEY_TYPES}, SortBy="CREATED_AT", SortOrder="DESCENDING"
    )
    assert [one["CertificateArn"] for one in backwards["CertificateSummaryList"]] == arns[::-1]
    first = summaries[0]
    assert (first["Type"], first["KeyAlgorithm"]) == ("IMPORTED", "EC-prime256v1")
    assert first["NotBefore"] < first["ImportedAt"] < first["NotAfter"]
    assert first["SubjectAlternativeNameSummaries"] == names[:100]
    assert first["HasAdditionalSubjectAlternativeNames"] is True


def test_an_import_is_checked(aws: Aws, issuer: Authority) -> None:
    leaf, other = issuer.leaf("www.example.com"), issuer.leaf("www.example.com")
    good = {
        "Certificate": leaf.certificate_pem,
        "PrivateKey": leaf.key_pem,
        "CertificateChain": leaf.chain_pem,
    }
    now = dt.datetime.now(dt.UTC)
    expired = issuer.leaf(
        "www.example.com", not_before=now - dt.timedelta(days=2), not_after=now - dt.timedelta(days=1)
    )
    future = issuer.leaf("www.example.com", not_before=now + dt.timedelta(days=1))
    foreign = Authority.root("Foreign").intermediate().leaf("www.example.com")
    for wrong in (
        {"PrivateKey": other.key_pem},
        {"PrivateKey": key_pem(leaf.key, password="secret")},
        {"PrivateKey": "no key"},
        {"Certificate": "no certificate"},
        {"Certificate": leaf.certificate_pem + leaf.chain_pem},
        {"CertificateChain": foreign.chain_pem},
        {"Certificate": expired.certificate_pem, "PrivateKey": expired.key_pem},
        {"Certificate": future.certificate_pem, "PrivateKey": future.key_pem},
        {"PrivateKey": leaf.key_pem + " " * 5120},
    ):
        refused("ValidationException", aws.acm.import_certificate, 400, **good | wrong)
    without_chain = {name: value for name, value in good.items() if name != "CertificateChain"}
    refused("ValidationException", aws.acm.import_certificate, 400, **without_chain)
    refused(
        "InvalidTagException", aws.acm.import_certificate, 400, **good, Tags=[{"Key": "name", "Value": "*.example.com"}]
    )
    assert aws.state()["acm_certificates"] == []
    aws.acm.import_certificate(**good)


def test_a_reimport_keeps_the_arn_the_tags_and_the_users(aws: Aws, issuer: Authority) -> None:
    arn = aws.import_acm(issuer.leaf("www.example.com"), Tags=[{"Key": "run", "Value": "r-1"}])
    aws.seed({"aliases": ["www.example.com"], "certificate": arn})
    renewed = issuer.leaf("www.example.com")
    refused("ValidationException", aws.import_acm, 400, leaf=renewed, CertificateArn=arn, Tags=[{"Key": "a"}])
    another_key = issuer.leaf("www.example.com", key_type="P-384")
    refused("ValidationException", aws.import_acm, 400, leaf=another_key, CertificateArn=arn)
    assert aws.import_acm(renewed, CertificateArn=arn) == arn
    detail = aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert int(detail["Serial"].replace(":", ""), 16) == renewed.certificate.serial_number
    assert len(detail["InUseBy"]) == 1
    assert aws.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "run", "Value": "r-1"}]


@pytest.mark.parametrize("code", ["L-F141DD1D", "L-D2CB7DE9", "L-3808DC70", "L-DA1D8B98"])
def test_an_import_over_a_quota_is_refused(aws: Aws, issuer: Authority, code: str) -> None:
    aws.control("settings", {"quotas": {code: 1}})
    leaf = issuer.leaf("www.example.com")
    arn = aws.import_acm(leaf)
    refused("LimitExceededException", aws.import_acm, 400, leaf=leaf)
    aws.acm.delete_certificate(CertificateArn=arn)
    if code in ("L-3808DC70", "L-DA1D8B98"):
        # A certificate imported within the year counts even if it was deleted.
        assert "in the last year" in refused("LimitExceededException", aws.import_acm, 400, leaf=leaf)
    else:
        aws.import_acm(leaf)
