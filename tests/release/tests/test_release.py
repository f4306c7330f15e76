"""What `make release` writes beside the programs, which take most of an hour to build."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from local_aws.built import ROOT
from release import __main__ as release
from release import system


def test_the_changes_are_those_of_the_version() -> None:
    changelog = "# Changes\n\n## Unreleased\n\nnew\n\n## 1.2.0 (2026-01-01)\n\nold\n\n## 1.1.0\n\nolder\n"
    assert release.changes(changelog, "1.2.0") == "## 1.2.0 (2026-01-01)\n\nold\n"
    assert release.changes(changelog, "1.3.0") == "## Unreleased\n\nnew\n"


def test_texts(tmp_path: Path) -> None:
    release.texts(tmp_path)
    version = system.version()
    assert (tmp_path / "CHANGES.md").read_text().startswith("## ")
    with tarfile.open(tmp_path / f"schemas-{version}.tar.gz") as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {path.name for path in (ROOT / "docs/schemas").iterdir()} | {f"schemas-{version}"} == names


def test_a_tree_with_changes_is_not_released(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
    (clone / "tests" / "new.txt").write_text("new")
    done = subprocess.run(
        [sys.executable, "-m", "release", "--only", "texts"],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone / "tests")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "?? tests/new.txt" in done.stdout, done
    assert not (clone / "target").exists()
