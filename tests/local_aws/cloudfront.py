"""CloudFront, based on moto's: distributions, distribution tenants and continuous-deployment policies.

A configuration is stored as the XML of the request. Everything else in CloudFront (functions, key groups,
invalidations, origin access controls) is moto's.
"""

from __future__ import annotations

import random
import string
import time
import uuid
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast
from xml.etree.ElementTree import Element

from moto.cloudfront.models import CloudFrontBackend, cloudfront_backends

from . import certificates, edge_certificates, quotas, viewer_certificate
from .document import (
    build,
    copy_of,
    find,
    find_all,
    flag,
    local_name,
    put,
    remove,
    text,
)
from .errors import AwsError
from .state import ACCOUNT, world
from .viewer_certificate import ViewerCertificate

# Defaults that CloudFront fills in on create. UpdateDistribution requires all of them (Developer Guide, "Required
# fields for distributions"), so a caller sends back what it has read.
_DEFAULTS: dict[str, Any] = {
    "Aliases": {"Quantity": 0},
    "DefaultRootObject": "",
    "OriginGroups": {"Quantity": 0},
    "CacheBehaviors": {"Quantity": 0},
    "CustomErrorResponses": {"Quantity": 0},
    "Comment": "",
    "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
    "PriceClass": "PriceClass_All",
    "ViewerCertificate": {"CloudFrontDefaultCertificate": True},
    "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
    "WebACLId": "",
    "HttpVersion": "http2",
    "IsIPV6Enabled": True,
    "ContinuousDeploymentPolicyId": "",
    "Staging": False,
}
_OPTIONAL_ON_UPDATE = {"OriginGroups", "IsIPV6Enabled", "ContinuousDeploymentPolicyId", "Staging"}

# Members that an update does not set. Name cannot change; Tags have their own operations.
_TENANT_ANSWER_ONLY = {"Id", "Arn", "Name", "Tags", "CreatedTime", "LastModifiedTime", "Status", "ETag"}
# UpdateDistributionTenant keeps these when they are missing; it removes anything else that is missing.
_TENANT_KEPT = ("DistributionId", "Domains", "Enabled")

_NO_CHANGE_UNDER_CONTINUOUS_DEPLOYMENT = "One or more fields updated are not supported for continuous deployment."


def random_id(prefix: str, length: int) -> str:
    return prefix + "".join(random.choices(string.ascii_uppercase + string.digits, k=length))


def timestamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03d}Z"


def check_if_match(current: str, sent: str | None) -> None:
    if not sent:
        raise AwsError("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
    if sent != current:
        raise AwsError(
            "PreconditionFailed",
            "The request failed because it didn't meet the preconditions in one or more request-header fields.",
        )


@dataclass
class Resource:
    """What distributions and tenants have in common: a document, its ETag, and the time a change takes to propagate."""

    id: str
    document: Element
    created_at: float = field(default_factory=time.time)
    changed_at: float = field(default_factory=time.time)
    etag: str = field(default_factory=lambda: random_id("E", 13))
    # one entry per change: time, ETag, certificate served
    history: list[dict[str, Any]] = field(default_factory=list)
    # overrides the setting for this resource
    propagation_seconds: float | None = None
    # control commands; each read removes the first one and applies it after the response is built
    on_read: list[dict[str, Any]] = field(default_factory=list)
    # how the edges misbehave for this resource: see `control_commands.apply`
    edge: dict[str, Any] = field(default_factory=dict)

    def in_progress_since(self, moment: float) -> bool:
        seconds = self.propagation_seconds
        if seconds is None:
            seconds = world.settings.propagation_seconds
        return time.time() < moment + seconds

    @property
    def status(self) -> str:
        return "InProgress" if self.in_progress_since(self.changed_at) else "Deployed"

    @property
    def certificate(self) -> str:
        raise NotImplementedError

    @property
    def arn(self) -> str:
        raise NotImplementedError

    def certificates_on_edges(self) -> list[str]:
        """The certificate that has propagated everywhere, and those still propagating."""
        stale = self.edge.get("stale_seconds", 0)
        arrived = [n for n, change in enumerate(self.history) if not self.in_progress_since(change["time"] + stale)]
        met = [change["certificate"] for change in self.history[arrived[-1] if arrived else 0 :]]
        return met[:1] if stale else list(dict.fromkeys(met))

    def changed(self) -> None:
        self.changed_at = time.time()
        self.etag = random_id("E", 13)
        self.history.append({"time": self.changed_at, "etag": self.etag, "certificate": self.certificate})
        edge_certificates.keep(self.certificate)


@dataclass
class Distribution(Resource):
    domain_name: str = field(default_factory=lambda: random_id("d", 13).lower() + ".cloudfront.net")
    certificate_changed_at: float | None = None

    def __post_init__(self) -> None:
        self.read_document()

    def read_document(self) -> None:
        """Caches the values of the document that are read often."""
        self.caller_reference = text(self.document, "CallerReference")
        self.viewer = viewer_certificate.read(self.document)
        self.aliases = [(alias.text or "").strip() for alias in find_all(self.document, "Aliases/Items/CNAME")]

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudfront::{ACCOUNT}:distribution/{self.id}"

    @property
    def location(self) -> str:
        return f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{self.id}"

    @property
    def certificate(self) -> str:
        return self.viewer.id

    @property
    def domains(self) -> list[str]:
        return self.aliases

    @property
    def tenant_only(self) -> bool:
        return text(self.document, "ConnectionMode") == "tenant-only"

    @property
    def staging(self) -> bool:
        return flag(self.document, "Staging")

    @property
    def policy_id(self) -> str:
        return text(self.document, "ContinuousDeploymentPolicyId")

    @property
    def certificate_change_in_progress(self) -> bool:
        return self.certificate_changed_at is not None and self.in_progress_since(self.certificate_changed_at)

    def config(self) -> Element:
        return viewer_certificate.with_deprecated_fields(copy_of(self.document))

    def as_xml(self) -> Element:
        return build(
            "Distribution",
            {
                "Id": self.id,
                "ARN": self.arn,
                "Status": self.status,
                "LastModifiedTime": timestamp(self.changed_at),
                "InProgressInvalidationBatches": 0,
                "DomainName": self.domain_name,
                "ActiveTrustedSigners": {"Enabled": False, "Quantity": 0},
                "ActiveTrustedKeyGroups": {"Enabled": False, "Quantity": 0},
                "DistributionConfig": self.config(),
                "AliasICPRecordals": self._recordals(),
            },
        )

    def summary(self) -> Element:
        config = self.config()
        settings = {
            name: copy_of(setting)
            for name in (
                "Aliases",
                "Origins",
                "OriginGroups",
                "DefaultCacheBehavior",
                "CacheBehaviors",
                "CustomErrorResponses",
                "Comment",
                "PriceClass",
                "Enabled",
                "ViewerCertificate",
                "Restrictions",
                "WebACLId",
                "HttpVersion",
                "IsIPV6Enabled",
                "Staging",
                "AnycastIpListId",
                "ViewerMtlsConfig",
                "ConnectionFunctionAssociation",
            )
            if (setting := find(config, name)) is not None
        }
        # Lists return HTTP2, configurations http2.
        settings["HttpVersion"].text = (settings["HttpVersion"].text or "").upper()
        return build(
            "DistributionSummary",
            {
                "Id": self.id,
                "ARN": self.arn,
                "ETag": self.etag,
                "Status": self.status,
                "LastModifiedTime": timestamp(self.changed_at),
                "DomainName": self.domain_name,
                **settings,
                "AliasICPRecordals": self._recordals(),
                "ConnectionMode": text(config, "ConnectionMode") or "direct",
            },
        )

    def _recordals(self) -> list[Element] | None:
        return [
            build("AliasICPRecordal", {"CNAME": alias, "ICPRecordalStatus": "APPROVED"}) for alias in self.aliases
        ] or None


@dataclass
class Tenant(Resource):
    """`document` holds the members that a request sets, including unknown ones."""

    name: str = ""

    def __post_init__(self) -> None:
        self.read_document()

    def read_document(self) -> None:
        self.distribution_id = text(self.document, "DistributionId")
        self.domains = [text(domain, "Domain") for domain in find_all(self.document, "Domains/member")]

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudfront::{ACCOUNT}:distribution-tenant/{self.id}"

    @property
    def certificate(self) -> str:
        return text(self.document, "Customizations/Certificate/Arn")

    def as_xml(self, tags: list[dict[str, str]]) -> Element:
        return build("DistributionTenant", self._members() | {"Tags": {"Items": [build("Tag", tag) for tag in tags]}})

    def summary(self) -> Element:
        # DistributionTenantSummary has every member except Parameters and Tags.
        members = {name: member for name, member in self._members().items() if name != "Parameters"}
        return build("DistributionTenantSummary", members | {"ETag": self.etag})

    def _members(self) -> dict[str, Any]:
        stored = {local_name(member): copy_of(member) for member in self.document if isinstance(member.tag, str)}
        return stored | {
            "Id": self.id,
            "Name": self.name,
            "Arn": self.arn,
            "Domains": [build("member", {"Domain": domain, "Status": "active"}) for domain in self.domains],
            "CreatedTime": timestamp(self.created_at),
            "LastModifiedTime": timestamp(self.changed_at),
            "Status": self.status,
        }


@dataclass
class ConnectionGroup:
    """The endpoint of tenants: DNS records of tenants' domains point to its routing endpoint."""

    name: str
    enabled: bool = True
    ipv6: bool = True
    is_default: bool = False
    id: str = field(default_factory=lambda: "cg_" + uuid.uuid4().hex[:27])
    etag: str = field(default_factory=lambda: random_id("E", 13))
    created_at: float = field(default_factory=time.time)
    routing_endpoint: str = field(default_factory=lambda: random_id("d", 13).lower() + ".cloudfront.net")

    def as_xml(self) -> Element:
        return build("ConnectionGroup", self._members() | {"Ipv6Enabled": self.ipv6})

    def summary(self) -> Element:
        return build("ConnectionGroupSummary", self._members() | {"ETag": self.etag})

    def _members(self) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Name": self.name,
            "Arn": f"arn:aws:cloudfront::{ACCOUNT}:connection-group/{self.id}",
            "RoutingEndpoint": self.routing_endpoint,
            "CreatedTime": timestamp(self.created_at),
            "LastModifiedTime": timestamp(self.created_at),
            "Status": "Deployed",
            "Enabled": self.enabled,
            "IsDefault": self.is_default,
        }


@dataclass
class ContinuousDeploymentPolicy:
    config: Element
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    etag: str = field(default_factory=lambda: random_id("E", 13))
    changed_at: float = field(default_factory=time.time)

    @property
    def location(self) -> str:
        return f"https://cloudfront.amazonaws.com/2020-05-31/continuous-deployment-policy/{self.id}"

    @property
    def staging_domain_names(self) -> list[str]:
        return [name.text or "" for name in find_all(self.config, "StagingDistributionDnsNames/Items/DnsName")]

    def as_xml(self) -> Element:
        return build(
            "ContinuousDeploymentPolicy",
            {
                "Id": self.id,
                "LastModifiedTime": timestamp(self.changed_at),
                "ContinuousDeploymentPolicyConfig": copy_of(self.config),
            },
        )


class CloudFront(CloudFrontBackend):
    distributions: dict[str, Distribution]  # type: ignore[assignment]

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.tenants: dict[str, Tenant] = {}
        self.policies: dict[str, ContinuousDeploymentPolicy] = {}
        self.connection_groups: dict[str, ConnectionGroup] = {}
        # alias or tenant domain -> id of the distribution or tenant that serves it
        self._served_by: dict[str, str] = {}

    def serving(self, name: str) -> Distribution | Tenant | None:
        """The resource that serves a name: the most specific match among aliases and tenants' domains. A wildcard alias
        matches any number of labels (Developer Guide, "Use wildcards in alternate domain names")."""
        labels = name.split(".")
        for domain in (name, *("*." + ".".join(labels[n:]) for n in range(1, len(labels)))):
            if served_by := self._served_by.get(domain):
                return self.distributions.get(served_by) or self.tenants[served_by]
        return None

    # Distributions

    def distribution(self, distribution_id: str) -> Distribution:
        if distribution_id not in self.distributions:
            raise AwsError("NoSuchDistribution", "The specified distribution does not exist.")
        return self.distributions[distribution_id]

    def get_distribution(self, distribution_id: str) -> tuple[Any, str]:
        """Called by moto's invalidations."""
        distribution = self.distribution(distribution_id)
        return distribution, distribution.etag

    def create(self, config: Element, tags: list[dict[str, str]]) -> Distribution:
        reference = text(config, "CallerReference")
        for other in self.distributions.values():
            if other.caller_reference == reference:
                raise AwsError(
                    "DistributionAlreadyExists",
                    "The caller reference that you are using to create a distribution is associated with another "
                    f"distribution. Already exists: {other.id}",
                )
        for name, default in _DEFAULTS.items():
            if find(config, name) is None:
                config.append(build(name, default))
        self._check(config, own_id="")
        distribution = Distribution(random_id("E", 13), viewer_certificate.without_deprecated_fields(config))
        self.distributions[distribution.id] = distribution
        self._take_up(distribution)
        distribution.changed()
        self.tagger.tag_resource(distribution.arn, tags)
        return distribution

    def copy(self, primary_id: str, if_match: str | None, reference: str, staging: bool, enabled: bool) -> Distribution:
        primary = self.distribution(primary_id)
        check_if_match(primary.etag, if_match)
        config = deepcopy(primary.document)
        # Two distributions cannot share an alias; a staging distribution serves the primary's.
        put(config, build("Aliases", {"Quantity": 0}))
        put(config, build("CallerReference", reference))
        put(config, build("Staging", staging))
        put(config, build("Enabled", enabled))
        put(config, build("ContinuousDeploymentPolicyId", ""))
        return self.create(config, [])

    def update(self, distribution_id: str, config: Element, if_match: str | None) -> Distribution:
        distribution = self.distribution(distribution_id)
        check_if_match(distribution.etag, if_match)
        if text(config, "CallerReference") != distribution.caller_reference:
            raise AwsError("IllegalUpdate", "The caller reference cannot be changed.")
        for name in _DEFAULTS.keys() - _OPTIONAL_ON_UPDATE:
            if find(config, name) is None:
                raise AwsError("InvalidArgument", f"The parameter {name} is required.")
        viewer = viewer_certificate.read(config)
        if viewer != distribution.viewer:
            if distribution.policy_id:
                raise AwsError("IllegalUpdate", _NO_CHANGE_UNDER_CONTINUOUS_DEPLOYMENT)
            if distribution.certificate_change_in_progress:
                raise AwsError("IllegalUpdate", "Only one viewer certificate change may be in progress at a time.")
        if distribution.staging and text(config, "ContinuousDeploymentPolicyId") != distribution.policy_id:
            raise AwsError("IllegalUpdate", _NO_CHANGE_UNDER_CONTINUOUS_DEPLOYMENT)
        self._check(config, own_id=distribution_id)
        self.replace_config(distribution, config)
        return distribution

    def replace_config(self, distribution: Distribution, config: Element) -> None:
        policy_before, viewer_before = distribution.policy_id, distribution.viewer
        viewer_certificate.read(config)  # raises for an invalid one before anything has changed
        self._let_go(distribution)
        distribution.document = viewer_certificate.without_deprecated_fields(config)
        distribution.read_document()
        self._take_up(distribution)
        distribution.changed()
        if not distribution.viewer.same_certificate(viewer_before):
            distribution.certificate_changed_at = distribution.changed_at
        if distribution.policy_id != policy_before:
            self._show_policy_on_staging(policy_before, "")
            self._show_policy_on_staging(distribution.policy_id, distribution.policy_id)

    def delete(self, distribution_id: str, if_match: str | None) -> None:
        distribution = self.distribution(distribution_id)
        check_if_match(distribution.etag, if_match)
        if flag(distribution.document, "Enabled"):
            raise AwsError(
                "DistributionNotDisabled", "The distribution you are trying to delete has not been disabled."
            )
        if any(tenant.distribution_id == distribution_id for tenant in self.tenants.values()):
            raise AwsError("ResourceInUse", "The distribution has distribution tenants.")
        self.vanish(distribution)

    def vanish(self, resource: Distribution | Tenant) -> None:
        self._let_go(resource)
        self.distributions.pop(resource.id, None)
        self.tenants.pop(resource.id, None)

    def _check(self, config: Element, own_id: str) -> None:
        """Checks that apply to both new and changed configurations."""
        viewer = viewer_certificate.read(config)
        aliases = [(alias.text or "").strip() for alias in find_all(config, "Aliases/Items/CNAME")]
        tenant_only = text(config, "ConnectionMode") == "tenant-only"
        policy_id = text(config, "ContinuousDeploymentPolicyId")
        origins = {text(origin, "Id") for origin in find_all(config, "Origins/Items/Origin")}
        for list_name, item_name in (("Aliases", "CNAME"), ("Origins", "Origin")):
            if text(config, f"{list_name}/Quantity") != str(len(find_all(config, f"{list_name}/Items/{item_name}"))):
                raise AwsError(
                    "InconsistentQuantities",
                    f"The value of Quantity and the number of items in {list_name} do not match.",
                )
        if text(config, "DefaultCacheBehavior/TargetOriginId") not in origins:
            raise AwsError("NoSuchOrigin", "One or more of your origins or origin groups do not exist.")
        if tenant_only and (aliases or policy_id or flag(config, "Staging")):
            raise AwsError(
                "InvalidArgument", "A multi-tenant distribution has no aliases and no continuous deployment."
            )
        if policy_id and policy_id not in self.policies:
            raise _no_such_policy()
        viewer_certificate.check_leftovers(config, viewer)
        viewer_certificate.check(viewer, aliases, tenant_only)
        self._check_domains_are_free(aliases, own_id)
        self._check_dedicated_ip(viewer)

    def _check_domains_are_free(self, domains: list[str], own_id: str) -> None:
        if any(self._served_by.get(domain, own_id) != own_id for domain in domains):
            raise AwsError(
                "CNAMEAlreadyExists",
                "One or more of the CNAMEs you provided are already associated with a different resource.",
            )

    def _check_dedicated_ip(self, viewer: ViewerCertificate) -> None:
        if viewer.id and viewer.ssl_support_method == "vip":
            # Changing the certificate takes two at once: "one for everyday use and one for rotation".
            in_use = {
                distribution.viewer.id
                for distribution in self.distributions.values()
                if distribution.viewer.id and distribution.viewer.ssl_support_method == "vip"
            }
            if len(in_use | {viewer.id}) > max(len(in_use), quotas.ledger.limit(quotas.CLOUDFRONT_DEDICATED_IP)):
                raise AwsError("TooManyCertificates", "You cannot create anymore custom SSL/TLS certificates.")

    def _take_up(self, resource: Distribution | Tenant) -> None:
        self._served_by.update(dict.fromkeys(resource.domains, resource.id))
        if resource.certificate:
            world.hold(resource.certificate, resource.arn)

    def _let_go(self, resource: Distribution | Tenant) -> None:
        for domain in resource.domains:
            del self._served_by[domain]
        if resource.certificate:
            world.release(resource.certificate, resource.arn)

    # Continuous deployment

    def policy(self, policy_id: str) -> ContinuousDeploymentPolicy:
        if policy_id not in self.policies:
            raise _no_such_policy()
        return self.policies[policy_id]

    def create_policy(self, config: Element) -> ContinuousDeploymentPolicy:
        policy = ContinuousDeploymentPolicy(config)
        staging = {other.domain_name for other in self.distributions.values() if other.staging}
        taken = {name for other in self.policies.values() for name in other.staging_domain_names}
        if not set(policy.staging_domain_names) <= staging:
            raise AwsError("InvalidArgument", "A policy names the domain names of staging distributions.")
        if set(policy.staging_domain_names) & taken:
            raise AwsError(
                "StagingDistributionInUse",
                "A continuous deployment policy for this staging distribution already exists.",
            )
        self.policies[policy.id] = policy
        return policy

    def delete_policy(self, policy_id: str, if_match: str | None) -> None:
        check_if_match(self.policy(policy_id).etag, if_match)
        if any(distribution.policy_id == policy_id for distribution in self.distributions.values()):
            raise AwsError(
                "ContinuousDeploymentPolicyInUse",
                "You cannot delete a continuous deployment policy that is associated with a primary distribution.",
            )
        del self.policies[policy_id]

    def _show_policy_on_staging(self, policy_id: str, shown_id: str) -> None:
        """Sets ContinuousDeploymentPolicyId in staging distributions to the policy attached to their primary
        (hashicorp/terraform-provider-aws#33338)."""
        names = self.policies[policy_id].staging_domain_names if policy_id in self.policies else []
        for distribution in self.distributions.values():
            if distribution.staging and distribution.domain_name in names:
                put(distribution.document, build("ContinuousDeploymentPolicyId", shown_id))
                distribution.changed()

    # Distribution tenants

    def tenant(self, identifier: str) -> Tenant:
        """Finds a tenant by id, ARN or name, as GetDistributionTenant does."""
        for tenant in self.tenants.values():
            if identifier in (tenant.id, tenant.arn, tenant.name):
                return tenant
        raise AwsError("EntityNotFound", "The specified distribution tenant does not exist.")

    def tenant_of_domain(self, domain: str) -> Tenant:
        return self.tenant(self._served_by.get(domain, ""))

    def create_tenant(self, request: Element, tags: list[dict[str, str]]) -> Tenant:
        name = text(request, "Name")
        if any(tenant.name == name for tenant in self.tenants.values()):
            raise AwsError("EntityAlreadyExists", f"A distribution tenant named {name} already exists.")
        remove(request, "Name")
        remove(request, "Tags")
        if find(request, "Enabled") is None:
            request.append(build("Enabled", True))
        self._check_tenant(request, own_id="")
        if find(request, "ConnectionGroupId") is None:
            request.append(build("ConnectionGroupId", self._default_connection_group().id))
        tenant = Tenant("dt_" + uuid.uuid4().hex[:27], request, name=name)
        self.tenants[tenant.id] = tenant
        self._take_up(tenant)
        tenant.changed()
        self.tagger.tag_resource(tenant.arn, tags)
        return tenant

    def update_tenant(self, tenant_id: str, request: Element, if_match: str | None) -> Tenant:
        tenant = self.tenant(tenant_id)
        check_if_match(tenant.etag, if_match)
        misplaced = _TENANT_ANSWER_ONLY & {local_name(member) for member in request}
        if misplaced or find(request, "Domains/member/Status") is not None:
            raise AwsError("MalformedXML", "The request contains elements that only a response has.")
        for name in _TENANT_KEPT:
            if find(request, name) is None and (kept := find(tenant.document, name)) is not None:
                request.append(deepcopy(kept))
        self._check_tenant(request, own_id=tenant.id)
        self.replace_tenant(tenant, request)
        return tenant

    def replace_tenant(self, tenant: Tenant, document: Element) -> None:
        self._let_go(tenant)
        tenant.document = document
        tenant.read_document()
        self._take_up(tenant)
        tenant.changed()

    def delete_tenant(self, tenant_id: str, if_match: str | None) -> None:
        tenant = self.tenant(tenant_id)
        check_if_match(tenant.etag, if_match)
        if flag(tenant.document, "Enabled"):
            raise AwsError("ResourceNotDisabled", "The specified resource is not disabled.")
        self.vanish(tenant)

    def _check_tenant(self, document: Element, own_id: str) -> None:
        template = self.distributions.get(text(document, "DistributionId"))
        if template is None:
            raise AwsError("EntityNotFound", "The specified distribution does not exist.")
        if not template.tenant_only:
            raise AwsError("InvalidAssociation", "The distribution is not a multi-tenant distribution.")
        domains = [text(domain, "Domain") for domain in find_all(document, "Domains/member")]
        if not domains:
            raise AwsError("InvalidArgument", "A distribution tenant needs at least one domain.")
        self._check_domains_are_free(domains, own_id)
        if group_id := text(document, "ConnectionGroupId"):
            self.connection_group(group_id)
        if text(document, "Customizations/Certificate/Arn"):
            _check_tenant_certificate(document, template, domains)

    # Connection groups

    def connection_group(self, identifier: str) -> ConnectionGroup:
        """Finds a connection group by id or name."""
        for group in self.connection_groups.values():
            if identifier in (group.id, group.name):
                return group
        raise AwsError("EntityNotFound", "The specified connection group does not exist.")

    def create_connection_group(self, group: ConnectionGroup) -> ConnectionGroup:
        if any(group.name == other.name for other in self.connection_groups.values()):
            raise AwsError("EntityAlreadyExists", f"A connection group named {group.name} already exists.")
        self.connection_groups[group.id] = group
        return group

    def _default_connection_group(self) -> ConnectionGroup:
        """Created for the first tenant that specifies none."""
        for group in self.connection_groups.values():
            if group.is_default:
                return group
        return self.create_connection_group(ConnectionGroup("default", is_default=True))


def backend() -> CloudFront:
    return cast(CloudFront, cloudfront_backends[ACCOUNT]["aws"])


def _check_tenant_certificate(document: Element, template: Distribution, domains: list[str]) -> None:
    """A domain must be covered by the tenant's certificate or by its distribution's."""
    own = template.viewer._replace(source="acm", id=text(document, "Customizations/Certificate/Arn"))
    try:
        names = certificates.dns_names(viewer_certificate.check_usable(own))
        if template.viewer.id:
            names += certificates.dns_names(viewer_certificate.check_usable(template.viewer))
    except AwsError as error:
        # The service model has no InvalidViewerCertificate for the operations on tenants.
        raise AwsError("InvalidArgument", error.message) from error
    if not all(certificates.covers(names, domain) for domain in domains):
        raise AwsError("InvalidArgument", viewer_certificate.NOT_COVERED)


def _no_such_policy() -> AwsError:
    return AwsError("NoSuchContinuousDeploymentPolicy", "The specified continuous deployment policy does not exist.")


def page(entries: list[Any], marker: str | None, size: int) -> tuple[list[Any], str | None]:
    """The entries after the one whose id is `marker`, and the marker of the next page."""
    ids = [entry.id for entry in entries]
    if marker and marker not in ids:
        raise AwsError("InvalidArgument", "The marker is not valid.")
    start = ids.index(marker) + 1 if marker else 0
    end = start + size
    return entries[start:end], ids[end - 1] if end < len(entries) else None
