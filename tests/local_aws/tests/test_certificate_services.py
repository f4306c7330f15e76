"""Each behaviour that docs/local-aws.md promises of the certificate services, asserted over the wire with boto3."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ReadTimeoutError

from local_aws.pki import Authority, KeyType, Leaf, key_pem

ACCOUNT = "000000000000"
NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
ALL_KEY_TYPES = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]


class Aws:
    """The server, boto3 clients for it, and its control API."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.cloudfront = self.client("cloudfront")
        self.acm = self.client("acm")
        self.iam = self.client("iam")
        self.quotas = self.client("service-quotas")

    def client(self, service: str, region: str = "us-east-1", **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        request = urllib.request.Request(
            f"{self.endpoint}/control/{path}",
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def state(self) -> Any:
        return self.control("state", method="GET")

    def raw_cloudfront(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
        """A signed request whose XML no SDK has touched."""
        url = f"{self.endpoint}/2020-05-31/{path}"
        request = AWSRequest(method, url, data=body.encode(), headers={"Content-Type": "text/xml", **headers})
        SigV4Auth(Credentials("test", "test"), "cloudfront", "us-east-1").add_auth(request)
        plain = urllib.request.Request(request.url, data=request.data or None, headers=request.headers, method=method)
        try:
            with urllib.request.urlopen(plain) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    # What many tests need

    def import_acm(self, leaf: Leaf, **more: Any) -> str:
        return self.acm.import_certificate(
            Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem, **more
        )["CertificateArn"]

    def upload_iam(self, leaf: Leaf, name: str = "server", path: str = "/cloudfront/", **more: Any) -> Any:
        return self.iam.upload_server_certificate(
            ServerCertificateName=name,
            Path=path,
            CertificateBody=leaf.certificate_pem,
            PrivateKey=leaf.key_pem,
            CertificateChain=leaf.chain_pem,
            **more,
        )["ServerCertificateMetadata"]

    def seed(self, *wanted: dict[str, Any]) -> list[str]:
        return self.control("seed", list(wanted))["ids"]

    def config(self, distribution_id: str) -> tuple[dict[str, Any], str]:
        answer = self.cloudfront.get_distribution_config(Id=distribution_id)
        return answer["DistributionConfig"], answer["ETag"]

    def move(self, distribution_id: str, **viewer: Any) -> Any:
        """What a careful rotation does: read, change the certificate and nothing else, write."""
        config, etag = self.config(distribution_id)
        config["ViewerCertificate"] = viewer_certificate(**viewer)
        return self.cloudfront.update_distribution(Id=distribution_id, DistributionConfig=config, IfMatch=etag)


def viewer_certificate(arn: str | None = None, iam_id: str | None = None, method: str = "sni-only") -> dict[str, Any]:
    source = {"ACMCertificateArn": arn} if arn else {"IAMCertificateId": iam_id}
    return {**source, "SSLSupportMethod": method, "MinimumProtocolVersion": "TLSv1.2_2021"}


def distribution_config(**more: Any) -> dict[str, Any]:
    return {
        "CallerReference": str(uuid.uuid4()),
        "Origins": {
            "Quantity": 1,
            "Items": [
                {
                    "Id": "site",
                    "DomainName": "origin.example.com",
                    "CustomOriginConfig": {
                        "HTTPPort": 80,
                        "HTTPSPort": 443,
                        "OriginProtocolPolicy": "https-only",
                    },
                }
            ],
        },
        "DefaultCacheBehavior": {
            "TargetOriginId": "site",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        },
        "Comment": "a distribution",
        "Enabled": True,
    } | more


def aliases(*names: str) -> dict[str, Any]:
    return {"Quantity": len(names), "Items": list(names)} if names else {"Quantity": 0}


def refused(code: str, call: Callable[..., Any], status: int | None = None, **arguments: Any) -> str:
    """The message of the refusal, after a look at its code and HTTP status."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    if status:
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    return answer["Error"]["Message"]


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws.certificate_services", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield Aws(process.stdout.readline().split()[-1])
    process.terminate()
    process.wait()


@pytest.fixture
def aws(server: Aws) -> Aws:
    server.control("reset")
    return server


@pytest.fixture(scope="module")
def issuer() -> Authority:
    return Authority.root().intermediate()


@pytest.fixture
def old(aws: Aws, issuer: Authority) -> str:
    return aws.import_acm(issuer.leaf("*.example.com", "example.com"))


@pytest.fixture
def new(aws: Aws, issuer: Authority) -> str:
    return aws.import_acm(issuer.leaf("*.example.com", "example.com"))


# CloudFront: reading, listing, tagging


def test_a_distribution_reads_as_it_was_created(aws: Aws, old: str) -> None:
    created = aws.cloudfront.create_distribution_with_tags(
        DistributionConfigWithTags={
            "DistributionConfig": distribution_config(
                Aliases=aliases("www.example.com"), ViewerCertificate=viewer_certificate(old)
            ),
            "Tags": {"Items": [{"Key": "team", "Value": "edge"}]},
        }
    )
    distribution = created["Distribution"]
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["Location"].endswith(distribution["Id"])
    assert distribution["ARN"] == f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution['Id']}"
    assert distribution["AliasICPRecordals"] == [{"CNAME": "www.example.com", "ICPRecordalStatus": "APPROVED"}]

    read = aws.cloudfront.get_distribution(Id=distribution["Id"])
    assert read["ETag"] == created["ETag"]
    assert read["Distribution"] == distribution
    config, etag = aws.config(distribution["Id"])
    assert (config, etag) == (distribution["DistributionConfig"], created["ETag"])
    assert config["DefaultCacheBehavior"]["CachePolicyId"] == "658327ea-f89d-4fab-a63d-7e88639e58f6"
    assert config["HttpVersion"] == "http2"
    tags = aws.cloudfront.list_tags_for_resource(Resource=distribution["ARN"])["Tags"]["Items"]
    assert tags == [{"Key": "team", "Value": "edge"}]
    refused("NoSuchDistribution", aws.cloudfront.get_distribution, 404, Id="E0")


def test_a_caller_reference_belongs_to_one_distribution(aws: Aws) -> None:
    config = distribution_config()
    first = aws.cloudfront.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    message = refused("DistributionAlreadyExists", aws.cloudfront.create_distribution, 409, DistributionConfig=config)
    assert first in message


def test_tags_come_and_go(aws: Aws) -> None:
    arn = aws.cloudfront.create_distribution(DistributionConfig=distribution_config())["Distribution"]["ARN"]
    aws.cloudfront.tag_resource(Resource=arn, Tags={"Items": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]})
    aws.cloudfront.untag_resource(Resource=arn, TagKeys={"Items": ["a"]})
    assert aws.cloudfront.list_tags_for_resource(Resource=arn)["Tags"]["Items"] == [{"Key": "b", "Value": "2"}]


def test_reads_carry_the_deprecated_certificate_fields(aws: Aws, old: str, issuer: Authority) -> None:
    server_certificate = aws.upload_iam(issuer.leaf("iam.example.com"))["ServerCertificateId"]
    with_acm, with_iam, plain = aws.seed(
        {"aliases": ["www.example.com"], "certificate": old},
        {"aliases": ["iam.example.com"], "certificate": server_certificate},
        {},
    )
    assert aws.config(with_acm)[0]["ViewerCertificate"] == viewer_certificate(old) | {
        "CloudFrontDefaultCertificate": False,
        "Certificate": old,
        "CertificateSource": "acm",
    }
    assert aws.config(with_iam)[0]["ViewerCertificate"] == viewer_certificate(iam_id=server_certificate) | {
        "CloudFrontDefaultCertificate": False,
        "Certificate": server_certificate,
        "CertificateSource": "iam",
    }
    assert aws.config(plain)[0]["ViewerCertificate"] == {
        "CloudFrontDefaultCertificate": True,
        "SSLSupportMethod": "vip",
        "MinimumProtocolVersion": "TLSv1",
        "CertificateSource": "cloudfront",
    }


def test_list_distributions_pages_by_a_hundred(aws: Aws, old: str) -> None:
    ids = aws.seed(
        *({"aliases": [f"n{n}.example.com"], "certificate": old, "comment": str(n)} for n in range(230)),
    )
    first = aws.cloudfront.list_distributions()["DistributionList"]
    assert (first["Quantity"], first["MaxItems"], first["IsTruncated"]) == (100, 100, True)
    assert first["NextMarker"] == ids[99]

    pages = list(aws.cloudfront.get_paginator("list_distributions").paginate())
    assert [len(page["DistributionList"]["Items"]) for page in pages] == [100, 100, 30]
    summaries = [summary for page in pages for summary in page["DistributionList"]["Items"]]
    assert [summary["Id"] for summary in summaries] == ids
    one = summaries[5]
    assert one["Aliases"] == {"Quantity": 1, "Items": ["n5.example.com"]}
    assert one["ViewerCertificate"]["ACMCertificateArn"] == old
    assert (one["Status"], one["HttpVersion"], one["Staging"], one["IsIPV6Enabled"], one["ConnectionMode"]) == (
        "Deployed",
        # A configuration says http2.
        "HTTP2",
        False,
        True,
        "direct",
    )
    assert one["ETag"] == aws.config(one["Id"])[1]
    assert one["DomainName"].endswith(".cloudfront.net")
    small = aws.cloudfront.list_distributions(MaxItems="7", Marker=ids[3])["DistributionList"]
    assert [summary["Id"] for summary in small["Items"]] == ids[4:11]


def test_an_empty_account_lists_nothing(aws: Aws) -> None:
    listed = aws.cloudfront.list_distributions()["DistributionList"]
    assert (listed["Quantity"], listed["IsTruncated"], listed.get("Items")) == (0, False, None)
    assert aws.cloudfront.list_distribution_tenants()["DistributionTenantList"] == []
    assert aws.cloudfront.list_continuous_deployment_policies()["ContinuousDeploymentPolicyList"]["Quantity"] == 0


def test_a_thousand_distributions_are_seeded_in_seconds(aws: Aws, old: str) -> None:
    started = time.monotonic()
    aws.seed(*({"aliases": [f"n{n}.example.com"], "certificate": old} for n in range(1000)))
    assert time.monotonic() - started < 10
    assert len(aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"]) == 1000


def test_seeding_takes_the_settings_a_plan_looks_at(aws: Aws, old: str) -> None:
    (seeded,) = aws.seed(
        {
            "aliases": ["www.example.com"],
            "certificate": old,
            "http_version": "http3",
            "ssl_support_method": "vip",
            "minimum_protocol_version": "TLSv1",
            "enabled": False,
        }
    )
    config, _ = aws.config(seeded)
    assert config["HttpVersion"] == "http3"
    assert config["Enabled"] is False
    assert config["ViewerCertificate"]["SSLSupportMethod"] == "vip"
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1"


# CloudFront: writing


def test_an_update_needs_the_current_etag(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    config, etag = aws.config(target)
    config["Comment"] = "changed"
    update = {"Id": target, "DistributionConfig": config}
    refused("InvalidIfMatchVersion", aws.cloudfront.update_distribution, 400, **update)
    refused("PreconditionFailed", aws.cloudfront.update_distribution, 412, **update, IfMatch="E0")
    updated = aws.cloudfront.update_distribution(**update, IfMatch=etag)
    assert updated["ETag"] != etag
    assert aws.config(target) == (updated["Distribution"]["DistributionConfig"], updated["ETag"])
    assert aws.config(target)[0]["Comment"] == "changed"
    refused("PreconditionFailed", aws.cloudfront.update_distribution, 412, **update, IfMatch=etag)
    refused("NoSuchDistribution", aws.cloudfront.update_distribution, 404, **update | {"Id": "E0"}, IfMatch=etag)


def test_an_unknown_element_survives_and_a_typed_client_drops_it(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    setting = f'<NewSetting xmlns="{NAMESPACE}" mode="x"><Level>7</Level><!-- why --></NewSetting>'
    aws.control(f"distribution/{target}", {"inject_xml": setting})

    _, headers, body = aws.raw_cloudfront("GET", f"distribution/{target}/config")
    assert '<NewSetting mode="x"><Level>7</Level><!-- why --></NewSetting>' in body
    changed = body.replace(f"<ACMCertificateArn>{old}", f"<ACMCertificateArn>{new}")
    changed = changed.replace(f"<Certificate>{old}</Certificate><CertificateSource>acm</CertificateSource>", "")
    status, headers, answer = aws.raw_cloudfront(
        "PUT", f"distribution/{target}/config", changed, **{"If-Match": headers["ETag"]}
    )
    assert status == 200, answer
    assert "<NewSetting" in answer
    _, _, after = aws.raw_cloudfront("GET", f"distribution/{target}/config")
    assert after == body.replace(old, new)

    assert "<NewSetting" in aws.control(f"distribution/{target}", method="GET")["document"]

    aws.move(target, arn=old)
    _, _, after = aws.raw_cloudfront("GET", f"distribution/{target}/config")
    assert "NewSetting" not in after


def test_an_update_demands_the_fields_that_a_read_returns(aws: Aws) -> None:
    (target,) = aws.seed({})
    config, etag = aws.config(target)
    for required in ("CacheBehaviors", "ViewerCertificate", "HttpVersion", "Logging"):
        lossy = {name: value for name, value in config.items() if name != required}
        message = refused(
            "InvalidArgument",
            aws.cloudfront.update_distribution,
            400,
            Id=target,
            DistributionConfig=lossy,
            IfMatch=etag,
        )
        assert required in message


def test_a_caller_reference_cannot_change(aws: Aws) -> None:
    (target,) = aws.seed({})
    config, etag = aws.config(target)
    config["CallerReference"] = "another"
    refused(
        "IllegalUpdate", aws.cloudfront.update_distribution, 400, Id=target, DistributionConfig=config, IfMatch=etag
    )


def test_quantities_and_origins_must_agree(aws: Aws) -> None:
    wrong = distribution_config(Aliases={"Quantity": 2, "Items": ["www.example.com"]})
    refused("InconsistentQuantities", aws.cloudfront.create_distribution, 400, DistributionConfig=wrong)
    wrong = distribution_config()
    wrong["DefaultCacheBehavior"]["TargetOriginId"] = "nowhere"
    refused("NoSuchOrigin", aws.cloudfront.create_distribution, 404, DistributionConfig=wrong)


def test_malformed_xml_is_refused(aws: Aws) -> None:
    (target,) = aws.seed({})
    status, _, body = aws.raw_cloudfront(
        "PUT", f"distribution/{target}/config", "<DistributionConfig>", **{"If-Match": "E"}
    )
    assert (status, "<Code>MalformedXML</Code>" in body) == (400, True)
    _, headers, distribution = aws.raw_cloudfront("GET", f"distribution/{target}")
    status, _, body = aws.raw_cloudfront(
        "PUT", f"distribution/{target}/config", distribution, **{"If-Match": headers["ETag"]}
    )
    assert (status, "<Code>MalformedXML</Code>" in body) == (400, True)


def test_contradictory_leftovers_are_refused(aws: Aws, old: str, new: str, issuer: Authority) -> None:
    server_certificate = aws.upload_iam(issuer.leaf("*.example.com"))["ServerCertificateId"]
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    config, etag = aws.config(target)
    read = config["ViewerCertificate"]

    def message(viewer: dict[str, Any]) -> str:
        changed = config | {"ViewerCertificate": viewer}
        return refused(
            "InvalidViewerCertificate",
            aws.cloudfront.update_distribution,
            400,
            Id=target,
            DistributionConfig=changed,
            IfMatch=etag,
        )

    assert message(read | {"ACMCertificateArn": new}) == (
        "Your ACMCertificateArn does not match the given Certificate field."
    )
    to_iam = {name: value for name, value in read.items() if name != "ACMCertificateArn"}
    to_iam["IAMCertificateId"] = server_certificate
    assert message(to_iam) == 'Cannot specify IAMCertificateId and a CertificateSource not equal to "iam".'
    assert message(to_iam | {"CertificateSource": "iam"}) == (
        "Your IAMCertificateId does not match the given Certificate field."
    )
    assert "Exactly one of" in message(viewer_certificate(new) | {"IAMCertificateId": server_certificate})
    assert "Exactly one of" in message(viewer_certificate(new) | {"CloudFrontDefaultCertificate": True})
    # Unchanged leftovers are no contradiction: a read may be written back.
    aws.cloudfront.update_distribution(Id=target, DistributionConfig=config, IfMatch=etag)


def test_a_change_takes_the_propagation_time(aws: Aws, old: str, new: str) -> None:
    aws.control("settings", {"propagation_seconds": 600})
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    assert aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "InProgress"
    aws.control("settings", {"propagation_seconds": 0})
    assert aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "Deployed"

    aws.control("settings", {"propagation_seconds": 0.5})
    assert aws.move(target, arn=new)["Distribution"]["Status"] == "InProgress"
    assert aws.cloudfront.list_distributions()["DistributionList"]["Items"][0]["Status"] == "InProgress"
    time.sleep(0.6)
    assert aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "Deployed"


def test_one_distribution_may_take_its_own_time(aws: Aws, old: str) -> None:
    stuck, _ = aws.seed(
        {"aliases": ["a.example.com"], "certificate": old}, {"aliases": ["b.example.com"], "certificate": old}
    )
    aws.control(f"distribution/{stuck}", {"propagation_seconds": 600})
    assert [one["status"] for one in aws.state()["distributions"]] == ["InProgress", "Deployed"]


def test_one_viewer_certificate_change_at_a_time(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.control("settings", {"propagation_seconds": 0.5})
    aws.move(target, arn=new)
    assert refused("IllegalUpdate", aws.move, 400, distribution_id=target, arn=old) == (
        "Only one viewer certificate change may be in progress at a time."
    )
    config, etag = aws.config(target)
    aws.cloudfront.update_distribution(Id=target, DistributionConfig=config | {"Comment": "fine"}, IfMatch=etag)
    time.sleep(0.6)
    aws.move(target, arn=old)


def test_a_distribution_is_deleted_when_it_is_disabled(aws: Aws) -> None:
    enabled, disabled = aws.seed({}, {"enabled": False})
    _, etag = aws.config(enabled)
    refused("DistributionNotDisabled", aws.cloudfront.delete_distribution, 409, Id=enabled, IfMatch=etag)
    refused("PreconditionFailed", aws.cloudfront.delete_distribution, 412, Id=disabled, IfMatch=etag)
    refused("InvalidIfMatchVersion", aws.cloudfront.delete_distribution, 400, Id=disabled)
    deleted = aws.cloudfront.delete_distribution(Id=disabled, IfMatch=aws.config(disabled)[1])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert [one["id"] for one in aws.state()["distributions"]] == [enabled]


def test_a_function_is_published_and_stays_while_it_is_associated(aws: Aws) -> None:
    config = {"Comment": "passes", "Runtime": "cloudfront-js-2.0"}
    made = aws.cloudfront.create_function(Name="passes", FunctionConfig=config, FunctionCode=b"function handler() {}")
    refused("PreconditionFailed", aws.cloudfront.publish_function, 412, Name="passes", IfMatch="stale")
    published = aws.cloudfront.publish_function(Name="passes", IfMatch=made["ETag"])["FunctionSummary"]
    assert published["FunctionMetadata"]["Stage"] == "LIVE"
    association = {"EventType": "viewer-request", "FunctionARN": published["FunctionMetadata"]["FunctionARN"]}
    behavior = distribution_config()["DefaultCacheBehavior"]
    behavior |= {"FunctionAssociations": {"Quantity": 1, "Items": [association]}}
    target = aws.cloudfront.create_distribution(DistributionConfig=distribution_config(DefaultCacheBehavior=behavior))
    delete = {"Name": "passes", "IfMatch": made["ETag"]}
    refused("FunctionInUse", aws.cloudfront.delete_function, 409, **delete)
    config, etag = aws.config(target["Distribution"]["Id"])
    config["DefaultCacheBehavior"]["FunctionAssociations"] = {"Quantity": 0}
    aws.cloudfront.update_distribution(Id=target["Distribution"]["Id"], DistributionConfig=config, IfMatch=etag)
    aws.cloudfront.delete_function(**delete)
    refused("NoSuchFunctionExists", aws.cloudfront.describe_function, 404, Name="passes")


def test_distributions_are_listed_by_their_web_acl(aws: Aws) -> None:
    acl = f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/guard/00000000-0000-4000-8000-000000000000"
    mine = aws.cloudfront.create_distribution(DistributionConfig=distribution_config(WebACLId=acl))["Distribution"]
    other = aws.cloudfront.create_distribution(DistributionConfig=distribution_config())["Distribution"]

    def listed(web_acl: str) -> list[str]:
        answer = aws.cloudfront.list_distributions_by_web_acl_id(WebACLId=web_acl)["DistributionList"]
        return [one["Id"] for one in answer.get("Items", [])]

    assert (listed(acl), listed("null")) == ([mine["Id"]], [other["Id"]])


def test_the_rest_of_cloudfront_is_motos(aws: Aws) -> None:
    (target,) = aws.seed({})
    batch = {"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": "once"}
    created = aws.cloudfront.create_invalidation(DistributionId=target, InvalidationBatch=batch)["Invalidation"]
    listed = aws.cloudfront.list_invalidations(DistributionId=target)["InvalidationList"]["Items"]
    assert [one["Id"] for one in listed] == [created["Id"]]


# CloudFront: which certificates it takes

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
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    short_lived = aws.import_acm(issuer.leaf("www.example.com", not_after=soon))
    aws.seed({"aliases": ["www.example.com"], "certificate": short_lived})
    time.sleep(3)
    assert refused_certificate(aws, [], arn=short_lived) == NOT_USABLE
    assert aws.acm.describe_certificate(CertificateArn=short_lived)["Certificate"]["Status"] == "EXPIRED"


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


def test_an_iam_certificate_is_named_by_its_id_and_lies_under_cloudfront(aws: Aws, issuer: Authority) -> None:
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


# CloudFront: continuous deployment


def staging_setup(aws: Aws, certificate: str) -> tuple[str, str, str]:
    """A primary with a staging distribution under a policy: their ids and the policy's."""
    (primary,) = aws.seed({"aliases": ["www.example.com"], "certificate": certificate})
    _, etag = aws.config(primary)
    staging = aws.cloudfront.copy_distribution(
        PrimaryDistributionId=primary, Staging=True, IfMatch=etag, CallerReference="staging", Enabled=True
    )["Distribution"]
    policy = aws.cloudfront.create_continuous_deployment_policy(
        ContinuousDeploymentPolicyConfig={
            "StagingDistributionDnsNames": {"Quantity": 1, "Items": [staging["DomainName"]]},
            "Enabled": True,
            "TrafficConfig": {"Type": "SingleWeight", "SingleWeightConfig": {"Weight": 0.1}},
        }
    )
    return primary, staging["Id"], policy["ContinuousDeploymentPolicy"]["Id"]


def set_policy(aws: Aws, distribution_id: str, policy_id: str) -> None:
    config, etag = aws.config(distribution_id)
    config["ContinuousDeploymentPolicyId"] = policy_id
    aws.cloudfront.update_distribution(Id=distribution_id, DistributionConfig=config, IfMatch=etag)


def test_a_policy_is_listed_and_read(aws: Aws, old: str) -> None:
    _, _, policy_id = staging_setup(aws, old)
    listed = aws.cloudfront.list_continuous_deployment_policies()["ContinuousDeploymentPolicyList"]
    assert listed["Quantity"] == 1
    policy = aws.cloudfront.get_continuous_deployment_policy(Id=policy_id)
    assert listed["Items"][0]["ContinuousDeploymentPolicy"] == policy["ContinuousDeploymentPolicy"]
    config = aws.cloudfront.get_continuous_deployment_policy_config(Id=policy_id)
    assert config["ContinuousDeploymentPolicyConfig"]["TrafficConfig"]["SingleWeightConfig"]["Weight"] == pytest.approx(
        0.1
    )
    assert config["ETag"] == policy["ETag"]
    refused("NoSuchContinuousDeploymentPolicy", aws.cloudfront.get_continuous_deployment_policy, 404, Id="unknown")


def test_a_policy_forbids_certificate_changes_until_it_is_detached(aws: Aws, old: str, new: str) -> None:
    primary, staging, policy_id = staging_setup(aws, old)
    set_policy(aws, primary, policy_id)
    assert aws.config(staging)[0]["ContinuousDeploymentPolicyId"] == policy_id
    for distribution in (primary, staging):
        message = refused("IllegalUpdate", aws.move, 400, distribution_id=distribution, arn=new)
        assert message.startswith("One or more fields updated are not supported for continuous deployment")
        config, etag = aws.config(distribution)
        aws.cloudfront.update_distribution(
            Id=distribution, DistributionConfig=config | {"Comment": "allowed"}, IfMatch=etag
        )

    set_policy(aws, primary, "")
    assert aws.config(staging)[0]["ContinuousDeploymentPolicyId"] == ""
    aws.move(primary, arn=new)
    aws.move(staging, arn=new)


def test_a_staging_distribution_keeps_its_policy_id(aws: Aws, old: str) -> None:
    primary, staging, policy_id = staging_setup(aws, old)
    set_policy(aws, primary, policy_id)
    config, etag = aws.config(staging)
    config["ContinuousDeploymentPolicyId"] = ""
    refused(
        "IllegalUpdate", aws.cloudfront.update_distribution, 400, Id=staging, DistributionConfig=config, IfMatch=etag
    )


def test_a_policy_in_use_stays(aws: Aws, old: str) -> None:
    primary, _, policy_id = staging_setup(aws, old)
    set_policy(aws, primary, policy_id)
    etag = aws.cloudfront.get_continuous_deployment_policy(Id=policy_id)["ETag"]
    delete = aws.cloudfront.delete_continuous_deployment_policy
    refused("ContinuousDeploymentPolicyInUse", delete, 409, Id=policy_id, IfMatch=etag)
    config = aws.cloudfront.get_continuous_deployment_policy_config(Id=policy_id)["ContinuousDeploymentPolicyConfig"]
    refused(
        "StagingDistributionInUse",
        aws.cloudfront.create_continuous_deployment_policy,
        409,
        ContinuousDeploymentPolicyConfig=config,
    )
    set_policy(aws, primary, "")
    refused("PreconditionFailed", delete, 412, Id=policy_id, IfMatch="E0")
    delete(Id=policy_id, IfMatch=etag)
    (plain,) = aws.seed({})
    refused("NoSuchContinuousDeploymentPolicy", set_policy, 404, aws=aws, distribution_id=plain, policy_id=policy_id)


def test_a_staging_distribution_uses_its_certificate(aws: Aws, old: str) -> None:
    primary, staging, _ = staging_setup(aws, old)
    users = aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"]
    assert {user.rpartition("/")[2] for user in users} == {primary, staging}
    summaries = aws.cloudfront.list_distributions()["DistributionList"]["Items"]
    assert {one["Id"]: one["Staging"] for one in summaries} == {primary: False, staging: True}
    assert [one["Aliases"]["Quantity"] for one in summaries] == [1, 0]


# CloudFront: distribution tenants


@pytest.fixture
def template(aws: Aws, old: str) -> str:
    (distribution,) = aws.seed({"certificate": old, "connection_mode": "tenant-only"})
    return distribution


def create_tenant(aws: Aws, template: str, domain: str, certificate: str | None = None, **more: Any) -> Any:
    customizations = {"Customizations": {"Certificate": {"Arn": certificate}}} if certificate else {}
    return aws.cloudfront.create_distribution_tenant(
        DistributionId=template, Name=domain.replace(".", "-"), Domains=[{"Domain": domain}], **customizations, **more
    )


def test_a_tenant_reads_as_it_was_created(aws: Aws, template: str, old: str) -> None:
    created = create_tenant(
        aws,
        template,
        "shop.example.com",
        old,
        Parameters=[{"Name": "tier", "Value": "gold"}],
        Tags={"Items": [{"Key": "team", "Value": "shop"}]},
    )
    tenant = created["DistributionTenant"]
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert tenant["Arn"] == f"arn:aws:cloudfront::{ACCOUNT}:distribution-tenant/{tenant['Id']}"
    assert tenant["Domains"] == [{"Domain": "shop.example.com", "Status": "active"}]
    assert tenant["Customizations"] == {"Certificate": {"Arn": old}}
    assert tenant["Parameters"] == [{"Name": "tier", "Value": "gold"}]
    assert tenant["Tags"] == {"Items": [{"Key": "team", "Value": "shop"}]}
    assert (tenant["Enabled"], tenant["Status"]) == (True, "Deployed")
    for identifier in (tenant["Id"], tenant["Arn"], tenant["Name"]):
        read = aws.cloudfront.get_distribution_tenant(Identifier=identifier)
        assert (read["DistributionTenant"], read["ETag"]) == (tenant, created["ETag"])
    by_domain = aws.cloudfront.get_distribution_tenant_by_domain(Domain="shop.example.com")
    assert by_domain["DistributionTenant"] == tenant
    refused("EntityNotFound", aws.cloudfront.get_distribution_tenant, 404, Identifier="dt_0")


def test_tenants_are_found_by_distribution_and_by_certificate(aws: Aws, template: str, old: str, new: str) -> None:
    (other_template,) = aws.seed({"connection_mode": "tenant-only"})
    for n in range(105):
        create_tenant(aws, template, f"n{n}.example.com", old if n % 2 else None)
    create_tenant(aws, other_template, "elsewhere.example.com", new)

    pages = list(aws.cloudfront.get_paginator("list_distribution_tenants").paginate())
    assert [len(page["DistributionTenantList"]) for page in pages] == [100, 6]
    listed = aws.cloudfront.list_distribution_tenants(AssociationFilter={"DistributionId": other_template})
    assert [one["Name"] for one in listed["DistributionTenantList"]] == ["elsewhere-example-com"]

    pages = list(
        aws.cloudfront.get_paginator("list_distribution_tenants_by_customization").paginate(
            CertificateArn=old, PaginationConfig={"PageSize": 40}
        )
    )
    found = [one for page in pages for one in page["DistributionTenantList"]]
    assert [len(page["DistributionTenantList"]) for page in pages] == [40, 12]
    assert [one["Name"] for one in found] == [f"n{n}-example-com" for n in range(1, 105, 2)]
    assert found[0]["Customizations"]["Certificate"]["Arn"] == old
    refused("InvalidArgument", aws.cloudfront.list_distribution_tenants_by_customization, 400)
    assert found[0]["ETag"] == aws.cloudfront.get_distribution_tenant(Identifier=found[0]["Id"])["ETag"]


def test_a_tenant_update_needs_the_etag_and_takes_time(aws: Aws, template: str, old: str, new: str) -> None:
    tenant = create_tenant(aws, template, "shop.example.com", old)
    update = {
        "Id": tenant["DistributionTenant"]["Id"],
        "Customizations": {"Certificate": {"Arn": new}},
    }
    refused("PreconditionFailed", aws.cloudfront.update_distribution_tenant, 412, **update, IfMatch="E0")
    aws.control("settings", {"propagation_seconds": 0.5})
    updated = aws.cloudfront.update_distribution_tenant(**update, IfMatch=tenant["ETag"])
    assert updated["ETag"] != tenant["ETag"]
    assert updated["DistributionTenant"]["Status"] == "InProgress"
    assert updated["DistributionTenant"]["Customizations"]["Certificate"]["Arn"] == new
    assert updated["DistributionTenant"]["Domains"][0]["Domain"] == "shop.example.com"
    time.sleep(0.6)
    read = aws.cloudfront.get_distribution_tenant(Identifier=update["Id"])
    assert (read["DistributionTenant"]["Status"], read["ETag"]) == ("Deployed", updated["ETag"])
    users = aws.acm.describe_certificate(CertificateArn=new)["Certificate"]["InUseBy"]
    assert users == [read["DistributionTenant"]["Arn"]]


def test_what_a_tenant_update_leaves_out_is_gone(aws: Aws, template: str, old: str) -> None:
    tenant = create_tenant(aws, template, "shop.example.com", old, Parameters=[{"Name": "tier", "Value": "gold"}])
    updated = aws.cloudfront.update_distribution_tenant(
        Id=tenant["DistributionTenant"]["Id"], IfMatch=tenant["ETag"], Enabled=False
    )["DistributionTenant"]
    assert "Customizations" not in updated
    assert "Parameters" not in updated
    assert (updated["Enabled"], updated["DistributionId"]) == (False, template)


def test_an_unknown_element_of_a_tenant_survives(aws: Aws, template: str, old: str, new: str) -> None:
    tenant = create_tenant(aws, template, "shop.example.com", old)["DistributionTenant"]["Id"]
    aws.control(f"tenant/{tenant}", {"inject_xml": "<NewSetting><Level>7</Level></NewSetting>"})
    _, headers, body = aws.raw_cloudfront("GET", f"distribution-tenant/{tenant}")
    assert "<NewSetting><Level>7</Level></NewSetting>" in body
    request = (
        f'<UpdateDistributionTenantRequest xmlns="{NAMESPACE}"><NewSetting><Level>7</Level></NewSetting>'
        f"<Customizations><Certificate><Arn>{new}</Arn></Certificate></Customizations>"
        "</UpdateDistributionTenantRequest>"
    )
    status, _, answer = aws.raw_cloudfront(
        "PUT", f"distribution-tenant/{tenant}", request, **{"If-Match": headers["ETag"]}
    )
    assert (status, "<NewSetting><Level>7</Level></NewSetting>" in answer, new in answer) == (200, True, True)


def test_an_answer_is_not_a_tenant_update(aws: Aws, template: str, old: str) -> None:
    tenant = create_tenant(aws, template, "shop.example.com", old)["DistributionTenant"]["Id"]
    _, headers, body = aws.raw_cloudfront("GET", f"distribution-tenant/{tenant}")
    request = body.replace("<DistributionTenant ", "<UpdateDistributionTenantRequest ")
    request = request.replace("</DistributionTenant>", "</UpdateDistributionTenantRequest>")
    status, _, answer = aws.raw_cloudfront(
        "PUT", f"distribution-tenant/{tenant}", request, **{"If-Match": headers["ETag"]}
    )
    assert (status, "<Code>MalformedXML</Code>" in answer) == (400, True)


def test_a_tenant_is_checked_against_its_distribution_and_certificate(
    aws: Aws, template: str, old: str, issuer: Authority
) -> None:
    (standard,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    refused("InvalidAssociation", create_tenant, 409, aws=aws, template=standard, domain="a.example.com")
    refused("EntityNotFound", create_tenant, 404, aws=aws, template="E0", domain="a.example.com")
    refused("CNAMEAlreadyExists", create_tenant, 409, aws=aws, template=template, domain="www.example.com")
    foreign = aws.import_acm(issuer.leaf("shop.example.org"))
    create_tenant(aws, template, "shop.example.org", foreign)
    # The distribution's own certificate covers what the tenant's does not.
    create_tenant(aws, template, "shop.example.com", foreign)
    refused(
        "InvalidArgument", create_tenant, 400, aws=aws, template=template, domain="x.example.net", certificate=foreign
    )
    refused("EntityAlreadyExists", create_tenant, 409, aws=aws, template=template, domain="shop.example.org")


def test_a_tenant_is_deleted_when_it_is_disabled(aws: Aws, template: str, old: str) -> None:
    tenant = create_tenant(aws, template, "shop.example.com", old)
    delete, tenant_id = aws.cloudfront.delete_distribution_tenant, tenant["DistributionTenant"]["Id"]
    refused("ResourceNotDisabled", delete, 409, Id=tenant_id, IfMatch=tenant["ETag"])
    updated = aws.cloudfront.update_distribution_tenant(Id=tenant_id, IfMatch=tenant["ETag"], Enabled=False)
    refused("PreconditionFailed", delete, 412, Id=tenant_id, IfMatch=tenant["ETag"])
    delete(Id=tenant_id, IfMatch=updated["ETag"])
    assert aws.state()["tenants"] == []


def test_a_multi_tenant_distribution_takes_acm_sni_only_and_no_aliases(aws: Aws, old: str, issuer: Authority) -> None:
    server_certificate = aws.upload_iam(issuer.leaf("*.example.com"))["ServerCertificateId"]

    def create(**more: Any) -> Any:
        return aws.cloudfront.create_distribution(
            DistributionConfig=distribution_config(ConnectionMode="tenant-only", **more)
        )

    refused("InvalidViewerCertificate", create, 400, ViewerCertificate=viewer_certificate(iam_id=server_certificate))
    refused("InvalidViewerCertificate", create, 400, ViewerCertificate=viewer_certificate(old, method="vip"))
    refused(
        "InvalidArgument", create, 400, ViewerCertificate=viewer_certificate(old), Aliases=aliases("www.example.com")
    )
    create(ViewerCertificate=viewer_certificate(old))
    assert aws.cloudfront.list_distributions()["DistributionList"]["Items"][0]["ConnectionMode"] == "tenant-only"


# ACM


def test_a_certificate_is_in_use_until_nothing_serves_it(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    arn = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{target}"
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == [arn]
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    aws.move(target, arn=new)
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == []
    aws.acm.delete_certificate(CertificateArn=old)
    refused("ResourceNotFoundException", aws.acm.describe_certificate, 400, CertificateArn=old)


def test_a_released_certificate_lingers_in_use(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.control("settings", {"in_use_lag_seconds": 0.5})
    aws.move(target, arn=new)
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    time.sleep(0.6)
    aws.acm.delete_certificate(CertificateArn=old)


def test_others_use_a_certificate_too(aws: Aws, old: str) -> None:
    gateway = "arn:aws:cloudfront::111111111111:distribution/EAPIGATEWAY"
    aws.control("acm/in-use", {"arn": old, "by": [gateway]})
    assert aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == [gateway]
    refused("ResourceInUseException", aws.acm.delete_certificate, 400, CertificateArn=old)
    aws.control("acm/in-use", {"arn": old, "by": []})
    aws.acm.delete_certificate(CertificateArn=old)


def test_motos_load_balancer_uses_a_certificate(aws: Aws, old: str) -> None:
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
    # AWS names the load balancer, moto its listener.
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
        # What was imported within the year counts although it is deleted.
        assert "in the last year" in refused("LimitExceededException", aws.import_acm, 400, leaf=leaf)
    else:
        aws.import_acm(leaf)


# IAM


def test_a_server_certificate_is_uploaded_and_read(aws: Aws, issuer: Authority) -> None:
    leaf = issuer.leaf("www.example.com")
    tags = [{"Key": "run", "Value": "r-1"}]
    metadata = aws.upload_iam(leaf, "www", "/cloudfront/prod/", Tags=tags)
    assert metadata["Arn"] == f"arn:aws:iam::{ACCOUNT}:server-certificate/cloudfront/prod/www"
    assert len(metadata["ServerCertificateId"]) == 21
    assert metadata["ServerCertificateId"].startswith("ASCA")
    assert metadata["Expiration"] == leaf.certificate.not_valid_after_utc
    read = aws.iam.get_server_certificate(ServerCertificateName="www")["ServerCertificate"]
    assert read["ServerCertificateMetadata"] == metadata
    assert read["CertificateBody"].strip() == leaf.certificate_pem.strip()
    assert read["CertificateChain"].strip() == leaf.chain_pem.strip()
    assert read["Tags"] == tags
    assert aws.iam.list_server_certificate_tags(ServerCertificateName="www")["Tags"] == tags
    aws.iam.tag_server_certificate(ServerCertificateName="www", Tags=[{"Key": "run", "Value": "r-2"}])
    assert aws.iam.list_server_certificate_tags(ServerCertificateName="www")["Tags"] == [{"Key": "run", "Value": "r-2"}]
    aws.iam.untag_server_certificate(ServerCertificateName="www", TagKeys=["run", "another"])
    assert aws.iam.list_server_certificate_tags(ServerCertificateName="www")["Tags"] == []
    refused("NoSuchEntity", aws.iam.get_server_certificate, 404, ServerCertificateName="unknown")


def test_server_certificates_are_listed_by_path_and_page(aws: Aws, issuer: Authority) -> None:
    aws.control("settings", {"quotas": {"L-BF35879D": 200}})
    leaf = issuer.leaf("www.example.com")
    ids = {aws.upload_iam(leaf, f"n{n}")["ServerCertificateId"] for n in range(105)}
    aws.upload_iam(leaf, "elsewhere", "/")
    assert len(ids) == 105
    pages = list(aws.iam.get_paginator("list_server_certificates").paginate(PathPrefix="/cloudfront/"))
    assert [len(page["ServerCertificateMetadataList"]) for page in pages] == [100, 5]
    listed = {one["ServerCertificateId"] for page in pages for one in page["ServerCertificateMetadataList"]}
    assert listed == ids
    assert len(aws.iam.list_server_certificates(MaxItems=1000)["ServerCertificateMetadataList"]) == 106


def test_an_upload_is_checked(aws: Aws, issuer: Authority) -> None:
    leaf, other = issuer.leaf("www.example.com"), issuer.leaf("www.example.com")
    good = {
        "ServerCertificateName": "www",
        "Path": "/cloudfront/",
        "CertificateBody": leaf.certificate_pem,
        "PrivateKey": leaf.key_pem,
        "CertificateChain": leaf.chain_pem,
    }
    now = dt.datetime.now(dt.UTC)
    expired = issuer.leaf(
        "www.example.com", not_before=now - dt.timedelta(days=2), not_after=now - dt.timedelta(days=1)
    )
    upload = aws.iam.upload_server_certificate
    refused("KeyPairMismatch", upload, 400, **good | {"PrivateKey": other.key_pem})
    refused("MalformedCertificate", upload, 400, **good | {"CertificateBody": "no certificate"})
    refused("MalformedCertificate", upload, 400, **good | {"PrivateKey": key_pem(leaf.key, password="secret")})
    refused(
        "MalformedCertificate", upload, 400, **good | {"CertificateChain": Authority.root("Foreign").certificate_pem}
    )
    refused(
        "MalformedCertificate",
        upload,
        400,
        **good | {"CertificateBody": expired.certificate_pem, "PrivateKey": expired.key_pem},
    )
    refused("ValidationError", upload, 400, **good | {"Path": "/cloudfront"})
    refused("InvalidInput", upload, 400, **good, Tags=[{"Key": "name", "Value": "*.example.com"}])
    upload(**good)
    refused("EntityAlreadyExists", upload, 409, **good | {"Path": "/cloudfront/other/"})


def test_server_certificates_have_a_quota(aws: Aws, issuer: Authority) -> None:
    aws.control("settings", {"quotas": {"L-BF35879D": 1}})
    aws.upload_iam(issuer.leaf("www.example.com"), "first")
    message = refused("LimitExceeded", aws.upload_iam, 409, leaf=issuer.leaf("www.example.com"), name="second")
    assert message == "Cannot exceed quota for ServerCertificatesPerAccount: 1"
    summary = aws.iam.get_account_summary()["SummaryMap"]
    assert (summary["ServerCertificates"], summary["ServerCertificatesQuota"]) == (1, 1)


def test_what_a_role_is_denied_is_denied(aws: Aws, old: str, new: str) -> None:
    one, other = aws.seed(*({"aliases": [f"{name}.example.com"], "certificate": old} for name in "ab"))
    statement = {
        "Effect": "Deny",
        "Action": ["cloudfront:UpdateDistribution"],
        "Resource": f"arn:aws:cloudfront::{ACCOUNT}:distribution/{one}",
    }
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = {"RoleName": "any", "PolicyName": "broken"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, statement]})
    aws.iam.put_role_policy(**policy, PolicyDocument=document)
    message = refused("AccessDenied", aws.move, 403, distribution_id=one, arn=new)
    assert f"distribution/{one} with an explicit deny in an identity-based policy" in message
    assert aws.config(one)[0]["ViewerCertificate"]["ACMCertificateArn"] == old
    aws.move(other, arn=new)
    aws.iam.delete_role_policy(**policy)
    aws.move(one, arn=new)
    refused("NoSuchEntity", aws.iam.delete_role_policy, 404, **policy)


def test_a_server_certificate_in_use_is_not_deleted(aws: Aws, old: str, issuer: Authority) -> None:
    metadata = aws.upload_iam(issuer.leaf("www.example.com"), "www")
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": metadata["ServerCertificateId"]})
    message = refused("DeleteConflict", aws.iam.delete_server_certificate, 409, ServerCertificateName="www")
    assert message == f"Certificate: {metadata['ServerCertificateId']} is being used by CloudFront."
    aws.move(target, arn=old)
    aws.iam.delete_server_certificate(ServerCertificateName="www")
    refused("NoSuchEntity", aws.iam.delete_server_certificate, 404, ServerCertificateName="www")


# Service Quotas


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


IMPORTED = {"ServiceCode": "acm", "QuotaCode": "L-D2CB7DE9"}


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
def test_a_refused_increase_changes_nothing_and_may_be_asked_again(aws: Aws, status: str) -> None:
    asked = aws.quotas.request_service_quota_increase(**IMPORTED, DesiredValue=3000)["RequestedQuota"]
    aws.control(f"quota-request/{asked['Id']}", {"status": status})
    decided = aws.quotas.get_requested_service_quota_change(RequestId=asked["Id"])["RequestedQuota"]
    assert decided["Status"] == status
    assert aws.quotas.get_service_quota(**IMPORTED)["Quota"]["Value"] == 2500
    aws.quotas.request_service_quota_increase(**IMPORTED, DesiredValue=3000)


def test_increases_are_decided_by_themselves_after_a_time(aws: Aws) -> None:
    aws.control("settings", {"quota_decision": {"*": "deny", "L-D2CB7DE9": "approve", "after_seconds": 0.5}})
    increase = aws.quotas.request_service_quota_increase
    approved = increase(**IMPORTED, DesiredValue=3000)["RequestedQuota"]["Id"]
    denied = increase(ServiceCode="iam", QuotaCode="L-BF35879D", DesiredValue=30)["RequestedQuota"]["Id"]

    def status(request_id: str) -> str:
        return aws.quotas.get_requested_service_quota_change(RequestId=request_id)["RequestedQuota"]["Status"]

    assert (status(approved), status(denied)) == ("PENDING", "PENDING")
    time.sleep(0.6)
    assert (status(approved), status(denied)) == ("APPROVED", "DENIED")
    assert aws.quotas.get_service_quota(**IMPORTED)["Quota"]["Value"] == 3000
    assert aws.iam.get_account_summary()["SummaryMap"]["ServerCertificatesQuota"] == 20


# The control API


def test_somebody_edits_between_read_and_write(aws: Aws, old: str, new: str) -> None:
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
    ],
)
def test_faults_come_in_each_services_own_envelope(
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


def test_a_rate_lets_so_many_through_and_then_so_many_a_second(aws: Aws) -> None:
    fault = {"service": "cloudfront", "operation": "List*", "code": "Throttling", "times": 100}
    aws.control("faults", fault | {"rate": 2, "burst": 3})
    answers = []
    for pause in (0, 0, 0, 0, 1.1, 0, 0):
        time.sleep(pause)
        try:
            aws.cloudfront.list_distributions()
            answers.append(True)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "Throttling"
            answers.append(False)
    assert answers == [True, True, True, False, True, True, False]
    assert aws.state()["faults"][0]["fired"] == 2


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
    assert len(aws.state()["acm_certificates"]) == 1


def test_a_fault_may_be_left_to_chance(aws: Aws) -> None:
    fault = {"service": "iam", "operation": "GetAccountSummary", "code": "Throttling", "times": 1000}
    aws.control("faults", fault | {"probability": 0})
    aws.iam.get_account_summary()
    aws.control("faults", fault | {"probability": 1})
    refused("Throttling", aws.iam.get_account_summary, 400)


def test_state_tells_what_happened(aws: Aws, old: str, new: str) -> None:
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


def test_a_wrong_control_call_is_told(aws: Aws) -> None:
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
