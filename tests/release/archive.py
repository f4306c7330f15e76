"""Archives and packages that are the same bytes for the same content: no times, owners or orders of this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

from local_aws.built import ROOT

# The earliest that ZIP can write.
TIME = (1980, 1, 1, 0, 0, 0)
SUMS = "SHA256SUMS"


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP archive of executables, as Lambda wants packages."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, file in sorted(files.items()):
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, file)
    return content.getvalue()


def tarred(folder: Path) -> bytes:
    """A compressed archive of a folder, under its name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = archive.gettarinfo(path, str(path.relative_to(folder.parent)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") if path.is_file() else io.BytesIO() as file:
                archive.addfile(entry, file)
    return gzip.compress(content.getvalue(), 9, mtime=0)


def write_licences(folder: Path, of_others: str) -> None:
    """Writes the licences into a folder: the project's own, and those of the crates in its programs."""
    for name in ("LICENSE-APACHE", "LICENSE-MIT"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "LICENSES-OF-OTHERS").write_text(of_others)


def write_sums(folder: Path) -> None:
    """Writes the digests of all files below a folder into it, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{digest(path.read_bytes())}  {path.relative_to(folder)}\n" for path in files]
    (folder / SUMS).write_text("".join(lines))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
