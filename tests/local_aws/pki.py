"""A throwaway public-key infrastructure for tests and the demo.

`Authority.root()` creates a self-signed CA, `.intermediate()` a CA below it, `.leaf()` a server certificate with its
chain (the leaf's issuer first, without the root, as CloudFront and ACM require) and its key in any PEM form.
The default key type is P-256, because generating RSA keys is slow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KeyType = Literal["P-256", "P-384", "P-521", "RSA-1024", "RSA-2048", "RSA-3072", "RSA-4096", "RSA-8192"]
KeyFormat = Literal["PKCS8", "PKCS1", "SEC1"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def new_key(key_type: KeyType = "P-256") -> PrivateKey:
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("RSA-")))


def key_pem(key: PrivateKey, form: KeyFormat = "PKCS8", password: str | None = None) -> str:
    """`form` PKCS1 is for RSA, SEC1 for EC; a password encrypts any form."""
    if form == "PKCS8":
        private_format = serialization.PrivateFormat.PKCS8
    elif (form == "PKCS1") == isinstance(key, rsa.RSAPrivateKey):
        private_format = serialization.PrivateFormat.TraditionalOpenSSL
    else:
        raise ValueError(f"{form} does not hold a key of this type")
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, private_format, encryption).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Leaf:
    """A server certificate with its key and chain: everything a certificate store requires."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate_pem(self) -> str:
        return _pem(self.certificate)

    @property
    def chain_pem(self) -> str:
        return "".join(_pem(certificate) for certificate in self.chain)

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, in lower-case hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class Authority:
    """A CA; `above` are the certificates from its issuer to the root."""

    certificate: x509.Certificate
    key: PrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def certificate_pem(self) -> str:
        return _pem(self.certificate)

    @classmethod
    def root(cls, name: str = "Throwaway Root", key_type: KeyType = "P-256", days: float = 3650) -> Authority:
        key = new_key(key_type)
        subject = _name(name)
        builder = _builder(subject, subject, key, _ago(days=1), _ahead(days=days))
        return cls(_ca_extensions(builder, key, key).sign(key, hashes.SHA256()), key)

    def intermediate(
        self,
        name: str = "Throwaway Intermediate",
        key_type: KeyType = "P-256",
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
    ) -> Authority:
        key = new_key(key_type)
        builder = _builder(
            _name(name), self.certificate.subject, key, not_before or _ago(days=1), not_after or _ahead(days=1825)
        )
        certificate = _ca_extensions(builder, key, self.key).sign(self.key, hashes.SHA256())
        return Authority(certificate, key, (self.certificate, *self.above))

    def leaf(
        self,
        *names: str,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
        key_type: KeyType = "P-256",
        key: PrivateKey | None = None,
        common_name: str | None = None,
        usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    ) -> Leaf:
        """A certificate for `names` (its SANs), by default valid from an hour ago for 90 days."""
        key = key or new_key(key_type)
        certificate = (
            _builder(
                _name(common_name or names[0]),
                self.certificate.subject,
                key,
                not_before or _ago(hours=1),
                not_after or _ahead(days=90),
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_key_identifier(self.key), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        chain = (self.certificate, *self.above)
        return Leaf(certificate, key, chain[:-1] or chain)


def _ago(**span: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(**span)


def _ahead(**span: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**span)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, not_before: dt.datetime, not_after: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _ca_extensions(
    builder: x509.CertificateBuilder, key: PrivateKey, issuer_key: PrivateKey
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_key_identifier(issuer_key), critical=False)
    )


def _authority_key_identifier(issuer_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())


def _key_usage(digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
