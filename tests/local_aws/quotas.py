"""Service Quotas: the quotas that apply to certificates, and requests to raise them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from moto.core.responses import ActionResult
from moto.servicequotas.responses import ServiceQuotasResponse

from .errors import AwsError
from .recorded import RecordedResponse
from .state import ACCOUNT

# None: there is no applied value, only the default. "absent": Service Quotas does not have the quota.
Applied = float | None | Literal["absent"]

OPEN_STATUSES = ("PENDING", "CASE_OPENED")
_DECIDED = {"approve": "APPROVED", "deny": "DENIED"}


@dataclass(frozen=True)
class Quota:
    service: str
    code: str
    name: str
    default: float
    is_global: bool = False


ACM_CERTIFICATES = Quota("acm", "L-F141DD1D", "ACM certificates", 2500)
ACM_CERTIFICATES_YEARLY = Quota("acm", "L-DA1D8B98", "ACM certificates created in last 365 days", 5000)
ACM_IMPORTED = Quota("acm", "L-D2CB7DE9", "Imported certificates", 2500)
ACM_IMPORTED_YEARLY = Quota("acm", "L-3808DC70", "Imported certificates in last 365 days", 5000)
IAM_SERVER_CERTIFICATES = Quota("iam", "L-BF35879D", "Server certificates per account", 20, is_global=True)
CLOUDFRONT_DEDICATED_IP = Quota(
    "cloudfront",
    "L-DA9DCC93",
    "SSL certificates per AWS account when serving HTTPS requests using dedicated IP addresses",
    2,
    is_global=True,
)
QUOTAS = {
    quota.code: quota
    for quota in (
        ACM_CERTIFICATES,
        ACM_CERTIFICATES_YEARLY,
        ACM_IMPORTED,
        ACM_IMPORTED_YEARLY,
        IAM_SERVER_CERTIFICATES,
        CLOUDFRONT_DEDICATED_IP,
    )
}


@dataclass
class IncreaseRequest:
    quota: Quota
    desired: float
    region: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex + uuid.uuid4().hex[:8])
    status: str = "PENDING"
    created: float = field(default_factory=time.time)
    last_updated: float = field(default_factory=time.time)


class Ledger:
    """The values of the quotas, the requests, and how requests are decided."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.applied: dict[str, Applied] = {code: quota.default for code, quota in QUOTAS.items()}
        self._requests: list[IncreaseRequest] = []
        # by quota code, or "*" for all others: approve, deny or hold
        self.decisions: dict[str, str] = {"*": "hold"}
        self.after_seconds: float = 0.0

    @property
    def requests(self) -> list[IncreaseRequest]:
        """All requests. A decision that is due is made on reading."""
        for request in self._requests:
            decision = self.decisions.get(request.quota.code, self.decisions.get("*", "hold"))
            due = time.time() >= request.created + self.after_seconds
            if request.status in OPEN_STATUSES and decision in _DECIDED and due:
                self.decide(request, _DECIDED[decision])
        return self._requests

    def decide(self, request: IncreaseRequest, status: str) -> None:
        request.status = status
        request.last_updated = time.time()
        if status == "APPROVED":
            self.applied[request.quota.code] = request.desired

    def limit(self, quota: Quota) -> float:
        """What the service enforces, whether or not Service Quotas returns it."""
        self.requests  # noqa: B018 - makes decisions that are due, which may raise the value
        applied = self.applied[quota.code]
        return applied if isinstance(applied, (int, float)) else quota.default

    def add(self, request: IncreaseRequest) -> None:
        self._requests.append(request)


ledger = Ledger()


class QuotasResponse(RecordedResponse, ServiceQuotasResponse):
    def get_service_quota(self) -> Any:
        if self._get_param("ServiceCode") == "vpc":
            return super().get_service_quota()
        quota = self._quota()
        ledger.limit(quota)
        applied = ledger.applied[quota.code]
        if applied is None:
            raise _no_such_resource()
        return ActionResult({"Quota": self._described(quota, applied)})

    def get_aws_default_service_quota(self) -> ActionResult:
        quota = self._quota()
        return ActionResult({"Quota": self._described(quota, quota.default)})

    def request_service_quota_increase(self) -> ActionResult:
        quota, desired = self._quota(), float(self._get_param("DesiredValue"))
        if any(request.quota == quota and request.status in OPEN_STATUSES for request in ledger.requests):
            raise AwsError(
                "ResourceAlreadyExistsException",
                "Only one open service quota increase request is allowed per quota.",
            )
        if desired <= ledger.limit(quota):
            raise AwsError(
                "IllegalArgumentException",
                "You must provide a quota value greater than the current quota value.",
            )
        request = IncreaseRequest(quota, desired, self.region)
        answer = ActionResult({"RequestedQuota": self._described_request(request)})
        ledger.add(request)
        return answer

    def get_requested_service_quota_change(self) -> ActionResult:
        wanted = self._get_param("RequestId")
        for request in ledger.requests:
            if request.id == wanted:
                return ActionResult({"RequestedQuota": self._described_request(request)})
        raise _no_such_resource()

    def list_requested_service_quota_change_history_by_quota(self) -> ActionResult:
        quota, status = self._quota(), self._get_param("Status")
        found = [
            self._described_request(request)
            for request in ledger.requests
            if request.quota == quota and status in (None, request.status)
        ]
        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or 100)
        end = start + size
        return ActionResult({"RequestedQuotas": found[start:end], "NextToken": str(end) if end < len(found) else None})

    def _quota(self) -> Quota:
        quota = QUOTAS.get(self._get_param("QuotaCode"))
        known = quota is not None and quota.service == self._get_param("ServiceCode")
        if quota is None or not known or ledger.applied[quota.code] == "absent":
            raise _no_such_resource()
        # Service Quotas has the quotas of global services in us-east-1 only.
        if quota.is_global and self.region != "us-east-1":
            raise AwsError(
                "NoSuchResourceException", "The request failed because the specified service does not exist."
            )
        return quota

    def _described(self, quota: Quota, value: float | str) -> dict[str, Any]:
        return {
            "ServiceCode": quota.service,
            "ServiceName": quota.service,
            "QuotaArn": self._arn(quota),
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": quota.is_global,
            "QuotaAppliedAtLevel": "ACCOUNT",
        }

    def _described_request(self, request: IncreaseRequest) -> dict[str, Any]:
        return {
            "Id": request.id,
            "ServiceCode": request.quota.service,
            "ServiceName": request.quota.service,
            "QuotaCode": request.quota.code,
            "QuotaName": request.quota.name,
            "QuotaArn": self._arn(request.quota),
            "DesiredValue": request.desired,
            "Status": request.status,
            "Created": request.created,
            "LastUpdated": request.last_updated,
            "Requester": f'{{"accountId":"{ACCOUNT}"}}',
            "GlobalQuota": request.quota.is_global,
            "Unit": "None",
            "QuotaRequestedAtLevel": "ACCOUNT",
        }

    def _arn(self, quota: Quota) -> str:
        region = "" if quota.is_global else self.region
        return f"arn:aws:servicequotas:{region}:{ACCOUNT}:{quota.service}/{quota.code}"


def _no_such_resource() -> AwsError:
    return AwsError("NoSuchResourceException", "The specified resource does not exist.")
