"""A local AWS with the stack as users deploy it: with the packages that `make package` builds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws.built import TEMPLATE
from local_aws.platform import LocalAws


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002) as aws:
        aws.deploy(TEMPLATE)
        yield aws
