"""certrotate deploy and undeploy, from an unpacked archive alone, on a local AWS without a stack."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pexpect
import pytest

from local_aws import built
from local_aws.platform import CERTROTATE, STACK, LocalAws
from release import system
from release.archive import tarred, write_sums, zipped
from rotations.account import Account
from rotations.leaks import assert_no_key_is_left
from rotations.test_certrotate import DECIDED_AS, NAMES, Done, decline, heard, listed

OWN_BUCKET = "certificate-rotation-artifacts-000000000000-us-east-1"
OURS = "Replaces third-party TLS certificates on CloudFront distributions, unattended."
EMPTY = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002) as aws:
        yield aws


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The packages of the debug build, by function."""
    folder = tmp_path_factory.mktemp("packages")

    def package(name: str) -> bytes:
        built.package(name, folder / name)
        return (folder / name / "bootstrap.zip").read_bytes()

    names = system.names()
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(package, names), strict=True))


def release(
    folder: Path,
    packages: dict[str, bytes],
    version: str = system.version(),
    edit: Callable[[str], str] = str,
) -> Path:
    """The unpacked archive of a version, with an edited template."""
    system.write(folder, "x86_64", packages)
    template = folder / "template.yaml"
    text = edit(template.read_text()).replace(f"    Value: {system.version()}\n", f"    Value: {version}\n")
    template.write_text(text)
    (folder / "VERSION").write_text(f"{version}\n")
    write_sums(folder)
    return folder


class Bare:
    """A machine with nothing but certrotate: no PATH, and no variables but those of the local AWS."""

    def __init__(self, aws: LocalAws, home: Path) -> None:
        self.aws = aws
        self.home = home
        self.environment = {name: value for name, value in aws.environment.items() if name.startswith("AWS_")}
        self.environment |= {
            "PATH": "",
            "HOME": str(home),
            "SSL_CERT_FILE": aws.environment["SSL_CERT_FILE"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "TERM": "xterm-256color",
        }

    def run(self, *arguments: str | Path, code: int = 0, **environment: str) -> Done:
        done = subprocess.run(
            [CERTROTATE, *map(str, arguments)],
            env=self.environment | environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def deploy(self, *arguments: str | Path, code: int = 0, **environment: str) -> Done:
        return self.run("deploy", *arguments, "--yes", "--interval", "1", code=code, **environment)

    def undeploy(self, *arguments: str | Path, code: int = 0) -> Done:
        return self.run("undeploy", *arguments, "--yes", "--interval", "1", code=code)

    def terminal(self, *arguments: str | Path, **environment: str) -> pexpect.spawn:
        return pexpect.spawn(
            str(CERTROTATE),
            [str(argument) for argument in arguments],
            env=self.environment | environment,
            cwd=str(self.home),
            dimensions=(60, 120),
            encoding="utf-8",
            # The terminal's echo of Ctrl-C may split a character of the bar.
            codec_errors="replace",
            timeout=60,
        )

    def stack(self, name: str = STACK) -> Any:
        """The stack; None if there is none."""
        stacks = self.aws.client("cloudformation").describe_stacks()["Stacks"]
        return next((one for one in stacks if one["StackName"] == name), None)

    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.stack()["Outputs"]}

    def parameters(self) -> dict[str, str]:
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.stack()["Parameters"]}

    def buckets(self) -> set[str]:
        return {one["Name"] for one in self.aws.client("s3").list_buckets()["Buckets"]}


@pytest.fixture
def bare(aws: LocalAws, tmp_path: Path) -> Iterator[Bare]:
    aws.control("POST", "reset")
    bare = Bare(aws, tmp_path)
    yield bare
    # Each test starts without a stack.
    cloudformation = aws.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        cloudformation.delete_stack(StackName=stack["StackName"])
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=stack["StackId"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )


def test_from_the_archive_to_a_rotation_and_back_to_nothing(bare: Bare, packages: dict[str, bytes]):
    name = f"certificate-rotation-{system.version()}-x86_64"
    archive = tarred(release(bare.home / "made" / name, packages))
    (bare.home / "archive.tar.gz").write_bytes(archive)
    with tarfile.open(bare.home / "archive.tar.gz") as unpacked:
        unpacked.extractall(bare.home, filter="data")

    done = bare.deploy(name, "-p", "LookSchedule=cron(0 0 1 1 ? 2199)", "--tags", "team=web")
    assert f"The bucket {OWN_BUCKET} is created" in done.err
    assert re.search(r"^ Add +11 +AWS::Lambda::Function$", done.err, re.MULTILINE), done.err
    assert f"The stack {STACK} is created with version {system.version()}: " in done.err
    assert done.err.count("Uploading ") == 12
    assert re.search(rf"CREATE_COMPLETE +{STACK}  AWS::CloudFormation::Stack$", done.err, re.MULTILINE)
    assert f"✓ {STACK}  version {system.version()}" in done.out and "Next:" in done.out
    assert bare.outputs()["Version"] == system.version()
    assert {"Key": "team", "Value": "web"} in bare.stack()["Tags"]

    bare.aws.outputs = bare.outputs()
    account = Account(bare.aws)
    old = account.old("iam")
    targets = account.targets(old, 3)
    leaf = account.leaf(*NAMES, days=199)
    (bare.home / "bundle.pem").write_text(leaf.certificate_pem + leaf.chain_pem + leaf.key_pem)
    # The commands that a deployment ends with.
    assert old in bare.run("list").out
    bare.run("put", "bundle.pem", "--source", "tls/www", "--yes")
    assert "3" in bare.run("plan", "tls/www", "--old", old).out
    bare.run("adopt", old, "--source", "tls/www", "--yes")
    bare.run("start", "tls/www", "--old", old, "--yes", "--interval", "1")
    assert old not in account.serving(*targets)
    assert_no_key_is_left(bare.aws)

    same = bare.deploy(name)
    assert f"{STACK} has version {system.version()} already: nothing to change." in same.out
    assert "Uploading" not in same.err
    assert bare.aws.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"][1:] == []

    plans = bare.outputs()["RotationBucketName"]
    shown = bare.run("undeploy", "--dry-run").out
    assert f"The bucket {plans}: it has the plans and reports" in shown and f"The bucket {OWN_BUCKET}: " in shown
    assert bare.stack()
    done = bare.undeploy("--artifacts")
    assert f"✓ {STACK} is deleted." in done.out
    assert bare.stack() is None and bare.buckets() == {plans}
    assert account.serving(*targets) and old not in account.serving(*targets)
    assert "nothing to remove" in bare.undeploy().out
    # What the page says of the rest.
    aws_cli(bare, f"aws s3 rb --force s3://{plans}")
    assert bare.buckets() == set()


def test_a_dry_run_deploys_nothing(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    assert "--yes" in bare.run("deploy", folder, "--dry-run", code=2).err
    assert OWN_BUCKET not in bare.buckets()
    shown = bare.deploy(folder, "--dry-run").out
    assert "nothing was deployed" in shown
    assert re.search(r"^ Add +RotationStateMachine +AWS::StepFunctions::StateMachine", shown, re.MULTILINE)
    assert bare.stack() is None
    objects = bare.aws.client("s3").list_objects_v2(Bucket=OWN_BUCKET)["Contents"]
    assert [Path(one["Key"]).suffix for one in objects] == [".yaml"]

    bare.deploy(folder)
    changes = json.loads(bare.run("deploy", folder, "-p", "AlarmDays=7", "--dry-run", "--output", "json").out)
    assert changes["outcome"] == "dryRun" and changes["previousVersion"] == system.version()
    assert {"ReplacementMissingAlarm"} <= {one["resource"] for one in changes["changes"]}
    assert bare.parameters()["AlarmDays"] == "14"
    assert bare.aws.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"][1:] == []


def test_the_bucket_is_closed(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    bare.deploy(folder, "--bucket", "of-my-own", "--dry-run")
    s3 = bare.aws.client("s3")
    closed = s3.get_public_access_block(Bucket="of-my-own")["PublicAccessBlockConfiguration"]
    assert all(closed.values()) and len(closed) == 4
    [rule] = s3.get_bucket_encryption(Bucket="of-my-own")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    [statement] = json.loads(s3.get_bucket_policy(Bucket="of-my-own")["Policy"])["Statement"]
    assert statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_is_an_answer(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    bare.deploy(folder, "--bucket", "of-my-own", "--dry-run")
    decline(bare.terminal("deploy", folder, "--bucket", "of-my-own"))
    assert bare.stack() is None
    bare.deploy(folder, "--bucket", "of-my-own")
    decline(bare.terminal("deploy", folder, "--bucket", "of-my-own", "-p", "AlarmDays=7"))
    decline(bare.terminal("undeploy", "--bucket", "of-my-own"))
    assert bare.parameters()["AlarmDays"] == "14"
    terminal = bare.terminal("deploy", folder, "--bucket", "of-my-own", "-p", "AlarmDays=7")
    terminal.expect(r"Continue\?")
    terminal.send("y")
    terminal.expect("✓")
    terminal.expect(pexpect.EOF)
    assert terminal.wait() == 0 and bare.parameters()["AlarmDays"] == "7"


def test_an_upgrade_keeps_parameters_and_the_way_back_is_asked_for(bare: Bare, packages: dict[str, bytes]):
    first = release(bare.home / "first", packages)
    changed = packages | {"report-rotation": zipped({"bootstrap": b"another"})}
    second = release(bare.home / "second", changed, "0.2.0")
    (bare.home / "parameters.json").write_text(json.dumps({"AlarmDays": 7, "NoticeEmail": "ops@example.com"}))
    done = bare.deploy(first, "--parameters", "parameters.json")
    assert "AWS asks ops@example.com to confirm" in done.out

    done = bare.deploy(second, "-p", "NoticeDays=30,7")
    assert f"goes from version {system.version()} to 0.2.0" in done.err
    assert re.search(r"^ Modify +ReportRotationFunction ", done.err, re.MULTILINE)
    # The file that has changed, and nothing else.
    assert re.findall("Uploading (.*) [(]", done.err) == ["report-rotation.zip"]
    assert bare.outputs()["Version"] == "0.2.0"
    kept = bare.parameters()
    assert (kept["AlarmDays"], kept["NoticeDays"], kept["LogRetentionDays"]) == ("7", "30,7", "90")

    refused = bare.deploy(first, code=1)
    assert "has version 0.2.0" in refused.err and "--allow-downgrade" in refused.err
    assert bare.outputs()["Version"] == "0.2.0"
    bare.deploy(first, "--allow-downgrade")
    assert bare.outputs()["Version"] == system.version() and bare.parameters()["AlarmDays"] == "7"


def endpoints(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("AWS_ENDPOINT")}


def waits(template: str) -> str:
    """A template whose creation takes some seconds, and then fails."""
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    wait = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "12"}}
    added = f"\n  Handle: {json.dumps(handle)}\n  Wait: {json.dumps(wait)}\n\nOutputs:\n"
    return template.replace("\nOutputs:\n", added)


def test_a_deployment_that_was_left_is_followed_again(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages, edit=waits)
    bare.deploy(folder, "--dry-run")
    with heard(Account(bare.aws)) as (environment, proxy):
        terminal = bare.terminal("deploy", folder, "--yes", "--interval", "1", **endpoints(environment))
        terminal.expect("CREATE_IN_PROGRESS")
        proxy.rules([{"operation": "DescribeStackEvents", "reset": True, "times": 3}])
        terminal.expect("Retrying; CloudFormation continues.")
        terminal.sendintr()
        terminal.expect(f"CloudFormation continues. `certrotate deploy {folder}` shows its progress again.")
        terminal.expect(pexpect.EOF)
    assert terminal.wait() == 130
    done = bare.deploy(folder, code=1)
    assert f"The stack {STACK} is being deployed: this follows it." in done.err
    assert f"{STACK} was not created: Wait (AWS::CloudFormation::WaitCondition): " in done.err, done.err

    # The same operation, started by somebody else.
    cloudformation = bare.aws.client("cloudformation")
    cloudformation.create_stack(StackName="theirs", TemplateBody=json.dumps(slow()))
    refused = bare.deploy(folder, "--stack", "theirs", code=1)
    assert "theirs is CREATE_IN_PROGRESS, and certrotate did not start that" in refused.err
    assert "Wait until that has ended" in bare.undeploy("--stack", "theirs", code=1).err


def slow() -> dict[str, Any]:
    """A template of this system's description that takes some seconds."""
    return {
        "Description": OURS,
        "Resources": {
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Wait": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "5"},
            },
        },
    }


# A resource that cannot be created, here and on AWS.
IMPOSSIBLE = {
    "Type": "AWS::IAM::Policy",
    "Properties": {
        "PolicyName": "impossible",
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
        },
        "Roles": ["there-is-none"],
    },
}


def broken(template: str) -> str:
    """A template with it."""
    return template.replace("\nOutputs:\n", f"\n  Impossible: {json.dumps(IMPOSSIBLE)}\n\nOutputs:\n")


def test_a_failure_names_its_cause_and_the_way_out(bare: Bare, packages: dict[str, bytes]):
    good = release(bare.home / "good", packages)
    bad = release(bare.home / "bad", packages, "0.2.0", broken)
    done = bare.deploy(bad, code=1)
    assert f"{STACK} was not created: Impossible (AWS::IAM::Policy): " in done.err, done.err
    assert f"`certrotate undeploy --stack {STACK}`" in done.err
    bare.aws.client("cloudformation").delete_stack(StackName=STACK)

    bare.deploy(good)
    done = bare.deploy(bad, code=1)
    assert f"{STACK} was not updated: Impossible (AWS::IAM::Policy): " in done.err, done.err
    assert f"works as before, with version {system.version()}." in done.err
    assert bare.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "nothing to change" in bare.deploy(good).out


def test_a_stack_that_was_never_complete_is_removed_first(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    template = {"Description": OURS, "Resources": {"Impossible": IMPOSSIBLE}}
    cloudformation = bare.aws.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    with pytest.raises(Exception, match="ROLLBACK_COMPLETE|failed"):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    done = bare.deploy(folder, code=1)
    assert "was never complete and cannot be updated (ROLLBACK_COMPLETE)" in done.err
    # The cure.
    bare.undeploy("--stack", STACK)
    assert bare.stack() is None
    bare.deploy(folder)


def test_an_archive_that_is_not_whole_is_refused_before_anything(bare: Bare, packages: dict[str, bytes]):
    good = release(bare.home / "archive", packages)
    (bare.home / "empty").mkdir()
    calls: list[tuple[str, Callable[[Path], object]]] = [
        ("functions/start-rotation.zip has changed", lambda at: (at / "functions/start-rotation.zip").write_bytes(b"")),
        ("rotation.asl.json is missing", lambda at: (at / "rotation.asl.json").unlink()),
        ("mine.json is not part of it", lambda at: (at / "mine.json").write_text("{}")),
    ]
    # Nothing is asked of AWS.
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    for number, (words, damage) in enumerate(calls):
        folder = bare.home / str(number)
        subprocess.run(["/bin/cp", "-r", good, folder], check=True)
        damage(folder)
        done = bare.deploy(folder, code=1, **nowhere)
        assert words in done.err and "Unpack it again" in done.err, done.err
    assert "is no unpacked archive" in bare.deploy("empty", code=1, **nowhere).err


def aws_cli(bare: Bare, command: str) -> None:
    """Runs a command that a message or a page names."""
    words = command.split()
    assert words[0] == "aws"
    run = [Path(sys.executable).parent / "aws", *words[1:]]
    subprocess.run(run, env=bare.aws.environment, check=True, capture_output=True, timeout=60)


def test_what_keeps_a_stack_from_being_removed_can_be_lifted(bare: Bare):
    cloudformation = bare.aws.client("cloudformation")
    template = json.dumps(EMPTY | {"Description": OURS})
    cloudformation.create_stack(StackName=STACK, TemplateBody=template, EnableTerminationProtection=True)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    refused = bare.undeploy(code=1).err
    assert f"The stack {STACK} is protected against deletion." in refused
    aws_cli(bare, refused.partition("`")[2].partition("`")[0])
    assert f"{STACK} is deleted." in bare.undeploy().out

    # A change set that nobody has executed.
    cloudformation.create_change_set(
        StackName=STACK, ChangeSetName="left", ChangeSetType="CREATE", TemplateBody=json.dumps(EMPTY)
    )
    assert bare.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert f"{STACK} is deleted." in bare.undeploy().out and bare.stack() is None


def test_what_is_refused_says_the_cure(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    cloudformation = bare.aws.client("cloudformation")
    cloudformation.create_stack(StackName="shop", TemplateBody=json.dumps(EMPTY | {"Description": "The shop."}))
    bare.aws.client("s3").create_bucket(Bucket="there-already")
    (bare.home / "list.json").write_text("[7]")
    for arguments, code, words in [
        (["--stack", "shop"], 1, "shop is a stack of something else (The shop.). Choose another name with --stack."),
        (["--region", "eu-west-1"], 2, "Pass --region us-east-1."),
        (["-p", "AlarmDay=7"], 2, "AlarmDay is no parameter of this version. It has SecretNames, "),
        (["-p", "LookTimezone=a b c"], 2, "LookTimezone"),
        (["-p", "Architecture=arm64"], 2, "This archive is for x86_64: take the archive for arm64"),
        (["-p", "AlarmDays"], 2, "give it as NAME=VALUE"),
        (["--parameters", "missing.json"], 1, "missing.json: No such file"),
        (["--parameters", "list.json"], 2, "an entry has no ParameterKey"),
    ]:
        done = bare.deploy(folder, "--bucket", "there-already", *arguments, code=code)
        assert words in done.err and bare.stack() is None, done.err
    done = bare.undeploy("--stack", "shop", code=1)
    assert "something else" in done.err and bare.stack("shop")

    bare.deploy(folder, "--bucket", "there-already", "--stack", "another")
    done = bare.deploy(folder, "--bucket", "there-already", code=2)
    assert "--stack another for that one" in done.err
    assert "--stack another for that one" in bare.undeploy(code=2).err


def test_a_missing_permission_is_named(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    bare.deploy(folder, "--bucket", "with-the-template", "--dry-run")
    s3 = {"service": "s3", "error": {"code": "AccessDenied", "status": 403}}
    cloudformation = {"service": "cloudformation", "error": {"code": "AccessDenied", "status": 403}}
    with heard(Account(bare.aws)) as (environment, proxy):
        for rule, words in [
            (cloudformation | {"operation": "DescribeStacks"}, "lack cloudformation:DescribeStacks: "),
            (s3 | {"operation": "HeadBucket"}, "you have no right to list it (s3:ListBucket)"),
            (s3 | {"operation": "HeadObject"}, "lack s3:GetObject or s3:ListBucket: "),
            (s3 | {"operation": "PutObject"}, "lack s3:PutObject: "),
            (cloudformation | {"operation": "CreateChangeSet"}, "lack cloudformation:CreateChangeSet: "),
            (cloudformation | {"operation": "ExecuteChangeSet"}, "lack cloudformation:ExecuteChangeSet: "),
        ]:
            proxy.rules([rule])
            done = subprocess.run(
                [CERTROTATE, "deploy", folder, "--bucket", "with-the-template", "--yes"],
                env=bare.environment | endpoints(environment),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode in (1, 3) and words in done.stderr, done.stderr
            assert bare.stack() is None or bare.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    # Of the last one a stack without resources is left, which the next deployment takes.
    assert bare.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert "is created with version" in bare.deploy(folder, "--bucket", "with-the-template").err


def test_a_rotation_is_not_deployed_over_nor_cut_off(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    bare.deploy(folder, "-p", "LookSchedule=cron(0 0 1 1 ? 2199)")
    bare.aws.outputs = bare.outputs()
    account = Account(bare.aws)
    old = account.old()
    account.targets(old, 1)
    # It waits for days before it deletes the old certificate.
    rotation = account.begin(account.new(), old, retainOldDays=30)
    running = f"A rotation is running ({rotation.arn.rpartition(':')[2]})"
    assert running in bare.undeploy(code=1).err
    assert running in bare.deploy(folder, "-p", "AlarmDays=7", code=1).err
    bare.deploy(folder, "-p", "AlarmDays=7", "--anyway")
    assert bare.parameters()["AlarmDays"] == "7"
    bare.aws.client("stepfunctions").stop_execution(executionArn=rotation.arn)
    bare.undeploy()


def test_its_calls_are_allowed_to_the_deployer_of_the_page(bare: Bare, packages: dict[str, bytes]):
    folder = release(bare.home / "archive", packages)
    page = (built.ROOT / "docs/deployment.md").read_text().partition("## Who may deploy")[2]
    policy = json.loads(page.partition("```json")[2].partition("```")[0])
    allowed = {action for one in policy["Statement"] for action in listed(one["Action"])}
    names = DECIDED_AS | {
        "s3:HeadBucket": "s3:ListBucket",
        "s3:HeadObject": "s3:GetObject",
        "s3:DeleteObjects": "s3:DeleteObject",
        "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    }
    with heard(Account(bare.aws)) as (environment, proxy):
        proxy.rules([{"latency": {"dist": "uniform", "min_ms": 0, "max_ms": 0}}])
        for command in (["deploy", folder], ["undeploy", "--artifacts"]):
            bare.run(*command, "--bucket", "a-new-one", "--yes", "--interval", "1", **endpoints(environment))
        called = {f"{one.service.replace('stepfunctions', 'states')}:{one.operation}" for one in proxy.fired()}
    assert {"cloudformation:CreateChangeSet", "s3:PutBucketPolicy", "states:ListExecutions"} <= called
    # Everybody may ask who they are.
    needed = {names.get(call, call) for call in called} - {"sts:GetCallerIdentity"}
    missing = {one for one in needed if one not in allowed and f"{one.partition(':')[0]}:*" not in allowed}
    assert missing == set()
