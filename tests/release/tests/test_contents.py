"""The bill of materials and the licences of a program are those of what cargo compiles for it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from local_aws.built import ROOT
from release.contents import Crate, bill, crates, notices, packages

PROGRAMS = [
    ("rotation-steps", "x86_64-unknown-linux-gnu"),
    ("rotation-steps", "aarch64-unknown-linux-gnu"),
    ("rotation-cli", "x86_64-unknown-linux-musl"),
    ("rotation-cli", "aarch64-unknown-linux-musl"),
]


def compiled(package: str, target: str) -> set[Crate]:
    """The libraries and programs of cargo's own plan to build a package for a target: its `--unit-graph`, which only
    unstable versions print otherwise."""
    plan = subprocess.run(
        ["cargo", "build", "--release", "--locked", "--package", package, "--target", target]
        + ["--bins", "--unit-graph", "-Z", "unstable-options"],
        cwd=ROOT,
        env=os.environ | {"RUSTC_BOOTSTRAP": "1"},
        capture_output=True,
        check=True,
    )
    ids = {about["id"]: crate for crate, about in packages().items()}
    units = json.loads(plan.stdout)["units"]
    # What runs while compiling is compiled for this machine, and has no platform.
    kinds = {"custom-build", "proc-macro"}
    return {ids[unit["pkg_id"]] for unit in units if unit["platform"] and not kinds & set(unit["target"]["kind"])}


@pytest.mark.parametrize(("package", "target"), PROGRAMS)
def test_the_crates_are_those_that_cargo_compiles(package: str, target: str) -> None:
    inside = set(crates(package, target))
    assert inside == compiled(package, target)
    names = {crate.name for crate in inside}
    assert {package, "rotation-core", "aws-sdk-acm"} <= names
    # Only for tests, and only for the tool.
    assert not {"rotation-test-pki", "rcgen", "proptest"} & names
    assert ("aws-sdk-cloudformation" in names) == (package == "rotation-cli")


@pytest.mark.parametrize(("package", "target"), PROGRAMS)
def test_the_bill_names_each_of_them_once(package: str, target: str) -> None:
    text = bill(package, target)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    listed = [*bom["components"], bom["metadata"]["component"]]
    assert sorted(one["purl"] for one in listed) == sorted(crate.url for crate in crates(package, target))
    assert bom["metadata"]["component"]["name"] == package
    for one in bom["components"]:
        assert one["licenses"] and (one["name"].startswith("rotation-") or one["hashes"][0]["alg"] == "SHA-256"), one
    refs = {one["bom-ref"] for one in listed}
    assert {one["ref"] for one in bom["dependencies"]} == refs
    assert all(set(one.get("dependsOn", [])) <= refs for one in bom["dependencies"])
    assert text == bill(package, target)


@pytest.mark.parametrize(("package", "target"), PROGRAMS)
def test_the_licence_of_every_crate_of_others_is_there(package: str, target: str) -> None:
    inside = crates(package, target)
    text = notices(inside)
    for crate in inside:
        assert (f"\n{crate.name} {crate.version} (" in text) == (packages()[crate]["source"] is not None), crate
    assert "Permission is hereby granted" in text and "Apache License" in text
    assert "The project's authors" not in text
