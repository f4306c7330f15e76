"""The archive that `certrotate deploy` deploys: the packages of the functions, the state machine and the template.

The template names its packages by their content, in a bucket that is known only at deployment: `certrotate deploy`
uploads each file under that key, and writes the bucket's name in place of ARTIFACT_BUCKET.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from local_aws.built import ROOT, TEMPLATE

from .archive import digest, write_licences, write_sums

PLACE = "s3://ARTIFACT_BUCKET/certificate-rotation"
PACKAGE = re.compile(r"\.\./target/lambda/([a-z-]+)/bootstrap\.zip")
DEFINITION = "../statemachine/rotation.asl.json"


def names() -> list[str]:
    """The functions of the template."""
    return PACKAGE.findall(TEMPLATE.read_text())


def version() -> str:
    """The version of everything in the workspace."""
    return str(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"])


def write(folder: Path, architecture: str, packages: dict[str, bytes], licences: str = "") -> None:
    """Writes the unpacked archive, with these packages by function and the licences of what is in them."""
    functions = folder / "functions"
    functions.mkdir(parents=True)
    definition = (ROOT / DEFINITION.removeprefix("../")).read_bytes()
    (folder / "rotation.asl.json").write_bytes(definition)
    for name in names():
        (functions / f"{name}.zip").write_bytes(packages[name])
    template = PACKAGE.sub(lambda match: f"{PLACE}/{digest(packages[match[1]])}.zip", TEMPLATE.read_text())
    template = template.replace(DEFINITION, f"{PLACE}/{digest(definition)}.json")
    default = "    Type: String\n    Default: {}\n    AllowedValues:\n      - x86_64\n      - arm64\n"
    assert default.format("x86_64") in template
    (folder / "template.yaml").write_text(template.replace(default.format("x86_64"), default.format(architecture)))
    (folder / "VERSION").write_text(f"{version()}\n")
    write_licences(folder, licences)
    write_sums(folder)
