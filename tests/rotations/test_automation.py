"""What runs without an operator, in the deployed template: the schedule, the rules, the notices, the metrics."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_aws.pki import Leaf
from local_aws.platform import STACK, Execution, LocalAws, as_json, until
from rotations.account import SOURCE_BUCKET, WRITES, Account

ACCOUNT = "000000000000"


def invoke(aws: LocalAws, event: Any) -> Any:
    """Invokes the function with an event."""
    answer = aws.client("lambda").invoke(
        FunctionName=aws.outputs["StartRotationFunctionName"], Payload=json.dumps(event)
    )
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"{result['errorType']}: {result['errorMessage']}")
    return result


def executions(aws: LocalAws) -> list[dict[str, Any]]:
    """The executions that the function has started in this account."""
    states = aws.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=aws.outputs["RotationStateMachineArn"])["executions"]
    return [execution for execution in listed if execution["name"].startswith("auto-")]


def about(result: Any, certificate: str) -> Any:
    """What was decided about this certificate."""
    [looked] = [looked for looked in result["certificates"] if looked["id"] == certificate]
    return looked


def started(aws: LocalAws, result: Any, certificate: str) -> Execution:
    """The execution that was started for this certificate, after its end."""
    looked = about(result, certificate)
    assert looked["decision"] == "start", looked
    return aws.execution(looked["execution"]).wait()


class Inbox:
    """The messages sent to subscribers of the topic."""

    def __init__(self, aws: LocalAws) -> None:
        self.queue = aws.client("sqs")
        self.url = self.queue.create_queue(QueueName="inbox")["QueueUrl"]
        arn = self.queue.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws.client("sns").subscribe(TopicArn=aws.outputs["NoticeTopicArn"], Protocol="sqs", Endpoint=arn)

    def take(self) -> list[dict[str, str]]:
        """All messages since the last call."""
        taken = []
        while messages := self.queue.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                taken.append(json.loads(message["Body"]))
                self.queue.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return taken


@pytest.fixture(scope="module")
def inbox(local_aws: LocalAws) -> Inbox:
    return Inbox(local_aws)


# --- The rules, with events in the formats that AWS documents


def envelope(source: str, detail_type: str, detail: Any, *resources: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "9c95e8e4-96a4-ef3f-b739-b6aa5b193afb",
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-11-24T06:51:08Z",
        "region": "us-east-1",
        "resources": list(resources),
        "detail": detail,
    }


def expires(arn: str, detail_type: str = "ACM Certificate Approaching Expiration") -> dict[str, Any]:
    return envelope("aws.acm", detail_type, {"DaysToExpiry": 31, "CommonName": "example.com"}, arn)


def alarm(arn: str, value: str = "ALARM", namespace: str = "AWS/CertificateManager") -> dict[str, Any]:
    metric = {"namespace": namespace, "name": "DaysToExpiry", "dimensions": {"CertificateArn": arn}}
    return envelope(
        "aws.cloudwatch",
        "CloudWatch Alarm State Change",
        {
            "alarmName": "days to expiry",
            "configuration": {
                "description": "",
                "metrics": [
                    {
                        "id": "0c8f9c05",
                        "metricStat": {"metric": metric, "period": 86400, "stat": "Minimum"},
                        "returnData": True,
                    }
                ],
            },
            "previousState": {"value": "OK", "reason": "", "timestamp": "2026-11-23T17:04:40.989+0000"},
            "state": {"value": value, "reason": "", "timestamp": "2026-11-24T17:04:40.989+0000"},
        },
        f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:days to expiry",
    )


def label_updated(name: str, label: str = "AWSCURRENT") -> dict[str, Any]:
    detail = {"name": name, "labelUpdated": label, "versionId": "a1b2"}
    arn = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-a1b2c3"
    return envelope("aws.secretsmanager", "Secret Label Updated", detail, arn)


def secret_put(secret: str, operation: str = "PutSecretValue", **more: str) -> dict[str, Any]:
    detail = {
        "eventVersion": "1.08",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": operation,
        "requestParameters": {"clientRequestToken": "a1b2", "secretId": secret},
        "responseElements": {"arn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:tls/www-a1b2c3"},
        **more,
    }
    return envelope("aws.secretsmanager", "AWS API Call via CloudTrail", detail)


def parameter_changes(name: str, operation: str = "Update") -> dict[str, Any]:
    detail = {"operation": operation, "name": name, "type": "SecureString", "description": ""}
    arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{name}"
    return envelope("aws.ssm", "Parameter Store Change", detail, arn)


def object_put(bucket: str, key: str) -> dict[str, Any]:
    detail = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {"key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "617f08299329d189"},
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    }
    return envelope("aws.s3", "Object Created", detail, f"arn:aws:s3:::{bucket}")


def execution_ends(machine: str, name: str, status: str) -> dict[str, Any]:
    arn = machine.replace(":stateMachine:", ":execution:") + f":{name}"
    detail = {
        "executionArn": arn,
        "stateMachineArn": machine,
        "name": name,
        "status": status,
        "startDate": 1551225146847,
        "stopDate": 1551225151881,
        "input": "{}",
        "output": None,
    }
    return envelope("aws.states", "Step Functions Execution Status Change", detail, arn)


def rules(aws: LocalAws) -> dict[str, str]:
    """The patterns of the deployed rules, by their names in the template."""
    events = aws.client("events")
    resources = aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {
        one["LogicalResourceId"].removeprefix("StartRotationFunction"): events.describe_rule(
            Name=one["PhysicalResourceId"]
        )["EventPattern"]
        for one in resources
        if one["ResourceType"] == "AWS::Events::Rule"
    }


ACM = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/0a1b2c3d-0000-4000-8000-000000000000"
MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:other"


def test_the_rules_match_the_events_that_start_rotations_and_no_others(local_aws: LocalAws):
    events, deployed = local_aws.client("events"), rules(local_aws)
    machine = local_aws.outputs["RotationStateMachineArn"]

    def through(event: dict[str, Any]) -> list[str]:
        return [
            name
            for name, pattern in deployed.items()
            if events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
        ]

    taken = {
        "CertificateExpires": [expires(ACM), expires(ACM, "ACM Certificate Expired")],
        "AlarmGoesOff": [alarm(ACM), alarm(ACM, namespace="CloudFrontCertificateRotation")],
        "SecretChanges": [label_updated("tls/www")],
        "SecretIsPut": [
            secret_put("tls/www"),
            secret_put(f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:tls/www-a1b2c3", "UpdateSecretVersionStage"),
        ],
        "ParameterChanges": [parameter_changes("/tls/www"), parameter_changes("/tls/a/b", "Create")],
        "ObjectIsPut": [object_put(SOURCE_BUCKET, "www.pem")],
        "RotationFails": [execution_ends(machine, "night", status) for status in ("FAILED", "TIMED_OUT", "ABORTED")],
    }
    assert set(taken) == set(deployed)
    for rule, documented in taken.items():
        for event in documented:
            assert through(event) == [rule], event
    for event in [
        expires(ACM, "ACM Certificate Available"),
        alarm(ACM, "OK"),
        alarm(ACM, namespace="AWS/Lambda"),
        label_updated("tls/www", "AWSPENDING"),
        label_updated("database/password"),
        secret_put("database/password"),
        secret_put("tls/www", "GetSecretValue"),
        secret_put("tls/www", errorCode="AccessDenied"),
        parameter_changes("/database/password"),
        parameter_changes("/tls/www", "Delete"),
        object_put("other-bucket", "www.pem"),
        execution_ends(machine, "night", "SUCCEEDED"),
        execution_ends(MACHINE, "night", "FAILED"),
    ]:
        assert through(event) == [], event


# --- Events, and what they start


def managed(account: Account, store: str = "acm", source: str | None = None, **tags: str) -> tuple[str, str]:
    """A managed certificate with three targets, and its source."""
    source = source or account.new()
    settings = {f"cert-rotation:{name.replace('_', '-')}": value for name, value in tags.items()}
    leaf = aged(account, 20)
    certificate = account.stored(store, leaf, **{"cert-rotation:source": source}, **settings)
    account.targets(certificate)
    return certificate, source


def aged(account: Account, days: float, **how: Any) -> Leaf:
    """A certificate valid for about a year, with this many days left."""
    not_before = dt.datetime.now(dt.UTC) - dt.timedelta(days=360 - days)
    return account.leaf("www.example.com", "*.example.com", days=days, not_before=not_before, **how)


def arn_of(account: Account, certificate: str) -> str:
    """The ARN: ACM's id is one; for IAM it is in the list."""
    listed = account.aws.client("iam").list_server_certificates()["ServerCertificateMetadataList"]
    return {one["ServerCertificateId"]: one["Arn"] for one in listed}.get(certificate, certificate)


EVENTS: dict[str, Callable[[Account, str, str], Any]] = {
    "look": lambda *_: {"look": "all"},
    "expiry": lambda account, certificate, _: expires(certificate),
    "alarm": lambda account, certificate, _: alarm(arn_of(account, certificate)),
    "secret": lambda account, _, source: label_updated(source),
    "CloudTrail": lambda account, _, source: secret_put(source),
}


@pytest.mark.parametrize("trigger", EVENTS)
def test_an_event_delivered_twice_rotates_once(account: Account, trigger: str):
    aws = account.aws
    certificate, source = managed(account, concurrency="2")
    event = EVENTS[trigger](account, certificate, source)
    before = {one["name"] for one in executions(aws)}
    first, second = invoke(aws, event), invoke(aws, event)
    execution = started(aws, first, certificate)
    assert execution.status == "SUCCEEDED", execution
    described = aws.client("stepfunctions").describe_execution(executionArn=execution.arn)
    request = json.loads(described["input"])
    assert request == {"newCertificate": source, "oldCertificate": certificate, "concurrency": 2}
    assert execution.output["outcome"] == "rotated" and execution.output["targets"]["updated"] == 3
    decisions = [looked["decision"] for looked in second["certificates"] if looked["id"] == certificate]
    assert decisions in (["underWay"], [], ["notServed"])
    assert len({one["name"] for one in executions(aws)} - before) == 1


def test_a_new_version_of_the_source_starts_a_rotation(account: Account):
    """End to end: the services send events to EventBridge, whose rules invoke the function."""
    aws = account.aws
    s3, secrets = aws.client("s3"), aws.client("secretsmanager")
    # As docs/sources.md says: without it a bucket sends no events.
    s3.put_bucket_notification_configuration(
        Bucket=SOURCE_BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    secret, key = f"tls/by-itself-{account.number}", f"by-itself-{account.number}.json"
    sources = [secret, f"s3://{SOURCE_BUCKET}/{key}"]
    leaf = aged(account, 20)
    secrets.create_secret(Name=secret, SecretString=as_json(leaf))
    certificates = [managed(account, source=secret)[0]]
    certificates.append(account.stored("iam", leaf, **{"cert-rotation:source": sources[1]}))
    account.seed({"aliases": ["other.example.com"], "certificate": certificates[1]})

    new = [as_json(account.leaf("www.example.com", "*.example.com", days=199)) for _ in sources]
    secrets.put_secret_value(SecretId=secret, SecretString=new[0])
    s3.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=new[1].encode())
    until(lambda: not set(certificates) & account.certificates())


def test_server_certificates_are_evaluated_too(account: Account):
    certificate, source = managed(account, "iam")
    result = invoke(account.aws, alarm(arn_of(account, certificate), namespace="CloudFrontCertificateRotation"))
    assert started(account.aws, result, certificate).status == "SUCCEEDED"
    # The new certificate is managed as well, and nothing is due for it.
    [looked] = invoke(account.aws, {"look": "all"})["certificates"]
    assert (looked["source"], looked["decision"], looked["targets"]) == (source, "inTime", 3)


def test_a_dry_evaluation_changes_nothing(account: Account, inbox: Inbox):
    inbox.take()
    certificate, _ = managed(account)
    before, made = {one["name"] for one in executions(account.aws)}, account.calls(*WRITES)
    result = invoke(account.aws, {"look": "all", "dryRun": True})
    looked = about(result, certificate)
    assert looked["decision"] == "start" and looked["execution"].startswith("auto-www-example-com-"), looked
    assert {one["name"] for one in executions(account.aws)} == before
    assert account.calls(*WRITES) == made
    assert inbox.take() == []


def test_a_missing_replacement_is_notified_once_per_threshold(account: Account, inbox: Inbox):
    inbox.take()
    for days in (40, 20, 5, 0.5):
        account.aws.control("POST", "reset")
        leaf = aged(account, days)
        certificate = account.stored("acm", leaf, **{"cert-rotation:source": account.secret(leaf)})
        account.targets(certificate, 2)
        told = []
        for _ in range(2):
            looked = about(invoke(account.aws, {"look": certificate}), certificate)
            assert looked["decision"] == "replacementMissing", looked
            told += inbox.take()
        assert len(told) == 1, (days, told)
        text = told[0]["Message"]
        assert looked["source"] in text and certificate in text and "distribution E" in text, text


def test_an_unsuitable_replacement_is_notified(account: Account, inbox: Inbox):
    inbox.take()
    narrow = account.secret(account.leaf("elsewhere.example.org", days=199))
    certificate, _ = managed(account, source=narrow)
    looked = about(invoke(account.aws, {"look": "all"}), certificate)
    assert looked["decision"] == "replacementUnusable", looked
    [message] = inbox.take()
    assert message["Subject"].endswith("its replacement is unusable")
    assert "site0.example.com" in message["Message"], message["Message"]


def test_invalid_tags_are_notified(account: Account, inbox: Inbox):
    inbox.take()
    certificate, _ = managed(account, retain_old_days="a week")
    looked = about(invoke(account.aws, {"look": "all"}), certificate)
    assert looked["decision"] == "settingsInvalid", looked
    [message] = inbox.take()
    assert "tag cert-rotation:retain-old-days" in message["Message"]


def test_a_failed_rotation_is_notified(account: Account, inbox: Inbox):
    inbox.take()
    old = account.old()
    execution = account.aws.start({"newCertificate": "tls/nowhere", "oldCertificate": old}, f"fails-{account.number}")
    execution.wait()
    event = execution_ends(account.aws.outputs["RotationStateMachineArn"], f"fails-{account.number}", "FAILED")
    for _ in range(2):
        invoke(account.aws, event)
    told = [message for message in inbox.take() if f"fails-{account.number}" in message["Subject"]]
    # The platform may send a notice of the failure as well, with another end time.
    assert told and all("SourceUnreadable" in message["Subject"] for message in told), told


def test_an_event_of_an_unknown_kind_is_refused(account: Account):
    with pytest.raises(RuntimeError, match="RequestInvalid: event: is not one that this function handles"):
        invoke(account.aws, {"source": "aws.ec2"})


# --- Logs, metrics, and undelivered events


def log_lines(aws: LocalAws) -> Iterator[tuple[str, Any]]:
    """Every line of the functions' logs except Lambda's own: the function, and the line."""
    logs = aws.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            for event in page["events"]:
                if not event["message"].startswith(("START RequestId", "END RequestId", "REPORT RequestId")):
                    yield group["logGroupName"].rsplit("/", 1)[-1], json.loads(event["message"])


def measured(aws: LocalAws) -> dict[tuple[str, str], list[float]]:
    """What CloudWatch would extract from the logs: values in order, by the dimension's value and the metric."""
    found: dict[tuple[str, str], list[float]] = {}
    for _, line in log_lines(aws):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "CloudFrontCertificateRotation"
            [[dimension]] = directive["Dimensions"]
            for metric in directive["Metrics"]:
                found.setdefault((line[dimension], metric["Name"]), []).append(line[metric["Name"]])
    return found


def test_one_query_shows_one_rotation_across_all_functions(account: Account):
    aws = account.aws
    certificate, _ = managed(account)
    name = started(aws, invoke(aws, {"look": certificate}), certificate).arn.rsplit(":", 1)[-1]
    wrote = {function for function, line in log_lines(aws) if line.get("rotation") == name}
    assert wrote == {
        *("plan-rotation", "check-quota", "import-certificate", "update-distribution", "poll-deployment"),
        *("verify-viewers", "review-targets", "delete-certificate", "report-rotation", "start-rotation"),
    }, "what records a target writes of failures only"
    for function, line in log_lines(aws):
        if "_aws" not in line and function != "start-rotation":
            assert {"timestamp", "level", "message", "rotation"} <= set(line), (function, line)


def test_metrics_are_logged(account: Account):
    aws = account.aws
    stack, before = STACK, measured(aws)

    def since(metric: str, dimension: str = stack) -> list[float]:
        key = (dimension, metric)
        return measured(aws).get(key, [])[len(before.get(key, [])) :]

    certificate, _ = managed(account)
    lonely_leaf = aged(account, 5)
    server = account.stored("iam", lonely_leaf, **{"cert-rotation:source": account.secret(lonely_leaf)})
    account.seed({"aliases": ["other.example.com"], "certificate": server})
    started(aws, invoke(aws, {"look": "all"}), certificate)

    # IAM has no DaysToExpiry metric of its own.
    assert since("DaysToExpiry", certificate) == [19]
    assert since("DaysToExpiry", arn_of(account, server)) == [4]
    assert (since("LooksCompleted"), since("CertificatesManaged"), since("NoticesSent")) == ([1], [2], [1])
    assert since("CertificatesWithoutReplacement") == [1] and since("DaysToExpiryWithoutReplacement") == [4]
    assert (since("RotationsStarted"), since("RotationsSucceeded")) == ([1], [1])
    assert (since("RotationsFailed"), since("RotationsRolledBack")) == ([0], [0])
    assert (since("TargetsTotal"), since("TargetsUpdated"), since("TargetsFailed")) == ([3], [3], [0])
    assert since("RotationSeconds")[0] > 3 * aws.propagation_seconds


def test_an_event_that_cannot_be_handled_goes_to_the_queue(account: Account):
    """Invoked asynchronously, as EventBridge and the schedule do."""
    queue = account.aws.client("sqs")
    [url] = [url for url in queue.list_queues()["QueueUrls"] if "Undelivered" in url]
    event = {"source": "aws.ec2", "id": "nobody's"}

    def refusals() -> list[Any]:
        return [line for _, line in log_lines(account.aws) if line.get("error") == "RequestInvalid"]

    before = len(refusals())
    account.aws.client("lambda").invoke(
        FunctionName=account.aws.outputs["StartRotationFunctionName"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )
    messages: list[Any] = []

    def arrived() -> bool:
        messages.extend(queue.receive_message(QueueUrl=url).get("Messages", []))
        return bool(messages)

    until(arrived)
    [message] = messages
    body = json.loads(message["Body"])
    assert body["requestPayload"] == event
    assert body["responsePayload"]["errorType"] == "RequestInvalid"
    # One attempt and two retries.
    assert len(refusals()) == before + 3
    queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_every_alarm_reaches_the_subscribers(account: Account, inbox: Inbox):
    inbox.take()
    alarms = account.aws.client("cloudwatch")
    deployed = {one["AlarmName"] for one in alarms.describe_alarms()["MetricAlarms"]}
    assert len(deployed) == 4
    for name in deployed:
        # They may already be in this state, and send a notice only when it changes.
        alarms.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
        alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    told: list[Any] = []

    def all_told() -> bool:
        told.extend(json.loads(message["Message"]) for message in inbox.take())
        return {one["AlarmName"] for one in told if one["NewStateValue"] == "ALARM"} == deployed

    until(all_told)
    assert all("docs/runbook.md" in one["AlarmDescription"] for one in told)


# --- The schedule


@pytest.fixture
def every_minute() -> Iterator[LocalAws]:
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002) as aws:
        aws.client("s3").create_bucket(Bucket=SOURCE_BUCKET)
        aws.deploy(LookSchedule="rate(1 minute)")
        yield aws


def test_the_schedule_starts_a_rotation(every_minute: LocalAws):
    account = Account(every_minute)
    certificate, _ = managed(account)
    states = every_minute.client("stepfunctions")

    def has_rotated() -> bool:
        ended = [one for one in executions(every_minute) if one["status"] != "RUNNING"]
        return bool(ended)

    until(has_rotated, 300)
    [execution] = executions(every_minute)
    output = json.loads(states.describe_execution(executionArn=execution["executionArn"])["output"])
    assert output["outcome"] == "rotated" and output["oldCertificate"]["id"] == certificate
