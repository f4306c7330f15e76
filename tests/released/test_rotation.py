"""A whole rotation with the packages deployed on AWS; tests/rotations has the others, from the same sources."""

from __future__ import annotations

import pytest

from local_aws.platform import LocalAws
from rotations.account import Account


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_the_released_packages_rotate(local_aws: LocalAws, store: str) -> None:
    local_aws.control("POST", "reset")
    account = Account(local_aws)
    old = account.old(store)
    targets = account.targets(old)
    rotated = account.rotate(account.new(), old)
    assert rotated.status == "SUCCEEDED", f"{rotated.error}: {rotated.cause}"
    assert rotated.output["targets"]["updated"] == len(targets)
    assert set(account.serving(*targets)) == {rotated.output["newCertificate"]["id"]} == account.certificates()
