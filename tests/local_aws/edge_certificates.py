"""Certificates on the edges. They are copied when a distribution or tenant first uses them, so that the edges can serve
them as long as needed, even if they are deleted from their store."""

from __future__ import annotations

import functools
import ssl
import tempfile
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from . import acm, certificates, iam, pki


@dataclass(frozen=True)
class EdgeCertificate:
    fingerprint: str
    names: list[str]
    context: ssl.SSLContext


_kept: dict[str, EdgeCertificate] = {}


def keep(certificate_id: str) -> EdgeCertificate | None:
    """By ACM ARN or IAM id; None if it is in neither store and was never on the edges."""
    if certificate_id not in _kept and (blocks := _stored(certificate_id)):
        _kept[certificate_id] = _loaded(*blocks)
    return _kept.get(certificate_id)


def forget() -> None:
    _kept.clear()


@functools.cache
def default() -> EdgeCertificate:
    """CloudFront's default certificate, here from an authority that no client trusts."""
    leaf = pki.Authority.root("Nobody's Root").leaf("*.cloudfront.net", "cloudfront.net")
    return _loaded(leaf.key_pem, leaf.certificate_pem, leaf.chain_pem)


def _stored(certificate_id: str) -> tuple[str, str, str] | None:
    """Key, leaf and chain, in PEM."""
    if bundle := acm.backend().bundles.get(certificate_id):
        return bundle.key.decode(), bundle.cert.decode(), bundle.chain.decode()
    if server_certificate := iam.backend().certificates.get(certificate_id):
        return server_certificate.private_key, server_certificate.cert_body, server_certificate.cert_chain or ""
    return None


def _loaded(key: str, leaf: str, chain: str) -> EdgeCertificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # CloudFront accepts RSA keys of 1024 bits, which OpenSSL rejects by default.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    # No viewer here resumes a session.
    context.num_tickets = 0
    # Python's ssl module loads keys from files only.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write("\n".join((key, leaf, chain)))
        file.flush()
        context.load_cert_chain(file.name)
    certificate = x509.load_pem_x509_certificate(leaf.encode())
    return EdgeCertificate(certificate.fingerprint(hashes.SHA256()).hex(), certificates.dns_names(certificate), context)
