"""Size, start time and system requirements of the functions: limits for what docs/performance.md publishes and for what
Lambda's runtime provides.
"""

from __future__ import annotations

import io
import zipfile

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from bench.cold_start import PACKAGES, PYTHON, Start, measure
from local_aws.platform import LocalAws


@pytest.fixture(scope="module")
def starts(local_aws: LocalAws) -> dict[str, list[Start]]:
    local_aws.control("POST", "reset")
    return measure(local_aws, rounds=3)


def test_packages_have_at_most_four_mebibytes() -> None:
    sizes = {package.parent.name: package.stat().st_size / 2**20 for package in PACKAGES.glob("*/bootstrap.zip")}
    assert len(sizes) == 11
    assert {name: size for name, size in sizes.items() if size > 4} == {}


def needs_of_glibc(program: bytes) -> set[tuple[int, ...]]:
    """The versions of glibc whose symbols a program uses."""
    sections = ELFFile(io.BytesIO(program)).iter_sections()
    needed = [one for section in sections if isinstance(section, GNUVerNeedSection) for one in section.iter_versions()]
    names = {symbol.name for _, symbols in needed for symbol in symbols}
    return {tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in names if name.startswith("GLIBC_")}


# Of Amazon Linux 2023, on which provided.al2023 is based: "OS-only runtime" in the Lambda Developer Guide.
GLIBC = (2, 34)


def test_functions_need_no_newer_glibc_than_lambda_has() -> None:
    newest = {}
    for package in PACKAGES.glob("*/bootstrap.zip"):
        with zipfile.ZipFile(package) as archive:
            newest[package.parent.name] = max(needs_of_glibc(archive.read("bootstrap")))
    assert len(newest) == 11
    assert {name: version for name, version in newest.items() if version > GLIBC} == {}


def test_functions_start_fast_and_use_little_memory(starts: dict[str, list[Start]]) -> None:
    """Compared with the function in Python of the same run, because the machine may be busy."""
    assert starts.keys() == {package.name for package in PACKAGES.glob("*")} | {PYTHON}
    ready = {name: min(one.ready for one in some) for name, some in starts.items()}
    answered = {name: min(one.answered for one in some) for name, some in starts.items()}
    memory = {name: max(one.memory for one in some) / 2**20 for name, some in starts.items()}
    for name in starts.keys() - {PYTHON}:
        assert ready[name] <= ready[PYTHON] / 8, (name, ready)
        assert answered[name] <= answered[PYTHON] / 2, (name, answered)
        assert memory[name] <= 16, (name, memory)
