"""The error every service here answers with: code and message; HTTP status and envelope come from the service model."""

from moto.core.exceptions import ServiceException


class AwsError(ServiceException):
    """moto looks at the module of its own exceptions for their service, so ours must live outside moto."""
