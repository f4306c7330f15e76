"""The error of every service here: code and message; HTTP status and envelope come from the service model."""

from moto.core.exceptions import ServiceException


class AwsError(ServiceException):
    """Defined outside moto, because moto derives the service of its own exceptions from their module."""
