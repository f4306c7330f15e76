"""`make acceptance` on the local AWS: the same suite and code, with other endpoints.

Every bad input must result in one clear sentence and leave nothing in the account.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.__main__ import Teller, main
from acceptance.names import TAG, Run
from acceptance.page import Played, Record, numbers
from acceptance.preflight import read_pair
from acceptance.questions import QUESTIONS
from acceptance.removal import of_run
from acceptance.scenes import SCENES, names_for
from acceptance.states import Asked, Passage, StateAnswer, passages_of
from acceptance.sweep import main as sweep
from local_aws.pki import Authority, Leaf, key_pem
from local_aws.platform import ROOT, LocalAws, free_port

DOMAIN = "cdn.example.com"
EARLIER = "certrot-acc-202611270000-abcd"


class Person:
    """An operator at a terminal with two certificates who runs the command."""

    def __init__(self, aws: LocalAws, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aws, self.folder, self.monkeypatch = aws, folder, monkeypatch
        self.records = folder / "records"
        self.more: tuple[str, ...] = ()
        self.pairs = {"old": self.pair("old", days=30), "new": self.pair("new", days=90)}
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in aws.environment.items():
            if name.startswith(("AWS_", "SSL_")):
                monkeypatch.setenv(name, value)
        # Without access to the credentials of the user who runs the tests.
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(folder / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def leaf(self, *names: str, days: float, authority: Authority | None = None) -> Leaf:
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        begins = min(dt.datetime.now(dt.UTC), ends) - dt.timedelta(hours=1)
        names = names or (DOMAIN, f"*.{DOMAIN}")
        return (authority or self.aws.intermediate).leaf(*names, not_before=begins, not_after=ends)

    def pair(self, which: str, *names: str, days: float, authority: Authority | None = None) -> list[Path]:
        """Writes a certificate and its key to two files."""
        leaf = self.leaf(*names, days=days, authority=authority)
        certificate, key = self.folder / f"{which}.pem", self.folder / f"{which}.key"
        certificate.write_text(leaf.certificate_pem + leaf.chain_pem)
        key.write_text(leaf.key_pem)
        return [certificate, key]

    def command(self, *more: str, domain: str = DOMAIN) -> list[str]:
        pairs = [text for which, files in self.pairs.items() for text in (f"--{which}", *map(str, files))]
        hurry = ("--poll-seconds", "0.1", "--settle-seconds", "0", "--folder", str(self.records))
        hurry += ("--template", str(self.aws.template))
        return ["run", "--domain", domain, *pairs, *hurry, *self.more, *more]

    def left(self) -> list[str]:
        """All resources in the account that a run could have created."""
        state = self.aws.state()
        found = [one["id"] for one in state["distributions"] + state["tenants"]]
        found += [one["CertificateArn"] for one in state["acm_certificates"]]
        found += [one["ServerCertificateName"] for one in state["iam_certificates"]]
        found += [one["Name"] for one in self.aws.client("s3").list_buckets()["Buckets"]]
        found += [one["Name"] for one in self.aws.client("secretsmanager").list_secrets()["SecretList"]]
        found += [one["Name"] for one in self.aws.client("wafv2").list_web_acls(Scope="CLOUDFRONT")["WebACLs"]]
        found += [
            one["Name"] for one in self.aws.client("cloudfront").list_functions()["FunctionList"].get("Items", [])
        ]
        stacks = self.aws.client("cloudformation").describe_stacks()["Stacks"]
        found += [one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"]
        functions = self.aws.client("lambda").list_functions()["Functions"]
        return found + [one["FunctionName"] for one in functions]

    def record(self) -> Path:
        """The folder of the only run."""
        [folder] = self.records.iterdir()
        return folder


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002) as aws:
        yield aws


@pytest.fixture
def person(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    aws.control("POST", "reset")
    person = Person(aws, tmp_path, monkeypatch)
    yield person
    aws.control("DELETE", "faults")


def test_a_run_keeps_every_promise(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(person.command("--yes"))
    said = capsys.readouterr()
    assert code == 0, said.out[-3000:] + said.err
    assert person.left() == []
    page = (person.record() / "answers.md").read_text()
    for sentence in [scene.promise for scene in SCENES] + [question.text for question in QUESTIONS]:
        assert sentence in page
    assert f"Passed: {len(SCENES)} of {len(SCENES)} promises kept" in page
    assert "local AWS, **so nothing here says anything about AWS**" in page
    assert "a bucket that LogBuckets does not name" in page
    # Everything that costs money is listed before anything is created.
    before, _, _ = said.out.partition("Certificates, a web ACL")
    assert "certrot-acc-" in before and "USD" in before and DOMAIN in before
    written = "".join(path.read_text(errors="replace") for path in person.record().rglob("*") if path.is_file())
    # The account id is replaced by another number.
    assert ":000000000000:" not in written
    for _, key in person.pairs.values():
        assert not any(line in written for line in key.read_text().splitlines()[1:-1])


def test_a_private_authority(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    root = Authority.root("Private Root")
    roots = person.folder / "roots.pem"
    roots.write_text(root.certificate_pem)
    for which, days in (("old", 30), ("new", 90)):
        person.pair(which, days=days, authority=root.intermediate())
    # Here the packages are unpacked in another folder, and programs are started there.
    person.monkeypatch.setattr("acceptance.account.ROOTS_FILE", "roots.pem")
    code = main(person.command("--yes", "--roots", str(roots)))
    said = capsys.readouterr()
    assert code == 0, said.out[-3000:] + said.err
    assert "verifyViewers is off" in said.out and "has not been tested" in said.out
    assert "uncovered: left out" in said.out and "tenant: left out" in said.out
    assert f"{len(SCENES) - 2} of {len(SCENES)} promises kept" in said.out
    assert person.left() == []


def bad_files(person: Person, what: str) -> None:
    """Changes the files as the case says."""
    old, new = person.pairs["old"], person.pairs["new"]
    match what:
        case "neither covers":
            person.pair("old", "www.example.org", days=30)
            person.pair("new", "www.example.org", days=90)
        case "about to expire":
            person.pair("old", days=3)
        case "expired":
            person.pair("old", days=-1)
        case "swapped":
            person.pairs = {"old": new, "new": old}
        case "the same":
            person.pairs["new"] = old
        case "no PEM":
            old[0].write_text("nonsense")
        case "broken PEM":
            old[0].write_text("-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
        case "another key":
            old[1].write_text(new[1].read_text())
        case "encrypted key":
            old[1].write_text(key_pem(person.leaf(days=30).key, password="secret"))
        case "no file":
            old[1].unlink()
        case "unknown authority":
            person.pair("old", days=30, authority=Authority.root("Private Root").intermediate())
        case "another root":
            bad_files(person, "unknown authority")
            roots = person.folder / "roots.pem"
            roots.write_text(Authority.root("Another Root").certificate_pem)
            person.more = ("--roots", str(roots))
        case _:
            raise ValueError(what)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("neither covers", ("OLD does not cover cdn.example.com (it is for www.example.org)", "NEW does not cover")),
        ("about to expire", ("OLD expires at", "more than 7 days")),
        ("expired", ("OLD expired at", "more than 7 days")),
        ("swapped", ("NEW expires no later than OLD", "swap them")),
        ("the same", ("OLD and NEW are the same certificate",)),
        ("no PEM", ("OLD: ", "contains no certificate")),
        ("broken PEM", ("OLD: ", "broken PEM")),
        ("another key", ("OLD: the key in", "is not that of the certificate")),
        ("encrypted key", ("OLD: the key in", "is encrypted", "openssl pkey")),
        ("no file", ("OLD: cannot read", "old.key")),
        ("unknown authority", ("OLD: no public authority issued it", "ROOTS=root.pem")),
        ("another root", ("OLD does not lead to a root in", "roots.pem")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_files(person: Person, capsys: pytest.CaptureFixture[str], what: str, words: tuple[str, ...]) -> None:
    bad_files(person, what)
    refused(person, capsys, words)


def without_credentials(person: Person) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        person.monkeypatch.delenv(name)


def without_network(person: Person) -> None:
    person.monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    # No retries: the attempts must fail anyway.
    person.monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (without_credentials, ("No usable AWS credentials", "aws sso login")),
        (lambda person: person.monkeypatch.setenv("AWS_PROFILE", "nobody"), ("nobody", "correct AWS_PROFILE")),
        (without_network, ("AWS cannot be reached", "AWS_ENDPOINT_URL")),
        (lambda person: person.monkeypatch.setenv("AWS_REGION", "eu-central-1"), ("eu-central-1", "us-east-1 only")),
        (
            lambda person: (
                person.monkeypatch.delenv("AWS_REGION") or person.monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            ),
            ("eu-west-1",),
        ),
    ],
    ids=["no credentials", "no profile", "no network", "region", "default region"],
)
def test_a_bad_environment(
    person: Person, capsys: pytest.CaptureFixture[str], prepare: Callable[[Person], Any], words: tuple[str, ...]
) -> None:
    prepare(person)
    refused(person, capsys, words)


def test_a_domain_that_is_not_a_host_name(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    refused(person, capsys, ("DOMAIN https://cdn.example.com is not a host name",), domain="https://cdn.example.com")


def test_without_a_terminal_and_without_yes_nothing_is_created(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(person, capsys, ("no terminal to ask", "YES=1", "Nothing was created"), yes=False)


def test_the_answer_no_creates_nothing(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    person.monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    person.monkeypatch.setattr("builtins.input", lambda _: "n")
    refused(person, capsys, ("Nothing was made.",), yes=False)


def refused(
    person: Person, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], yes: bool = True, **how: str
) -> None:
    """The command must exit with 2 and these words, and create nothing in the account or the folder."""
    assert main(person.command(*["--yes"] * yes, **how)) == 2
    # The test's own clients would read it.
    person.monkeypatch.delenv("AWS_PROFILE", raising=False)
    said = capsys.readouterr().err
    for word in words:
        assert word in said, said
    assert "Traceback" not in said
    assert person.left() == []
    assert not person.records.exists()
    made = [
        call for call in person.aws.state()["calls"] if not call["operation"].startswith(("List", "Get", "Describe"))
    ]
    assert made == []


def test_an_account_that_may_not_create_distributions(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    message = "Your account must be verified before you can add new CloudFront resources."
    person.aws.control(
        "POST",
        "faults",
        {
            "service": "cloudfront",
            "operation": "CreateDistributionWithTags",
            "code": "AccessDenied",
            "status": 403,
            "message": message,
        },
    )
    assert main(person.command("--yes")) == 2
    said = capsys.readouterr()
    assert "This account may not create distributions" in said.err and "Your account must be verified" in said.err
    assert "Everything that was created has been removed." in said.out
    assert person.left() == []


def test_an_earlier_run_that_is_incomplete(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    s3, acm, secrets = (person.aws.client(service) for service in ("s3", "acm", "secretsmanager"))
    tags = [{"Key": TAG, "Value": EARLIER}]
    for bucket in (f"{EARLIER}-logs", f"{EARLIER}-untagged", "certrot-accounting"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=f"{EARLIER}-logs", Key="a/log", Body=b"-")
    s3.put_bucket_tagging(Bucket=f"{EARLIER}-logs", Tagging={"TagSet": tags})
    leaf = person.leaf(days=30)
    for tagged in (tags, [{"Key": TAG, "Value": f"{EARLIER}-and-more"}]):
        acm.import_certificate(
            Certificate=leaf.certificate_pem, PrivateKey=leaf.key_pem, CertificateChain=leaf.chain_pem, Tags=tagged
        )
    secrets.create_secret(Name=f"{EARLIER}/new", SecretString="-", Tags=tags)
    before = person.left()

    assert main(person.command("--yes")) == 2
    said = capsys.readouterr().err
    for word in (EARLIER, f"RUN={EARLIER}", "acceptance-sweep", "BESIDE=1", f"bucket {EARLIER}-logs"):
        assert word in said, said
    assert person.left() == before

    # The command that the message gives.
    assert sweep(["--run", EARLIER, "--yes", "--poll-seconds", "0.1"]) == 0
    left = person.left()
    # A name or a tag alone is not enough, nor a name that only resembles one.
    assert len(left) == 3 and {f"{EARLIER}-untagged", "certrot-accounting"} < set(left), left
    for bucket in (f"{EARLIER}-untagged", "certrot-accounting"):
        s3.delete_bucket(Bucket=bucket)


def test_a_promise_that_is_not_kept(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    # With one name and no wildcard the tenant has the only alias: when it fails, the scene that needs one is left out.
    person.pairs = {"old": person.pair("old", DOMAIN, days=30), "new": person.pair("new", DOMAIN, days=90)}
    fault = {"service": "acm", "operation": "DeleteCertificate", "code": "AccessDeniedException", "status": 400}
    person.aws.control("POST", "faults", fault | {"times": 1})
    ownership = "Could not verify Domain Name ownership. It may not be pointing to a valid CloudFront resource."
    tenant = {"service": "cloudfront", "operation": "CreateDistributionTenant", "code": "InvalidArgument"}
    person.aws.control("POST", "faults", tenant | {"message": ownership})
    assert main(person.command("--yes", "--log-rights")) == 1
    said = capsys.readouterr()
    assert "a bucket that LogBuckets names" in said.out
    assert "rotate: NOT KEPT: " in said.out and "AccessDenied" in said.out, said.out[-3000:]
    assert f"tenant: NOT KEPT: AWS refused CreateDistributionTenant: InvalidArgument: {ownership}" in said.out
    assert "uncovered: left out" in said.out
    assert f"NOT passed: {len(SCENES) - 3} of {len(SCENES)} promises kept" in said.out
    assert person.left() == []


@pytest.mark.parametrize("at", ["Certificates, a web ACL", "rotate: ACM to ACM"])
def test_interrupted(person: Person, at: str) -> None:
    command = [sys.executable, "-m", "acceptance", *person.command("--yes")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Jobs that a shell starts in the background ignore SIGINT, and so do their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        said = ""
        assert process.stdout
        for line in process.stdout:
            if at in line and at not in said:
                process.send_signal(signal.SIGINT)
            said += line
    assert process.returncode == 130, said
    assert "Interrupted." in said and "Everything that was created has been removed." in said
    assert "Traceback" not in said
    assert person.left() == []
    assert "It ended early: Interrupted." in (person.record() / "answers.md").read_text()


class Nobody(io.StringIO):
    """A terminal that has been closed."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_closed_terminal_does_not_stop_the_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed terminal must not stop the removal."""
    monkeypatch.setattr("sys.stdout", Nobody())
    Teller()("Removing")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((DOMAIN,), (DOMAIN,), {"tenant": DOMAIN}),
        # The other name may be served by another user's distribution.
        ((DOMAIN, "www.example.com"), (DOMAIN, "www.example.com"), {"tenant": DOMAIN}),
        ((DOMAIN, "*.example.com"), (DOMAIN, "*.example.net"), {"tenant": DOMAIN}),
        (
            ("*.example.com",),
            (DOMAIN, "*.example.com"),
            {part: f"r-{part}.example.com" for part in ("web-acl", "logs", "function", "tenant")},
        ),
    ],
)
def test_which_part_gets_which_name(
    person: Person, old: tuple[str, ...], new: tuple[str, ...], expected: dict[str, str]
) -> None:
    pairs = [read_pair(which, *person.pair(which, *names, days=9)) for which, names in (("OLD", old), ("NEW", new))]
    assert names_for(DOMAIN, *pairs, "r") == expected


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        (EARLIER, EARLIER, EARLIER),
        (f"{EARLIER}-logs", EARLIER, EARLIER),
        (f"{EARLIER}/new", EARLIER, EARLIER),
        # Named by AWS or by another user.
        (None, EARLIER, EARLIER),
        (f"{EARLIER}-logs", None, None),
        (f"{EARLIER}-logs", "certrot-acc-202611270001-abcd", None),
        (f"{EARLIER}-logs", f"{EARLIER}-logs", None),
        ("production", EARLIER, None),
        (None, None, None),
        (None, "yes", None),
    ],
)
def test_a_resource_is_assigned_to_a_run_by_name_and_tag(
    name: str | None, tag: str | None, expected: str | None
) -> None:
    tags = [{"Key": "team", "Value": EARLIER}] + ([{"Key": TAG, "Value": tag}] if tag else [])
    found = of_run(name, tags)
    assert (found and found.name) == expected


def event(number: int, before: int | None, kind: str, **details: Any) -> dict[str, Any]:
    """An event of an execution's history."""
    named = {f"{name}EventDetails": value for name, value in details.items()}
    return {"id": number, "type": kind, **named} | ({} if before is None else {"previousEventId": before})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [
                event(1, 0, "ExecutionStarted"),
                event(2, 1, "TaskStateEntered", stateEntered={"name": "A", "input": "1"}),
                event(3, 2, "LambdaFunctionFailed", lambdaFunctionFailed={"error": "Throttled", "cause": "c"}),
                event(4, 3, "LambdaFunctionSucceeded", lambdaFunctionSucceeded={"output": "2"}),
                event(5, 4, "TaskStateExited", stateExited={"name": "A", "output": "3"}),
                event(6, 5, "SucceedStateEntered", stateEntered={"name": "B", "input": "3"}),
                event(7, 6, "SucceedStateExited", stateExited={"name": "B"}),
            ],
            [Passage("A", "1", "2", None, "B"), Passage("B", "3", None, None, None)],
        ),
        (
            [
                event(1, 0, "TaskStateEntered", stateEntered={"name": "A", "input": "1"}),
                event(2, 1, "LambdaFunctionFailed", lambdaFunctionFailed={"error": "Refused", "cause": "c"}),
                event(3, 2, "TaskStateExited", stateExited={"name": "A", "output": "3"}),
                event(4, 3, "PassStateEntered", stateEntered={"name": "Caught", "input": "3"}),
            ],
            [Passage("A", "1", None, {"error": "Refused", "cause": "c"}, "Caught")],
        ),
        # Two iterations in parallel: each is a separate chain of events.
        (
            [
                event(1, 0, "MapStateEntered", stateEntered={"name": "M", "input": "[]"}),
                event(2, 1, "PassStateEntered", stateEntered={"name": "A", "input": "1"}),
                event(3, 1, "PassStateEntered", stateEntered={"name": "A", "input": "2"}),
                event(4, 2, "PassStateExited", stateExited={"name": "A"}),
                event(5, 3, "PassStateExited", stateExited={"name": "A"}),
                event(6, 4, "PassStateEntered", stateEntered={"name": "B", "input": "1"}),
            ],
            [Passage("A", "1", None, None, "B"), Passage("A", "2", None, None, None)],
        ),
        # Unlike on AWS: without previousEventId, iterations of a Map cannot be told apart.
        (
            [
                event(1, None, "MapStateEntered", stateEntered={"name": "M", "input": "[]"}),
                event(2, None, "PassStateEntered", stateEntered={"name": "A", "input": "1"}),
                event(3, None, "PassStateExited", stateExited={"name": "A"}),
                event(4, None, "MapStateExited", stateExited={"name": "M"}),
                event(5, None, "PassStateEntered", stateEntered={"name": "B", "input": "2"}),
            ],
            [Passage("M", "[]", None, None, "B")],
        ),
    ],
    ids=["retried", "caught", "side by side", "without links"],
)
def test_states_are_followed(events: list[dict[str, Any]], expected: list[Passage]) -> None:
    assert list(passages_of(events)) == expected


TASK = {"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]}


class Service:
    """A TestState that returns the same for every call."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def test_state(self, **asked: Any) -> dict[str, Any]:
        if "mock" in asked and "errorOutput" not in asked["mock"]:
            assert asked["context"], "a task reads the context"
        return self.answer


@pytest.mark.parametrize(
    ("answer", "agrees", "retried"),
    [
        ({"status": "SUCCEEDED", "nextState": "B"}, True, None),
        ({"status": "SUCCEEDED", "nextState": "C"}, False, None),
        ({"status": "SUCCEEDED"}, False, None),
        ({"status": "FAILED", "error": "States.Runtime"}, False, None),
        ({"status": "RETRIABLE", "inspectionData": {"errorDetails": {"retryIndex": 1}}}, False, True),
        ({"status": "CAUGHT_ERROR", "nextState": "C"}, False, None),
        (
            {"status": "CAUGHT_ERROR", "nextState": "C", "inspectionData": {"errorDetails": {"catchIndex": 0}}},
            False,
            False,
        ),
    ],
)
def test_responses_of_test_state_are_compared(answer: dict[str, Any], agrees: bool, retried: bool | None) -> None:
    asked = Asked(Service(answer), "role")
    assert asked.about("A", TASK, "as it was entered", "B", "{}", {"result": "{}"}).agrees is agrees
    assert asked.about_retry("A", TASK, "Throttled", "{}").agrees is retried


def test_when_a_run_has_passed() -> None:
    run = Run.parse(EARLIER)
    assert run

    def record(**changed: Any) -> Record:
        played = [Played(scene, "", 1) for scene in SCENES]
        agreeing = [StateAnswer("A", "", "B", "B", True)]
        return Record(run, run.started, "", **{"scenes": played, "states": agreeing, **changed})

    first, *others = record().scenes
    left_out = Played(first.scene, "left out: no alias", 0)
    assert record().passed()
    assert record(scenes=[left_out, *others], left_out=[first.scene.name]).passed()
    differing = [*record().states, StateAnswer("A", "", "B", "C", False)]
    for changed in (
        {"scenes": others},
        {"scenes": [Played(first.scene, "not so", 1), *others]},
        {"left": ["a bucket"]},
        {"stopped": "Interrupted."},
        {"states": []},
        {"states": differing},
    ):
        assert not record(**changed).passed(), changed


def test_numbers_of_files() -> None:
    files = ("00001-a.json", "00002-b.json", "00003-c.json", "00007-d.json", "00010-e.json", "00011-f.json")
    assert numbers(files) == "1 to 3, 7, 10 to 11"
