"""Clients of the certificate services for their tests, and steps that many tests share."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_aws.pki import Leaf
from local_aws.platform import client

ACCOUNT = "000000000000"
NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
ALL_KEY_TYPES = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
# The quota of imported certificates in ACM.
IMPORTED = {"ServiceCode": "acm", "QuotaCode": "L-D2CB7DE9"}


class Aws:
    """The server, boto3 clients for it, and its control API."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.cloudfront = self.client("cloudfront")
        self.acm = self.client("acm")
        self.iam = self.client("iam")
        self.quotas = self.client("service-quotas")
        self.tagging = self.client("resourcegroupstaggingapi")

    def client(self, service: str, region: str = "us-east-1", **config: Any) -> Any:
        return client(service, self.endpoint, region, Config(retries={"total_max_attempts": 1}, **config))

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
        """A signed request with XML that no SDK has parsed or changed."""
        url = f"{self.endpoint}/2020-05-31/{path}"
        request = AWSRequest(method, url, data=body.encode(), headers={"Content-Type": "text/xml", **headers})
        SigV4Auth(Credentials("test", "test"), "cloudfront", "us-east-1").add_auth(request)
        plain = urllib.request.Request(request.url, data=request.data or None, headers=request.headers, method=method)
        try:
            with urllib.request.urlopen(plain) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    # Steps that many tests share

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
        """What a careful rotation does: read, change only the certificate, write."""
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
    """Checks the error code and the HTTP status; returns the message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    if status:
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    return answer["Error"]["Message"]


def create_tenant(aws: Aws, template: str, domain: str, certificate: str | None = None, **more: Any) -> Any:
    customizations = {"Customizations": {"Certificate": {"Arn": certificate}}} if certificate else {}
    return aws.cloudfront.create_distribution_tenant(
        DistributionId=template, Name=domain.replace(".", "-"), Domains=[{"Domain": domain}], **customizations, **more
    )
