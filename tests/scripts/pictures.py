"""`make pictures`: pictures of the terminal and the report for the README and the documentation.

A terminal emulator gets the output of certrotate during a real rotation on the local AWS and is drawn as SVG; the
report of that rotation is captured in a browser.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from local_aws.platform import CERTROTATE, ROOT, LocalAws
from pages.browser import launch
from scripts.demo import SECRET, seed

PICTURES = ROOT / "docs" / "pictures"
COLUMNS, LINES = 104, 36
# Pictures load no external resources.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with LocalAws(propagation_seconds=4, wait_scale=0.01) as aws:
        aws.deploy()
        scene = seed(aws, "iam", 6)
        commands = (
            ("list",),
            ("plan", SECRET, "--old", scene.old),
            ("start", SECRET, "--old", scene.old, "--name", "www-2026-11", "--yes", "--interval", "1"),
        )
        script = "; echo; ".join(
            f"echo '$ certrotate {' '.join(command)}'; {CERTROTATE} {' '.join(command)}" for command in commands
        )
        environment = aws.environment | {"TERM": "xterm-256color"}
        # In the middle of the rotation: some targets done, one in progress.
        draw(script, environment, PICTURES / "certrotate.svg", lambda text: " 3/6 " in text and "propagating" in text)
        aws.execution("www-2026-11").wait()
        page = aws.directory / "report.html"
        pexpect.run(f"{CERTROTATE} report www-2026-11 --html {page}", env=environment)
        photograph(page, PICTURES / "report.png")
        plan = f"certrotate plan {SECRET} --old {with_notes(aws)} --allow-key-change"
        script = f"echo '$ {plan}'; {plan.replace('certrotate', str(CERTROTATE), 1)}; sleep 5"
        draw(script, environment, PICTURES / "notes.svg", lambda text: "to be moved" in text)
    print(f"Drawn: {', '.join(sorted(path.name for path in PICTURES.iterdir()))}")


def with_notes(aws: LocalAws) -> str:
    """A certificate with another kind of key than the one in the secret, also on dedicated IP addresses."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=20)
    old = aws.intermediate.leaf("*.example.com", "*.shop.example.com", not_after=end, key_type="RSA-2048")
    served = aws.put_into_store("acm", old, "rsa")
    distributions = [
        {"aliases": ["old-devices.example.com"], "certificate": served, "ssl_support_method": "vip"},
        {"aliases": ["www.shop.example.com"], "certificate": served},
    ]
    aws.control("POST", "seed", distributions)
    return served


def draw(script: str, environment: dict[str, str], path: Path, is_there: Callable[[str], bool]) -> None:
    """The screen at the moment when what is wanted is there."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    shell = pexpect.spawn(
        "bash", ["-c", script], env=environment, dimensions=(LINES, COLUMNS), encoding="utf-8", timeout=120
    )
    while not is_there("\n".join(screen.display)):
        stream.feed(shell.read_nonblocking(4096, timeout=60))
    shell.close(force=True)
    console = Console(record=True, width=COLUMNS, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    used = max(number for number, line in enumerate(screen.display) if line.strip()) + 1
    for number in range(used):
        console.print(row(screen, number), soft_wrap=True)
    path.write_text(console.export_svg(title="certrotate", code_format=FORMAT))


def row(screen: pyte.Screen, number: int) -> Text:
    """A line of the screen with its colours."""
    text = Text()
    for column in range(COLUMNS):
        cell = screen.buffer[number][column]
        colour = None if cell.fg == "default" else {"brown": "yellow"}.get(cell.fg, cell.fg)
        text.append(cell.data, Style(color=colour, bold=cell.bold))
    return text


def photograph(page: Path, picture: Path) -> None:
    """A screenshot of the page, down to the targets."""
    with launch() as browser:
        shown = browser.new_page(viewport={"width": 1280, "height": 1700})
        shown.goto(page.as_uri())
        shown.screenshot(path=picture)


if __name__ == "__main__":
    main()
