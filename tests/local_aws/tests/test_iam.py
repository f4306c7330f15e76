"""IAM's server certificates, over the wire."""

from __future__ import annotations

import datetime as dt
import json

from local_aws.pki import Authority, key_pem
from local_aws.tests.client import ACCOUNT, Aws, refused


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


def test_a_deny_in_a_role_policy_is_enforced(aws: Aws, old: str, new: str) -> None:
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
