"""What is compiled into a program: its crates, as a CycloneDX bill of materials and with their licences.

The set is cargo's own for one package and one target, with the features that this package alone asks for: what tests or
other packages of the workspace need is not in it. Procedural macros run while compiling and are not in it either.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from local_aws.built import ROOT

LICENCE_FILES = ("license", "licence", "copying", "copyright", "notice", "unlicense")


@dataclass(frozen=True, order=True)
class Crate:
    name: str
    version: str

    @property
    def url(self) -> str:
        return f"pkg:cargo/{self.name}@{self.version}"


def cargo(*arguments: str) -> str:
    done = subprocess.run(["cargo", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cargo {arguments[0]} failed: {done.stderr}")
    return done.stdout


@cache
def metadata() -> dict[str, Any]:
    return json.loads(cargo("metadata", "--locked", "--format-version", "1"))


@cache
def packages() -> dict[Crate, dict[str, Any]]:
    return {Crate(one["name"], one["version"]): one for one in metadata()["packages"]}


def crates(package: str, target: str) -> list[Crate]:
    """The crates that are linked into the programs of a package, these included."""
    edges = ("--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    lines = cargo("tree", "--locked", "--package", package, "--target", target, *edges).splitlines()
    return sorted({Crate(name, version.removeprefix("v")) for name, version, *_ in map(str.split, filter(None, lines))})


def bill(package: str, target: str) -> str:
    """The bill of materials, CycloneDX 1.6 in JSON. It has no time, so that it is the same for the same content."""
    inside = crates(package, target)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {Crate(one["name"], one["version"]): one.get("checksum") for one in lock}
    parts = {crate: component(crate, sums[crate]) for crate in inside}
    [own] = [crate for crate in inside if crate.name == package]
    parts[own].type = ComponentType.APPLICATION
    bom = Bom(components=[part for crate, part in parts.items() if crate != own])
    bom.metadata.component = parts[own]
    bom.metadata.timestamp = None
    ids = {one["id"]: Crate(one["name"], one["version"]) for one in metadata()["packages"]}
    for node in metadata()["resolve"]["nodes"]:
        if ids[node["id"]] in parts:
            needs = {ids[dep] for dep in node["dependencies"]} & parts.keys()
            refs = [Dependency(parts[crate].bom_ref) for crate in sorted(needs)]
            bom.dependencies.add(Dependency(parts[ids[node["id"]]].bom_ref, refs))
    bom.serial_number = uuid5(NAMESPACE_URL, f"{own.url}/{target}/{','.join(crate.url for crate in inside)}")
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def component(crate: Crate, checksum: str | None) -> Component:
    about = packages()[crate]
    # Some crates write the alternatives as they were written before SPDX.
    licence = LicenseFactory().make_from_string(about["license"].replace(" / ", " OR ").replace("/", " OR "))
    return Component(
        type=ComponentType.LIBRARY,
        name=crate.name,
        version=crate.version,
        bom_ref=crate.url,
        purl=PackageURL.from_string(crate.url),
        licenses=[licence],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def notices(inside: list[Crate]) -> str:
    """The licence and notice files of the crates of others, each text once with those that it is of."""
    texts: dict[str, list[str]] = {}
    for crate in inside:
        about = packages()[crate]
        if about["source"] is None:
            continue
        files = licence_files(Path(about["manifest_path"]).parent)
        said = f"{crate.name} {crate.version} ({about['license']})"
        for text in [path.read_text(errors="replace").strip() for path in files] or [without_file(about)]:
            texts.setdefault(text, []).append(said)
    parts = [f"{'=' * 100}\n{chr(10).join(crates)}\n{'-' * 100}\n\n{text}\n" for text, crates in texts.items()]
    return "The programs contain these crates of others, under these licences.\n\n" + "\n".join(parts)


def licence_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(LICENCE_FILES))


def without_file(about: dict[str, Any]) -> str:
    """The text for a crate that names its licence and has no copy of it."""
    licence = about["license"]
    file = "LICENSE-APACHE" if "Apache-2.0" in licence else "LICENSE-MIT"
    if "Apache-2.0" not in licence and "MIT" not in licence:
        raise RuntimeError(f"{about['name']} has no copy of its licence ({licence}), and neither has this project")
    text = (ROOT / file).read_text()
    if file == "LICENSE-MIT":
        # Instead of our own copyright line.
        own = next(line for line in text.splitlines() if line.startswith("Copyright"))
        text = text.replace(own, f"Copyright (c) {', '.join(about['authors']) or 'the authors of ' + about['name']}")
    return text.strip()
