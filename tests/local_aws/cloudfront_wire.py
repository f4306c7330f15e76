"""CloudFront's REST-XML operations. moto does the routing, the parameters in path, query and header, and the errors.
Bodies are read and written here, because moto's Python objects lose elements they do not have."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from moto.cloudfront.responses import CloudFrontResponse
from moto.core.common_types import TYPE_RESPONSE
from moto.core.parse import RequestParserError
from moto.core.request import Request
from moto.core.responses import ActionContext, ActionResult, EmptyResult

from . import control_commands
from .cloudfront import (
    CloudFront,
    ConnectionGroup,
    ContinuousDeploymentPolicy,
    Distribution,
    Resource,
    Tenant,
    check_if_match,
    page,
)
from .document import build, find, find_all, parse, serialize, text
from .errors import AwsError
from .recorded import RecordedResponse

_PAGE = 100


class XmlResult(ActionResult):
    """Returns an XML document of this package instead of moto's serialization of Python objects."""

    def __init__(self, root: Element, status: int = 200, **headers: str):
        super().__init__(None)
        self._answer = status, {"Content-Type": "text/xml", **headers}, serialize(root)

    def execute_result(self, context: ActionContext) -> TYPE_RESPONSE:
        return self._answer


def _tags(request: Element, path: str) -> list[dict[str, str]]:
    return [{"Key": text(tag, "Key"), "Value": text(tag, "Value")} for tag in find_all(request, path)]


class CloudFrontXmlResponse(RecordedResponse, CloudFrontResponse):
    backend: CloudFront

    def parse_parameters(self, request: Request) -> None:
        try:
            super().parse_parameters(request)
        except RequestParserError:
            # moto would return 500; the handler, which parses the body itself, returns MalformedXML.
            self.params = {}

    # Distributions

    def create_distribution(self) -> ActionResult:
        return self._created(self.backend.create(parse(self.body, "DistributionConfig"), tags=[]))

    def create_distribution_with_tags(self) -> ActionResult:
        request = parse(self.body, "DistributionConfigWithTags")
        config = find(request, "DistributionConfig")
        if config is None:
            raise AwsError("MalformedXML", "Expected a DistributionConfig.")
        return self._created(self.backend.create(config, _tags(request, "Tags/Items/Tag")))

    def copy_distribution(self) -> ActionResult:
        request = parse(self.body)
        return self._created(
            self.backend.copy(
                self._get_param("PrimaryDistributionId"),
                self._get_param("IfMatch"),
                reference=text(request, "CallerReference"),
                staging=bool(self._get_param("Staging")),
                enabled=text(request, "Enabled") != "false",
            )
        )

    def get_distribution(self) -> ActionResult:
        distribution = self.backend.distribution(self._get_param("Id"))
        return XmlResult(distribution.as_xml(), ETag=distribution.etag)

    def get_distribution_config(self) -> ActionResult:
        distribution = self.backend.distribution(self._get_param("Id"))
        return self._read(distribution, XmlResult(distribution.config(), ETag=distribution.etag))

    def update_distribution(self) -> ActionResult:
        config = parse(self.body, "DistributionConfig")
        distribution = self.backend.update(self._get_param("Id"), config, self._get_param("IfMatch"))
        return XmlResult(distribution.as_xml(), ETag=distribution.etag)

    def delete_distribution(self) -> ActionResult:
        self.backend.delete(self._get_param("Id"), self._get_param("IfMatch"))
        return EmptyResult()

    def list_distributions(self) -> ActionResult:
        return self._distribution_page(list(self.backend.distributions.values()))

    def list_distributions_by_web_acl_id(self) -> ActionResult:
        wanted = self._get_param("WebACLId").removeprefix("null")
        found = [one for one in self.backend.distributions.values() if text(one.document, "WebACLId") == wanted]
        return self._distribution_page(found)

    def _distribution_page(self, found: list[Distribution]) -> ActionResult:
        marker, size = self._get_param("Marker") or "", min(int(self._get_param("MaxItems") or _PAGE), _PAGE)
        distributions, next_marker = page(found, marker, size)
        return XmlResult(
            build(
                "DistributionList",
                {
                    "Marker": marker,
                    "NextMarker": next_marker,
                    "MaxItems": size,
                    "IsTruncated": next_marker is not None,
                    "Quantity": len(distributions),
                    "Items": [distribution.summary() for distribution in distributions] or None,
                },
            )
        )

    def _created(self, distribution: Distribution) -> ActionResult:
        return XmlResult(distribution.as_xml(), 201, ETag=distribution.etag, Location=distribution.location)

    def _read(self, resource: Resource, answer: ActionResult) -> ActionResult:
        """Applies the next `on_read` command. The response is already built, so the reader does not see the change."""
        if resource.on_read:
            control_commands.apply(self.backend, resource, resource.on_read.pop(0))
        return answer

    # Functions: moto does not publish them, and deletes one that is in use

    def publish_function(self) -> ActionResult:
        function = self.backend.describe_function(self._get_param("Name"))
        check_if_match(function.etag, self._get_param("IfMatch"))
        function.stage, function.status = "LIVE", "UNASSOCIATED"
        return ActionResult({"FunctionSummary": function.function_summary})

    def delete_function(self) -> ActionResult:
        function = self.backend.describe_function(self._get_param("Name"))
        associations = "DefaultCacheBehavior/FunctionAssociations/Items/FunctionAssociation/FunctionARN"
        for distribution in self.backend.distributions.values():
            if any(arn.text == function.arn for arn in find_all(distribution.document, associations)):
                raise AwsError("FunctionInUse", "Cannot delete the function because it's attached to a cache behavior.")
        return super().delete_function()

    # Continuous deployment policies

    def create_continuous_deployment_policy(self) -> ActionResult:
        policy = self.backend.create_policy(parse(self.body, "ContinuousDeploymentPolicyConfig"))
        return XmlResult(policy.as_xml(), 201, ETag=policy.etag, Location=policy.location)

    def get_continuous_deployment_policy(self) -> ActionResult:
        policy = self._policy()
        return XmlResult(policy.as_xml(), ETag=policy.etag)

    def get_continuous_deployment_policy_config(self) -> ActionResult:
        policy = self._policy()
        return XmlResult(policy.config, ETag=policy.etag)

    def list_continuous_deployment_policies(self) -> ActionResult:
        size = min(int(self._get_param("MaxItems") or _PAGE), _PAGE)
        policies, next_marker = page(list(self.backend.policies.values()), self._get_param("Marker"), size)
        summaries = [
            build("ContinuousDeploymentPolicySummary", {"ContinuousDeploymentPolicy": policy.as_xml()})
            for policy in policies
        ]
        return XmlResult(
            build(
                "ContinuousDeploymentPolicyList",
                {
                    "NextMarker": next_marker,
                    "MaxItems": size,
                    "Quantity": len(policies),
                    "Items": summaries or None,
                },
            )
        )

    def delete_continuous_deployment_policy(self) -> ActionResult:
        self.backend.delete_policy(self._get_param("Id"), self._get_param("IfMatch"))
        return EmptyResult()

    def _policy(self) -> ContinuousDeploymentPolicy:
        return self.backend.policy(self._get_param("Id"))

    # Distribution tenants

    def create_distribution_tenant(self) -> ActionResult:
        request = parse(self.body, "CreateDistributionTenantRequest")
        tenant = self.backend.create_tenant(request, _tags(request, "Tags/Items/Tag"))
        return self._tenant_answer(tenant, 201)

    def get_distribution_tenant(self) -> ActionResult:
        tenant = self.backend.tenant(self._get_param("Identifier"))
        return self._read(tenant, self._tenant_answer(tenant))

    def get_distribution_tenant_by_domain(self) -> ActionResult:
        return self._tenant_answer(self.backend.tenant_of_domain(self._get_param("Domain")))

    def update_distribution_tenant(self) -> ActionResult:
        request = parse(self.body, "UpdateDistributionTenantRequest")
        return self._tenant_answer(
            self.backend.update_tenant(self._get_param("Id"), request, self._get_param("IfMatch"))
        )

    def delete_distribution_tenant(self) -> ActionResult:
        self.backend.delete_tenant(self._get_param("Id"), self._get_param("IfMatch"))
        return EmptyResult()

    def list_distribution_tenants(self) -> ActionResult:
        request = self._list_request()
        distribution_id = text(request, "AssociationFilter/DistributionId")
        found = [tenant for tenant in self.backend.tenants.values() if distribution_id in ("", tenant.distribution_id)]
        return self._tenant_page("ListDistributionTenantsResult", request, found)

    def list_distribution_tenants_by_customization(self) -> ActionResult:
        request = self._list_request()
        wanted = {
            "Customizations/Certificate/Arn": text(request, "CertificateArn"),
            "Customizations/WebAcl/Arn": text(request, "WebACLArn"),
        }
        if all(wanted.values()) or not any(wanted.values()):
            raise AwsError("InvalidArgument", "Specify either CertificateArn or WebACLArn.")
        found = [
            tenant
            for tenant in self.backend.tenants.values()
            if all(arn in ("", text(tenant.document, path)) for path, arn in wanted.items())
        ]
        return self._tenant_page("ListDistributionTenantsByCustomizationResult", request, found)

    # Connection groups

    def create_connection_group(self) -> ActionResult:
        request = parse(self.body, "CreateConnectionGroupRequest")
        group = self.backend.create_connection_group(
            ConnectionGroup(
                text(request, "Name"),
                enabled=text(request, "Enabled") != "false",
                ipv6=text(request, "Ipv6Enabled") != "false",
            )
        )
        return XmlResult(group.as_xml(), 201, ETag=group.etag)

    def get_connection_group(self) -> ActionResult:
        group = self.backend.connection_group(self._get_param("Identifier"))
        return XmlResult(group.as_xml(), ETag=group.etag)

    def list_connection_groups(self) -> ActionResult:
        request = self._list_request()
        size = min(int(text(request, "MaxItems") or _PAGE), _PAGE)
        groups, next_marker = page(list(self.backend.connection_groups.values()), text(request, "Marker"), size)
        summaries = [group.summary() for group in groups]
        return XmlResult(
            build("ListConnectionGroupsResult", {"NextMarker": next_marker, "ConnectionGroups": summaries})
        )

    def _list_request(self) -> Element:
        # An SDK sends no body when there are no parameters.
        return parse(self.body) if self.body else build("Request")

    def _tenant_answer(self, tenant: Tenant, status: int = 200) -> ActionResult:
        tags = self.backend.tagger.list_tags_for_resource(tenant.arn)["Tags"]
        return XmlResult(tenant.as_xml(tags), status, ETag=tenant.etag)

    def _tenant_page(self, name: str, request: Element, found: list[Tenant]) -> ActionResult:
        size = min(int(text(request, "MaxItems") or _PAGE), _PAGE)
        tenants, next_marker = page(found, text(request, "Marker"), size)
        summaries = [tenant.summary() for tenant in tenants]
        return XmlResult(build(name, {"NextMarker": next_marker, "DistributionTenantList": summaries}))
