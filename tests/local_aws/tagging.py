"""The Resource Groups Tagging API: an index of the tags of certificates, distributions and tenants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse

from . import acm, cloudfront
from .errors import AwsError
from .recorded import RecordedResponse
from .state import world

# The region in which the index has the tags of global services.
_GLOBAL = "us-east-1"
_PER_PAGE = 100

Tags = dict[str, str]


def _resources(region: str) -> Iterator[tuple[str, str, Tags]]:
    """Type, ARN and tags of each resource."""
    for arn, bundle in acm.backend(region).bundles.items():
        yield "acm:certificate", arn, dict(bundle.tags)
    if region == _GLOBAL:
        backend = cloudfront.backend()
        for kind, resources in (
            ("cloudfront:distribution", backend.distributions.values()),
            ("cloudfront:distribution-tenant", backend.tenants.values()),
        ):
            for resource in resources:
                tags = backend.tagger.get_tag_dict_for_resource(resource.arn)
                yield kind, resource.arn, {key: value or "" for key, value in tags.items()}


def _indexed(region: str) -> Iterator[tuple[str, str, Tags]]:
    """What the index has: deleted resources, and outdated tags, as the setting `outdated_tags` says."""
    outdated = dict(world.settings.outdated_tags)
    for kind, arn, tags in _resources(region):
        yield kind, arn, outdated.pop(arn, tags)
    for arn, tags in outdated.items():
        _, _, service, of_region, _, name = arn.split(":", 5)
        if of_region in (region, "") and (of_region or region == _GLOBAL):
            yield f"{service}:{name.partition('/')[0]}", arn, tags


def _fits(tags: Tags, filters: list[dict[str, Any]]) -> bool:
    return all(one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"]) for one in filters)


class TaggingResponse(RecordedResponse, ResourceGroupsTaggingAPIResponse):
    def get_resources(self) -> ActionResult:
        kinds: list[str] = self._get_param("ResourceTypeFilters") or []
        filters = self._get_param("TagFilters") or []
        size, token = int(self._get_param("ResourcesPerPage") or 50), self._get_param("PaginationToken") or "0"
        if not 1 <= size <= _PER_PAGE:
            raise AwsError("InvalidParameterException", f"ResourcesPerPage must be between 1 and {_PER_PAGE}.")
        if not token.isdigit():
            raise AwsError("PaginationTokenExpiredException", "The pagination token is not valid.")
        # Without a filter it has what was ever tagged; what never was is not distinguished here.
        found = [
            {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            for kind, arn, tags in _indexed(self.region)
            if tags
            and any(wanted in (kind, kind.partition(":")[0]) for wanted in kinds or [kind])
            and _fits(tags, filters)
        ]
        start = int(token)
        end = start + size
        return ActionResult(
            {
                "ResourceTagMappingList": found[start:end],
                "PaginationToken": str(end) if end < len(found) else "",
            }
        )
