"""How small the functions are, and how fast they start: what docs/performance.md publishes, held as limits."""

from __future__ import annotations

import pytest

from bench.cold_start import PACKAGES, PYTHON, Start, measure
from local_aws.platform import LocalAws


@pytest.fixture(scope="module")
def starts(local_aws: LocalAws) -> dict[str, list[Start]]:
    return measure(local_aws, rounds=3)


def test_packages_have_three_mebibytes_at_most() -> None:
    sizes = {package.parent.name: package.stat().st_size / 2**20 for package in PACKAGES.glob("*/bootstrap.zip")}
    assert len(sizes) == 11
    assert {name: size for name, size in sizes.items() if size > 3} == {}


def test_functions_start_at_once_and_stay_small(starts: dict[str, list[Start]]) -> None:
    assert starts.keys() == {package.name for package in PACKAGES.glob("*")} | {PYTHON}
    for name, some in starts.items():
        # The best of three: what the machine does besides is no matter of the function's.
        ready, answered = min(one.ready for one in some), min(one.answered for one in some)
        memory = max(one.memory for one in some) / 2**20
        small = ready <= 0.015 and answered <= 0.060 and memory <= 16
        assert small is (name != PYTHON), (name, ready, answered, memory)
