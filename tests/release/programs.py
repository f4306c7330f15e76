"""Builds the programs of a release, so that they are the same bytes wherever they are built."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local_aws.built import ROOT

from . import system

# The version in Amazon Linux 2023, on which Lambda's provided.al2023 is based; as in the Makefile.
GLIBC = "2.34"
FUNCTIONS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


@dataclass(frozen=True)
class System:
    """A system that certrotate is built for."""

    name: str
    target: str
    program: str = "certrotate"


# By static linking the programs for Linux need nothing of the machine.
SYSTEMS = (
    System("linux-x86_64", "x86_64-unknown-linux-musl"),
    System("linux-arm64", "aarch64-unknown-linux-musl"),
)


def environment(target_directory: Path) -> dict[str, str]:
    """Paths of this machine would be in messages of panics, and differ in every folder."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    paths = {ROOT: "source", home: "cargo", target_directory: "target"}
    flags = [f"--remap-path-prefix={path}=/{name}" for path, name in paths.items()]
    mapped = " ".join(f"-ffile-prefix-map={path}=/{name}" for path, name in paths.items())
    tools = Path(sys.executable).parent
    return {name: value for name, value in os.environ.items() if name != "RUSTFLAGS"} | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "CARGO_TARGET_DIR": str(target_directory),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CFLAGS": mapped,
    }


def functions(architecture: str, target_directory: Path) -> dict[str, bytes]:
    """The functions for an architecture, by name."""
    target = FUNCTIONS[architecture]
    folder = target_directory / f"functions-{architecture}"
    build = ("lambda", "build", "--release", "--locked", "--package", "rotation-steps")
    cargo(target_directory, *build, "--target", f"{target}.{GLIBC}", "--lambda-dir", str(folder))
    return {name: (folder / name / "bootstrap").read_bytes() for name in system.names()}


def certrotate(one: System, target_directory: Path) -> bytes:
    """The operator's tool for a system."""
    build = ("zigbuild", "--release", "--locked", "--package", "rotation-cli", "--bin", "certrotate")
    cargo(target_directory, *build, "--target", one.target)
    return (target_directory / one.target / "release" / one.program).read_bytes()


def cargo(target_directory: Path, *arguments: str) -> None:
    subprocess.run(["cargo", *arguments], cwd=ROOT, env=environment(target_directory), check=True)
