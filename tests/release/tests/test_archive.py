"""The archives of a release: what is in them, and that they depend on nothing else."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

from release import system
from release.archive import tarred, zipped

PACKAGES = {name: zipped({"bootstrap": name.encode()}) for name in system.names()}


def test_archives_depend_only_on_names_and_contents(tmp_path: Path) -> None:
    written = []
    for place, mode in (("here", 0o700), ("there", 0o755)):
        folder = tmp_path / place / "system"
        system.write(folder, "arm64", PACKAGES)
        for path in folder.rglob("*"):
            path.chmod(mode if path.is_dir() else 0o644)
            os.utime(path, (mode, mode))
        written.append(tarred(folder))
    assert written[0] == written[1]
    assert zipped({"a": b"1", "b": b"2"}) == zipped({"b": b"2", "a": b"1"})


def test_the_sums_are_those_of_all_files(tmp_path: Path) -> None:
    folder = tmp_path / "system"
    system.write(folder, "x86_64", PACKAGES)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=folder, check=True)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()} | {"SHA256SUMS"}
    (folder / "functions" / "plan-rotation.zip").write_bytes(b"other")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 1


def test_the_template_names_every_file_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "system"
    system.write(folder, "arm64", PACKAGES)
    template = (folder / "template.yaml").read_text()
    assert "../" not in template and len(PACKAGES) == 11
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    for name in [f"functions/{name}.zip" for name in PACKAGES] + ["rotation.asl.json"]:
        place = f"s3://ARTIFACT_BUCKET/certificate-rotation/{sums[name]}{Path(name).suffix}"
        assert template.count(place) == 1, name
    assert "    Default: arm64\n" in template
    # The version is the stack's output too.
    assert f"    Value: {(folder / 'VERSION').read_text()}" in template


def test_an_archive_is_unpacked_with_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "certificate-rotation-1.2.3-arm64"
    system.write(folder, "arm64", PACKAGES)
    (tmp_path / "archive.tar.gz").write_bytes(tarred(folder))
    with tarfile.open(tmp_path / "archive.tar.gz") as archive:
        assert archive.getnames()[0] == folder.name
        archive.extractall(tmp_path / "elsewhere", filter="data")
    unpacked = tmp_path / "elsewhere" / folder.name
    assert (unpacked / "template.yaml").read_bytes() == (folder / "template.yaml").read_bytes()
