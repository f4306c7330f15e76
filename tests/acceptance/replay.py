"""`make acceptance-replay RECORD=folder`: compares the responses of the local AWS with recorded ones of AWS.

    python -m acceptance.replay FOLDER      a folder `calls` that a run has recorded

Each recorded call of the certificate services is sent to a new local AWS, in order. Certificates are created again with
the same names, key type and lifetime as the recorded ones; ids of the record are replaced by those of the local AWS.
What the functions of a rotation did between two calls is not in a record. The next read of a target shows it, and the
local target is changed accordingly before it is read. So each call finds the same state as on AWS.

Compared are: status, error code and message, the headers that a client reads, and the members of the response with
their order and values. `known-differences.json` in the folder lists the known differences, with reasons.

Exits with 0 if all differences are known and all known ones occur; 1 if not; 2 if there is no record.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import re
import sys
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode
from xml.etree import ElementTree

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from local_aws import pki
from local_aws.platform import LocalAws

KNOWN: Final = "known-differences.json"
# The services whose responses docs/local-aws.md describes, as spelled in signatures.
_SIGNED: Final = {"cloudfront": "cloudfront", "acm": "acm", "iam": "iam", "service-quotas": "servicequotas"}
# Only these of IAM and CloudFront: roles and edge functions are not from the local AWS's own code.
_OPERATIONS: Final = {
    "iam": re.compile("ServerCertificate|AccountSummary"),
    "cloudfront": re.compile("^(?!.*Function)"),
}
_SENT: Final = ("content-type", "x-amz-target", "if-match")
_READ: Final = ("etag", "location", "x-amzn-errortype")
_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\bE[A-Z0-9]{11,14}\b|\bASCA[A-Z0-9]{12,}\b"
    r"|\b[a-z]{2,3}_[A-Za-z0-9]{20,}\b|\bd[a-z0-9]{10,15}(?=\.cloudfront\.net)|(?<=:)[0-9]{12}(?=:)"
    # In ARNs, and in messages of ACM.
    r"|(?<=\baccount )[0-9]{12}\b"
)
_STAND_IN: Final = re.compile(r"\[(?:certificate \d+|private key)\]")
_IN_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
# What depends on time, chance or other content of the account.
_PASSING: Final = re.compile(r"(Time|At|Date|NotBefore|NotAfter|Status|RequestId|Serial|Expiration|Quantity|HostId)$")


Members = list[tuple[str, str]]


@dataclass(frozen=True, order=True)
class Difference:
    """A difference between the responses to an operation."""

    operation: str
    what: str


@dataclass
class Replay:
    """The replay of a record on a local AWS."""

    aws: LocalAws
    certificates: dict[str, Any]
    # ids in the record -> ids on the local AWS
    local: dict[str, str] = field(default_factory=dict)
    found: dict[Difference, list[str]] = field(default_factory=dict)
    calls: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    _leaves: dict[str, pki.Leaf] = field(default_factory=dict)
    _authorities: dict[tuple[str, ...], pki.Authority] = field(default_factory=dict)

    def play(self, name: str, call: dict[str, Any]) -> None:
        """Replays one call; differences are added to `found`, with the name of its file."""
        if not is_claimed(call) or "answer" not in call:
            return
        self.calls += 1
        recorded = call["answer"]
        self._catch_up(call)
        status, headers, body = self._send(call)
        was, now = members(recorded["body"]), members(body)
        self._learn(was, now, recorded["headers"], headers)
        for what in differences(
            (recorded["status"], recorded["headers"], was), (status, headers, now), self._translated
        ):
            self.found.setdefault(Difference(f"{call['service']} {call['operation']}", what), []).append(name)

    def _translated(self, text: str) -> str:
        for name, here in self._names.items():
            text = text.replace(name, here)
        return _ID.sub(lambda found: self.local.get(found[0], found[0]), text)

    def _learn(self, was: Members, now: Members, *headers: dict[str, str | None]) -> None:
        """Values at the same place refer to the same resource."""
        here = dict(now)
        for path, name in was:
            # Rotations choose the names of what they upload.
            if path.endswith("/ServerCertificateName") and here.get(path, name) != name:
                self._names[name] = here[path]
        for path, value in was:
            # Lists may be in any order, so what is already known takes precedence.
            self.local = dict(_pairs(value, here.get(path, ""))) | self.local
        for name in ("etag", "location"):
            self.local.update(_pairs(headers[0].get(name) or "", headers[1].get(name) or ""))

    def _catch_up(self, call: dict[str, Any]) -> None:
        """Changes a target as the rotation had changed it when it was read."""
        if call["operation"] == "ListServerCertificates" and call["answer"]["status"] == 200:
            # A certificate that is no longer in the list was deleted by a rotation.
            listed = self._translated(call["answer"]["body"])
            for one in self.aws.state()["iam_certificates"]:
                if one["ServerCertificateId"] not in listed and not one["InUseBy"]:
                    self.aws.client("iam").delete_server_certificate(ServerCertificateName=one["ServerCertificateName"])
        if call["answer"]["status"] != 200 or not call["operation"].startswith(("Get", "Update")):
            return
        answer = dict(members(call["answer"]["body"]))
        found = re.search(r"/(distribution|distribution-tenant)/([A-Za-z0-9_]+)", call["request"]["path"])
        if not found or call["service"] != "cloudfront":
            return
        kind, target = found[1].removeprefix("distribution-"), self._translated(found[2])
        served = next(
            (
                answer[path]
                for path in answer
                if re.search("(ACMCertificateArn|IAMCertificateId|Certificate/Arn)$", path)
            ),
            "",
        )
        status = next((answer[path] for path in answer if re.fullmatch("[A-Za-z]+/Status", path)), "")
        if call["operation"].startswith("Update"):
            # AWS accepted it, so nothing was in progress.
            self._control(kind, target, {"propagation_seconds": 0})
            return
        if status:
            # The local AWS stays in progress until the record says Deployed.
            self._control(kind, target, {"propagation_seconds": 0 if status == "Deployed" else 1e9})
        state = self.aws.state()
        here = next((one for one in state[f"{kind}s"] if one["id"] == target), None)
        if not here or not served or here["certificate"] == self._translated(served):
            return
        if _ID.findall(served)[-1] not in self.local and not self._make_certificate(served):
            return
        member = "Arn" if kind == "tenant" else "ACMCertificateArn" if served.startswith("arn:") else "IAMCertificateId"
        self._control(kind, target, {"viewer_certificate": {member: self._translated(served)}})

    def _make_certificate(self, served: str) -> bool:
        """A rotation has imported it: its content is that of another certificate in the record."""
        leaf = next((self._leaf(one, ()) for one in self.certificates if not self.certificates[one].get("ca")), None)
        if leaf is None:
            return False
        made = self.aws.put_into_store(
            "acm" if served.startswith("arn:") else "iam", leaf, f"replayed-{len(self.local)}"
        )
        self.local.update(zip(_ID.findall(served), _ID.findall(made), strict=True))
        return True

    def _control(self, kind: str, target: str, command: dict[str, Any]) -> None:
        try:
            self.aws.control("POST", f"{kind}/{target}", command)
        except urllib.error.HTTPError:
            return  # It is not there; then the call says so too.

    # Certificates

    def _authority(self, chain: tuple[str, ...]) -> pki.Authority:
        """The authority for these stand-ins, the issuer of the leaf first."""
        if chain not in self._authorities:
            kind = self.certificates.get(chain[0], {}).get("key", "P-256") if chain else "P-256"
            above = self._authority(chain[1:]) if chain else None
            self._authorities[chain] = above.intermediate(key_type=kind) if above else pki.Authority.root()
        return self._authorities[chain]

    def _leaf(self, stand_in: str, chain: tuple[str, ...]) -> pki.Leaf:
        if stand_in not in self._leaves:
            like = self.certificates.get(stand_in, {})
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=like.get("days", 90))
            names = like.get("names") or ["unknown.invalid"]
            self._leaves[stand_in] = self._authority(chain or ("",)).leaf(
                *names, not_after=ends, key_type=like.get("key", "P-256")
            )
        return self._leaves[stand_in]

    def _with_certificates(self, text: str) -> str:
        """Replaces the stand-ins of one request by a certificate, its chain and its key that match."""
        order = [one for one in dict.fromkeys(_STAND_IN.findall(_opened(text))) if one.startswith("[certificate")]
        leaves = [one for one in order if not self.certificates.get(one, {}).get("ca")]
        chain = tuple(one for one in order if one not in leaves)
        leaf = self._leaf(leaves[0], chain) if leaves else None

        def pem(stand_in: str) -> str:
            if leaf and stand_in == "[private key]":
                return leaf.key_pem
            if leaf and stand_in == leaves[0]:
                return leaf.certificate_pem
            if leaf and stand_in in chain:
                at = chain.index(stand_in)
                return pem_of(leaf.chain[at]) if at < len(leaf.chain) else self._authority(chain[at:]).certificate_pem
            return stand_in

        def packed(found: re.Match[str]) -> str:
            plain = _unpacked(found[0])
            return base64.b64encode(exchange(plain).encode()).decode() if _STAND_IN.search(plain) else found[0]

        def exchange(within: str) -> str:
            return _STAND_IN.sub(lambda found: pem(found[0]), within)

        if "[private key]" in text and text.lstrip().startswith("{"):
            # ACM's members are base64; the scrubber leaves only the type of a key.
            key = base64.b64encode(pem("[private key]").encode()).decode()
            text = text.replace("[private key]", key)
        return exchange(_IN_BASE64.sub(packed, text))

    # On the wire

    def _send(self, call: dict[str, Any]) -> tuple[int, dict[str, str | None], str]:
        request = call["request"]
        body = self._translated(request["body"])
        if call["service"] == "iam":
            # A form: all values at once, because a key must match its certificate.
            values = dict(parse_qsl(body, keep_blank_values=True))
            exchanged = self._with_certificates("\0".join(values.values())).split("\0")
            body = urlencode(dict(zip(values, exchanged, strict=True)))
        else:
            body = self._with_certificates(body)
        target = quote(self._translated(unquote(request["path"])), safe="/*")
        if request["query"]:
            target += "?" + self._translated(request["query"])
        scope = f"20260101/us-east-1/{_SIGNED[call['service']]}/aws4_request"
        sent = {name: self._translated(value) for name in _SENT if (value := request["headers"].get(name))}
        sent["Authorization"] = f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=0"
        connection = HTTPConnection("127.0.0.1", self.aws.services_port, timeout=60)
        try:
            connection.request(request["method"], target, body.encode(), sent)
            came = connection.getresponse()
            return came.status, {name.lower(): value for name, value in came.getheaders()}, came.read().decode()
        finally:
            connection.close()


def pem_of(certificate: Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def is_claimed(call: dict[str, Any]) -> bool:
    """Whether docs/local-aws.md describes this call."""
    service, operation = call["service"], call["operation"]
    return service in _SIGNED and bool(_OPERATIONS.get(service, re.compile("")).search(operation))


def members(body: str) -> Members:
    """Each leaf of a response: its path, with numbers for repeated members, and its text."""
    if not body.strip():
        return []
    try:
        return (
            list(_of_json(json.loads(body), ""))
            if body.lstrip()[0] in "{["
            else list(_of_xml(ElementTree.XML(body), ""))
        )
    except (ValueError, ElementTree.ParseError):
        return [("", body)]


def _of_json(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _of_json(one, f"{path}/{name}".lstrip("/"))
    elif isinstance(value, list) and value:
        for n, one in enumerate(value):
            yield from _of_json(one, f"{path}[{n}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _of_xml(element: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    path = f"{path}/{element.tag.rpartition('}')[2]}".lstrip("/")
    if not len(element):
        yield path, (element.text or "").strip()
    for n, child in enumerate(element):
        several = sum(one.tag == child.tag for one in element) > 1 or element.tag.endswith(("Items", "member"))
        yield from _of_xml(child, f"{path}[{n}]" if several else path)


Answer = tuple[int, dict[str, str | None], Members]


def differences(was: Answer, now: Answer, translated: Callable[[str], str]) -> Iterator[str]:
    """How the second response differs from the first, one phrase each."""
    (status, headers, recorded), (status_here, headers_here, here) = was, now
    if status != status_here:
        code = next((value for path, value in (*recorded, *here) if path.endswith(("/Code", "__type"))), "")
        yield f"status {status}, here {status_here}, with {code}"
        return
    for name in _READ:
        if (name in headers) != (name in headers_here):
            yield f"header {name} is {'missing here' if name in headers else 'here only'}"
    kinds = (
        (headers.get("content-type") or "").partition(";")[0],
        (headers_here.get("content-type") or "").partition(";")[0],
    )
    if kinds[0] != kinds[1]:
        yield f"content-type {kinds[0]}, here {kinds[1]}"
    # Nothing can be compared below an empty list or an empty member.
    empty = {_name(path) for path, value in (*recorded, *here) if value in ("", "[]", "{}", "null")}
    names, names_here = (
        [name for name in _names(found) if not any(name == one or name.startswith(f"{one}/") for one in empty)]
        for found in (recorded, here)
    )
    yield from (f"{name} is missing here" for name in names if name not in names_here)
    yield from (f"{name} is here only" for name in names_here if name not in names)
    common, common_here = [n for n in names if n in names_here], [n for n in names_here if n in names]
    moved = next((pair for pair in zip(common, common_here, strict=True) if pair[0] != pair[1]), None)
    if moved and "json" not in kinds[0]:
        yield f"order: {moved[0]} comes where {moved[1]} does here"
    values = dict(here)
    for path, value in recorded:
        if path in values and value and not _PASSING.search(path) and _bare(translated(value)) != _bare(values[path]):
            yield f"{_name(path)} is {value!r}, here {values[path]!r}"


def _pairs(recorded: str, local: str) -> list[tuple[str, str]]:
    ids = _ID.findall(recorded), _ID.findall(local)
    return list(zip(*ids, strict=True)) if len(ids[0]) == len(ids[1]) else []


def _name(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _names(found: Members) -> list[str]:
    return list(dict.fromkeys(_name(path) for path, _ in found))


def _bare(text: str) -> str:
    """Replaces all ids by the same text."""
    return _ID.sub("*", text)


def _unpacked(packed: str) -> str:
    try:
        return base64.b64decode(packed, validate=True).decode()
    except ValueError:
        return ""


def _opened(text: str) -> str:
    return _IN_BASE64.sub(lambda found: _unpacked(found[0]) or found[0], text)


def replay(folder: Path) -> Replay:
    """Replays a whole record."""
    files = sorted(folder.glob("[0-9]*.json"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no recorded calls (00001-….json): give the folder `calls` of a run.")
    certificates = folder / "certificates.json"
    with LocalAws(services_only=True) as aws:
        played = Replay(aws, json.loads(certificates.read_text()) if certificates.exists() else {})
        for file in files:
            played.play(file.name, json.loads(file.read_text(encoding="utf-8")))
    return played


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="acceptance.replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    try:
        played = replay(folder)
        known = json.loads((folder / KNOWN).read_text()) if (folder / KNOWN).exists() else []
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if not played.calls:
        print(f"{folder} has no call of a service that docs/local-aws.md covers.", file=sys.stderr)
        return 2
    reasons = {Difference(one["operation"], one["what"]): one["why"] for one in known}
    for difference, files in sorted(played.found.items()):
        why = reasons.get(difference, "NOT KNOWN")
        print(f"{difference.operation}: {difference.what} ({files[0]}, {len(files)} times): {why}")
    gone = [one for one in reasons if one not in played.found]
    for difference in gone:
        print(f"{difference.operation}: {difference.what}: known, but no longer present: remove it from {KNOWN}")
    unknown = [one for one in played.found if one not in reasons]
    print(f"{played.calls} calls, {len(played.found)} differences, {len(unknown)} of them unknown.")
    return 1 if unknown or gone else 0


if __name__ == "__main__":
    sys.exit(main())
