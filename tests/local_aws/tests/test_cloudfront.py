"""CloudFront's distributions, over the wire: reading, listing, tagging, writing, continuous deployment."""

from __future__ import annotations

import time
from typing import Any

import pytest

from local_aws.pki import Authority
from local_aws.platform import until
from local_aws.tests.client import ACCOUNT, NAMESPACE, Aws, aliases, distribution_config, refused, viewer_certificate

# Reading, listing, tagging


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


def test_tags_are_added_and_removed(aws: Aws) -> None:
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
        # A configuration has http2.
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


def test_the_time_for_seeding_grows_linearly(aws: Aws, old: str) -> None:
    def seeding(first: int, count: int) -> float:
        began = time.monotonic()
        aws.seed(*({"aliases": [f"n{first + n}.example.com"], "certificate": old} for n in range(count)))
        return time.monotonic() - began

    # Ten times as many in less than forty times the time; it would be a hundred times if each checked all others.
    assert seeding(100, 1000) < 40 * seeding(0, 100)
    assert len(aws.acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"]) == 1100


def test_seeding_accepts_the_settings_that_a_plan_checks(aws: Aws, old: str) -> None:
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


# Writing


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


def test_contradictory_deprecated_fields_are_refused(aws: Aws, old: str, new: str, issuer: Authority) -> None:
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
    # Unchanged deprecated fields do not contradict: what was read may be written back.
    aws.cloudfront.update_distribution(Id=target, DistributionConfig=config, IfMatch=etag)


def test_a_change_takes_the_propagation_time(aws: Aws, old: str, new: str) -> None:
    aws.control("settings", {"propagation_seconds": 600})
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    assert aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "InProgress"
    aws.control("settings", {"propagation_seconds": 0})
    assert aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "Deployed"

    aws.control("settings", {"propagation_seconds": 600})
    began = time.monotonic()
    assert aws.move(target, arn=new)["Distribution"]["Status"] == "InProgress"
    assert aws.cloudfront.list_distributions()["DistributionList"]["Items"][0]["Status"] == "InProgress"
    aws.control("settings", {"propagation_seconds": 0.5})
    until(lambda: aws.cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "Deployed")
    assert time.monotonic() - began >= 0.5


def test_a_distribution_may_have_its_own_propagation_time(aws: Aws, old: str) -> None:
    stuck, _ = aws.seed(
        {"aliases": ["a.example.com"], "certificate": old}, {"aliases": ["b.example.com"], "certificate": old}
    )
    aws.control(f"distribution/{stuck}", {"propagation_seconds": 600})
    assert [one["status"] for one in aws.state()["distributions"]] == ["InProgress", "Deployed"]


def test_one_viewer_certificate_change_at_a_time(aws: Aws, old: str, new: str) -> None:
    (target,) = aws.seed({"aliases": ["www.example.com"], "certificate": old})
    aws.control("settings", {"propagation_seconds": 600})
    aws.move(target, arn=new)
    assert refused("IllegalUpdate", aws.move, 400, distribution_id=target, arn=old) == (
        "Only one viewer certificate change may be in progress at a time."
    )
    config, etag = aws.config(target)
    aws.cloudfront.update_distribution(Id=target, DistributionConfig=config | {"Comment": "fine"}, IfMatch=etag)
    aws.control("settings", {"propagation_seconds": 0})
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


def test_other_cloudfront_operations_are_those_of_moto(aws: Aws) -> None:
    (target,) = aws.seed({})
    batch = {"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": "once"}
    created = aws.cloudfront.create_invalidation(DistributionId=target, InvalidationBatch=batch)["Invalidation"]
    listed = aws.cloudfront.list_invalidations(DistributionId=target)["InvalidationList"]["Items"]
    assert [one["Id"] for one in listed] == [created["Id"]]


# Continuous deployment


def staging_setup(aws: Aws, certificate: str) -> tuple[str, str, str]:
    """A primary with a staging distribution and a policy: the two ids and the policy's id."""
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


def test_a_policy_in_use_cannot_be_deleted(aws: Aws, old: str) -> None:
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
