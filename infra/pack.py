"""Packs each function anew, as Lambda unpacks it but smaller: zopfli looks longer for what deflate can leave out.

python infra/pack.py target/lambda

What was packed before is kept beside the package, and taken again while its program is the same.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import zopfli


def contents(package: Path) -> list[tuple[str, int, int]]:
    """The files in a package: name, size, checksum."""
    with zipfile.ZipFile(package) as archive:
        return [
            (info.filename, info.file_size, info.CRC) for info in archive.infolist()
        ]


def pack(package: Path) -> None:
    """Puts a smaller package in the place of this one."""
    packed = package.with_name("packed.zip")
    if not packed.exists() or contents(packed) != contents(package):
        unfinished = package.with_name("unfinished.zip")
        with (
            zipfile.ZipFile(package) as archive,
            zopfli.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as smaller,
        ):
            for info in archive.infolist():
                smaller.writestr(info, archive.read(info))
        unfinished.replace(packed)
    shutil.copyfile(packed, package)


if __name__ == "__main__":
    with ProcessPoolExecutor() as workers:
        list(workers.map(pack, sorted(Path(sys.argv[1]).glob("*/bootstrap.zip"))))
