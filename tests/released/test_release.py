"""The archive of certrotate that `make release` writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from release import __main__ as release
from release import programs
from release.archive import SUMS


def test_the_archive_of_the_tool(tmp_path: Path) -> None:
    folder = tmp_path / "certrotate"
    release.tool(folder, programs.SYSTEMS[0], b"a program", "licences of others")
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert {"certrotate", "completions/_certrotate", "man/certrotate-start.1", "LICENSE-MIT", SUMS} <= files.keys()
    assert os.access(files["certrotate"], os.X_OK) and files["LICENSES-OF-OTHERS"].read_text() == "licences of others"
    assert "certrotate" in files["completions/certrotate.bash"].read_text()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=folder, check=True)
