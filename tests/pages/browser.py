"""The browser of the tests: a headless Chromium from an npm package, so that none has to be installed.

`@sparticuz/chromium` is built for Lambda, so it contains the libraries and the font that Chromium needs. Only its
binaries are used; its JavaScript needs newer versions of Node. With its font, text has the same width on every machine.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tests/node_modules/@sparticuz/chromium"
# Node can decompress Brotli, Python cannot.
UNPACK = "fs.createReadStream(process.argv[1]).pipe(zlib.createBrotliDecompress()).pipe(process.stdout)"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{0}/fonts</dir><cachedir>{0}/cache</cachedir></fontconfig>
"""


@contextmanager
def launch() -> Iterator[Browser]:
    """Starts Chromium: the one in the variable CHROMIUM, or the package's."""
    ours = None if "CHROMIUM" in os.environ else _unpacked()
    program = str(ours / "chromium") if ours else os.environ["CHROMIUM"]
    environment = {**os.environ}
    if ours:
        environment |= {"LD_LIBRARY_PATH": str(ours / "lib"), "FONTCONFIG_FILE": str(ours / "fonts.conf")}
    with sync_playwright() as playwright:
        # Chromium does not run its sandbox as root, which CI is. Only the project's own pages are opened.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], env=environment)
        yield browser
        browser.close()


def _unpacked() -> Path:
    """The folder with the browser; unpacks each version once."""
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    folder = ROOT / ".local" / f"chromium-{version}"
    if (folder / "fonts.conf").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("al2023", "fonts"):
        with tarfile.open(fileobj=io.BytesIO(_brotli(f"{name}.tar.br"))) as archive:
            archive.extractall(folder)
    program = folder / "chromium"
    program.write_bytes(_brotli("chromium.br"))
    program.chmod(0o755)
    # Written last: it marks the folder as complete.
    (folder / "fonts.conf").write_text(FONTS.format(folder))
    return folder


def _brotli(name: str) -> bytes:
    return subprocess.run(["node", "-e", UNPACK, str(PACKAGE / "bin" / name)], check=True, capture_output=True).stdout
