"""The checks before anything is created: the two certificates, the name, the credentials, the region, the account.

Each fault is one sentence that says what to do about it, and all faults of the files are reported at once.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import botocore
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

REGION: Final = "us-east-1"
# A run takes an hour or two, and what it leaves may be swept a day later.
DAYS_LEFT: Final = 7
MOZILLA: Final = Path(botocore.__file__).with_name("cacert.pem")
_NAME: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\s*", re.DOTALL)


class Refused(Exception):
    """The suite cannot run; the text is for the user who started it."""


def exit_code(act: Callable[[], int], interrupted: str) -> int:
    """What `act` returns; 2 with its message if it is refused, and 130 if it is interrupted."""
    try:
        return act()
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        return 130


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain and key, as in the two files."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    leaf_pem: str
    chain_pem: str
    key_pem: str

    @property
    def names(self) -> list[str]:
        """The DNS names among its SANs."""
        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return []
        return found.value.get_values_for_type(x509.DNSName)

    @property
    def fingerprint(self) -> str:
        """In the format of reports and outputs."""
        return f"sha256:{self.leaf.fingerprint(hashes.SHA256()).hex()}"

    def covers(self, name: str) -> bool:
        """Exactly, or by a wildcard for one label."""
        return bool({name, "*." + name.partition(".")[2]} & {one.lower() for one in self.names})


def read_pair(which: str, certificate: Path, key: Path) -> Pair:
    """`which` is its name in messages: OLD or NEW."""
    try:
        text, secret = certificate.read_text(), key.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"{which}: cannot read {error.filename if isinstance(error, OSError) else certificate}: {error}."
        ) from error
    blocks = _CERTIFICATE.findall(text)
    if not blocks:
        raise Refused(
            f"{which}: {certificate} contains no certificate: give a PEM file, the leaf first, then its chain."
        )
    try:
        leaf, *chain = [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
        private = serialization.load_pem_private_key(secret.encode(), None)
    except TypeError as error:
        raise Refused(f"{which}: the key in {key} is encrypted: decrypt it (openssl pkey -in {key.name}).") from error
    except ValueError as error:
        raise Refused(
            f"{which}: {certificate} or {key} is broken PEM: {error}. Ask your authority's client for both again."
        ) from error
    if private.public_key() != leaf.public_key():
        raise Refused(
            f"{which}: the key in {key} is not that of the certificate in {certificate}: "
            "give the pair that belongs together."
        )
    # A root is not needed, and some stores reject it.
    kept = [n for n, one in enumerate(chain, 1) if one.issuer != one.subject]
    return Pair(
        leaf,
        tuple(chain[n - 1] for n in kept),
        blocks[0].strip() + "\n",
        "".join(blocks[n].strip() + "\n" for n in kept),
        secret,
    )


def faults(domain: str, old: Pair, new: Pair, now: dt.datetime) -> list[str]:
    """The faults of the name and the two certificates, one sentence each."""
    found = []
    if not _NAME.fullmatch(domain):
        found.append(
            f"DOMAIN {domain} is not a host name: give one in lower case that both certificates cover, "
            "such as cdn.example.com."
        )
    for which, pair in (("OLD", old), ("NEW", new)):
        left = pair.leaf.not_valid_after_utc - now
        if not pair.covers(domain):
            names = ", ".join(pair.names) or "no DNS name"
            found.append(
                f"{which} does not cover {domain} (it is for {names}): give two certificates for the one name."
            )
        if pair.leaf.not_valid_before_utc > now:
            found.append(
                f"{which} is not valid before {pair.leaf.not_valid_before_utc:%Y-%m-%d}: wait, or give another one."
            )
        elif left < dt.timedelta(days=DAYS_LEFT):
            ends = f"{pair.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            verb = "expired" if left < dt.timedelta() else "expires"
            found.append(f"{which} {verb} at {ends}: give one that has more than {DAYS_LEFT} days left.")
    if old.leaf == new.leaf:
        found.append("OLD and NEW are the same certificate: have a second one issued for the name.")
    elif new.leaf.not_valid_after_utc <= old.leaf.not_valid_after_utc:
        found.append(
            "NEW expires no later than OLD, and the suite rotates a renewal: swap them, or have a newer one issued."
        )
    return found


def is_public(pair: Pair, domain: str, now: dt.datetime, *more: Path) -> bool:
    """Whether it leads to a trusted root: one of Mozilla's in botocore, in `SSL_CERT_FILE`, or in `more`."""
    files = [MOZILLA, *more]
    files += [Path(extra)] if (extra := os.environ.get("SSL_CERT_FILE")) else []
    with warnings.catch_warnings():
        # Some old roots have the serial number zero.
        warnings.simplefilter("ignore")
        try:
            roots = [root for file in files for root in x509.load_pem_x509_certificates(file.read_bytes())]
        except (OSError, ValueError) as error:
            raise Refused(f"The roots cannot be read: {error}.") from error
    verifier = PolicyBuilder().store(Store(roots)).time(now).build_server_verifier(x509.DNSName(domain))
    try:
        verifier.verify(pair.leaf, list(pair.chain))
    except VerificationError:
        return False
    return True


def open_session(region: str | None) -> boto3.Session:
    """A session with the credentials that boto3 finds, in the only region possible."""
    try:
        session = boto3.Session(region_name=REGION)
        region = region or boto3.Session().region_name
    except BotoCoreError as error:
        raise Refused(f"The AWS configuration cannot be used ({error}): correct AWS_PROFILE, or unset it.") from error
    if region not in (None, REGION):
        raise Refused(
            f"The region is {region}, and CloudFront reads certificates of ACM in {REGION} only: "
            f"export AWS_REGION={REGION}, or unset it."
        )
    return session


def caller(session: boto3.Session) -> dict[str, Any]:
    """The caller's identity, from STS."""
    try:
        identity: dict[str, Any] = session.client("sts").get_caller_identity()
    except ClientError as error:
        words = error.response["Error"]["Message"]
        raise Refused(
            f"AWS does not accept the credentials ({words}): sign in again, for example with aws sso login."
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise Refused(f"AWS cannot be reached ({error}): check the network and AWS_ENDPOINT_URL.") from error
    except BotoCoreError as error:
        raise Refused(
            f"No usable AWS credentials ({error}): sign in (aws sso login, aws configure), or export AWS_PROFILE."
        ) from error
    return identity
