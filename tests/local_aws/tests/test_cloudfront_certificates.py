"""Which viewer certificates CloudFront takes, and for which aliases."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from local_aws.pki import Authority, KeyType
from local_aws.platform import until
from local_aws.tests.client import (
    ACCOUNT,
    ALL_KEY_TYPES,
    Aws,
    aliases,
    distribution_config,
    refused,
    viewer_certificate,
)

NOT_USABLE = (
    "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, "
    "or doesn't include a valid certificate chain."
)


def refused_certificate(aws: Aws, names: list[str], **viewer: Any) -> str:
    config = distribution_config(Aliases=aliases(*names), ViewerCertificate=viewer_certificate(**viewer))
    return refused("InvalidViewerCertificate", aws.cloudfront.create_distribution, 400, DistributionConfig=config)


def test_an_acm_certificate_must_exist_in_us_east_1(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    elsewhere = aws.client("acm", "eu-west-1").import_certificate(
        Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem
    )["CertificateArn"]
    assert ":eu-west-1:" in elsewhere
    assert refused_certificate(aws, ["www.example.com"], arn=elsewhere) == NOT_USABLE
    unknown = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/{uuid.uuid4()}"
    assert refused_certificate(aws, ["www.example.com"], arn=unknown) == NOT_USABLE
    assert aws.acm.list_certificates(Includes={"keyTypes": ALL_KEY_TYPES})["CertificateSummaryList"] == []


def test_an_expired_certificate_is_not_taken(aws: Aws, issuer: Authority) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4)
    short_lived = aws.import_acm(issuer.leaf("www.example.com", not_after=soon))
    aws.seed({"aliases": ["www.example.com"], "certificate": short_lived})
    until(lambda: aws.acm.describe_certificate(CertificateArn=short_lived)["Certificate"]["Status"] == "EXPIRED")
    assert refused_certificate(aws, [], arn=short_lived) == NOT_USABLE


@pytest.mark.parametrize(
    ("key_type", "taken"), [("RSA-2048", True), ("P-256", True), ("P-384", False), ("P-521", False)]
)
def test_cloudfront_takes_fewer_keys_than_acm(aws: Aws, issuer: Authority, key_type: KeyType, taken: bool) -> None:
    arn = aws.import_acm(issuer.leaf("www.example.com", key_type=key_type))
    if taken:
        aws.seed({"aliases": ["www.example.com"], "certificate": arn})
    else:
        assert refused_certificate(aws, ["www.example.com"], arn=arn) == NOT_USABLE


@pytest.mark.parametrize(("length", "taken"), [(5, True), (6, False)])
def test_a_chain_is_at_most_five_long(aws: Aws, length: int, taken: bool) -> None:
    authority = Authority.root()
    for n in range(length):
        authority = authority.intermediate(f"Intermediate {n}")
    leaf = authority.leaf("www.example.com")
    assert len(leaf.chain) == length
    arn = aws.import_acm(leaf)
    if taken:
        aws.seed({"aliases": ["www.example.com"], "certificate": arn})
    else:
        assert refused_certificate(aws, ["www.example.com"], arn=arn) == NOT_USABLE


def test_an_iam_certificate_is_referenced_by_its_id_and_has_a_path_under_cloudfront(
    aws: Aws, issuer: Authority
) -> None:
    inside = aws.upload_iam(issuer.leaf("www.example.com"), "inside", "/cloudfront/prod/")
    outside = aws.upload_iam(issuer.leaf("www.example.com"), "outside", "/")
    aws.seed({"aliases": ["www.example.com"], "certificate": inside["ServerCertificateId"]})
    assert refused_certificate(aws, [], iam_id=outside["ServerCertificateId"]) == NOT_USABLE
    assert refused_certificate(aws, [], iam_id="ASCA00000000000000000") == NOT_USABLE


@pytest.mark.parametrize(
    ("name", "alias", "covered"),
    [
        ("www.example.com", "www.example.com", True),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("WWW.Example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("www.example.com", "*.example.com", False),
        ("example.com", "www.example.com", False),
    ],
)
def test_every_alias_is_covered_by_a_subject_alternative_name(
    aws: Aws, issuer: Authority, name: str, alias: str, covered: bool
) -> None:
    arn = aws.import_acm(issuer.leaf(name))
    if covered:
        aws.seed({"aliases": [alias], "certificate": arn})
    else:
        assert "doesn't cover" in refused_certificate(aws, [alias], arn=arn)


def test_coverage_is_checked_again_on_an_update(aws: Aws, old: str, issuer: Authority) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com", "example.com"], "certificate": old})
    narrower = aws.import_acm(issuer.leaf("www.example.com"))
    assert "doesn't cover" in refused("InvalidViewerCertificate", aws.move, 400, distribution_id=target, arn=narrower)


def test_the_common_name_covers_nothing(aws: Aws, issuer: Authority) -> None:
    arn = aws.import_acm(issuer.leaf("other.example.com", common_name="www.example.com"))
    assert "doesn't cover" in refused_certificate(aws, ["www.example.com"], arn=arn)


def test_aliases_need_a_certificate_and_a_certificate_its_settings(aws: Aws, old: str) -> None:
    config = distribution_config(Aliases=aliases("www.example.com"))
    message = refused("InvalidViewerCertificate", aws.cloudfront.create_distribution, 400, DistributionConfig=config)
    assert "you must attach a trusted certificate" in message
    config = distribution_config(ViewerCertificate={"ACMCertificateArn": old, "MinimumProtocolVersion": "TLSv1"})
    message = refused("InvalidViewerCertificate", aws.cloudfront.create_distribution, 400, DistributionConfig=config)
    assert "SSLSupportMethod" in message
    config = distribution_config(ViewerCertificate={"ACMCertificateArn": old, "SSLSupportMethod": "sni-only"})
    refused("InvalidMinimumProtocolVersion", aws.cloudfront.create_distribution, 400, DistributionConfig=config)


def test_an_alias_belongs_to_one_distribution(aws: Aws, old: str) -> None:
    aws.seed({"aliases": ["www.example.com"], "certificate": old})
    config = distribution_config(Aliases=aliases("www.example.com"), ViewerCertificate=viewer_certificate(old))
    refused("CNAMEAlreadyExists", aws.cloudfront.create_distribution, 409, DistributionConfig=config)


def test_dedicated_ip_certificates_are_counted(aws: Aws, issuer: Authority) -> None:
    arns = [aws.import_acm(issuer.leaf("*.example.com")) for _ in range(3)]
    targets = aws.seed(
        *({"aliases": [f"n{n}.example.com"], "certificate": arns[n], "ssl_support_method": "vip"} for n in (0, 1))
    )
    refused("TooManyCertificates", aws.move, 400, distribution_id=targets[0], arn=arns[2], method="vip")
    aws.control("settings", {"quotas": {"L-DA9DCC93": 3}})
    aws.move(targets[0], arn=arns[2], method="vip")
