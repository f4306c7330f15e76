"""IAM's server certificates, based on moto's: ids, names, tags, checks, the quota, no deletion of one in use."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import string
from typing import Any, cast

from cryptography import x509
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import Certificate, IAMBackend, iam_backends
from moto.iam.responses import IamResponse

from . import certificates, quotas
from .errors import AwsError
from .recorded import RecordedResponse
from .state import ACCOUNT, Denial, world

_PATH = re.compile(r"/|/[\x21-\x7e]+/")


class ServerCertificate(Certificate):
    """moto's certificate with an id, dates and tags. moto's ELB still finds it in the store."""

    def __init__(self, leaf: x509.Certificate, tags: list[dict[str, str]], **known_to_moto: Any):
        super().__init__(**known_to_moto)
        self.id = "ASCA" + "".join(random.choices(string.ascii_uppercase + string.digits, k=17))
        self.leaf = leaf
        self.upload_date = dt.datetime.now(dt.UTC)
        self.tags = tags

    @property
    def chain(self) -> list[x509.Certificate]:
        return certificates.load_chain(self.cert_chain)

    def metadata(self) -> dict[str, Any]:
        return {
            "Path": self.path,
            "ServerCertificateName": self.cert_name,
            "ServerCertificateId": self.id,
            "Arn": self.arn,
            "UploadDate": self.upload_date,
            "Expiration": self.leaf.not_valid_after_utc,
        }


class Iam(IAMBackend):
    certificates: dict[str, ServerCertificate]  # type: ignore[assignment]

    def upload(
        self, name: str, path: str | None, body: str, private_key: str, chain: str | None, tags: list[dict[str, str]]
    ) -> ServerCertificate:
        leaf = _checked(body, private_key, chain)
        if not _PATH.fullmatch(path or "/"):
            raise AwsError("ValidationError", "The specified value for path is invalid.")
        if not certificates.tags_are_valid(tags):
            raise AwsError("InvalidInput", "A tag holds a character that is not allowed.")
        if any(certificate.cert_name == name for certificate in self.certificates.values()):
            raise AwsError("EntityAlreadyExists", f"The Server Certificate with name {name} already exists.")
        limit = quotas.ledger.limit(quotas.IAM_SERVER_CERTIFICATES)
        if len(self.certificates) >= limit:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for ServerCertificatesPerAccount: {limit:.0f}")
        certificate = ServerCertificate(
            leaf,
            tags,
            account_id=self.account_id,
            region_name=self.region_name,
            cert_name=name,
            cert_body=body,
            private_key=private_key,
            cert_chain=chain,
            path=path,
        )
        self.certificates[certificate.id] = certificate
        return certificate

    def delete_server_certificate(self, name: str) -> None:
        certificate = self.named(name)
        if world.users_of(certificate.id):
            raise AwsError("DeleteConflict", f"Certificate: {certificate.id} is being used by CloudFront.")
        del self.certificates[certificate.id]

    def named(self, name: str) -> ServerCertificate:
        for certificate in self.certificates.values():
            if certificate.cert_name == name:
                return certificate
        raise AwsError("NoSuchEntity", f"The Server Certificate with name {name} cannot be found.")


def backend() -> Iam:
    return cast(Iam, iam_backends[ACCOUNT]["aws"])


def _checked(body: str, private_key: str, chain: str | None) -> x509.Certificate:
    try:
        leaf = x509.load_pem_x509_certificate(body.encode())
        issuers = certificates.load_chain(chain)
    except ValueError as error:
        raise AwsError(
            "MalformedCertificate",
            "Unable to parse certificate. Please ensure the certificate is in PEM format.",
        ) from error
    try:
        key_matches = certificates.matches_key(leaf, private_key.encode())
    except (ValueError, TypeError) as error:
        raise AwsError("MalformedCertificate", "Unable to parse key; the body should be encoded in PEM.") from error
    if not key_matches:
        raise AwsError("KeyPairMismatch", "Public key in certificate and private key do not match.")
    if not certificates.is_current(leaf):
        raise AwsError("MalformedCertificate", "The certificate is expired or not yet valid.")
    if not certificates.each_certifies_the_preceding([leaf, *issuers]):
        raise AwsError(
            "MalformedCertificate",
            "Unable to validate certificate chain. The certificate chain must start with the immediate signing "
            "certificate, followed by any intermediaries in order.",
        )
    return leaf


def _listed(one: Any) -> list[Any]:
    """A policy may have a single value in place of a list of one."""
    return one if isinstance(one, list) else [one]


class IamCertificatesResponse(RecordedResponse, IamResponse):
    backend: Iam

    def upload_server_certificate(self) -> ActionResult:
        certificate = self.backend.upload(
            self._get_param("ServerCertificateName"),
            self._get_param("Path"),
            self._get_param("CertificateBody"),
            self._get_param("PrivateKey"),
            self._get_param("CertificateChain"),
            self._get_param("Tags") or [],
        )
        return ActionResult({"ServerCertificateMetadata": certificate.metadata(), "Tags": certificate.tags})

    def get_server_certificate(self) -> ActionResult:
        certificate = self._named()
        return ActionResult(
            {
                "ServerCertificate": {
                    "ServerCertificateMetadata": certificate.metadata(),
                    "CertificateBody": certificate.cert_body,
                    "CertificateChain": certificate.cert_chain,
                    "Tags": certificate.tags,
                }
            }
        )

    def list_server_certificates(self) -> ActionResult:
        prefix = self._get_param("PathPrefix") or "/"
        found = [
            certificate.metadata()
            for certificate in self.backend.certificates.values()
            if certificate.path.startswith(prefix)
        ]
        return ActionResult(self._page("ServerCertificateMetadataList", found))

    def list_server_certificate_tags(self) -> ActionResult:
        return ActionResult(self._page("Tags", self._named().tags))

    def tag_server_certificate(self) -> ActionResult:
        certificate, tags = self._named(), self._get_param("Tags")
        if not certificates.tags_are_valid(tags):
            raise AwsError("InvalidInput", "A tag holds a character that is not allowed.")
        new_keys = {tag["Key"] for tag in tags}
        certificate.tags = [tag for tag in certificate.tags if tag["Key"] not in new_keys] + tags
        return EmptyResult()

    def untag_server_certificate(self) -> ActionResult:
        certificate, keys = self._named(), self._get_param("TagKeys")
        certificate.tags = [tag for tag in certificate.tags if tag["Key"] not in keys]
        return EmptyResult()

    # The stack's roles are on the platform. A deny in an inline policy is enforced here, where the calls arrive.

    def put_role_policy(self) -> ActionResult:
        role, name = self._get_param("RoleName"), self._get_param("PolicyName")
        statements = json.loads(self._get_param("PolicyDocument"))["Statement"]
        world.denials[role, name] = [
            Denial(action, resource)
            for one in _listed(statements)
            if one["Effect"] == "Deny"
            for action in _listed(one["Action"])
            for resource in _listed(one["Resource"])
        ]
        return EmptyResult()

    def delete_role_policy(self) -> ActionResult:
        role, name = self._get_param("RoleName"), self._get_param("PolicyName")
        if world.denials.pop((role, name), None) is None:
            raise AwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.")
        return EmptyResult()

    def get_account_summary(self) -> ActionResult:
        summary = self.backend.account_summary.summary_map
        limit = int(quotas.ledger.limit(quotas.IAM_SERVER_CERTIFICATES))
        return ActionResult({"SummaryMap": summary | {"ServerCertificatesQuota": limit}})

    def _named(self) -> ServerCertificate:
        return self.backend.named(self._get_param("ServerCertificateName"))

    def _page(self, name: str, entries: list[Any]) -> dict[str, Any]:
        start, size = int(self._get_param("Marker") or 0), int(self._get_param("MaxItems") or 100)
        end = start + size
        return {
            name: entries[start:end],
            "IsTruncated": end < len(entries),
            "Marker": str(end) if end < len(entries) else None,
        }
