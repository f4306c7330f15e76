"""`make needs` reports everything that is missing or too old, and how to install it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/scripts/needs.sh"
# Programs that the script itself uses; every Linux has them.
BASICS = ("sh", "dirname", "sed", "cut", "sort", "head", "tr")
# The programs it checks for, as scripts with sufficient versions.
COMPLETE = {
    "cargo": "echo 'cargo 1.95.0 (abc 2026-04-01)'",
    "cc": "true",
    "python3": 'case "$2" in *version*) echo 3.11 ;; esac',
    "node": "echo v20.11.0",
    "npm": "true",
    "bash": "true",
    "uname": "echo Linux x86_64",
}


def missing(folder: Path, **changed: str | None) -> tuple[int, list[str]]:
    """The exit code and the reports on a machine with these programs."""
    for name in BASICS:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name, script in (COMPLETE | changed).items():
        if script is not None:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
    done = subprocess.run([folder / "sh", SCRIPT], env={"PATH": str(folder)}, capture_output=True, text=True)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_nothing_is_reported_on_a_complete_machine(tmp_path: Path) -> None:
    assert missing(tmp_path) == (0, [])


@pytest.mark.parametrize(
    ("program", "script", "said"),
    [
        ("cargo", None, "Missing: Rust 1.95. Install it: curl https://sh.rustup.rs"),
        ("cargo", "echo 'cargo 1.94.9 (abc)'", "Missing: Rust 1.95; this is 1.94.9. Install it: rustup toolchain inst"),
        ("cc", None, "Missing: a C compiler, which Rust links with. Install it: apt-get install gcc"),
        ("python3", None, "Missing: Python 3.11 or later. Install it: apt-get install python3 python3-venv"),
        ("python3", "echo 3.9", "Missing: Python 3.11 or later; python3 is 3.9. Install it: apt-get install"),
        ("python3", '[ "${2#*venv}" = "$2" ] && echo 3.12', "Missing: Python's module venv. Install it: apt-get inst"),
        ("node", None, "Missing: Node 20 or later. Install it: https://nodejs.org"),
        ("node", "echo v18.19.0", "Missing: Node 20 or later; this is 18.19.0. Install it: https://nodejs.org"),
        ("npm", None, "Missing: npm. Install it: apt-get install npm"),
        ("bash", None, "Missing: bash. Install it: apt-get install bash"),
        ("uname", "echo Linux aarch64", "Missing: a browser for"),
        ("uname", "echo Darwin arm64", "Missing: Linux: the functions run on this machine"),
    ],
)
def test_a_missing_tool_is_reported_with_instructions(
    tmp_path: Path, program: str, script: str | None, said: str
) -> None:
    code, lines = missing(tmp_path, **{program: script})
    assert code == 1
    assert [line[: len(said)] for line in lines] == [said]


def test_all_missing_tools_are_reported_at_once(tmp_path: Path) -> None:
    code, lines = missing(tmp_path, cargo=None, node=None, cc=None)
    assert (code, len(lines)) == (1, 3)


@pytest.mark.parametrize("newer", ["cargo 1.100.0", "cargo 2.0.1"])
def test_versions_are_compared_as_numbers(tmp_path: Path, newer: str) -> None:
    assert missing(tmp_path, cargo=f"echo '{newer}'", node="echo v100.1.0") == (0, [])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_name_the_same_versions(page: str) -> None:
    said = re.findall(
        r"You need Linux, Rust ([\d.]+) with a C compiler, Python ([\d.]+) and Node (\d+)", (ROOT / page).read_text()
    )
    script = SCRIPT.read_text()
    rust = re.findall(r'^rust-version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    python = re.findall(r"at_least \"\$found\" (3\.\d+)", script)
    node = re.findall(r'at_least "\$found" (\d+)\.0;', script)
    assert said == [(*rust, *python, *node)]
