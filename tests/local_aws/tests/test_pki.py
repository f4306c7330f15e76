"""The throwaway certificates have the names, dates, keys and chains that were requested."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local_aws.certificates import dns_names, each_certifies_the_preceding, key_algorithm
from local_aws.pki import Authority, KeyFormat, KeyType, key_pem, new_key


@pytest.mark.parametrize(
    ("key_type", "form", "header"),
    [
        ("RSA-2048", "PKCS1", "-----BEGIN RSA PRIVATE KEY-----"),
        ("RSA-2048", "PKCS8", "-----BEGIN PRIVATE KEY-----"),
        ("P-256", "SEC1", "-----BEGIN EC PRIVATE KEY-----"),
        ("P-384", "PKCS8", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_a_key_comes_in_every_form(key_type: KeyType, form: KeyFormat, header: str) -> None:
    key = new_key(key_type)
    pem = key_pem(key, form)
    assert pem.startswith(header)
    assert load_pem_private_key(pem.encode(), None).public_key() == key.public_key()
    encrypted = key_pem(key, form, password="secret")
    assert "ENCRYPTED" in encrypted
    assert load_pem_private_key(encrypted.encode(), b"secret").public_key() == key.public_key()


@pytest.mark.parametrize(("key_type", "form"), [("RSA-2048", "SEC1"), ("P-256", "PKCS1")])
def test_a_form_for_another_key_type_is_an_error(key_type: KeyType, form: KeyFormat) -> None:
    with pytest.raises(ValueError, match=form):
        key_pem(new_key(key_type), form)


def test_a_leaf_has_its_names_dates_key_and_a_chain_without_the_root() -> None:
    root = Authority.root()
    upper = root.intermediate("Upper")
    issuer = upper.intermediate("Lower")
    until = dt.datetime(2040, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    leaf = issuer.leaf("*.example.com", "example.com", not_after=until, key_type="P-384")
    assert dns_names(leaf.certificate) == ["*.example.com", "example.com"]
    assert leaf.certificate.not_valid_after_utc == until
    assert key_algorithm(leaf.certificate) == "EC_secp384r1"
    assert leaf.chain == (issuer.certificate, upper.certificate)
    assert each_certifies_the_preceding([leaf.certificate, *leaf.chain, root.certificate])
    assert not each_certifies_the_preceding([leaf.certificate, upper.certificate])
    assert leaf.chain_pem == issuer.certificate_pem + upper.certificate_pem
