"""The functions as `cargo build` leaves them, for the demo and for all tests that do not depend on package size.

`make package` builds the same sources for release, which takes minutes of link-time optimisation. The debug build is
ready as soon as the tests are compiled.
"""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


def template(folder: Path) -> Path:
    """Copies the template to `folder`, with these functions in place of the release packages."""
    text = TEMPLATE.read_text()
    names = re.findall(r"CodeUri: \.\./target/lambda/([a-z-]+)/bootstrap\.zip", text)
    assert names, "the template names its packages in another way"
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: package(name, folder / "lambda" / name), names))
    copy = folder / "template.yaml"
    text = text.replace("../target/lambda/", "lambda/")
    copy.write_text(text.replace("../statemachine/", f"{ROOT}/statemachine/"))
    return copy


def package(name: str, folder: Path) -> None:
    """Writes the package of a function, without symbols."""
    folder.mkdir(parents=True)
    stripped = folder / "bootstrap"
    # Symbols are half of each file, and every deployment would upload them. Every machine with a linker has strip.
    subprocess.run(["strip", "-o", stripped, FOLDER / name], check=True)
    with zipfile.ZipFile(folder / "bootstrap.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(stripped, "bootstrap")
    stripped.unlink()
