"""`make release`: builds what a release page holds, in target/release-X.Y.Z/.

From a clean tree only: what is released is what a commit holds. The same commit makes the same bytes in any folder, if
Rust and the tools of tests/requirements.lock are the same.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local_aws.built import ROOT
from local_aws.platform import CERTROTATE

from . import contents, programs, system
from .archive import SUMS, tarred, write_licences, write_sums, zipped

SHELLS = {"bash": "certrotate.bash", "zsh": "_certrotate", "fish": "certrotate.fish"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--only", choices=["functions", "certrotate", "texts"], help="build only a part of it")
    parser.add_argument("--arch", choices=[*programs.FUNCTIONS], help="build for one architecture only")
    options = parser.parse_args()
    if changed := git("status", "--porcelain"):
        print(f"Not released: the tree has changes that no commit holds. Commit or remove them:\n{changed}")
        return 1
    folder = ROOT / "target" / f"release-{system.version()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build(folder, ROOT / "target" / "release-build", options.only, options.arch)
    write_sums(folder)
    print(f"{folder}:\n{(folder / SUMS).read_text()}", end="")
    return 0


def build(folder: Path, target_directory: Path, only: str | None, arch: str | None) -> None:
    """Writes the files of the release."""
    if only in (None, "texts"):
        texts(folder)
    for architecture, target in programs.FUNCTIONS.items():
        if only in (None, "functions") and arch in (None, architecture):
            built = programs.functions(architecture, target_directory)
            packages = {name: zipped({"bootstrap": program}) for name, program in built.items()}
            name = f"certificate-rotation-{system.version()}-{architecture}"
            licences = described(folder, name, "rotation-steps", target)
            with archived(folder, name) as unpacked:
                system.write(unpacked, architecture, packages, licences)
    for one in programs.SYSTEMS:
        if only in (None, "certrotate") and (arch is None or one.name.endswith(arch)):
            program = programs.certrotate(one, target_directory)
            name = f"certrotate-{system.version()}-{one.name}"
            licences = described(folder, name, "rotation-cli", one.target)
            with archived(folder, name) as unpacked:
                tool(unpacked, one, program, licences)


def tool(folder: Path, one: programs.System, program: bytes, licences: str) -> None:
    """Writes the unpacked archive of certrotate."""
    (folder / "completions").mkdir(parents=True)
    path = folder / one.program
    path.write_bytes(program)
    path.chmod(0o755)
    # Completions and manual pages are the same on every system; the program that runs here writes them.
    for shell, name in SHELLS.items():
        script = subprocess.run([CERTROTATE, "completions", shell], check=True, capture_output=True).stdout
        (folder / "completions" / name).write_bytes(script)
    subprocess.run([CERTROTATE, "man", folder / "man"], check=True)
    write_licences(folder, licences)
    write_sums(folder)


@contextlib.contextmanager
def archived(folder: Path, name: str) -> Iterator[Path]:
    """The folder to write, which becomes an archive."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / name
        (folder / f"{name}.tar.gz").write_bytes(tarred(Path(directory) / name))


def described(folder: Path, name: str, package: str, target: str) -> str:
    """Writes the bill of materials beside an archive; returns the licences of what is in it."""
    (folder / f"{name}.cdx.json").write_text(contents.bill(package, target))
    return contents.notices(contents.crates(package, target))


def texts(folder: Path) -> None:
    """Writes the schemas, and what has changed since the version before."""
    with archived(folder, f"schemas-{system.version()}") as unpacked:
        shutil.copytree(ROOT / "docs" / "schemas", unpacked)
    (folder / "CHANGES.md").write_text(changes((ROOT / "CHANGELOG.md").read_text(), system.version()))


def changes(changelog: str, of: str) -> str:
    """The part of the changelog for a version; what is unreleased, if it has none yet."""
    parts = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    by_title = {part.partition("\n")[0].split(" ")[0].strip("[]"): part for part in parts}
    return "## " + by_title.get(of, by_title["Unreleased"]).rstrip() + "\n"


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
