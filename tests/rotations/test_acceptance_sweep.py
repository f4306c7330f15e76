"""The sweeper removes what runs of the acceptance suite have left, whenever they were killed, and nothing else.

The state of the account is read here by separate calls to the local AWS, not by the sweeper's code.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from acceptance import questions, scenes, sweep
from acceptance.__main__ import throwaway
from acceptance.account import Account, Failed
from acceptance.names import TAG, Run
from acceptance.preflight import REGION, Pair, open_session, read_pair
from acceptance.removal import of_run, remove_all
from acceptance.scenes import Stage
from local_aws.platform import LocalAws, client

NOW = dt.datetime.now(dt.UTC)
# The sweeper's clock: by then, what this test creates now is more than a day old.
THEN = NOW + dt.timedelta(hours=25)
OLD = Run.new(NOW - dt.timedelta(days=10))
OTHER = Run.new(NOW - dt.timedelta(days=10))
YOUNG = Run.new(THEN - dt.timedelta(hours=23, minutes=50))
FUTURE = Run.new(THEN + dt.timedelta(days=3))
DOMAIN = "cdn.example.com"

# Resources that resemble a run's but are not, or are not due yet: name and value of the tag, None for no tag.
LOOK_ALIKES: dict[str, tuple[str, str | None]] = {
    "the name without the tag": (f"{OLD}-thing", None),
    "the tag without the name": ("somebodys-thing", OLD.name),
    "the tag of another run": (f"{OLD}-thing2", OTHER.name),
    "the name in the middle": (f"see-{OLD}-thing", OLD.name),
    "a name that goes on": (f"{OLD}x-thing", OLD.name),
    "a name that is cut": (f"{OLD.name[:-1]}-thing", OLD.name),
    "a tag that goes on": (f"{OLD}-thing3", f"{OLD}-thing3"),
    "a month too many": (
        f"certrot-acc-202613010000-{OLD.name[-4:]}-thing",
        f"certrot-acc-202613010000-{OLD.name[-4:]}",
    ),
    "less than a day old": (f"{YOUNG}-thing", YOUNG.name),
    "from the future": (f"{FUTURE}-thing", FUTURE.name),
}
UPPER = {
    "another case": (f"{OLD}-thing4".upper(), OLD.name),
    "the tag in another case": (f"{OLD}-thing5", OLD.name.upper()),
}


# Without AWS


def masked(text: str) -> str:
    """The id of a case that has the name of a run: workers must agree on it, and each makes runs of its own."""
    return re.sub(r"certrot-acc-\d{12}-\w{1,4}", "RUN", text, flags=re.IGNORECASE)


@pytest.mark.parametrize(("name", "tag"), [*LOOK_ALIKES.values(), *UPPER.values()], ids=[*LOOK_ALIKES, *UPPER])
def test_a_look_alike_belongs_to_no_run_or_is_not_due(name: str, tag: str | None) -> None:
    run = of_run(name, [] if tag is None else [{"Key": TAG, "Value": tag}])
    assert run is None or not sweep.is_due(run, THEN, dt.timedelta(hours=24))


@pytest.mark.parametrize("name", [OLD.name, f"{OLD}-logs", f"{OLD}/new", f"{OLD}-{OTHER}"], ids=masked)
def test_a_resource_with_name_and_tag_is_due_after_a_day(name: str) -> None:
    run = of_run(name, [{"Key": "team", "Value": "web"}, {"Key": TAG, "Value": OLD.name}])
    assert run == OLD and sweep.is_due(run, THEN, dt.timedelta(hours=24))


@pytest.mark.parametrize(
    "text",
    [
        *("", "certrot-acc-", OLD.name[:-1], OLD.name + "x", " " + OLD.name, OLD.name + "\n", OLD.name + "_logs"),
        *(OLD.name.upper(), "x" + OLD.name, f"certrot-acc-{'٢' * 12}-abcd", "certrot-acc-202602310000-abcd"),
        *("certrot-acc-202611272400-abcd", "certrot-acc-202611271200-ab1d", "certrot-acc-20261127120-abcd"),
    ],
    ids=masked,
)
def test_invalid_names_of_runs(text: str) -> None:
    assert Run.parse(text) is None


@pytest.mark.parametrize("age", ["nan", "-1", "inf", "a day", "1e9"])
def test_an_invalid_age_is_refused(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep.main([f"--older-than={age}"])
    assert ended.value.code == 2 and "--older-than" in capsys.readouterr().err


def test_an_invalid_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(["--run", f"{OLD}-logs"]) == 2
    assert "is not the name of a run" in capsys.readouterr().err


# The state of the account


@cache
def _client(aws: LocalAws, service: str) -> Any:
    return aws.client(service)


def world(aws: LocalAws) -> dict[str, Any]:
    """Everything in the account, by kind and name, with its tags and content."""
    state, there = aws.state(), dict[str, Any]()

    def listed(service: str, operation: str, key: str, **how: Any) -> list[Any]:
        return [
            one for page in _client(aws, service).get_paginator(operation).paginate(**how) for one in page.get(key, [])
        ]

    cloudfront = _client(aws, "cloudfront")
    for kind in ("distribution", "tenant"):
        for one in state[f"{kind}s"]:
            shown = aws.control("GET", f"{kind}/{one['id']}")
            tags = cloudfront.list_tags_for_resource(Resource=one["arn"])["Tags"]["Items"]
            # Which of two certificates an edge has is random at every read.
            there[f"{kind} {one['id']}"] = shown | {"tags": tags}
    for one in state["acm_certificates"]:
        there[f"ACM {one['CertificateArn']}"] = one
    for one in state["iam_certificates"]:
        there[f"IAM {one['ServerCertificateName']}"] = one
    for one in cloudfront.list_functions()["FunctionList"].get("Items", []):
        there[f"function {one['Name']}"] = one["FunctionMetadata"]["FunctionARN"]
    waf, s3, secrets = _client(aws, "wafv2"), _client(aws, "s3"), _client(aws, "secretsmanager")
    for one in waf.list_web_acls(Scope="CLOUDFRONT")["WebACLs"]:
        there[f"web-acl {one['Name']}"] = waf.list_tags_for_resource(ResourceARN=one["ARN"])["TagInfoForResource"]
    for one in s3.list_buckets()["Buckets"]:
        versions = s3.list_object_versions(Bucket=one["Name"])
        kept = [(v["Key"], v["ETag"]) for v in versions.get("Versions", [])], versions.get("DeleteMarkers", [])
        tags = []
        with suppress(ClientError):
            tags = s3.get_bucket_tagging(Bucket=one["Name"])["TagSet"]
        there[f"bucket {one['Name']}"] = kept, tags
    for one in listed("secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True):
        value = secrets.get_secret_value(SecretId=one["Name"])["SecretString"] if "DeletedDate" not in one else None
        there[f"secret {one['Name']}"] = value, one.get("Tags")
    for one in listed("cloudformation", "describe_stacks", "Stacks"):
        there[f"stack {one['StackName']}"] = one["StackStatus"], one.get("Tags")
    for one in listed("stepfunctions", "list_state_machines", "stateMachines"):
        running = listed(
            "stepfunctions",
            "list_executions",
            "executions",
            stateMachineArn=one["stateMachineArn"],
            statusFilter="RUNNING",
        )
        there[f"machine {one['name']}"] = [execution["name"] for execution in running]
    # Roles are in the IAM of the platform: CloudFormation creates them.
    iam = client("iam", aws.platform)
    for one in [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]:
        there[f"role {one['RoleName']}"] = iam.list_role_policies(RoleName=one["RoleName"])["PolicyNames"]
    for service, operation, key, name in (
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("sns", "list_topics", "Topics", "TopicArn"),
        ("events", "list_rules", "Rules", "Name"),
        ("scheduler", "list_schedules", "Schedules", "Name"),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ):
        for one in listed(service, operation, key):
            there[f"{service} {one[name]}"] = True
    for url in listed("sqs", "list_queues", "QueueUrls"):
        there[f"queue {url}"] = True
    kms = _client(aws, "kms")
    for one in listed("kms", "list_keys", "Keys"):
        # AWS deletes a key after a week at the earliest.
        if kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            there[f"key {one['KeyId']}"] = True
    return there


# Look-alikes


def plant(aws: LocalAws) -> None:
    """Creates other users' resources that resemble a run's, of every kind that the sweeper removes."""
    cloudfront, acm, iam, s3 = (aws.client(service) for service in ("cloudfront", "acm", "iam", "s3"))
    template = ""
    for n, (name, tag) in enumerate([*LOOK_ALIKES.values(), *UPPER.values()]):
        tags = [{"Key": TAG, "Value": tag}] if tag else [{"Key": "team", "Value": "web"}]
        leaf = aws.intermediate.leaf(f"planted{n}.example.net")
        pem = {"PrivateKey": leaf.key_pem, "CertificateChain": leaf.chain_pem, "Tags": tags}
        # An ACM certificate has no name: with a tag alone it belongs to a run, unlike the other kinds.
        not_by_tag = Run.parse(tag or "") is None or tag not in (OLD.name, OTHER.name)
        if not_by_tag:
            acm.import_certificate(Certificate=leaf.certificate_pem, **pem)
            iam.upload_server_certificate(
                Path="/cloudfront/", ServerCertificateName=f"{name}-{n}", CertificateBody=leaf.certificate_pem, **pem
            )
        template = _plant_distribution(cloudfront, f"{name}", tags, template)
        cloudfront.create_function(
            Name=f"{name}-{n}",
            FunctionConfig={"Comment": "", "Runtime": "cloudfront-js-2.0"},
            FunctionCode=b"function handler(event) { return event.request; }",
            Tags={"Items": tags},
        )
        aws.client("wafv2").create_web_acl(
            Name=name,
            Scope="CLOUDFRONT",
            DefaultAction={"Allow": {}},
            VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"},
            Tags=tags,
        )
        aws.client("secretsmanager").create_secret(Name=f"{name}/new", SecretString=f"secret {n}", Tags=tags)
        aws.client("cloudformation").create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}), Tags=tags
        )
        for folder in ("/aws/lambda/", "/aws/vendedlogs/states/"):
            aws.client("logs").create_log_group(
                logGroupName=f"{folder}{name}", tags={t["Key"]: t["Value"] for t in tags}
            )
        if name == name.lower():
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tags})
            s3.put_object(Bucket=name, Key="report.json", Body=b"{}")
    _settle(aws)


def _plant_distribution(cloudfront: Any, name: str, tags: list[dict[str, str]], template: str) -> str:
    config: dict[str, Any] = {
        "CallerReference": name,
        "Comment": name,
        "Enabled": True,
        "Origins": {
            "Quantity": 1,
            "Items": [{"Id": "o", "DomainName": "o.example.net", "S3OriginConfig": {"OriginAccessIdentity": ""}}],
        },
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "p"},
    }
    with_tags = {"DistributionConfig": config, "Tags": {"Items": tags}}
    cloudfront.create_distribution_with_tags(DistributionConfigWithTags=with_tags)
    if not template:
        shared = config | {"CallerReference": "shared", "Comment": "shared", "ConnectionMode": "tenant-only"}
        template = cloudfront.create_distribution(DistributionConfig=shared)["Distribution"]["Id"]
    cloudfront.create_distribution_tenant(
        DistributionId=template, Name=name, Domains=[{"Domain": f"{name.lower()}.example.net"}], Tags={"Items": tags}
    )
    return template


def _settle(aws: LocalAws) -> None:
    for _ in range(200):
        state = aws.state()
        stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
        busy = [one["status"] for one in state["distributions"] + state["tenants"] if one["status"] != "Deployed"]
        if not busy and not [one for one in stacks if one["StackStatus"].endswith("IN_PROGRESS")]:
            return
        time.sleep(0.05)
    raise TimeoutError("the look-alikes do not settle")


# Killing


# Interval between reads of the state while a rotation runs: they take longer than the calls they follow.
_LOOK_SECONDS = 0.4


class Killed(BaseException):
    """Like SIGKILL: it is not caught, and no further call is made, not even in a `finally`."""


class Killer:
    """Kills a run at the first moment with this mark. A moment is the state after a call."""

    def __init__(self, aws: LocalAws, run: Run, at: Mark | None = None) -> None:
        self.aws, self.run, self.at = aws, run, at
        self.armed = self.dead = False
        self.looked = 0.0
        self.write = ""
        self.marks: list[Mark] = []
        self.calls = 0

    def attach(self, session: boto3.Session) -> None:
        session.events.register_first("before-send", self._sent)
        session.events.register_last("response-received", self._answered)

    def _sent(self, **_: Any) -> None:
        if self.dead:
            raise Killed

    def _answered(self, event_name: str, **_: Any) -> None:
        self.moment(event_name.rpartition(".")[2])

    def moment(self, operation: str) -> None:
        if not self.armed:
            return
        self.calls += 1
        if not operation.startswith(("Get", "List", "Describe", "TestState")):
            self.write = operation
        elif time.monotonic() < self.looked + _LOOK_SECONDS:
            # A read changes nothing. Changes by a rotation in the meantime are seen at the next read.
            return
        self.looked = time.monotonic()
        mark = self.write, self._signature()
        if mark not in self.marks:
            self.marks.append(mark)
        if mark == self.at:
            self.dead = True
            raise Killed

    def _signature(self) -> str:
        """How many there are of each kind, and their status; names and times differ between runs."""
        aws, state, counts = self.client, self.aws.state(), Counter[str]()
        for kind in ("distributions", "tenants", "acm_certificates", "iam_certificates"):
            counts[kind] = len(state[kind])
        counts["functions"] = len(aws("cloudfront").list_functions()["FunctionList"].get("Items", []))
        counts["web ACLs"] = len(aws("wafv2").list_web_acls(Scope="CLOUDFRONT")["WebACLs"])
        counts["buckets"] = len(aws("s3").list_buckets()["Buckets"])
        counts["secrets"] = len(aws("secretsmanager").list_secrets(MaxResults=100)["SecretList"])
        for stack in aws("cloudformation").describe_stacks()["Stacks"]:
            counts[f"stack {stack['StackStatus']}"] += 1
        for machine in aws("stepfunctions").list_state_machines()["stateMachines"]:
            running = aws("stepfunctions").list_executions(
                stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
            )
            counts["running"] += len(running["executions"])
        return str(sorted(counts.items()))

    def client(self, service: str) -> Any:
        return _client(self.aws, service)


Mark = tuple[str, str]


class Theatre:
    """Runs the suite or a part of it."""

    def __init__(self, aws: LocalAws, old: Pair, new: Pair, folder: Path) -> None:
        self.aws, self.old, self.new, self.folder = aws, old, new, folder
        self.numbers = itertools.count()
        self.planted = world(aws)

    def stage(self, at: Mark | None = None) -> tuple[Stage, Killer]:
        run, session = Run.new(NOW), open_session(REGION)
        killer = Killer(self.aws, run, at)
        killer.attach(session)
        account = Account(session, run, 0.05)
        # A command of the AWS CLI is one moment, although it makes many calls.
        by_cli = account._aws

        def command(*arguments: str) -> None:
            by_cli(*arguments)
            killer.moment(f"aws {arguments[1]}")

        account._aws = command  # type: ignore[method-assign]
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        names = scenes.names_for(DOMAIN, self.old, self.new, run.name)
        return Stage(account, self.old, self.new, names, folder, lambda _: None, 0, template=self.aws.template), killer

    def sweep(self) -> int:
        account = Account(open_session(REGION), Run.new(THEN), 0.05)
        with redirect_stdout(StringIO()):
            return sweep.sweep(account, lambda run: sweep.is_due(run, THEN, dt.timedelta(hours=24)), lambda: True)


def _ask(stage: Stage) -> None:
    for question in questions.QUESTIONS:
        questions.ask(stage, question)


def _remove(stage: Stage) -> None:
    remove_all(stage.account, lambda run: run == stage.account.run)


# What is killed, and what must exist before that. A scene runs on a fresh stage, not after all scenes before it: they
# leave only what `make` and `deploy` have created. The other calls of a run (TestState, the preflight) change nothing.
# Calls of a phase between two marks change nothing either: otherwise the mark would differ.
_ALL = (scenes.make, scenes.deploy, scenes.make_a_tenant)
PHASES: dict[str, tuple[Callable[[Stage], None], tuple[Callable[[Stage], None], ...]]] = {
    "make": (scenes.make, ()),
    "deploy": (scenes.deploy, (scenes.make,)),
    "tenant": (scenes.make_a_tenant, (scenes.make, scenes.deploy)),
    **{scene.name: (scene.play, _ALL) for scene in scenes.SCENES if scene.name != "tenant"},
    "questions": (_ask, _ALL),
    # A removal that is killed is swept as well.
    "removal": (_remove, _ALL),
}


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    folder = tmp_path_factory.mktemp("runs")
    had = dict(os.environ)
    with LocalAws(propagation_seconds=0.1, wait_scale=0.002) as aws:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(aws.environment)
        files = throwaway(aws, folder, DOMAIN)
        plant(aws)
        yield Theatre(aws, read_pair("OLD", *files["old"]), read_pair("NEW", *files["new"]), folder)
    os.environ.clear()
    os.environ.update(had)


@pytest.mark.parametrize("phase", PHASES)
def test_killed_after_any_call_and_swept_nothing_of_a_run_is_left(theatre: Theatre, phase: str) -> None:
    planted = theatre.planted
    play, before = PHASES[phase]

    def killed(at: Mark | None) -> Killer:
        stage, killer = theatre.stage(at)
        for prepare in before:
            prepare(stage)
        killer.armed = True
        # Reading the state after each call may make a scene exceed its time limit, which is not tested here.
        with suppress(Killed, Failed):
            play(stage)
        return killer

    whole = killed(None)
    assert theatre.sweep() == 0
    assert_same(world(theatre.aws), planted)
    missed = []
    for mark in whole.marks:
        if not killed(mark).dead:
            # The state changes during a rotation: what one read has seen may not occur at the reads of another run.
            missed.append(mark)
        assert theatre.sweep() == 0, mark
        assert_same(world(theatre.aws), planted, mark)
    print(f"{phase}: {whole.calls} calls, killed at {len(whole.marks)} moments, missed {len(missed)}")
    assert {write for write, _ in whole.marks} - {write for write, _ in set(whole.marks) - set(missed)} == set()


def assert_same(found: dict[str, Any], planted: dict[str, Any], at: Any = "") -> None:
    """Compares names first: a difference shows what was left or removed."""
    assert set(found) == set(planted), at
    assert found == planted, at
