"""The functions as `cargo build` has left them, for all that they need not be small for.

`make package` builds the same sources for release, which takes minutes of link-time optimisation; the demo and nearly
all tests need functions that are right, and those are there as soon as the tests are.
"""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


def template(folder: Path) -> Path:
    """A copy of the template in this folder, with these functions in the place of the released packages."""
    text = TEMPLATE.read_text()
    names = re.findall(r"CodeUri: \.\./target/lambda/([a-z-]+)/bootstrap\.zip", text)
    assert names, "the template names its packages in another way"
    for name in names:
        package = folder / "lambda" / name / "bootstrap.zip"
        package.parent.mkdir(parents=True)
        # Half of each is symbols, and would be uploaded with every deployment. Where a linker is, strip is too.
        stripped = package.with_name("bootstrap")
        subprocess.run(["strip", "-o", stripped, FOLDER / name], check=True)
        with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(stripped, "bootstrap")
        stripped.unlink()
    copy = folder / "template.yaml"
    text = text.replace("../target/lambda/", "lambda/")
    copy.write_text(text.replace("../statemachine/", f"{ROOT}/statemachine/"))
    return copy
