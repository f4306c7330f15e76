"""Checks of certificates that ACM, IAM and CloudFront have in common."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable, Mapping

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_CURVES = {"secp256r1": "prime256v1", "secp384r1": "secp384r1", "secp521r1": "secp521r1"}
# The pattern of TagKey and TagValue in the service models of ACM and IAM: no "*", so no wildcard names.
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")


def key_algorithm(leaf: x509.Certificate) -> str:
    """The key algorithm as in ACM's enum KeyAlgorithm: RSA_2048, EC_prime256v1."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA_{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC_{_CURVES[key.curve.name]}"
    raise ValueError("only RSA and ECDSA keys are supported")


def load_chain(pem: str | bytes | None) -> list[x509.Certificate]:
    encoded = pem.encode() if isinstance(pem, str) else pem
    return x509.load_pem_x509_certificates(encoded) if encoded and encoded.strip() else []


def matches_key(leaf: x509.Certificate, private_key_pem: bytes) -> bool:
    """Raises ValueError or TypeError for a key that is not PEM or is encrypted."""
    key = serialization.load_pem_private_key(private_key_pem, password=None)
    return key.public_key() == leaf.public_key()


def each_certifies_the_preceding(certificates: Iterable[x509.Certificate]) -> bool:
    path = list(certificates)
    try:
        for certificate, issuer in itertools.pairwise(path):
            certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_self_signed(leaf: x509.Certificate) -> bool:
    return each_certifies_the_preceding([leaf, leaf])


def is_current(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc <= dt.datetime.now(dt.UTC) <= certificate.not_valid_after_utc


def dns_names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def covers(names: Iterable[str], alias: str) -> bool:
    """Whether one of `names` covers `alias`. CloudFront reads only the SANs; a wildcard covers exactly one label."""
    wildcard = "*." + alias.partition(".")[2]
    return any(name in (alias, wildcard) for name in names)


def tags_are_valid(tags: Iterable[Mapping[str, str]]) -> bool:
    return all(_TAG_TEXT.fullmatch(tag["Key"] + (tag.get("Value") or "")) for tag in tags)
