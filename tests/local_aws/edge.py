"""CloudFront's edges: a TLS server that serves what has been propagated, found by the name a viewer asks for (SNI).

It shakes hands and hangs up. What it serves and to whom is in docs/local-aws.md; how a test makes it misbehave, in
`control_commands.apply`.
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
    """One port for all edges."""

    allow_reuse_address = True
    daemon_threads = True
    # Viewers come in crowds.
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
        # A viewer who does not like the certificate, or does not speak TLS, is no error of the edge.
        with contextlib.suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True):
            pass


def _greet(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
    with world.lock:
        certificate = _certificate_for(name.lower() if name else "")
        world.handshakes[name, certificate.fingerprint if certificate else None] += 1
    if certificate is None:
        assert isinstance(connection, ssl.SSLSocket)
        # Not the SSL socket's own method, which would forget its TLS state in the middle of the handshake.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
    connection.context = certificate.context
    return None


def _certificate_for(name: str) -> EdgeCertificate | None:
    """None to refuse the connection."""
    resource = cloudfront.backend().serving(name)
    if resource is None:
        return edge_certificates.default()
    if resource.edge.get("refuse"):
        return None
    met = random.choice(_met(resource, name))
    return edge_certificates.keep(met) or edge_certificates.default()


def _met(resource: Resource, name: str) -> list[str]:
    """The certificates of which a connection meets one."""
    if "serve" in resource.edge:
        return [resource.edge["serve"]]
    own = resource.certificates_on_edges()
    if not isinstance(resource, Tenant):
        return own
    template = cloudfront.backend().distribution(resource.distribution_id)
    return [met for one in own for met in ([one] if _covers(one, name) else _met(template, name))]


def _covers(certificate_id: str, name: str) -> bool:
    """A tenant's certificate supplements its distribution's."""
    certificate = edge_certificates.keep(certificate_id)
    return certificate is not None and certificates.covers(certificate.names, name)
