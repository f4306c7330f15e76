"""What a record of an acceptance run contains, and what must never be in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import boto3
import pytest
from cryptography.hazmat.primitives import serialization

from acceptance.recorder import Recorder
from acceptance.scrub import Scrubber
from local_aws import pki
from local_aws.platform import LocalAws

RUN = "certrot-acc-202611271200-ab3d"
DOMAIN, ACCOUNT = "www.shop.test", "987654321098"
LEAF = pki.Authority.root().intermediate().leaf(DOMAIN, "img.shop.test")
_DER = LEAF.key.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
# What must not leave an account: a text, and the part of it that identifies the account or a secret.
SECRETS: dict[str, tuple[str, str]] = {
    "account": (f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/x", ACCOUNT),
    "another account": ("owner 123123123123", "123123123123"),
    "account with hyphens": ("9876-5432-1098", "9876-5432-1098"),
    "domain": (f"https://{DOMAIN}/a", "shop.test"),
    "domain in capitals": ("WWW.SHOP.TEST", "SHOP"),
    "subdomain": ("x-img.shop.test", "shop.test"),
    "another host": ("origin.internal.corp-name.com", "corp-name"),
    "access key": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "temporary access key": ("ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "secret access key": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY12", "K7MDENG"),
    "session token": ("IQoJb3JpZ2luX2VjEBYaCXVzLWVhc3QtMSJHMEUCIQD" * 3, "JpZ2luX2Vj"),
    "private key": (LEAF.key_pem, LEAF.key_pem.splitlines()[1][:40]),
    "SEC1 key": (pki.key_pem(LEAF.key, "SEC1"), pki.key_pem(LEAF.key, "SEC1").splitlines()[1][:40]),
    "encrypted key": (pki.key_pem(LEAF.key, password="p"), "ENCRYPTED PRIVATE KEY"),
    "key that is cut": (LEAF.key_pem[:120], LEAF.key_pem.splitlines()[1][:40]),
    "key without header": (base64.b64encode(_DER).decode(), base64.b64encode(_DER).decode()[:40]),
    "certificate": (LEAF.certificate_pem, LEAF.certificate_pem.splitlines()[1][:40]),
    "mail address": ("Jane.Doe+aws@corp-name.com", "Jane"),
    "address": ("from 203.0.113.77 at", "203.0.113.77"),
    "IPv6 address": ("from 2a01:4f8:c0c:1::2 at", "2a01:4f8"),
    "user": (f"User: arn:aws:iam::{ACCOUNT}:user/team/jane is not authorized", "jane"),
    "role session": (f"arn:aws:sts::{ACCOUNT}:assumed-role/Admins/jane.doe", "jane"),
    "distribution": ("E2QWRUHAPOMQZL", "QWRUHAPOMQZL"),
    "distribution's name": ("d1q2w3e4r5t6y7.cloudfront.net", "1q2w3e4r5t6y7"),
    "tenant": ("dt_2Yvz4pXQ8r1aB2c3D4e5F6g7H8i", "Yvz4pXQ8r1"),
    "canonical user": ("79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", "79a59df9"),
    "id of a certificate": ("1b2c3d4e-5f60-4789-9abc-def012345678", "1b2c3d4e"),
}


def _call(path: str = "/", query: str = "", sent: str = "", came: str = "", etag: str = "") -> dict[str, Any]:
    return {
        "service": "cloudfront",
        "operation": "GetDistribution",
        "time": 0,
        "seconds": 0,
        "request": {"method": "POST", "path": path, "query": query, "headers": {"if-match": etag}, "body": sent},
        "answer": {"status": 200, "headers": {"etag": etag}, "body": came},
    }


def _json(text: str) -> str:
    return json.dumps({"a": [{"b": text}]})


# Every place of a call in which AWS or boto3 puts text, in every encoding.
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "path": lambda text: _call(path="/2020-05-31/" + quote(text)),
    "query": lambda text: _call(query="Marker=" + quote_plus(text) + "&x=1"),
    "header": lambda text: _call(etag=text.replace("\n", "")),
    "form": lambda text: _call(sent="Action=X&Name=" + quote_plus(text)),
    "JSON": lambda text: _call(sent=_json(text), came=_json(text)),
    "JSON in JSON": lambda text: _call(sent=_json(_json(_json(text)))),
    "name in JSON": lambda text: _call(came=json.dumps({text: 1})),
    "JSON that is cut": lambda text: _call(came=_json(text)[:-4]),
    "XML": lambda text: _call(came=f"<A xmlns='x'><B>{escape(text)}</B></A>"),
    "XML with references": lambda text: _call(came=f"<A><B>{escape(text, {chr(10): '&#xA;'})}</B></A>"),
    "attribute": lambda text: _call(came=f'<A b="{escape(text)}"/>'),
    "comment": lambda text: _call(came=f"<A><!-- {text} --></A>"),
    "JSON in XML": lambda text: _call(came=f"<A>{escape(_json(text))}</A>"),
    "XML in JSON": lambda text: _call(came=_json(f"<A>{escape(text)}</A>")),
    "base64": lambda text: _call(sent=json.dumps({"Certificate": base64.b64encode(text.encode()).decode()})),
    "JSON in base64": lambda text: _call(sent=json.dumps({"X": base64.b64encode(_json(text).encode()).decode()})),
    "words": lambda text: _call(came=f"It said: {text}."),
    "failure": lambda text: {**_call(), "failure": f"EndpointConnectionError: {text}"},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_recorded(secret: str, place: str) -> None:
    text, part = SECRETS[secret]
    written = json.dumps(Scrubber(DOMAIN, ACCOUNT).call(PLACES[place](text)))
    for shown in (written, *_unpacked(written)):
        assert part.lower() not in shown.lower()


def _unpacked(text: str) -> list[str]:
    """The base64 in it, decoded."""
    found = []
    for packed in re_base64(text):
        try:
            found.append(base64.b64decode(packed).decode())
        except ValueError:
            continue
    return found


def re_base64(text: str) -> list[str]:

    return [one for one in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text) if len(one) % 4 == 0]


@pytest.mark.parametrize(
    "text",
    [
        *("States.Timeout", "Lambda.TooManyRequestsException", "2026-11-27T04:02:20.123Z", "TLSv1.2_2021", "http2and3"),
        *("cloudfront.amazonaws.com", "http://cloudfront.amazonaws.com/doc/2020-05-31/", "application/x-amz-json-1.1"),
        *(RUN, f"{RUN}-logs.s3.amazonaws.com", "PriceClass_100", "arn:aws:iam::aws:policy/Admin", "index.html"),
        *("", "{}", "[]", "<A/>", "[1, 2]", '{"a": 1.50}', "Only one viewer certificate change may be in progress"),
        *("<?xml version='1.0'?>\n<A>\n  <B>x &amp; y</B>\n</A>", '{"a" :  "x\\u00e9/\\/"}'),
    ],
)
def test_harmless_text_is_not_changed(text: str) -> None:
    assert Scrubber(DOMAIN, ACCOUNT).body(text) == text


def test_the_same_text_has_the_same_stand_in() -> None:
    scrubber = Scrubber(DOMAIN, ACCOUNT)
    text = f"E2QWRUHAPOMQZL E2QWRUHAPOMQZM {ACCOUNT} 1b2c3d4e-5f60-4789-9abc-def012345678 *.shop.test www.shop.test"
    once = scrubber.text(text)
    assert once == (
        "E0000000000001 E0000000000002 111122223333 00000000-0000-4000-8000-000000000001 *.example.com www.example.com"
    )
    assert scrubber.text(text) == once
    # Scrubbing the result again must not change it.
    assert scrubber.text(once) == once


def test_the_stand_in_of_a_certificate_has_its_properties() -> None:
    scrubber = Scrubber(DOMAIN)
    pem, packed = LEAF.certificate_pem, base64.b64encode(LEAF.certificate_pem.encode()).decode()
    assert scrubber.body(pem) == "[certificate 1]\n"
    assert base64.b64decode(scrubber.body(packed)).decode() == "[certificate 1]\n"
    assert scrubber.body(quote_plus(pem)).startswith("[certificate 1]")
    assert scrubber.certificates == {
        "[certificate 1]": {"names": ["www.example.com", "img.example.com"], "key": "P-256", "days": 90, "ca": False}
    }


def test_other_resources_of_the_account_are_not_recorded() -> None:
    scrubber = Scrubber(DOMAIN, ACCOUNT)
    arn = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1b2c3d4e-5f60-4789-9abc-def012345678"
    made = _call(came=json.dumps({"CertificateArn": arn})) | {"service": "acm", "operation": "ImportCertificate"}
    scrubber.call(made)
    listed = {
        "CertificateSummaryList": [{"CertificateArn": arn}, {"CertificateArn": "arn:x", "DomainName": "secret plan"}]
    }
    answer = scrubber.call(_call(came=json.dumps(listed)) | {"service": "acm", "operation": "ListCertificates"})
    [kept] = json.loads(answer["answer"]["body"])["CertificateSummaryList"]
    assert kept["CertificateArn"].endswith("-000000000001")
    summary = "<DistributionSummary><Id>{}</Id><Comment>{}</Comment></DistributionSummary>"
    body = (
        f"<L><Quantity>2</Quantity><Items>{summary.format('E1', RUN)}{summary.format('E2', 'secret plan')}</Items></L>"
    )
    answer = scrubber.call(_call(came=body) | {"operation": "ListDistributions"})
    assert "secret plan" not in answer["answer"]["body"] and RUN in answer["answer"]["body"]


def test_a_record_has_every_attempt_and_no_key(tmp_path: Path) -> None:
    with LocalAws(services_only=True) as aws:
        session = boto3.Session(
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="s" * 40, region_name="us-east-1"
        )
        recorder, seen = Recorder(tmp_path, Scrubber(DOMAIN, "000000000000")), []
        recorder.attach(session)
        recorder.after_call(seen.append)
        acm = session.client("acm", endpoint_url=aws.services)
        aws.control(
            "POST", "faults", {"service": "acm", "operation": "ImportCertificate", "code": "ThrottlingException"}
        )
        leaf = aws.intermediate.leaf(DOMAIN)
        arn = acm.import_certificate(
            Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem
        )["CertificateArn"]
        with pytest.raises(acm.exceptions.ResourceNotFoundException):
            acm.describe_certificate(CertificateArn=arn[:-1] + ("0" if arn[-1] != "0" else "1"))
    files = sorted(tmp_path.glob("[0-9]*.json"))
    calls = [json.loads(path.read_text()) for path in files]
    assert [path.name for path in files] == [
        *("00001-acm-ImportCertificate.json", "00002-acm-ImportCertificate.json", "00003-acm-DescribeCertificate.json"),
    ]
    assert [call["answer"]["status"] for call in calls] == [400, 200, 400]
    assert calls == seen
    assert json.loads(calls[0]["answer"]["body"])["__type"].endswith("ThrottlingException")
    assert base64.b64decode(json.loads(calls[1]["request"]["body"])["Certificate"]) == b"[certificate 1]\n"
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    for key in (leaf.key_pem, base64.b64encode(leaf.key_pem.encode()).decode()):
        assert key.splitlines()[0] not in written
        assert key.splitlines()[-2 if "\n" in key else 0][:30] not in written
    assert "AKIAIOSFODNN7EXAMPLE" not in written and "SHA256" not in written
    known = json.loads((tmp_path / "certificates.json").read_text())
    assert known["[certificate 1]"]["names"] == ["www.example.com"]
