"""The commands of the pages about the AWS CLI and about adopting, copied and pasted by a new user.

All commands except the deployment, for which the fixture uses the same ones. The AWS CLI here is version 1, as on PyPI:
it sends blobs unchanged, and does not have the option that makes version 2 do so.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.pki import Leaf
from local_aws.platform import ROOT, until
from rotations.account import Account
from rotations.test_automation import aged, executions

EXAMPLE_ARN = "arn:aws:acm:us-east-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000"
NAMES = ("www.example.com", "*.example.com")
PREAMBLE = """
set -euo pipefail
sleep() { command sleep 0.2; }
aws() {
  local given=() one
  for one; do case "$one" in --cli-binary-format|raw-in-base64-out) ;; *) given+=("$one") ;; esac; done
  command aws "${given[@]}"
}
"""


def blocks(page: str, begin: str, end: str) -> list[str]:
    """The shell blocks of a page between two texts."""
    text = (ROOT / page).read_text()
    part = text[text.index(begin) : text.index(end)]
    return re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


class Terminal:
    """One shell, in the directory with the authority's files."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.directory = directory
        environment = dict(account.aws.environment)
        tools = Path(sys.executable).parent
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        if not shutil.which("jq"):
            # jaq accepts jq's options and filters, and can be installed as a package.
            (directory / "bin").mkdir()
            (directory / "bin/jq").symlink_to(tools / "jaq")
            environment["PATH"] += f":{directory / 'bin'}"
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(directory / "stderr").open("wb"),
            text=True,
        )
        self.paste(PREAMBLE)

    def file(self, leaf: Leaf, certificate: str, key: str) -> None:
        """Writes a certificate and a key as the authority would send them."""
        (self.directory / certificate).write_text(leaf.certificate_pem + leaf.chain_pem)
        (self.directory / key).write_text(leaf.key_pem)

    def paste(self, command: str) -> str:
        """Runs a command and returns its output; the shell exits at the first error."""
        assert self.shell.stdin and self.shell.stdout
        self.shell.stdin.write(f"{command}\necho; echo END-OF-COMMAND\n")
        self.shell.stdin.flush()
        printed = ""
        for line in self.shell.stdout:
            if line == "END-OF-COMMAND\n":
                return printed.removesuffix("\n")
            printed += line
        raise AssertionError(f"{command}\n{printed}\n{(self.directory / 'stderr').read_text()}")


@pytest.fixture
def terminal(account: Account, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(account, tmp_path)
    yield terminal
    terminal.shell.kill()
    terminal.shell.communicate()


def decisions(printed: str) -> dict[str, str]:
    """The decisions of a run of the function. The AWS CLI prints the function's result and then its own."""
    looked, _ = json.JSONDecoder().raw_decode(printed.lstrip())
    return {certificate["id"]: certificate["decision"] for certificate in looked["certificates"]}


def test_the_aws_cli_from_the_first_secret_to_automation(account: Account, terminal: Terminal):
    old = account.stored("acm", aged(account, 20))
    targets = account.targets(old)
    terminal.file(account.leaf(*NAMES, days=190), "fullchain.pem", "key.pem")
    terminal.file(account.leaf(*NAMES, days=199), "next.pem", "next-key.pem")
    store, plan, rotate, read, tag, look, put = (
        block.replace(EXAMPLE_ARN, old)
        for block in blocks("docs/aws-cli.md", "**1. Store", "To automate a certificate")
    )
    terminal.paste(store)
    assert terminal.paste(plan).split() == ["SUCCEEDED", "None"]
    assert account.serving(*targets) == [old] * 3

    terminal.paste(rotate)
    printed = terminal.paste(read)
    assert printed.startswith("SUCCEEDED\tNone\n") and '"outcome": "rotated"' in printed
    assert list(terminal.directory.glob("report/*/report.html"))
    assert old not in account.certificates()

    terminal.paste(tag)
    [served] = set(account.serving(*targets))
    assert decisions(terminal.paste(look)) == {served: "inTime"}
    # The new version of the secret is enough: no command starts the rotation.
    assert "www-2026-11\tSUCCEEDED" in terminal.paste(put)
    listing = put.splitlines()[-1]
    until(lambda: served not in account.certificates())
    assert re.search(r"^auto-www-example-com-\S+\t(RUNNING|SUCCEEDED)$", terminal.paste(listing), re.MULTILINE)


def test_detaching_a_policy_and_attaching_it_with_the_commands_of_the_runbook(account: Account, terminal: Terminal):
    """Case S22."""
    old = account.old()
    primary, staging, policy = account.with_policy(old)
    new = account.new()
    account.refused(new, old, "TargetNotRotatable", primary, staging)
    detach, attach = blocks("docs/runbook.md", "Detach a continuous-deployment policy", "### QuotaDenied")
    terminal.paste(detach.replace("E1A2B3C4D5E6F7", primary))
    rotation = account.rotate(new, old)
    assert rotation.status == "SUCCEEDED", rotation.cause
    terminal.paste(attach)
    for distribution in (primary, staging):
        config = account.aws.client("cloudfront").get_distribution_config(Id=distribution)["DistributionConfig"]
        assert config["ContinuousDeploymentPolicyId"] == policy
        assert config["ViewerCertificate"]["ACMCertificateArn"] == rotation.output["newCertificate"]["id"]


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_adopting_a_certificate_with_the_commands_of_the_page(account: Account, terminal: Terminal, store: str):
    served = account.stored(store, aged(account, 20))
    targets = account.targets(served)
    source = f"tls/adopted-{store}"
    terminal.file(account.leaf(*NAMES, days=199), "fullchain.pem", "key.pem")

    def paste(block: str) -> str:
        # Where the commands of the two stores differ, ACM's comes first.
        acm, _, iam = block.partition("\n# or")
        chosen = (acm if store == "acm" else iam.partition("\n")[2]) if iam else block
        for example, real in {
            "E1A2B3C4D5E6F7": targets[0],
            EXAMPLE_ARN: served,
            "ASCAEXAMPLE": served,
            "tls/www": source,
            "www-plan-1": f"{store}-plan-1",
        }.items():
            chosen = chosen.replace(example, real)
        return terminal.paste(chosen)

    steps = iter(blocks("docs/adopting.md", "All commands below", "## 7."))
    paste(next(steps))
    assert f'"{served}"' in paste(next(steps))
    paste(next(steps))
    paste(next(steps))
    paste(next(steps))
    assert decisions(paste(next(steps))) == {served: "start"}
    acted = paste(next(steps))
    assert decisions(acted) == {served: "start"}
    read = list(steps)[1:]
    rehearsal = terminal.paste('echo "$EXECUTION"').strip()
    assert rehearsal.rpartition(":")[2].startswith("auto-www-example-com-")
    status = 'aws stepfunctions describe-execution --execution-arn "$EXECUTION" --query status --output text'
    until(lambda: terminal.paste(status).strip() == "SUCCEEDED")
    assert paste(read[0]).startswith("SUCCEEDED\tNone\n[]\n")
    # The alternative: the operator starts the dry run.
    paste(blocks("docs/adopting.md", "For `notYet`", "Then read what it found")[0])
    until(lambda: terminal.paste(status).strip() == "SUCCEEDED")
    assert paste(read[0]).startswith("SUCCEEDED\tNone\n[]\n")
    assert account.serving(*targets) == [served] * 3

    for block in read[1:]:
        paste(block)
    before = {one["name"] for one in executions(account.aws)}
    assert decisions(terminal.paste("""look '{"look":"all"}'""")) == {served: "start"}
    until(lambda: served not in account.serving(*targets))
    # The old certificate is kept for a week; the test does not wait for that.
    [rotation] = [one for one in executions(account.aws) if one["name"] not in before]
    until(lambda: all(one["status"] == "Deployed" for one in account.distributions().values()))
    account.aws.client("stepfunctions").stop_execution(executionArn=rotation["executionArn"])
