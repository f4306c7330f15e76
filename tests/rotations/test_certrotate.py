"""certrotate, command by command, against the deployed stack; its output is pinned in __snapshots__.

`pytest --snapshot-update` writes the snapshots again; check the difference.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from syrupy.assertion import SnapshotAssertion

from local_aws.faults import CONTROL, Proxy
from local_aws.pki import Leaf
from local_aws.platform import CERTROTATE, ROOT, STACK, as_json, free_port, until, wait_until_it_answers
from rotations.account import Account
from rotations.test_automation import aged
from rotations.test_commands import blocks

NAMES = ("www.example.com", "*.example.com")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.out}--- standard error\n{self.err}--- exit code {self.code}\n"


class Tool:
    """An operator at a terminal, with the files that the authority has sent."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.account = account
        self.directory = directory
        self.environment = account.aws.environment | {
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(directory),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
        }
        for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CERTROTATE_STACK"):
            self.environment.pop(name, None)

    def file(self, leaf: Leaf, name: str = "bundle.pem") -> Path:
        path = self.directory / name
        path.write_text(leaf.certificate_pem + leaf.chain_pem + leaf.key_pem)
        return path

    def pkcs12(self, leaf: Leaf, password: str) -> Path:
        path = self.directory / "bundle.p12"
        encryption = BestAvailableEncryption(password.encode())
        path.write_bytes(
            pkcs12.serialize_key_and_certificates(b"www", leaf.key, leaf.certificate, list(leaf.chain), encryption)
        )
        return path

    def run(self, *arguments: str | Path, code: int = 0, without: tuple[str, ...] = (), **environment: str) -> Done:
        """Runs a command with its output in pipes."""
        given = {k: v for k, v in (self.environment | environment).items() if k not in without}
        done = subprocess.run(
            [CERTROTATE, *map(str, arguments)],
            env=given,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "\x1b" not in done.stdout + done.stderr, "a colour where there is no terminal"
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--output", "json", code=code).out)

    def terminal(self, *arguments: str | Path, **environment: str) -> pexpect.spawn:
        """The same on a terminal of 100 columns."""
        return pexpect.spawn(
            str(CERTROTATE),
            [str(argument) for argument in arguments],
            env=self.environment | environment,
            cwd=str(self.directory),
            dimensions=(30, 100),
            encoding="utf-8",
            timeout=60,
        )

    def neutral(self, done: object) -> str:
        """The text without what differs between runs."""
        text = str(done).replace(str(self.directory), "DIRECTORY")
        for number, target in enumerate(sorted(set(re.findall(r"\bE[A-Z0-9]{13}\b", text))), 1):
            text = text.replace(target, f"E{number:013}")
        for pattern, name in {
            r"certificate/[0-9a-f-]{36}": "certificate/00000000-0000-4000-8000-000000000000",
            r"\bASCA[A-Z0-9]{17}\b": "ASCAAAAAAAAAAAAAAAAAA",
            r"sha256:[0-9a-f]{12}…": "sha256:000000000000…",
            r"sha256:[0-9a-f]{64}": "sha256:" + "0" * 64,
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": "2026-11-24 12:00:00 UTC",
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "2026-11-24T12:00:00Z",
            r"\d{4}-\d\d-\d\d\b": "2026-11-24",
            r"(?m)^\d\d:\d\d:\d\d": "12:00:00",
            r"\bsite\d\b": "site0",
            r"\b\d+ s\b": "1 s",
            r"unwatched/\d+": "unwatched/1",
            r"(www|test)-\d+(-\d+)?\b": r"\1-1",
            r"stateMachine:[\w-]+": "stateMachine:rotation",
            r"execution:[\w-]+": "execution:rotation",
        }.items():
            text = re.sub(pattern, name, text)
        return text


@pytest.fixture
def tool(account: Account, tmp_path: Path) -> Tool:
    return Tool(account, tmp_path)


def old_and_new(account: Account, store: str = "acm", count: int = 3) -> tuple[str, list[str], str]:
    """A certificate that is served, its targets, and a source with its replacement."""
    old = account.stored(store, aged(account, 20))
    return old, account.targets(old, count), account.new()


def decline(terminal: pexpect.spawn) -> None:
    """Answers no; nothing must be changed."""
    terminal.expect(r"Continue\?")
    terminal.send("n")
    terminal.expect("Nothing was changed.")
    terminal.expect(pexpect.EOF)
    assert terminal.wait() == 4


# --- check


def test_check_of_a_fit_certificate(tool: Tool, snapshot: SnapshotAssertion):
    bundle = tool.file(tool.account.leaf(*NAMES, days=199.5))
    assert tool.neutral(tool.run("check", bundle, "--alias", "www.example.com")) == snapshot
    checked = tool.json("check", bundle)
    assert checked["fit"] and checked["names"] == [*NAMES] and checked["daysLeft"] == 199
    assert (checked["verdict"], checked["warnings"], checked["notes"]) == ("fit", [], [])
    assert set(checked) == {
        *("fit", "verdict", "names", "key", "fingerprint", "notBefore", "notAfter", "daysLeft", "chain"),
        *("notes", "warnings", "findings", "exitCode"),
    }


def test_warnings_count_only_if_that_is_wanted(tool: Tool):
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=87)
    bundle = tool.file(tool.account.leaf(*NAMES, days=3.5, not_before=past))
    assert "Fit, with warnings." in tool.run("check", bundle).out
    assert "1 warning, and --strict was given." in tool.run("check", bundle, "--strict", code=1).err
    checked = tool.json("check", bundle)
    assert checked["fit"] and checked["verdict"] == "fitWithWarnings" and not checked["findings"]
    assert checked["warnings"][0].startswith("It ends in 3 days")
    assert "warning" in tool.run("put", bundle, "--source", "tls/strict", "--yes", "--strict", code=1).err
    assert tool.json("check", bundle, "--alias", "other.example.org", code=1)["verdict"] == "unfit"


def test_check_says_everything_at_once(tool: Tool, snapshot: SnapshotAssertion):
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=300)
    leaf = tool.account.leaf("www.example.com", days=-3.5, not_before=past)
    path = tool.directory / "leaf.pem"
    path.write_text(leaf.certificate_pem + leaf.key_pem)
    assert tool.neutral(tool.run("check", path, "--alias", "a.example.com", code=1)) == snapshot
    assert len(tool.json("check", path, "--alias", "a.example.com", code=1)["findings"]) == 3


def test_check_of_what_is_no_bundle(tool: Tool, snapshot: SnapshotAssertion):
    (tool.directory / "empty.pem").write_text("")
    (tool.directory / "binary").write_bytes(b"\x89PNG\xff\x00")
    for name in ("empty.pem", "binary", "missing.pem", "."):
        assert tool.neutral(tool.run("check", name, code=1)) == snapshot(name=name)


def test_check_asks_for_the_password_of_pkcs12(tool: Tool):
    bundle = tool.pkcs12(tool.account.leaf(*NAMES, days=199), "open sesame")
    password = tool.directory / "password"
    password.write_text("open sesame\n")
    assert tool.json("check", bundle, "--password-file", password)["fit"]
    assert "--password-file" in tool.run("check", bundle, code=2).err
    password.write_text("wrong")
    assert "the password does not open" in tool.run("check", bundle, "--password-file", password, code=1).err
    terminal = tool.terminal("check", bundle)
    terminal.expect("Password of .*bundle.p12")
    terminal.sendline("open sesame")
    terminal.expect("No problems found")
    terminal.expect(pexpect.EOF)
    assert "sesame" not in terminal.before
    assert terminal.wait() == 0


# --- put


def test_put_asks_first_and_stores_what_can_be_rotated(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    leaf = account.leaf(*NAMES, days=199)
    bundle = tool.file(leaf)
    source = f"unwatched/put-{account.number}"
    secrets = account.aws.client("secretsmanager")

    assert tool.neutral(tool.run("put", bundle, "--source", source, code=2)).replace(source, "SOURCE") == snapshot
    terminal = tool.terminal("put", bundle, "--source", source)
    decline(terminal)
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId=source)

    assert tool.json("put", bundle, "--source", source, "--yes")["created"]
    assert not tool.json("put", bundle, "--source", source, "--yes")["created"]
    assert secrets.get_secret_value(SecretId=source)["SecretString"] == bundle.read_text()
    old = account.old()
    account.targets(old, 1)
    assert account.rotate(source, old).status == "SUCCEEDED"

    parameter = f"/unwatched/put-{account.number}"
    tool.run("put", bundle, "--source", f"ssm:{parameter}", "--yes")
    kept = account.aws.client("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
    assert kept["Type"] == "SecureString" and kept["Value"] == bundle.read_text()


def test_put_stores_no_certificate_that_cannot_be_rotated(tool: Tool):
    bundle = tool.file(tool.account.leaf("www.example.com", days=-1, not_before=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
    done = tool.run("put", bundle, "--source", f"unwatched/bad-{tool.account.number}", "--yes", code=1)
    assert "it expired" in done.err and done.out == ""
    assert "--source" in tool.run("put", bundle, "--source", "s3://", code=2).err


# --- list, plan, adopt


def test_list(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    assert tool.neutral(tool.run("list")) == snapshot(name="empty")
    account.targets(account.stored("acm", aged(account, 60.5)), 2)
    managed = account.stored("iam", aged(account, 6.5), **{"cert-rotation:source": "tls/www"})
    account.seed({"aliases": ["other.example.com"], "certificate": managed})
    account.aws.control("POST", "acm/in-use", {"arn": account.old(days=30.5), "by": ["arn:aws:elb:balancer"]})
    assert tool.neutral(tool.run("list")) == snapshot
    first, *_ = tool.json("list")["certificates"]
    assert (first["id"], first["daysLeft"], first["source"]) == (managed, 6, "tls/www")
    assert len(first["targets"]) == 1
    colours = tool.terminal("list")
    colours.expect("\x1b\\[31m6")
    plain = tool.terminal("list", NO_COLOR="1")
    plain.expect(pexpect.EOF)
    assert "\x1b" not in plain.before and "tls/www" in plain.before


def test_plan_starts_nothing(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    old, targets, source = old_and_new(account)
    before = account.world()
    assert tool.neutral(tool.run("plan", source, "--old", old)) == snapshot
    planned = tool.json("plan", source, "--old", old, "--targets", targets[0], "--concurrency", "5")
    assert [one["target"]["id"] for one in planned["targets"]] == [targets[0]]
    assert planned["input"] == {
        "newCertificate": source,
        "oldCertificate": old,
        "targets": [targets[0]],
        "concurrency": 5,
    }
    assert account.world() == before
    bucket = account.aws.outputs["RotationBucketName"]
    listed = account.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="rotations/plan/")
    assert listed["KeyCount"] == 0


def test_plan_with_findings(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    old = account.stored("acm", aged(account, 20))
    account.targets(old, 2)
    # Ids are random, and so is the order of the targets: the output must not depend on either.
    narrow = account.new("elsewhere.example.org")
    assert tool.neutral(tool.run("plan", narrow, "--old", old, code=1)) == snapshot
    assert "CertificateNotFound" in tool.run("plan", narrow, code=1).err


def test_adopt_tags_after_a_plan(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    old, _, source = old_and_new(account, "iam")
    assert "--yes" in tool.run("adopt", old, "--source", source, code=2).err
    assert tool.neutral(tool.run("adopt", old, "--source", source, "--yes", "--dry-run-only")) == snapshot
    [listed] = tool.json("list")["certificates"]
    assert (listed["source"], listed["dryRun"]) == (source, True)

    empty = f"unwatched/nothing-{account.number}"
    assert "--anyway" in tool.run("adopt", old, "--source", empty, "--yes", code=1).err
    tool.run("adopt", old, "--source", empty, "--yes", "--anyway")
    assert tool.json("list")["certificates"][0]["source"] == empty


# --- start, watch, report


def test_start_watches_until_the_end(tool: Tool, snapshot: SnapshotAssertion):
    old, targets, source = old_and_new(tool.account)
    done = tool.run("start", source, "--old", old, "--yes", "--name", f"test-{tool.account.number}", "--interval", "1")
    # What is printed on the way depends on timing; the end does not.
    assert tool.neutral(done.out) == snapshot
    assert "targets: 3 of 3 done" in done.err or "state: " in done.err
    assert old not in tool.account.serving(*targets)
    assert (
        "Choose another --name"
        in tool.run(*("start", source, "--old", old, "--yes", "--name", f"test-{tool.account.number}"), code=1).err
    )

    assert tool.neutral(tool.run("report")) == snapshot(name="report")
    assert tool.json("report")["succeeded"]
    page = tool.directory / "page.html"
    tool.run("report", f"test-{tool.account.number}", "--html", page)
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_notes_in_plan_result_and_report(tool: Tool, snapshot: SnapshotAssertion):
    """What an operator should know of a rotation that nothing prevents."""
    account = tool.account
    old = account.stored("acm", aged(account, 20, key_type="RSA-2048"))
    dedicated, other = account.seed(
        {"aliases": ["a.example.com"], "certificate": old, "ssl_support_method": "vip"},
        {"aliases": ["b.example.com"], "certificate": old},
    )

    def neutral(done: object) -> str:
        # Their order by id is random.
        return tool.neutral(str(done).replace(dedicated, "E" + "A" * 13).replace(other, "E" + "B" * 13))

    asked = (account.new(), "--old", old, "--exclude", other)
    refused = tool.run("plan", *asked, code=1)
    assert f"distribution {dedicated}: has dedicated IP addresses" in refused.out
    assert neutral(tool.run("plan", *asked, "--allow-key-change")) == snapshot(name="plan")
    name = ("--name", f"test-{account.number}")
    done = tool.run("start", *asked, "--allow-key-change", "--yes", *name, "--interval", "1")
    assert neutral(done.out) == snapshot(name="result")
    assert neutral(tool.run("report")) == snapshot(name="report")
    [new] = {one["certificate"] for one in account.distributions().values()} - {old}
    assert account.serving(dedicated, other) == [new, old]


def test_report_open_opens_the_page_in_the_browser(tool: Tool):
    old, _, source = old_and_new(tool.account)
    name = f"test-{tool.account.number}"
    tool.run("start", source, "--old", old, "--yes", "--name", name, "--interval", "1")
    opened, programs = tool.directory / "opened", tool.directory / "bin"
    programs.mkdir()
    # On a desktop a program of this name passes the page to the browser.
    (programs / "xdg-open").write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    (programs / "xdg-open").chmod(0o755)
    path = f"{programs}:{tool.environment['PATH']}"
    tool.run("report", name, "--open", PATH=path, TMPDIR=str(tool.directory))
    # The tool does not wait for the browser.
    until(lambda: opened.exists() and opened.read_text().endswith("\n"))
    assert opened.read_text().strip() == str(tool.directory / f"{name}.html")
    assert (tool.directory / f"{name}.html").read_text().startswith("<!DOCTYPE html>")


def test_start_shows_a_plan_and_asks_for_confirmation(tool: Tool):
    old, targets, source = old_and_new(tool.account)
    terminal = tool.terminal("start", source, "--old", old)
    terminal.expect("3 of 3 targets are to be moved")
    decline(terminal)
    assert tool.account.serving(*targets) == [old] * 3


def test_a_rotation_continues_when_watching_is_interrupted(tool: Tool):
    account = tool.account
    account.settings(propagation_seconds=3)
    old, targets, source = old_and_new(account)
    account.settle()
    terminal = tool.terminal("start", source, "--old", old, "--yes", "--name", f"test-{account.number}")
    terminal.expect(r"E[A-Z0-9]{13}.*propagating")
    terminal.sendintr()
    terminal.expect("continues")
    terminal.expect(pexpect.EOF)
    assert terminal.wait() == 130

    # Watch it again, this time with JSON output.
    lines = tool.run("watch", "--output", "json", "--interval", "1").out.splitlines()
    states = [json.loads(line) for line in lines]
    assert states[-1]["status"] == "SUCCEEDED" and states[-1]["done"] == states[-1]["total"] == 3
    assert any(state["inFlight"] for state in states)
    assert set(states[-1]) == {
        *("rotation", "status", "state", "total", "done", "back", "failed", "retries", "inFlight"),
    }
    assert old not in account.serving(*targets)


def test_start_shows_the_result_on_a_terminal(tool: Tool):
    old, _, source = old_and_new(tool.account)
    terminal = tool.terminal("start", source, "--old", old, "--yes", "--interval", "1")
    terminal.expect("3 moved")
    terminal.expect(pexpect.EOF)
    assert terminal.wait() == 0


def test_a_rotation_that_fails(tool: Tool, snapshot: SnapshotAssertion):
    account = tool.account
    old, targets, source = old_and_new(account)
    account.fault("UpdateDistribution", code="InvalidOrigin", status=400, times=100)
    name = f"test-{account.number}"
    started = tool.json("start", source, "--old", old, "--yes", "--name", name, "--detach", "--on-failure", "stop")
    assert started["name"] == name and started["input"]["onFailure"] == "stop"
    done = tool.run("watch", name, "--interval", "1", code=1)
    assert "failed: RotationIncomplete" in done.err and "certrotate explain RotationIncomplete" in done.err
    assert "failed: Refused" in done.err
    assert tool.neutral(tool.run("report", name).out.split("\n\n", 1)[0]) == snapshot
    assert "RotationIncomplete" in tool.run("explain", "rotationincomplete").out


def test_a_rollback_is_shown_target_by_target(tool: Tool):
    account = tool.account
    account.settings(propagation_seconds=2)
    old, targets, source = old_and_new(account)
    account.settle()
    # The first two are moved; the third is refused every time.
    account.fault("UpdateDistribution", code="InvalidWebACLId", resource=max(targets), times=99)
    name = f"test-{account.number}"
    tool.run("start", source, "--old", old, "--yes", "--name", name, "--detach")
    lines = tool.run("watch", name, "--output", "json", "--interval", "1", code=1).out.splitlines()
    states = [json.loads(line) for line in lines]
    flights = [flight for state in states for flight in state["inFlight"]]
    back = {flight["target"]["id"] for flight in flights if flight["way"] == "back"}
    assert back <= set(targets) and back, states
    assert "propagating" in {flight["step"] for flight in flights if flight["way"] == "back"}
    assert states[-1]["back"] == 2 and states[-1]["inFlight"] == []
    assert account.serving(*targets) == [old] * 3


def test_watch_retries_when_cloudfront_cannot_be_reached(tool: Tool):
    account = tool.account
    account.settings(propagation_seconds=2)
    old, _, source = old_and_new(account)
    name = f"test-{account.number}"
    tool.run("start", source, "--old", old, "--yes", "--name", name, "--detach")
    # CloudFront is polled for the targets in progress; this endpoint does not respond.
    done = tool.run("watch", name, "--interval", "1", AWS_ENDPOINT_URL_CLOUDFRONT="http://127.0.0.1:1")
    assert done.err.count("Retrying; the rotation continues.") == 1, done.err
    assert "3 moved" in done.out


def test_watch_retries_when_step_functions_cannot_be_reached(tool: Tool):
    """Each poll calls Step Functions first; these calls succeed after some time."""
    account = tool.account
    account.settings(propagation_seconds=2)
    old, _, source = old_and_new(account)
    name, port = f"test-{account.number}", free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "local_aws.fault_proxy", "--upstream", account.aws.platform, "--port", str(port)]
    environment = account.aws.environment | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_it_answers(process, f"{url}{CONTROL}/health")
            # Two polls with three attempts each.
            Proxy(url).rules([{"operation": "DescribeExecution", "reset": True, "times": 6}])
            tool.run("start", source, "--old", old, "--yes", "--name", name, "--detach")
            done = tool.run("watch", name, "--interval", "1", AWS_ENDPOINT_URL_SFN=url)
        finally:
            process.terminate()
    assert done.err.count("Retrying; the rotation continues.") == 1, done.err
    assert "3 moved" in done.out


def test_there_is_nothing_to_watch_or_to_report(tool: Tool):
    assert "There is no rotation nosuch" in tool.run("watch", "nosuch", code=1).err
    assert "There is no rotation nosuch" in tool.run("report", "nosuch", code=1).err


def test_the_commands_of_the_readme(tool: Tool):
    """Each command as the README has it, in a shell on a terminal, with yes as the answer."""
    account = tool.account
    old = account.stored("acm", aged(account, 20))
    targets = account.targets(old)
    leaf = account.leaf(*NAMES, days=199)
    (tool.directory / "fullchain.pem").write_text(leaf.certificate_pem + leaf.chain_pem)
    (tool.directory / "key.pem").write_text(leaf.key_pem)
    rotate, automate = blocks("README.md", "## Rotate", "## Compared")
    install, *commands = (rotate + automate).replace("tls/www", f"unwatched/readme-{account.number}").splitlines()
    assert install == "make certrotate RELEASE=1 && install target/release/certrotate ~/.local/bin/"
    asked, environment = [], tool.environment | {"OLD": old}
    environment["PATH"] = f"{CERTROTATE.parent}:{environment['PATH']}"
    for command in commands:
        shell = pexpect.spawn("bash", ["-c", command], env=environment, cwd=str(tool.directory), timeout=60)
        if shell.expect([r"Continue\?", pexpect.EOF]) == 0:
            asked.append(command.split()[1])
            shell.send("y")
            shell.expect(pexpect.EOF)
        assert shell.wait() == 0, command
        environment["NEW"] = account.serving(*targets)[0]
    assert asked == ["put", "start", "adopt"]
    assert set(account.serving(*targets)) == account.certificates() == {environment["NEW"]} != {old}
    [served] = [one for one in tool.json("list")["certificates"] if one["arn"] == environment["NEW"]]
    assert served["source"] == f"unwatched/readme-{account.number}" and len(served["targets"]) == 3


# --- explain, completions, man pages


def test_explain(tool: Tool, snapshot: SnapshotAssertion):
    assert tool.run("explain").out == snapshot(name="all")
    assert tool.run("explain", "AlreadyRunning").out == snapshot
    assert tool.json("explain", "LookMissingAlarm")["chapter"] == "Alarms"
    assert "lists all" in tool.run("explain", "Nonsense", code=2).err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(tool: Tool, shell: str):
    script = tool.run("completions", shell).out
    assert "certrotate" in script and "retain-old-days" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_manual_pages(tool: Tool):
    tool.run("man", tool.directory / "man")
    pages = {page.name for page in (tool.directory / "man").iterdir()}
    assert {"certrotate.1", "certrotate-start.1", "certrotate-watch.1"} <= pages


def test_help(tool: Tool, snapshot: SnapshotAssertion):
    assert tool.run("--help").out == snapshot
    commands = ("check", "put", "list", "plan", "adopt", "start", "watch", "report", "explain", "deploy", "undeploy")
    for command in commands:
        shown = tool.run(command, "--help").out
        assert "Example" in shown and f"certrotate {command}" in shown
        assert shown == snapshot(name=command)


# --- Errors before anything starts


def test_wrong_arguments(tool: Tool, snapshot: SnapshotAssertion):
    for arguments in (
        ("lst",),
        ("check",),
        ("start", "tls/www", "--concurrency", "many"),
        ("start", "tls/www", "--keep-old", "--retain-old-days", "7"),
        ("adopt", "nonsense", "--source", "tls/www"),
    ):
        assert tool.run(*arguments, code=2).err == snapshot(name=" ".join(arguments))


def test_no_stack(tool: Tool, snapshot: SnapshotAssertion):
    assert tool.run("watch", "--stack", "other", code=3).err == snapshot(name="named")
    assert tool.run("watch", "--region", "eu-central-1", code=3).err == snapshot(name="elsewhere")
    tool.run("watch", "nosuch", "--stack", STACK, code=1)


def test_no_credentials(tool: Tool, snapshot: SnapshotAssertion):
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert tool.run("list", code=3, without=keys).err == snapshot
    assert tool.run("list", "--profile", "nosuch", code=3, without=keys).err == snapshot(name="profile")


def test_an_expired_token_and_a_missing_permission(tool: Tool, snapshot: SnapshotAssertion):
    tool.account.fault("ListCertificates", "acm", code="ExpiredTokenException", status=400, message="expired")
    assert tool.run("list", code=3).err == snapshot(name="expired")
    tool.account.fault("ListCertificates", "acm", code="AccessDeniedException", status=400, message="not allowed")
    assert tool.run("list", code=3).err == snapshot(name="denied")


def test_an_endpoint_that_cannot_be_reached(tool: Tool):
    done = tool.run("list", code=3, AWS_ENDPOINT_URL_ACM="http://127.0.0.1:1")
    assert "the connection failed" in done.err and len(done.err.splitlines()) == 1


def test_a_closed_pipe_is_no_error(tool: Tool):
    process = subprocess.Popen([CERTROTATE, "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.wait(30) in (0, -signal.SIGPIPE)
    assert process.stderr.read() == b""


def test_check_accepts_a_json_source(tool: Tool):
    """A JSON file in the documented format is accepted."""
    leaf = tool.account.leaf(*NAMES, days=199)
    path = tool.directory / "bundle.json"
    path.write_text(as_json(leaf))
    assert tool.json("check", path)["fit"]


# --- The permissions it needs


@contextmanager
def heard(account: Account) -> Iterator[tuple[dict[str, str], Proxy]]:
    """An environment in which all calls to both halves of the local AWS are recorded, and the proxies that record."""
    environment, urls = dict(account.aws.environment), []
    with ExitStack() as stack:
        for upstream in (account.aws.platform, account.aws.services):
            port = free_port()
            urls.append(f"http://127.0.0.1:{port}")
            command = [sys.executable, "-m", "local_aws.fault_proxy", "--upstream", upstream, "--port", str(port)]
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    env=account.aws.environment | {"PYTHONPATH": str(ROOT / "tests")},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.terminate)
            wait_until_it_answers(process, f"{urls[-1]}{CONTROL}/health")
            environment = {
                name: urls[-1] if name.startswith("AWS_ENDPOINT_URL") and value == upstream else value
                for name, value in environment.items()
            }
        yield environment, Proxy(*urls)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def documented(command: str) -> set[str]:
    """The actions that a command needs according to the pages: the policy for callers, and its rows in the table."""
    page = (ROOT / "docs/deployment.md").read_text().partition("## Who may start a rotation")[2]
    policy = json.loads(page.partition("```json")[2].partition("```")[0])
    found = {action for one in policy["Statement"] for action in listed(one["Action"])}
    table = (ROOT / "docs/certrotate.md").read_text().partition("\n## What it needs\n")[2]
    for commands, actions in re.findall(r"^\| (.*?) \| (.*?) \|$", table, re.MULTILINE):
        everybody = commands.startswith("all but") and f"`{command}`" not in commands
        if everybody or (f"`{command}`" in commands and not commands.startswith("all but")):
            service = ""
            for name in re.findall(r"`((?:[a-z0-9]+:)?[A-Z]\w+)`", actions):
                service = name.rpartition(":")[0] or service
                found.add(f"{service}:{name.rpartition(':')[2]}")
            if "reading the source" in actions:
                found.add("secretsmanager:GetSecretValue")
            if "those of `list`" in actions:
                found |= documented("list")
    return found


# The IAM actions of calls where the names differ.
DECIDED_AS = {"s3:ListObjectsV2": "s3:ListBucket"}
SERVICES = {"resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas", "stepfunctions": "states"}


def test_its_calls_are_the_permissions_on_the_page(tool: Tool):
    account = tool.account
    old, _, source = old_and_new(account)
    account.stored("iam", aged(account, 10))
    name = f"test-{account.number}"
    commands = {
        "list": ["list"],
        "adopt": ["adopt", old, "--source", source, "--yes"],
        # Without --old, which requires one more action.
        "plan": ["plan", source],
        "put": ["put", tool.file(account.leaf(*NAMES, days=300)), "--source", source, "--yes"],
        "start": ["start", source, "--old", old, "--yes", "--name", name, "--detach"],
        "watch": ["watch", name, "--interval", "1"],
        "report": ["report", name],
    }
    with heard(account) as (environment, proxy):
        for command, arguments in commands.items():
            # A latency of zero, so that every call is recorded like a fault.
            proxy.rules([{"latency": {"dist": "uniform", "min_ms": 0, "max_ms": 0}}])
            tool.run(*arguments, **{k: v for k, v in environment.items() if k.startswith("AWS_ENDPOINT")})
            called = {f"{SERVICES.get(one.service, one.service)}:{one.operation}" for one in proxy.fired()}
            assert called, command
            assert {DECIDED_AS.get(call, call) for call in called} - documented(command) == set(), command
