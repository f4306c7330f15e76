"""What a record contains of an account, and what it does not.

Keys, certificates, secrets and credentials are removed. Names that identify an account or a user (accounts, domains,
addresses, ids) are replaced by neutral stand-ins, always the same for the same name, so that a record can be read and
replayed. The text of AWS around them stays byte for byte. Lists of a whole account keep only the run's resources.
"""

from __future__ import annotations

import base64
import binascii
import html
import ipaddress
import json
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .names import PREFIX

WITHHELD: Final = "[withheld]"
PRIVATE_KEY: Final = "[private key]"

# Members whose value no record needs, in lower case, without underscores and hyphens.
_SECRET_MEMBERS: Final = frozenset(
    (
        *("authorization", "accesskeyid", "secretaccesskey", "sessiontoken", "securitytoken", "signature"),
        *("xamzsecuritytoken", "xamzsignature", "xamzcredential", "awsaccesskeyid", "password", "passphrase"),
        *("secretbinary", "zipfile", "plaintext", "token", "clientrequesttoken", "displayname"),
    )
)
# Members with a private key without a PEM header: JWK, and bare base64 under such a name.
_KEY_MEMBERS: Final = frozenset(("privatekey", "key", "keypem", "d", "p", "q", "dp", "dq", "qi"))

# A space and a line end, plain and as encoded in JSON, forms and XML.
_SPACE: Final = r"(?: |\+|%20|\\u0020|&#x20;|&#32;)"
_PEM: Final = re.compile(
    rf"-----BEGIN{_SPACE}((?:[A-Z0-9]+{_SPACE})*[A-Z0-9]+)-----"
    rf"(?:.*?-----END{_SPACE}\1-----|(?:[A-Za-z0-9+/=\s:,\-\\%;&#]*))",
    re.DOTALL,
)
_NEUTRAL_HOSTS: Final = (
    *("amazonaws.com", "aws.amazon.com", "amazon.com", "cloudfront.net", "amazonaws.com.cn", "api.aws", "on.aws"),
    *("awswaf.com", "w3.org", "example.com", "example.org", "example.net", "localhost"),
)
# Endings that look like top-level domains but are not: index.html, reports, code.
_NO_HOST: Final = frozenset(
    (*("html", "htm", "json", "xml", "txt", "zip", "yaml", "yml", "jpg", "png", "pem", "js", "py", "rs"), *("asl",))
)


class Scrubber:
    """One per record: it remembers the stand-ins.

    `domain` is the name in the certificates, `account` the account id. `literals` are further texts that identify the
    user or account, with their stand-ins.
    """

    def __init__(self, domain: str = "", account: str = "", literals: dict[str, str] | None = None) -> None:
        self._stand_ins: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        # Properties of the certificates, by stand-in: a replay creates similar ones.
        self.certificates: dict[str, dict[str, Any]] = {}
        self._ours: set[str] = set()
        self._literals = dict(literals or {}) | _domains(domain)
        if account:
            parts = account[:4], account[4:8], account[8:]
            self._literals |= dict.fromkeys((account, "-".join(parts), " ".join(parts)), self._account(account))
        # The longest first: www.shop.test must be replaced before shop.test.
        known = sorted(filter(None, self._literals), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known)) or r"(?!)", re.IGNORECASE)
        self._literals = {text.lower(): stands for text, stands in self._literals.items()}

    # Parts of a record

    def call(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call in the recorder's format, scrubbed."""
        request, answer = call["request"], call.get("answer")
        scrubbed = dict(call)
        about_ours = self._is_ours(
            f"{request['path']}?{unquote_plus(request['query'])} {unquote_plus(request['body'])}"
        )
        if answer:
            body = answer["body"]
            if call["operation"].startswith(("Create", "Import", "Upload", "Copy", "Request", "Start", "Publish")):
                # The ids that AWS has assigned to the resources created.
                self._ours.update(_identifiers(body))
            if about_ours:
                # A certificate that the run's distributions serve is a rotation's.
                self._ours.update(re.findall(r"<IAMCertificateId>([^<]+)<", body))
            if not about_ours and call["operation"].startswith(("List", "Describe", "GetResources")):
                body = self._only_ours(body) if call["service"] != "service-quotas" else body
            scrubbed["answer"] = dict(answer, headers=self._headers(answer["headers"]), body=self.body(body))
        scrubbed["request"] = {
            "method": request["method"],
            "path": self._quoted(request["path"]),
            "query": self._form(request["query"]),
            "headers": self._headers(request["headers"]),
            "body": self.body(request["body"]),
        }
        if "failure" in call:
            scrubbed["failure"] = self.text(call["failure"])
        return scrubbed

    def body(self, text: str, member: str = "") -> str:
        """A body or a value in any format: JSON, XML, form, base64 or text, nested to any depth."""
        name = re.sub(r"[^a-z0-9]", "", member.lower())
        if not text:
            return text
        if name in _SECRET_MEMBERS:
            return WITHHELD
        if name in _KEY_MEMBERS and re.fullmatch(r"[A-Za-z0-9+/=_\s-]{32,}", text):
            return PRIVATE_KEY
        start = text.lstrip()[:1]
        if start in ("{", "[") and '"' in text:
            return self._json(text)
        if start == "<":
            return self._xml(text)
        packed = re.sub(r"\s", "", text)
        if len(packed) >= 8 and len(packed) % 4 == 0 and re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", packed):
            return self._base64(text, packed)
        if re.fullmatch(r"[\w.%-]+=[^&\s]*(?:&[\w.%-]+=[^&\s]*)*", text):
            return self._form(text)
        return self.text(text)

    def text(self, text: str) -> str:
        """Text without further structure."""
        text = _PEM.sub(self._pem, text)
        out, at = [], 0
        for found in _NEUTRAL.finditer(text):
            out += [self._identifiers_in(text[at : found.start()]), found[0]]
            at = found.end()
        return "".join([*out, self._identifiers_in(text[at:])])

    # Formats

    def _json(self, text: str) -> str:
        """String by string, so that everything in between is unchanged."""
        member = ""

        def scrubbed(found: re.Match[str]) -> str:
            nonlocal member
            literal, is_name = found["literal"], found["name"]
            if not literal:
                return self.text(found[0])
            try:
                value = json.loads(literal, strict=False)
            except ValueError:
                # The response ended in the middle of a string.
                value = literal.removeprefix('"')
            if is_name:
                member = value
            clean = self.text(value) if is_name else self.body(value, member)
            return (literal if clean == value else json.dumps(clean, ensure_ascii=False)) + (is_name or "")

        strings = r'(?P<literal>"(?:[^"\\]|\\.)*(?:"|\\?\Z))(?P<name>\s*:)?|[^"]+'
        return re.sub(strings, scrubbed, text, flags=re.DOTALL)

    def _xml(self, text: str) -> str:
        """Text by text and tag by tag."""
        out, member = [], ""
        for part in re.split(r"(<!--.*?-->|<[^>]*>)", text, flags=re.DOTALL):
            if part.startswith("<"):
                member = re.sub(r"^</?(?:[\w-]+:)?([\w-]*).*", r"\1", part, flags=re.DOTALL)
                out.append(self.text(part))
                continue
            value = html.unescape(part)
            clean = self.body(value, member) if value.strip() else value
            out.append(part if clean == value else html.escape(clean, quote=False))
        return "".join(out)

    def _form(self, text: str) -> str:
        pairs = []
        for pair in text.split("&"):
            name, equals, value = pair.partition("=")
            plain = unquote_plus(value)
            clean = self.body(plain, unquote_plus(name).rpartition(".")[2])
            pairs.append(self._quoted(name) + equals + (value if clean == plain else quote(clean, safe="")))
        return "&".join(pairs)

    def _quoted(self, text: str) -> str:
        plain = unquote_plus(text)
        clean = self.text(plain)
        return text if clean == plain else quote(clean, safe="/")

    def _base64(self, text: str, packed: str) -> str:
        """Scrubs text inside base64 and encodes it again."""
        try:
            plain = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return self.text(text)
        clean = self.body(plain)
        return text if clean == plain else base64.b64encode(clean.encode()).decode()

    def _headers(self, headers: dict[str, str | None]) -> dict[str, str | None]:
        return {self.text(name): None if value is None else self.body(value, name) for name, value in headers.items()}

    # Stand-ins

    def _pem(self, found: re.Match[str]) -> str:
        kind = re.sub(_SPACE, " ", found[1])
        if "PRIVATE" in kind:
            return PRIVATE_KEY
        if kind not in ("CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"):
            return f"[{kind.lower()}]"
        inside = found[0].split("-----")[2]
        for escaped in (r"\\[nrt]", r"&#(?:x[0-9A-Fa-f]+|\d+);", r"%0[AaDd]"):
            inside = re.sub(escaped, "", inside)
        packed = re.sub(r"\s", "", unquote_plus(inside) if "%" in inside else inside)
        stands = self._stand_in("certificate", packed, lambda number: f"[certificate {number}]")
        if stands not in self.certificates:
            self.certificates[stands] = self._described(packed)
        return stands

    def _described(self, packed: str) -> dict[str, Any]:
        try:
            certificate = x509.load_der_x509_certificate(base64.b64decode(packed))
        except (ValueError, binascii.Error):
            return {"malformed": True}
        key, names, ca = certificate.public_key(), [], False
        for extension in certificate.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                names = extension.value.get_values_for_type(x509.DNSName)
            if isinstance(extension.value, x509.BasicConstraints):
                ca = extension.value.ca
        lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        size = key.key_size if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else 0
        kind = {rsa.RSAPublicKey: "RSA", ec.EllipticCurvePublicKey: "P"}
        named = next((name for type_, name in kind.items() if isinstance(key, type_)), "other")
        return {
            "names": [self.text(name) for name in names],
            "key": f"{named}-{size}",
            "days": lasts.days,
            "ca": ca,
        }

    def _identifiers_in(self, text: str) -> str:
        text = self._known.sub(lambda found: self._literals[found[0].lower()], text)
        return _IDENTIFIERS.sub(self._identifier, text)

    def _identifier(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup or "", found[0]
        match kind:
            case "account":
                return self._account(text)
            case "person":
                return self._stand_in(kind, text, lambda number: f"{found['who']}/person{number}")
            case "ip4" | "ip6":
                return self._address(text)
            case "host":
                return self._host(text)
        make = _STAND_INS[kind]
        return self._stand_in(kind, text, lambda number: make(text, number))

    def _stand_in(self, kind: str, text: str, make: Callable[[int], str]) -> str:
        if (kind, text) not in self._stand_ins:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            stands = make(self._counts[kind])
            self._stand_ins[kind, text] = stands
            # A stand-in may occur again, in a text within a text.
            self._stand_ins[kind, stands] = stands
        return self._stand_ins[kind, text]

    def _account(self, text: str) -> str:
        return self._stand_in("account", text, lambda number: f"{111122223332 + number:012}")

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified:
            return text
        if address.version == 4:
            return self._stand_in("ip4", text, lambda number: f"192.0.2.{number}")
        return self._stand_in("ip6", text, lambda number: f"2001:db8::{number:x}")

    def _host(self, text: str) -> str:
        star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
        if f".{name}".endswith(tuple(f".{host}" for host in _NEUTRAL_HOSTS)) or name.rpartition(".")[2] in _NO_HOST:
            return text
        return star + self._stand_in("host", name, lambda number: f"host{number}.example.net")

    # Which resources belong to the run

    def _is_ours(self, text: str) -> bool:
        return PREFIX in text or any(name in text for name in self._ours)

    def _only_ours(self, body: str) -> str:
        """The entries of a list that contain the run's name, or an id that AWS has assigned for it."""
        if body.lstrip().startswith("<"):
            entries = re.compile(r"<((?:\w+Summary)|member|Bucket|Contents)>(?:(?!<\1>).)*?</\1>", re.DOTALL)
            return entries.sub(lambda found: found[0] if self._is_ours(html.unescape(found[0])) else "", body)
        try:
            answer = json.loads(body)
        except ValueError:
            return WITHHELD if body else body
        if not isinstance(answer, dict):
            return body
        kept = {
            name: [one for one in value if self._is_ours(json.dumps(one))] if isinstance(value, list) else value
            for name, value in answer.items()
        }
        return body if kept == answer else json.dumps(kept)


def _domains(domain: str) -> dict[str, str]:
    """The domain and its parent domains, down to two labels, with their stand-ins."""
    labels = domain.lower().removeprefix("*.").rstrip(".").split(".")
    names = [".".join(labels[at:]) for at in range(len(labels) - 1)]
    # A wildcard for shop.test must cover www.shop.test after scrubbing as well.
    stand_ins = ["www.example.com", "example.com", *["example.net"] * len(names)][0 if len(names) > 1 else 1 :]
    return dict(zip(names, stand_ins, strict=False))


def _padded(text: str, number: int, keep: int) -> str:
    """A number with the same length and beginning as the text."""
    return text[:keep] + str(number).rjust(len(text) - keep, "0")


def _identifiers(body: str) -> set[str]:
    """The ids of what was created, from a response: ARN, id."""
    arns = re.findall(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[^\"'<>\s,&]+", body)
    ids = re.findall(r"<(?:Id|ServerCertificateId|ARN)>([^<]+)<", body)
    return {*arns, *ids}


# Names of runs contain twelve digits that are not an account id.
_NEUTRAL: Final = re.compile(rf"{PREFIX}[0-9]{{12}}-[a-z2-7]{{4}}")
_IDENTIFIERS: Final = re.compile(
    r"""
      (?P<uuid> \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b )
    | (?P<person> (?<=:)(?P<who>user|assumed-role|federated-user)/[^\s"'<>,)]+ )
    | (?P<iam> (?<![A-Za-z0-9])A(?:KIA|SIA|ROA|IDA|SCA|NPA|NVA|GPA|BIA|CCA|PKA)[A-Z0-9]{12,}(?![A-Za-z0-9]) )
    | (?P<edge> (?<![\w.-])d[a-z0-9]{10,15}(?=\.cloudfront\.net) )
    | (?P<cloudfront> (?<![A-Za-z0-9_])E[A-Z0-9]{11,14}(?![A-Za-z0-9_]) )
    | (?P<tenant> (?<![A-Za-z0-9])[a-z]{2,3}_[A-Za-z0-9]{20,}(?![A-Za-z0-9]) )
    | (?P<mail> [\w.+%-]+@(?:[\w-]+\.)+[A-Za-z]{2,} )
    | (?P<host> (?<![\w@.$-])(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z]{2,18}(?![\w-]|\.\w) )
    | (?P<hex> (?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z]) )
    | (?P<account> (?<![0-9])[0-9]{12}(?![0-9]) )
    | (?P<ip4> (?<![\w.-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9]) )
    | (?P<ip6> (?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]) )
    | (?P<opaque> (?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{40,}={0,2} )
    """,
    re.VERBOSE,
)
# The stand-in for the nth of a kind; it has the same format.
_STAND_INS: Final[dict[str, Callable[[str, int], str]]] = {
    "uuid": lambda _, number: f"00000000-0000-4000-8000-{number:012}",
    "iam": lambda text, number: _padded(text, number, 4),
    "edge": lambda text, number: _padded(text, number, 1),
    "cloudfront": lambda text, number: _padded(text, number, 1),
    "tenant": lambda text, number: _padded(text, number, text.index("_") + 1),
    "mail": lambda _, number: f"person{number}@example.com",
    "opaque": lambda _, number: f"[opaque {number}]",
    "hex": lambda text, number: _padded(text, number, 0),
}
