"""The edges of the local AWS and the viewer, over the wire.

Only the certificate services run: nothing needs to be built.
"""

from __future__ import annotations

import socket
import ssl
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from local_aws.certificates import dns_names
from local_aws.pki import Leaf
from local_aws.platform import LocalAws, until
from local_aws.viewer import Viewer

FOREVER = 3600


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0, services_only=True) as aws:
        yield aws


@pytest.fixture
def aws(server: LocalAws) -> LocalAws:
    server.control("POST", "reset")
    return server


@pytest.fixture
def old(aws: LocalAws) -> Leaf:
    return aws.intermediate.leaf("www.example.com", "*.example.com")


@pytest.fixture
def new(aws: LocalAws) -> Leaf:
    return aws.intermediate.leaf("www.example.com", "*.example.com")


def distribution(aws: LocalAws, certificate: str, *aliases: str, **more: Any) -> str:
    [created] = aws.control("POST", "seed", [{"certificate": certificate, "aliases": aliases, **more}])["ids"]
    return str(created)


def tenant(aws: LocalAws, template: str, domain: str, certificate: str | None = None, **more: Any) -> Any:
    own = {"Customizations": {"Certificate": {"Arn": certificate}}} if certificate else {}
    return aws.client("cloudfront").create_distribution_tenant(
        DistributionId=template, Name=domain.replace(".", "-"), Domains=[{"Domain": domain}], **own, **more
    )["DistributionTenant"]


def move(aws: LocalAws, target: str, certificate: str) -> None:
    aws.control("POST", f"distribution/{target}", {"viewer_certificate": {"ACMCertificateArn": certificate}})


def direct(aws: LocalAws, target: str, orders: Any) -> None:
    aws.control("POST", target, {"edge": orders})


def propagation(aws: LocalAws, seconds: float) -> None:
    aws.control("POST", "settings", {"propagation_seconds": seconds})


def shake_hands(aws: LocalAws, name: str | None, version: ssl.TLSVersion | None = None) -> x509.Certificate:
    """The certificate that the edges present, without verification."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", aws.edge_port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as session,
    ):
        return x509.load_der_x509_certificate(session.getpeercert(binary_form=True) or b"")


def served(aws: LocalAws, name: str, times: int = 1) -> set[x509.Certificate]:
    return {shake_hands(aws, name) for _ in range(times)}


# Which certificate is served


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_a_viewer_can_verify_what_the_edges_serve_from_either_store(aws: LocalAws, store: str, old: Leaf) -> None:
    distribution(aws, aws.put_into_store(store, old, "www"), "www.example.com", "*.example.com")
    with Viewer(aws, ["www.example.com", "*.example.com"]) as viewer:
        until(lambda: min(map(viewer.handshakes.__getitem__, viewer.met)) > 3)
    assert viewer.failures == []
    assert viewer.met == dict.fromkeys(("www.example.com", "*.example.com"), [old.fingerprint])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_edges_speak_tls_1_2_and_1_3(aws: LocalAws, old: Leaf, version: ssl.TLSVersion) -> None:
    distribution(aws, aws.put_into_store("acm", old, "www"), "www.example.com")
    assert shake_hands(aws, "www.example.com", version) == old.certificate


def test_a_small_rsa_key_is_served_too(aws: LocalAws) -> None:
    leaf = aws.intermediate.leaf("www.example.com", key_type="RSA-1024")
    distribution(aws, aws.put_into_store("acm", leaf, "www"), "www.example.com")
    assert served(aws, "www.example.com") == {leaf.certificate}


def test_the_more_specific_alias_wins(aws: LocalAws) -> None:
    aliases = ("www.example.com", "*.example.com", "*.shop.example.com")
    leaves = {alias: aws.intermediate.leaf(alias) for alias in aliases}
    for alias, leaf in leaves.items():
        distribution(aws, aws.put_into_store("acm", leaf, alias), alias)
    for name, alias in (
        ("www.example.com", "www.example.com"),
        ("WWW.example.com", "www.example.com"),
        ("other.example.com", "*.example.com"),
        ("a.shop.example.com", "*.shop.example.com"),
        ("shop.example.com", "*.example.com"),
        ("a.b.example.com", "*.example.com"),
    ):
        assert served(aws, name) == {leaves[alias].certificate}, name


@pytest.mark.parametrize("name", [None, "www.example.org", "example.com", "own"])
def test_an_unknown_name_is_served_the_default_certificate(aws: LocalAws, old: Leaf, name: str | None) -> None:
    target = distribution(aws, aws.put_into_store("acm", old, "www"), "www.example.com", "*.example.com")
    if name == "own":
        name = aws.control("GET", f"distribution/{target}")["domain_name"]
    certificate = shake_hands(aws, name)
    assert dns_names(certificate) == ["*.cloudfront.net", "cloudfront.net"]
    with Viewer(aws, [name or "127.0.0.1"]) as viewer:
        until(lambda: bool(viewer.failures))
    assert "CERTIFICATE_VERIFY_FAILED" in viewer.failures[0].reason


def test_a_tenant_serves_its_own_certificate_where_that_covers_the_domain(aws: LocalAws, old: Leaf) -> None:
    template_arn = aws.put_into_store("acm", old, "template")
    own = aws.intermediate.leaf("shop.example.com")
    own_arn = aws.put_into_store("acm", own, "shop")
    template = distribution(aws, template_arn, connection_mode="tenant-only")
    tenant(aws, template, "shop.example.com", own_arn)
    tenant(aws, template, "plain.example.com")
    tenant(aws, template, "supplemented.example.com", own_arn)
    assert served(aws, "shop.example.com") == {own.certificate}
    assert served(aws, "plain.example.com") == {old.certificate}
    assert served(aws, "supplemented.example.com") == {old.certificate}


# Propagation


def test_both_certificates_are_served_while_a_change_is_in_progress(aws: LocalAws, old: Leaf, new: Leaf) -> None:
    first, second = (aws.put_into_store("acm", leaf, "www") for leaf in (old, new))
    target = distribution(aws, first, "www.example.com")
    propagation(aws, FOREVER)
    aws.control("POST", f"distribution/{target}", {"propagation_seconds": 0})
    assert served(aws, "www.example.com", 20) == {old.certificate}
    aws.control("POST", f"distribution/{target}", {"propagation_seconds": FOREVER})
    # A change of something else does not change the certificate for viewers.
    aws.control("POST", f"distribution/{target}", {"edit": True})
    assert served(aws, "www.example.com", 20) == {old.certificate}
    move(aws, target, second)
    assert served(aws, "www.example.com", 60) == {old.certificate, new.certificate}
    aws.control("POST", f"distribution/{target}", {"propagation_seconds": 0})
    assert served(aws, "www.example.com", 20) == {new.certificate}


def test_a_tenant_serves_changes_of_its_own_and_of_its_distribution(aws: LocalAws, old: Leaf, new: Leaf) -> None:
    first, second = (aws.put_into_store("acm", leaf, "www") for leaf in (old, new))
    template = distribution(aws, first, connection_mode="tenant-only")
    own, plain = tenant(aws, template, "own.example.com", first)["Id"], tenant(aws, template, "plain.example.com")["Id"]
    for target in (f"distribution/{template}", f"tenant/{own}", f"tenant/{plain}"):
        aws.control("POST", target, {"propagation_seconds": FOREVER})
    move(aws, template, second)
    assert served(aws, "own.example.com", 20) == {old.certificate}
    assert served(aws, "plain.example.com", 60) == {old.certificate, new.certificate}
    aws.control("POST", f"tenant/{own}", {"viewer_certificate": {"Arn": second}})
    assert served(aws, "own.example.com", 60) == {old.certificate, new.certificate}


def test_a_certificate_deleted_from_its_store_is_served_until_the_change_has_arrived(
    aws: LocalAws, old: Leaf, new: Leaf
) -> None:
    first, second = (aws.put_into_store("acm", leaf, "www") for leaf in (old, new))
    target = distribution(aws, first, "www.example.com")
    aws.control("POST", f"distribution/{target}", {"propagation_seconds": FOREVER})
    move(aws, target, second)
    aws.client("acm").delete_certificate(CertificateArn=first)
    assert served(aws, "www.example.com", 60) == {old.certificate, new.certificate}


def test_the_edges_do_not_follow_a_reimport(aws: LocalAws, old: Leaf, new: Leaf) -> None:
    arn = aws.put_into_store("acm", old, "www")
    distribution(aws, arn, "www.example.com")
    aws.client("acm").import_certificate(
        CertificateArn=arn,
        Certificate=new.certificate_pem,
        PrivateKey=new.key_pem,
        CertificateChain=new.chain_pem,
    )
    assert served(aws, "www.example.com", 5) == {old.certificate}


def test_a_viewer_is_served_the_old_and_then_the_new_certificate(aws: LocalAws, old: Leaf, new: Leaf) -> None:
    first, second = (aws.put_into_store("acm", leaf, "www") for leaf in (old, new))
    target = distribution(aws, first, "www.example.com")
    with Viewer(aws, ["www.example.com"]) as viewer:
        until(lambda: len(viewer.met["www.example.com"]) == 1)
        move(aws, target, second)
        until(lambda: len(viewer.met["www.example.com"]) == 2)
    assert viewer.met == {"www.example.com": [old.fingerprint, new.fingerprint]}
    assert viewer.failures == []
    assert viewer.handshakes.total() >= 2


# Edges that misbehave


def test_the_edges_can_be_made_to_serve_another_certificate(aws: LocalAws, old: Leaf, new: Leaf) -> None:
    foreign = aws.intermediate.leaf("www.example.org")
    first, second = aws.put_into_store("acm", old, "www"), aws.put_into_store("iam", foreign, "foreign")
    target = f"distribution/{distribution(aws, first, 'www.example.com')}"
    direct(aws, target, {"serve": second})
    assert served(aws, "www.example.com", 5) == {foreign.certificate}
    with Viewer(aws, ["www.example.com"]) as viewer:
        until(lambda: bool(viewer.failures))
    assert viewer.met == {"www.example.com": []}
    assert "Hostname mismatch" in viewer.failures[0].reason
    direct(aws, target, None)
    assert served(aws, "www.example.com", 5) == {old.certificate}


def test_stale_edges_serve_the_previous_certificate_for_a_while_after_deployed(
    aws: LocalAws, old: Leaf, new: Leaf
) -> None:
    first, second = (aws.put_into_store("acm", leaf, "www") for leaf in (old, new))
    target = distribution(aws, first, "www.example.com")
    direct(aws, f"distribution/{target}", {"stale_seconds": FOREVER})
    began = time.monotonic()
    move(aws, target, second)
    assert aws.control("GET", f"distribution/{target}")["status"] == "Deployed"
    assert served(aws, "www.example.com", 20) == {old.certificate}
    direct(aws, f"distribution/{target}", {"stale_seconds": 2})
    until(lambda: served(aws, "www.example.com") == {new.certificate})
    assert time.monotonic() - began >= 2
    assert served(aws, "www.example.com", 20) == {new.certificate}
    direct(aws, f"distribution/{target}", {"stale_seconds": FOREVER})
    assert served(aws, "www.example.com", 20) == {old.certificate}
    direct(aws, f"distribution/{target}", None)
    assert served(aws, "www.example.com", 20) == {new.certificate}


def test_the_edges_can_be_made_to_refuse_connections(aws: LocalAws, old: Leaf) -> None:
    arn = aws.put_into_store("acm", old, "www")
    target = distribution(aws, arn, "www.example.com")
    other = tenant(aws, distribution(aws, arn, connection_mode="tenant-only"), "shop.example.com", arn)["Id"]
    for path, name in ((f"distribution/{target}", "www.example.com"), (f"tenant/{other}", "shop.example.com")):
        direct(aws, path, {"refuse": True})
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with pytest.raises(OSError):
                shake_hands(aws, name, version)
        direct(aws, path, None)
        assert served(aws, name) == {old.certificate}


@pytest.mark.parametrize("orders", [{"server": "x"}, {"serve": "arn:aws:acm:us-east-1:0:certificate/0"}])
def test_an_invalid_edge_command_is_an_error(aws: LocalAws, old: Leaf, orders: Any) -> None:
    target = distribution(aws, aws.put_into_store("acm", old, "www"), "www.example.com")
    with pytest.raises(urllib.error.HTTPError) as caught:
        direct(aws, f"distribution/{target}", orders)
    assert caught.value.code == 400
    assert served(aws, "www.example.com") == {old.certificate}


# Counts and load


def test_every_handshake_is_counted(aws: LocalAws, old: Leaf) -> None:
    target = distribution(aws, aws.put_into_store("acm", old, "www"), "www.example.com")
    served(aws, "www.example.com", 3)
    own = shake_hands(aws, None).fingerprint(hashes.SHA256()).hex()
    direct(aws, f"distribution/{target}", {"refuse": True})
    with pytest.raises(OSError):
        shake_hands(aws, "www.example.com")
    assert aws.state()["handshakes"] == [
        {"name": "www.example.com", "fingerprint": old.fingerprint, "count": 3},
        {"name": None, "fingerprint": own, "count": 1},
        {"name": "www.example.com", "fingerprint": None, "count": 1},
    ]


def test_the_edges_serve_many_connections_at_once(aws: LocalAws, old: Leaf) -> None:
    distribution(aws, aws.put_into_store("acm", old, "www"), "www.example.com")
    with socket.create_connection(("127.0.0.1", aws.edge_port)), ThreadPoolExecutor(20) as viewers:
        # The first one sends nothing, and must not block the others.
        met = list(viewers.map(lambda _: shake_hands(aws, "www.example.com"), range(1000)))
    assert set(met) == {old.certificate}
    assert aws.state()["handshakes"][0]["count"] == 1000


# Connection groups


def test_tenants_without_a_connection_group_get_the_default_one(aws: LocalAws, old: Leaf) -> None:
    cloudfront = aws.client("cloudfront")
    template = distribution(aws, aws.put_into_store("acm", old, "www"), connection_mode="tenant-only")
    assert cloudfront.list_connection_groups()["ConnectionGroups"] == []
    special = cloudfront.create_connection_group(Name="special", Ipv6Enabled=False)["ConnectionGroup"]
    plain = tenant(aws, template, "plain.example.com")
    other = tenant(aws, template, "other.example.com", ConnectionGroupId=special["Id"])

    listed = {one["Id"]: one for one in cloudfront.list_connection_groups()["ConnectionGroups"]}
    assert {one: listed[one]["IsDefault"] for one in listed} == {special["Id"]: False, plain["ConnectionGroupId"]: True}
    assert other["ConnectionGroupId"] == special["Id"]
    for group_id in listed:
        answer = cloudfront.get_connection_group(Identifier=group_id)
        group = answer["ConnectionGroup"]
        assert group["RoutingEndpoint"].startswith("d") and group["RoutingEndpoint"].endswith(".cloudfront.net")
        assert group.pop("Ipv6Enabled") is (group_id != special["Id"])
        assert listed[group_id] == group | {"ETag": answer["ETag"]}
    assert tenant(aws, template, "third.example.com")["ConnectionGroupId"] == plain["ConnectionGroupId"]
    read = cloudfront.get_distribution_tenant(Identifier=other["Id"])["DistributionTenant"]
    assert read["ConnectionGroupId"] == special["Id"]


def test_a_connection_group_must_exist(aws: LocalAws, old: Leaf) -> None:
    template = distribution(aws, aws.put_into_store("acm", old, "www"), connection_mode="tenant-only")
    for call in (
        lambda: tenant(aws, template, "www.example.com", ConnectionGroupId="cg_0"),
        lambda: aws.client("cloudfront").get_connection_group(Identifier="cg_0"),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "EntityNotFound"
