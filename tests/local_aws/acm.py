"""ACM, based on moto's: adds the checks and quotas of ImportCertificate, InUseBy, and ACM's ListCertificates."""

from __future__ import annotations

import time
from typing import Any, cast

from cryptography import x509
from moto.acm.models import AWSCertificateManagerBackend, CertBundle, acm_backends
from moto.acm.responses import AWSCertificateManagerResponse
from moto.core.responses import ActionResult, EmptyResult

from . import certificates, quotas
from .errors import AwsError
from .recorded import RecordedResponse
from .state import ACCOUNT, world

_YEAR_SECONDS = 365 * 24 * 3600
_NAMES_IN_A_SUMMARY = 100
# "Default filtering returns only RSA_1024 and RSA_2048 certificates that have at least one domain" (ListCertificates).
_DEFAULT_KEY_TYPES = ("RSA_1024", "RSA_2048")
# The maximum lengths of ImportCertificate's blobs in ACM's service model.
_MAX_BYTES = {"certificate": 32_768, "privateKey": 5_120, "certificateChain": 2_097_152}


def _refused(message: str) -> AwsError:
    return AwsError("ValidationException", message)


class Acm(AWSCertificateManagerBackend):
    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.import_times: list[float] = []

    @property
    def bundles(self) -> dict[str, CertBundle]:
        return self._certificates

    def import_certificate(
        self,
        certificate: bytes,
        private_key: bytes,
        chain: bytes | None,
        arn: str | None,
        tags: list[dict[str, str]],
    ) -> str:
        _check_import(certificate, private_key, chain)
        if not certificates.tags_are_valid(tags or []):
            raise AwsError("InvalidTagException", "A tag holds a character that is not allowed.")
        replaced = self.get_certificate(arn) if arn else None
        if replaced is None:
            self._check_quotas()
        else:
            _check_reimport(replaced, certificate, tags)

        arn = super().import_certificate(certificate, private_key, chain, arn, tags)
        # moto appends an Amazon root to the chain; ACM returns the chain as it was imported.
        bundle = self.bundles[arn]
        bundle.chain = chain or b""
        if replaced is None:
            self.import_times.append(time.time())
        else:
            bundle.tags, bundle.in_use_by = replaced.tags, replaced.in_use_by
        return arn

    def _check_quotas(self) -> None:
        imported = sum(bundle.type == "IMPORTED" for bundle in self.bundles.values())
        # Deleted certificates still count towards the yearly quotas.
        imported_this_year = sum(moment > time.time() - _YEAR_SECONDS for moment in self.import_times)
        issued = len(self.bundles) - imported
        for used, quota in (
            (imported, quotas.ACM_IMPORTED),
            (imported + issued, quotas.ACM_CERTIFICATES),
        ):
            if used >= (limit := quotas.ledger.limit(quota)):
                raise AwsError(
                    "LimitExceededException",
                    f"Error: you have reached the maximum number of {limit:.0f} certificates.",
                )
        for used, quota in (
            (imported_this_year, quotas.ACM_IMPORTED_YEARLY),
            (imported_this_year + issued, quotas.ACM_CERTIFICATES_YEARLY),
        ):
            if used >= (limit := quotas.ledger.limit(quota)):
                raise AwsError(
                    "LimitExceededException",
                    f"Error: you have reached your limit of {limit:.0f} certificates in the last year.",
                )

    def delete_certificate(self, arn: str) -> None:
        if in_use_by(self.get_certificate(arn)):
            raise AwsError(
                "ResourceInUseException",
                f"Certificate {arn} in account {ACCOUNT} is in use.",
            )
        super().delete_certificate(arn)


def backend(region: str = "us-east-1") -> Acm:
    return cast(Acm, acm_backends[ACCOUNT][region])


def backends() -> dict[str, Acm]:
    """The backend of every region that has been called, by region."""
    return {region: backend(region) for region in list(acm_backends[ACCOUNT])}


def in_use_by(bundle: CertBundle) -> list[str]:
    """ARNs of what uses a certificate: moto's load balancers, then the users recorded in `world`."""
    return bundle.in_use_by + world.users_of(bundle.arn)


def _check_import(certificate: bytes, private_key: bytes, chain: bytes | None) -> None:
    for name, blob in (("certificate", certificate), ("privateKey", private_key), ("certificateChain", chain)):
        if blob and len(blob) > _MAX_BYTES[name]:
            raise _refused(
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_MAX_BYTES[name]}"
            )
    try:
        leaves = x509.load_pem_x509_certificates(certificate)
        issuers = certificates.load_chain(chain)
    except ValueError as error:
        raise _refused("The certificate is not PEM-encoded or is not valid.") from error
    if len(leaves) > 1:
        raise _refused(
            "The certificate field contains more than one certificate. "
            "You can specify only one certificate in this field."
        )
    try:
        key_matches = certificates.matches_key(leaves[0], private_key)
    except (ValueError, TypeError) as error:
        raise _refused("The private key is not PEM-encoded or is not valid.") from error
    if not key_matches:
        raise _refused("The private key does not match the certificate.")
    if not issuers and not certificates.is_self_signed(leaves[0]):
        raise _refused(
            "Provided certificate is not a valid self signed. "
            "Please provide either a valid self-signed certificate or certificate chain."
        )
    if not certificates.each_certifies_the_preceding([leaves[0], *issuers]):
        raise _refused("Could not validate the certificate with the certificate chain.")


def _check_reimport(replaced: CertBundle, certificate: bytes, tags: list[dict[str, str]]) -> None:
    if tags:
        raise _refused("You cannot apply tags when reimporting a certificate.")
    new_leaf = x509.load_pem_x509_certificate(certificate)
    if certificates.key_algorithm(new_leaf) != certificates.key_algorithm(replaced._cert):
        raise _refused("The key type and size of a reimported certificate cannot change.")


def described(bundle: CertBundle) -> dict[str, Any]:
    """CertificateDetail as DescribeCertificate returns it."""
    detail: dict[str, Any] = bundle.describe()["Certificate"]
    serial = f"{bundle._cert.serial_number:x}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    return detail | {
        # ACM returns "RSA-2048" although its enum has RSA_2048 (hashicorp/terraform-provider-aws, acm/certificate.go).
        "KeyAlgorithm": certificates.key_algorithm(bundle._cert).replace("_", "-"),
        "Serial": ":".join(serial[i : i + 2] for i in range(0, len(serial), 2)),
        "InUseBy": in_use_by(bundle),
        "CertificateKeyPairOrigin": "CUSTOMER_PROVIDED" if bundle.type == "IMPORTED" else "AWS_MANAGED",
    }


def _summarized(bundle: CertBundle) -> dict[str, Any]:
    detail = described(bundle)
    return detail | {
        "SubjectAlternativeNameSummaries": bundle.sans[:_NAMES_IN_A_SUMMARY],
        "HasAdditionalSubjectAlternativeNames": len(bundle.sans) > _NAMES_IN_A_SUMMARY,
        # A list of names in a summary, a list of structures in CertificateDetail.
        "ExtendedKeyUsages": [],
        "InUse": bool(detail["InUseBy"]),
        "Exported": False,
    }


class AcmResponse(RecordedResponse, AWSCertificateManagerResponse):
    acm_backend: Acm

    def describe_certificate(self) -> ActionResult:
        bundle = self.acm_backend.get_certificate(self._get_param("CertificateArn"))
        return ActionResult({"Certificate": described(bundle)})

    def list_certificates(self) -> ActionResult:
        statuses = self._get_param("CertificateStatuses")
        includes = self._get_param("Includes") or {}
        key_types = includes.get("keyTypes") or _DEFAULT_KEY_TYPES
        found = []
        for arn in self.acm_backend.bundles:
            bundle = self.acm_backend.get_certificate(arn)
            named = bool(bundle.sans or bundle.common_name)
            if statuses and bundle.status not in statuses:
                continue
            if named and certificates.key_algorithm(bundle._cert) in key_types:
                found.append(bundle)
        if self._get_param("SortBy") == "CREATED_AT":
            found.sort(key=lambda bundle: bundle.created_at, reverse=self._get_param("SortOrder") == "DESCENDING")

        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxItems") or 1000)
        end = start + size
        return ActionResult(
            {
                "CertificateSummaryList": [_summarized(bundle) for bundle in found[start:end]],
                "NextToken": str(end) if end < len(found) else None,
            }
        )

    def get_certificate(self) -> ActionResult:
        bundle = self.acm_backend.get_certificate(self._get_param("CertificateArn"))
        return ActionResult({"Certificate": bundle.cert.decode(), "CertificateChain": bundle.chain.decode() or None})

    def delete_certificate(self) -> ActionResult:
        self.acm_backend.delete_certificate(self._get_param("CertificateArn"))
        return EmptyResult()
