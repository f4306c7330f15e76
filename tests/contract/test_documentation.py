"""The documentation: links, examples, tags and parameters on the pages must exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
# Installed and built files include other Markdown files.
PAGES = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not {"node_modules", "target", ".local", ".git", ".pytest_cache"} & set(page.relative_to(ROOT).parts)
]
TEMPLATES = [path for path in sorted(EXAMPLES.glob("*.yaml")) if "\nResources:" in path.read_text()]
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text())


def anchor(heading: str) -> str:
    """GitHub's anchor for a heading: its text in lower case, without punctuation, with hyphens for spaces."""
    text = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """All anchors of a page; the second heading with the same text gets -1, and so on."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(page), re.MULTILINE):
        first = unique = anchor(heading)
        number = 0
        while unique in found:
            number += 1
            unique = f"{first}-{number}"
        found.add(unique)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_anchors_exist(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, wanted = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (wanted and wanted not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_pages_name_exist(page: Path) -> None:
    """Paths in backticks; those with a pattern or a placeholder are not checked."""
    said = set(re.findall(r"`((?:crates|docs|fuzz|infra|statemachine|tests)/[\w./-]*)`", prose(page)))
    assert sorted(path for path in said if not (ROOT / path).exists()) == []


def test_anchors_are_those_of_github() -> None:
    assert anchor("rotated, with deleted false") == "rotated-with-deleted-false"
    assert anchor("TIMED_OUT, ABORTED or a name that begins with States. or Lambda.") == (
        "timed_out-aborted-or-a-name-that-begins-with-states-or-lambda"
    )
    assert anchor("`code` and [a link](elsewhere.md)") == "code-and-a-link"


def test_every_example_is_named_in_a_page() -> None:
    said = "".join(page.read_text() for page in PAGES)
    assert [name(path) for path in sorted(EXAMPLES.iterdir()) if f"examples/{path.name}" not in said] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_templates_are_valid(template: Path) -> None:
    lint = [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "us-east-1", "--template", str(template)]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.sh")), ids=name)
def test_scripts_parse_and_can_be_run(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.stat().st_mode & 0o111
    assert script.read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_of_shell_json_and_yaml_parse(page: Path) -> None:
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        if language == "sh":
            done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
            assert done.returncode == 0, block + done.stderr
        elif language == "json" and "…" not in block:
            json.loads(block)
        elif language == "yaml":
            yaml.compose(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tags_exist(page: Path) -> None:
    """Tags by which a certificate is found, and tags that set a field of the input."""
    known = set(re.findall(r'"cert-rotation:([a-z-]+)";', (ROOT / "crates/core/src/request/tags.rs").read_text()))
    settings = (
        (ROOT / "crates/core/src/request/managed.rs").read_text().partition("const SETTINGS")[2].partition("];")[0]
    )
    known |= set(re.findall(r'\("([a-z-]+)",', settings))
    assert {"source", "dry-run"} <= known
    assert set(re.findall(r"cert-rotation:([a-z-]+)", page.read_text())) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_parameters_of_the_template_exist(page: Path) -> None:
    """Parameters in commands for the rotation's stack, and those in the table of docs/deployment.md."""
    template = (ROOT / "infra/template.yaml").read_text()
    known = set(
        re.findall(r"^  (\w+):$", template.partition("\nParameters:")[2].partition("\nRules:")[0], re.MULTILINE)
    )
    said = set(re.findall(r"[Pp]arameters? `([A-Z]\w+)`", page.read_text()))
    for command in re.findall(r"^aws cloudformation .*?[^\\]$", page.read_text(), re.MULTILINE | re.DOTALL):
        if re.search(r"--stack(-set)?-name certificate-rotation\b", command):
            _, _, overrides = command.partition("--parameter-overrides")
            said |= set(re.findall(r"\b([A-Z]\w+)=", overrides)) | set(re.findall(r"ParameterKey=(\w+)", command))
    if page == ROOT / "docs/deployment.md":
        table = page.read_text().partition("| parameter | default | meaning |")[2].partition("\n\n")[0]
        said |= set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert said - known == set()
    if page == ROOT / "docs/deployment.md":
        assert known - said == set()
