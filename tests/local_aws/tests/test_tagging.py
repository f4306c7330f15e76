"""The Resource Groups Tagging API, over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.pki import Authority
from local_aws.tests.client import Aws, create_tenant, refused

SOURCE = "cert-rotation:source"


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def found(aws: Aws, *types: str, region: str = "us-east-1", **more: Any) -> dict[str, dict[str, str]]:
    """The tags of what is found, by ARN, on all pages."""
    pages = aws.client("resourcegroupstaggingapi", region).get_paginator("get_resources")
    answers = pages.paginate(ResourceTypeFilters=list(types), **more)
    mappings = [one for answer in answers for one in answer["ResourceTagMappingList"]]
    assert len({one["ResourceARN"] for one in mappings}) == len(mappings)
    return {one["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in mappings}


def test_each_type_is_found_by_key_and_value(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    certificate = aws.import_acm(leaf, Tags=[{"Key": SOURCE, "Value": "tls/www"}])
    other = aws.import_acm(leaf, Tags=tags(team="web"))
    aws.import_acm(leaf)
    template, tagged, _ = aws.seed(
        {"certificate": certificate, "connection_mode": "tenant-only"}, {"tags": {"team": "web"}}, {}
    )
    tenant = create_tenant(aws, template, "www.example.com", Tags={"Items": tags(team="shop")})
    tenant_arn = tenant["DistributionTenant"]["Arn"]
    distribution = aws.cloudfront.get_distribution(Id=tagged)["Distribution"]["ARN"]

    everything = {
        certificate: {SOURCE: "tls/www"},
        other: {"team": "web"},
        distribution: {"team": "web"},
        tenant_arn: {"team": "shop"},
    }
    assert found(aws) == everything
    assert found(aws, "acm", "cloudfront") == everything
    for types, filters, expected in [
        (["acm:certificate"], [], [certificate, other]),
        (["cloudfront:distribution"], [], [distribution]),
        (["cloudfront:distribution-tenant"], [], [tenant_arn]),
        ([], [{"Key": SOURCE}], [certificate]),
        ([], [{"Key": SOURCE, "Values": ["tls/shop"]}], []),
        ([], [{"Key": "team", "Values": ["web", "shop"]}], [other, distribution, tenant_arn]),
        ([], [{"Key": "team"}, {"Key": SOURCE}], []),
        (["acm:certificate"], [{"Key": "team", "Values": ["web"]}], [other]),
    ]:
        assert list(found(aws, *types, TagFilters=filters)) == expected, (types, filters)


def test_tags_are_added_and_removed(aws: Aws, old: str) -> None:
    (made,) = aws.seed({"certificate": old})
    distribution = aws.cloudfront.get_distribution(Id=made)["Distribution"]["ARN"]
    aws.acm.add_tags_to_certificate(CertificateArn=old, Tags=tags(team="web"))
    aws.cloudfront.tag_resource(Resource=distribution, Tags={"Items": tags(team="web")})
    assert found(aws) == {old: {"team": "web"}, distribution: {"team": "web"}}
    aws.acm.remove_tags_from_certificate(CertificateArn=old, Tags=[{"Key": "team"}])
    aws.cloudfront.untag_resource(Resource=distribution, TagKeys={"Items": ["team"]})
    assert found(aws, TagFilters=[{"Key": "team"}]) == {}


def test_a_region_has_its_own_resources_and_us_east_1_those_of_cloudfront(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    elsewhere = aws.client("acm", "eu-west-1").import_certificate(
        Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem, Tags=tags(a="b")
    )["CertificateArn"]
    aws.seed({"tags": {"a": "b"}})
    assert list(found(aws, region="eu-west-1")) == [elsewhere]
    assert len(found(aws)) == 1
    assert elsewhere not in found(aws)


@pytest.mark.parametrize(("size", "pages"), [(1, 5), (2, 3), (5, 1), (100, 1)])
def test_pages_have_tokens_and_the_last_one_an_empty_one(aws: Aws, size: int, pages: int) -> None:
    aws.seed(*[{"tags": {"a": "b"}}] * 5)
    arns, token, count = set(), "", 0
    while token or not count:
        answer = aws.tagging.get_resources(ResourcesPerPage=size, PaginationToken=token)
        arns |= {one["ResourceARN"] for one in answer["ResourceTagMappingList"]}
        token, count = answer["PaginationToken"], count + 1
    assert (len(arns), count) == (5, pages)


def test_wrong_sizes_and_tokens(aws: Aws) -> None:
    get = aws.tagging.get_resources
    refused("InvalidParameterException", get, 400, ResourcesPerPage=101)
    refused("PaginationTokenExpiredException", get, 400, PaginationToken="unknown")


def test_the_index_may_be_outdated(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    stale, unknown = (aws.import_acm(leaf, Tags=tags(a="now")) for _ in range(2))
    gone = stale[:-1] + ("0" if stale[-1] != "0" else "1")
    aws.control("settings", {"outdated_tags": {stale: {"a": "before"}, unknown: {}, gone: {"a": "before"}}})
    assert found(aws, "acm:certificate") == {stale: {"a": "before"}, gone: {"a": "before"}}
    assert aws.acm.list_tags_for_certificate(CertificateArn=stale)["Tags"] == tags(a="now")
    aws.control("reset")
    assert found(aws) == {}
