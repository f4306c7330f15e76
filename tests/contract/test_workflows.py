"""The workflows and forms in .github, by three linters and some rules of our own: no test runs them on a forge."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local_aws.built import ROOT

FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent
# The newest actionlint that a registry has does not know today's runners and permissions; the schema does.
TOO_NEW = {"runner-label", "permissions"}


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def actionlint(*workflows: Path) -> list[str]:
    script = ROOT / "tests" / "contract" / "actionlint.mjs"
    said = json.loads(run("node", script, *workflows))
    return [f"{one['file']}:{one['line']}: {one['message']}" for one in said if one["kind"] not in TOO_NEW]


def test_actionlint() -> None:
    assert actionlint(*WORKFLOWS) == []


def test_actionlint_would_say_something(tmp_path: Path) -> None:
    text = (FORGE / "workflows" / "release.yml").read_text()
    (tmp_path / "broken.yml").write_text(text.replace("steps.release.outputs", "steps.released.outputs"))
    [said, *_] = actionlint(tmp_path / "broken.yml")
    assert 'property "released" is not defined' in said


def test_zizmor() -> None:
    run(TOOLS / "zizmor", "--offline", "--no-progress", "--persona", "pedantic", FORGE)


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("dependabot", "dependabot.yml"),
    ],
)
def test_schemas(schema: str, pattern: str) -> None:
    files = sorted(FORGE.glob(pattern))
    assert files
    run(TOOLS / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def test_actions_are_pinned_by_digest_and_say_which_version_that_is() -> None:
    used = [line.strip() for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    pinned = re.compile(r"(- )?uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert used and [line for line in used if not pinned.fullmatch(line)] == []


def test_what_they_run_is_there() -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in WORKFLOWS:
        text = path.read_text()
        assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= made
        assert yaml.safe_load(text)["permissions"] == {}
    assert "run: .ci/run" in (FORGE / "workflows" / "ci.yml").read_text() and (ROOT / ".ci" / "run").exists()
