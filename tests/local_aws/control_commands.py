"""Changes to a distribution or tenant by another user while a rotation runs: the commands of the control API."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from . import edge_certificates
from .cloudfront import CloudFront, Distribution, Resource, Tenant
from .document import build, find, find_all, local_name, parse, put, remove, text

_edits = itertools.count(1)
_CERTIFICATE_FIELDS = ("CloudFrontDefaultCertificate", "ACMCertificateArn", "IAMCertificateId")
_EDGE_ORDERS = {"serve", "stale_seconds", "refuse"}


def apply(backend: CloudFront, resource: Resource, command: dict[str, Any]) -> None:
    """`command` is one or more of

    {"edit": true}                 changes the Comment (of a tenant, a parameter): new ETag
    {"viewer_certificate": {...}}  another certificate: for a distribution the elements of ViewerCertificate,
                                   for a tenant {"Arn": ...}
    {"inject_xml": "<New>..</New>"}  adds an element to the configuration that no SDK supports
    {"vanish": true}               deletes the resource
    {"propagation_seconds": n}     time from InProgress to Deployed for this resource; null: the common setting
    {"edit_on_read": n}, {"drift_on_read": {...}}, {"vanish_on_read": true}
                                   the same, right after the next reads of GetDistributionConfig
                                   or GetDistributionTenant
    {"edge": {...}}                makes the edges misbehave for this resource until the next command; null undoes it
        {"serve": ARN or id}       they serve this certificate, whatever has propagated
        {"stale_seconds": n}       they serve the previous certificate until n seconds after Deployed
        {"refuse": true}           they close the connection before the handshake is complete
    """
    if unknown := command.keys() - _COMMANDS.keys():
        raise ValueError(f"unknown command {', '.join(sorted(unknown))}")
    for name, argument in command.items():
        _COMMANDS[name](backend, resource, argument)


def _edit(backend: CloudFront, resource: Resource, wanted: bool) -> None:
    document, note = deepcopy(resource.document), f"edited {next(_edits)}"
    if isinstance(resource, Tenant):
        parameters = [one for one in find_all(document, "Parameters/member") if text(one, "Name") != "edited"]
        parameters.append(build("member", {"Name": "edited", "Value": note}))
        put(document, build("Parameters", parameters))
    else:
        put(document, build("Comment", note))
    _replace(backend, resource, document)


def _change_certificate(backend: CloudFront, resource: Resource, fields: dict[str, Any]) -> None:
    document = deepcopy(resource.document)
    if isinstance(resource, Tenant):
        customizations = find(document, "Customizations")
        if customizations is None:
            customizations = build("Customizations")
            document.append(customizations)
        put(customizations, build("Certificate", fields))
    else:
        element = find(document, "ViewerCertificate")
        assert element is not None, "every stored configuration has one"
        # At the position of the old fields: CloudFront's order of elements is fixed.
        at = next((n for n, one in enumerate(element) if local_name(one) in _CERTIFICATE_FIELDS), len(element))
        for name in (*_CERTIFICATE_FIELDS, *fields):
            remove(element, name)
        for n, (name, value) in enumerate(fields.items()):
            element.insert(min(at, len(element)) + n, build(name, value))
    _replace(backend, resource, document)


def _inject(backend: CloudFront, resource: Resource, xml: str) -> None:
    document = deepcopy(resource.document)
    put(document, parse(xml))
    _replace(backend, resource, document)


def _replace(backend: CloudFront, resource: Resource, document: Any) -> None:
    if isinstance(resource, Distribution):
        backend.replace_config(resource, document)
    elif isinstance(resource, Tenant):
        backend.replace_tenant(resource, document)


def _vanish(backend: CloudFront, resource: Any, wanted: bool) -> None:
    backend.vanish(resource)


def _set_propagation(backend: CloudFront, resource: Resource, seconds: float | None) -> None:
    resource.propagation_seconds = seconds


def _direct_edge(backend: CloudFront, resource: Resource, orders: dict[str, Any] | None) -> None:
    orders = orders or {}
    if unknown := orders.keys() - _EDGE_ORDERS:
        raise ValueError(f"unknown order to the edges {', '.join(sorted(unknown))}")
    if "serve" in orders and edge_certificates.keep(orders["serve"]) is None:
        raise ValueError(f"there is no certificate {orders['serve']}")
    resource.edge = orders


def _edit_on_read(backend: CloudFront, resource: Resource, times: int) -> None:
    resource.on_read += [{"edit": True}] * times


def _change_certificate_on_read(backend: CloudFront, resource: Resource, fields: dict[str, Any]) -> None:
    resource.on_read.append({"viewer_certificate": fields})


def _vanish_on_read(backend: CloudFront, resource: Resource, wanted: bool) -> None:
    resource.on_read.append({"vanish": True})


_COMMANDS: dict[str, Callable[[CloudFront, Any, Any], None]] = {
    "edit": _edit,
    "viewer_certificate": _change_certificate,
    "drift_on_read": _change_certificate_on_read,
    "inject_xml": _inject,
    "vanish": _vanish,
    "propagation_seconds": _set_propagation,
    "edge": _direct_edge,
    "edit_on_read": _edit_on_read,
    "vanish_on_read": _vanish_on_read,
}
