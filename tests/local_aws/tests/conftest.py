"""One server for all tests of the certificate services; each test starts with an empty account."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.pki import Authority
from local_aws.tests.client import Aws


@pytest.fixture(scope="session")
def server() -> Iterator[Aws]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws.certificate_services", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield Aws(process.stdout.readline().split()[-1])
    process.terminate()
    process.wait()


@pytest.fixture
def aws(server: Aws) -> Aws:
    server.control("reset")
    return server


@pytest.fixture(scope="session")
def issuer() -> Authority:
    return Authority.root().intermediate()


@pytest.fixture
def old(aws: Aws, issuer: Authority) -> str:
    return aws.import_acm(issuer.leaf("*.example.com", "example.com"))


@pytest.fixture
def new(aws: Aws, issuer: Authority) -> str:
    return aws.import_acm(issuer.leaf("*.example.com", "example.com"))


@pytest.fixture
def template(aws: Aws, old: str) -> str:
    (distribution,) = aws.seed({"certificate": old, "connection_mode": "tenant-only"})
    return distribution
