"""The rules of a distribution's ViewerCertificate."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element

from cryptography import x509

from . import acm, certificates, iam
from .document import build, find, flag, put, remove, text
from .errors import AwsError

_MAX_CHAIN = 5
# Developer Guide, "Requirements for using SSL/TLS certificates with CloudFront": RSA up to 4096, and P-256 only.
_KEY_ALGORITHMS = ("RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1")

_NOT_USABLE = (
    "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, "
    "or doesn't include a valid certificate chain."
)
NOT_COVERED = (
    "The certificate that is attached to your distribution doesn't cover the alternate domain name (CNAME) "
    "that you're trying to add."
)


class ViewerCertificate(NamedTuple):
    """A viewer certificate: `source` is acm, iam or cloudfront; `id` an ARN, a server certificate id or ""."""

    source: str
    id: str
    ssl_support_method: str
    minimum_protocol_version: str

    def same_certificate(self, other: ViewerCertificate) -> bool:
        return (self.source, self.id) == (other.source, other.id)


def invalid(message: str) -> AwsError:
    return AwsError("InvalidViewerCertificate", message)


def read(config: Element) -> ViewerCertificate:
    element = find(config, "ViewerCertificate")
    if element is None:
        return ViewerCertificate("cloudfront", "", "vip", "TLSv1")
    sources = {"acm": text(element, "ACMCertificateArn"), "iam": text(element, "IAMCertificateId")}
    chosen = [source for source, certificate in sources.items() if certificate]
    if flag(element, "CloudFrontDefaultCertificate"):
        chosen.append("cloudfront")
    if len(chosen) != 1:
        raise invalid(
            "Exactly one of [ACMCertificateArn, CloudFrontDefaultCertificate, IAMCertificateId] needs to be specified."
        )
    source = chosen[0]
    if source == "cloudfront":
        # "CloudFront automatically sets the security policy to TLSv1 regardless of the value that you set here."
        return ViewerCertificate(source, "", "vip", "TLSv1")
    return ViewerCertificate(
        source, sources[source], text(element, "SSLSupportMethod"), text(element, "MinimumProtocolVersion")
    )


def check_leftovers(config: Element, viewer: ViewerCertificate) -> None:
    """A read also returns the deprecated Certificate and CertificateSource. A write that keeps them and sets another
    certificate contradicts itself (dlapiduz/certbot-s3front#12)."""
    element = find(config, "ViewerCertificate")
    if element is None:
        return
    field = {"acm": "ACMCertificateArn", "iam": "IAMCertificateId"}.get(viewer.source, "CloudFrontDefaultCertificate")
    named_source, named_certificate = text(element, "CertificateSource"), text(element, "Certificate")
    if named_source not in ("", viewer.source):
        raise invalid(f'Cannot specify {field} and a CertificateSource not equal to "{viewer.source}".')
    if named_certificate not in ("", viewer.id):
        raise invalid(f"Your {field} does not match the given Certificate field.")


def with_deprecated_fields(config: Element) -> Element:
    """Completes ViewerCertificate in a copy of a configuration that is returned by a read."""
    viewer, element = read(config), find(config, "ViewerCertificate")
    if element is None:
        element = build("ViewerCertificate")
        config.append(element)
    put(element, build("CloudFrontDefaultCertificate", viewer.source == "cloudfront"))
    put(element, build("SSLSupportMethod", viewer.ssl_support_method))
    put(element, build("MinimumProtocolVersion", viewer.minimum_protocol_version))
    if viewer.id:
        put(element, build("Certificate", viewer.id))
    put(element, build("CertificateSource", viewer.source))
    return config


def without_deprecated_fields(config: Element) -> Element:
    if (element := find(config, "ViewerCertificate")) is not None:
        remove(element, "Certificate")
        remove(element, "CertificateSource")
    return config


def certificate_path(viewer: ViewerCertificate) -> list[x509.Certificate]:
    """The leaf and its chain from ACM in us-east-1 or from IAM under /cloudfront/; [] if it is not there."""
    if viewer.source == "acm":
        bundle = acm.backend("us-east-1").bundles.get(viewer.id)
        return [bundle._cert, *certificates.load_chain(bundle.chain)] if bundle else []
    server_certificate = iam.backend().certificates.get(viewer.id)
    if server_certificate and server_certificate.path.startswith("/cloudfront/"):
        return [server_certificate.leaf, *server_certificate.chain]
    return []


def check_usable(viewer: ViewerCertificate) -> x509.Certificate:
    """The leaf. Not checked: whether a public CA signed it, because the certificates here are throwaway ones."""
    path = certificate_path(viewer)
    if (
        not path
        or len(path[1:]) > _MAX_CHAIN
        or not all(map(certificates.is_current, path))
        or certificates.key_algorithm(path[0]) not in _KEY_ALGORITHMS
    ):
        raise invalid(_NOT_USABLE)
    return path[0]


def check(viewer: ViewerCertificate, aliases: list[str], tenant_only: bool) -> None:
    if viewer.source == "cloudfront":
        if aliases:
            raise invalid(
                "To add an alternate domain name (CNAME) to a CloudFront distribution, you must attach a trusted "
                "certificate that validates your authorization to use the domain name."
            )
        return
    if tenant_only and (viewer.source == "iam" or viewer.ssl_support_method != "sni-only"):
        raise invalid("A multi-tenant distribution takes ACM certificates with sni-only.")
    if viewer.ssl_support_method not in ("sni-only", "vip", "static-ip"):
        raise invalid("SSLSupportMethod must be specified with a custom SSL certificate.")
    if not viewer.minimum_protocol_version:
        raise AwsError(
            "InvalidMinimumProtocolVersion", "MinimumProtocolVersion must be specified with a custom SSL certificate."
        )
    names = certificates.dns_names(check_usable(viewer))
    if not all(certificates.covers(names, alias) for alias in aliases):
        raise invalid(NOT_COVERED)
