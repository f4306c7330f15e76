"""CloudFront's edges: a TLS server that serves the propagated certificate for the server name (SNI) of the viewer.

It completes the handshake and closes the connection. docs/local-aws.md says which certificate it serves to whom;
`control_commands.apply` says how a test makes it misbehave.
"""

from __future__ import annotations

import contextlib
import random
import socket
import socketserver
import ssl

from . import certificates, cloudfront, edge_certificates
from .cloudfront import Resource, Tenant
from .edge_certificates import EdgeCertificate
from .state import world

_PATIENCE_SECONDS = 10


class Edge(socketserver.ThreadingTCPServer):
    """One port for all edge locations."""

    allow_reuse_address = True
    daemon_threads = True
    # Tests open many connections at once.
    request_queue_size = 512

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.context = edge_certificates.default().context
        self.context.sni_callback = _greet

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Connection(socketserver.BaseRequestHandler):
    server: Edge

    def handle(self) -> None:
        self.request.settimeout(_PATIENCE_SECONDS)
        # A viewer that rejects the certificate or does not speak TLS is not an error of the edge.
        with contextlib.suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True):
            pass


def _greet(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
    with world.lock:
        certificate = _certificate_for(name.lower() if name else "")
        world.handshakes[name, certificate.fingerprint if certificate else None] += 1
    if certificate is None:
        assert isinstance(connection, ssl.SSLSocket)
        # The SSL socket's own shutdown() would discard its TLS state in the middle of the handshake.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
    connection.context = certificate.context
    return None


def _certificate_for(name: str) -> EdgeCertificate | None:
    """None: refuse the connection."""
    resource = cloudfront.backend().serving(name)
    if resource is None:
        return edge_certificates.default()
    if resource.edge.get("refuse"):
        return None
    met = random.choice(_met(resource, name))
    return edge_certificates.keep(met) or edge_certificates.default()


def _met(resource: Resource, name: str) -> list[str]:
    """The certificates of which a connection gets one at random."""
    if "serve" in resource.edge:
        return [resource.edge["serve"]]
    own = resource.certificates_on_edges()
    if not isinstance(resource, Tenant):
        return own
    template = cloudfront.backend().distribution(resource.distribution_id)
    return [met for one in own for met in ([one] if _covers(one, name) else _met(template, name))]


def _covers(certificate_id: str, name: str) -> bool:
    """Whether a certificate covers `name`; a tenant's certificate supplements its distribution's."""
    certificate = edge_certificates.keep(certificate_id)
    return certificate is not None and certificates.covers(certificate.names, name)
