"""Adds the log of calls and the faults between the wire and moto's handlers."""

from __future__ import annotations

import re
import time
from typing import Any

from moto.core.responses import ActionResult, BaseResponse

from .errors import AwsError
from .state import ACCOUNT, Call, Fault, world

# The parameters that identify the resource of a call; none of them can hold a secret.
_RESOURCE_PARAMETERS = (
    "Id",
    "Identifier",
    "PrimaryDistributionId",
    "Resource",
    "CertificateArn",
    "ServerCertificateName",
    "QuotaCode",
    "RequestId",
)
# "<Code>" in the XML protocols, "__type" in the JSON one.
_ERROR_CODE = re.compile(r'<Code>(\w+)</Code>|"__type": "(?:[^"]*#)?(\w+)"')


class RecordedResponse(BaseResponse):
    """A mixin for moto's response classes."""

    def call_action(self) -> Any:
        service, operation = self.service_name or "", self._get_action() or "Unknown"
        resource = next(filter(None, map(self._get_param, _RESOURCE_PARAMETERS)), None)
        fault = self._denial(service, operation, resource) or world.take_fault(service, operation, resource)

        if fault and not fault.after_effect:
            time.sleep(fault.latency_seconds)
        if fault and fault.code and not fault.after_effect:
            answer: Any = self._answer_with(fault)
        else:
            with world.lock:
                answer = super().call_action()
        if fault and fault.after_effect:
            time.sleep(fault.latency_seconds)
            answer = self._answer_with(fault) if fault.code else answer

        status, _, body = answer
        error = _ERROR_CODE.search(body if isinstance(body, str) else body.decode()) if status >= 400 else None
        with world.lock:
            world.calls.append(
                Call(
                    service=service,
                    operation=operation,
                    resource=resource,
                    region=self.region,
                    status=status,
                    error=next(filter(None, error.groups())) if error else None,
                    time=time.time(),
                )
            )
        return answer

    def _denial(self, service: str, operation: str, resource: str | None) -> Fault | None:
        """The message is that of IAM's user guide, "Troubleshoot access denied error messages", explicit denial."""
        arn = world.denied(service, operation, resource)
        if arn is None:
            return None
        message = (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/role/session is not authorized to perform: "
            f"{service}:{operation} on resource: {arn} with an explicit deny in an identity-based policy"
        )
        return Fault(service, operation, "AccessDenied", 403, message)

    def _answer_with(self, fault: Fault) -> Any:
        """In the envelope of the service's protocol, by moto's serializer."""
        _, headers, body = self.serialized(ActionResult(AwsError(fault.code, fault.message)))
        headers["status"] = str(fault.status)
        return fault.status, headers, body
