"""After all rotations: no private key is anywhere but in its source.

Runs last (files run in the order of their names), over what the tests before it have left: histories of executions and
of their children, logs of functions and servers, every object of the rotations' bucket.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import KEYS, Account
from local_aws.pki import Leaf
from local_aws.platform import LocalAws


def traces(leaf: Leaf) -> list[str]:
    """What a key would look like where it should not be: PEM, DER and the bare secret number, in base64 and hex."""
    der = leaf.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey), "the tests use elliptic curves"
    scalar = leaf.key.private_numbers().private_value.to_bytes(-(-leaf.key.curve.key_size // 8), "big")
    lines = [line for line in leaf.key_pem.splitlines() if "-----" not in line and len(line) > 20]
    # Bytes as a list of numbers: what a debugging print of a buffer looks like.
    numbers = ", ".join(str(byte) for byte in scalar[:12])
    return [*lines, der.hex(), scalar.hex(), scalar.hex().upper(), base64.b64encode(scalar).decode(), numbers]


def left_behind(aws: LocalAws) -> Iterator[tuple[str, str]]:
    """Everything that rotations leave: where it is, and the text."""
    machine = aws.outputs["RotationStateMachineArn"]
    functions = aws.client("stepfunctions")
    for page in functions.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            yield from history(aws, execution["executionArn"])
            runs = functions.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
            for run in runs:
                children = functions.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
                for child in (child for page in children for child in page["executions"]):
                    yield from history(aws, child["executionArn"])
    s3, logs = aws.client("s3"), aws.client("logs")
    bucket = aws.outputs["RotationBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            yield f"s3://{bucket}/{item['Key']}", body.decode()
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                yield name, "\n".join(event["message"] for event in events["events"])
    for path in sorted(aws.logs.glob("*.log")):
        yield path.name, path.read_text(errors="replace")


def history(aws: LocalAws, arn: str) -> Iterator[tuple[str, str]]:
    functions = aws.client("stepfunctions")
    yield arn, json.dumps(functions.describe_execution(executionArn=arn), default=str)
    for page in functions.get_paginator("get_execution_history").paginate(executionArn=arn):
        yield arn, json.dumps(page["events"], default=str)


def found(aws: LocalAws, keys: list[Leaf]) -> tuple[list[str], dict[str, int]]:
    """Where any of the keys is, and how many characters of each kind of place were searched."""
    wanted = {trace for leaf in keys for trace in traces(leaf)}
    places: list[str] = []
    searched: dict[str, int] = {}
    for place, text in left_behind(aws):
        kind = place.split(":")[2] if place.startswith("arn:") else place.split("/")[0] or place.rsplit("/", 1)[0]
        searched[kind] = searched.get(kind, 0) + len(text)
        if any(trace in text for trace in wanted):
            places.append(place)
    return places, searched


def test_no_key_is_left_behind(local_aws: LocalAws, account: Account) -> None:
    # One rotation that goes through and some that fail, so that the test means something on its own.
    old = account.old()
    targets = account.targets(old)
    account.fault("UpdateDistribution", code="InvalidWebACLId", resource=targets[1], times=9)
    account.fault("ImportCertificate", service="acm", code="InvalidParameterException", times=1)
    new = account.new()
    assert account.rotate(new, old).error == "CertificateInvalid"
    assert account.rotate(new, old).error == "RotationIncomplete"
    account.aws.control("DELETE", "faults")
    assert account.rotate(new, old).status == "SUCCEEDED"

    assert len(KEYS) >= 2
    places, searched = found(local_aws, KEYS)
    assert places == []
    # All kinds of places had something to search.
    assert searched["states"] > 10_000
    assert searched["s3:"] > 1_000
    assert searched["/aws/lambda/rotation"] > 1_000
    assert searched["platform.log"] > 1_000


def test_a_key_that_is_left_behind_is_found(local_aws: LocalAws, account: Account) -> None:
    leaf, s3 = account.leaf(), local_aws.client("s3")
    bucket = local_aws.outputs["RotationBucketName"]
    for trace in traces(leaf):
        s3.put_object(Bucket=bucket, Key="rotations/planted", Body=f"x{trace}y".encode())
        places, _ = found(local_aws, [leaf])
        assert places == [f"s3://{bucket}/rotations/planted"], trace
    s3.delete_object(Bucket=bucket, Key="rotations/planted")
