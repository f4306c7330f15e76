"""CloudFront's distribution tenants, over the wire."""

from __future__ import annotations

from typing import Any

from local_aws.pki import Authority
from local_aws.tests.client import (
    ACCOUNT,
    NAMESPACE,
    Aws,
    aliases,
    create_tenant,
    distribution_config,
    refused,
    viewer_certificate,
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
    aws.control("settings", {"propagation_seconds": 600})
    updated = aws.cloudfront.update_distribution_tenant(**update, IfMatch=tenant["ETag"])
    assert updated["ETag"] != tenant["ETag"]
    assert updated["DistributionTenant"]["Status"] == "InProgress"
    assert updated["DistributionTenant"]["Customizations"]["Certificate"]["Arn"] == new
    assert updated["DistributionTenant"]["Domains"][0]["Domain"] == "shop.example.com"
    aws.control("settings", {"propagation_seconds": 0})
    read = aws.cloudfront.get_distribution_tenant(Identifier=update["Id"])
    assert (read["DistributionTenant"]["Status"], read["ETag"]) == ("Deployed", updated["ETag"])
    users = aws.acm.describe_certificate(CertificateArn=new)["Certificate"]["InUseBy"]
    assert users == [read["DistributionTenant"]["Arn"]]


def test_a_tenant_update_removes_the_members_it_leaves_out(aws: Aws, template: str, old: str) -> None:
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


def test_a_response_is_not_a_valid_tenant_update(aws: Aws, template: str, old: str) -> None:
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
    # The distribution's own certificate covers the name that the tenant's does not.
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
