"""Searches everything that rotations leave behind for private keys.

That is executions and their children, logs of functions and servers, every object in the rotations' bucket, the
functions' environment, files.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateNumbers
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contract.schemas import faults_of_object
from local_aws.pki import Leaf
from local_aws.platform import LocalAws
from rotations.account import KEYS

# Text that could contain a key: long words, and lists of numbers such as a debug print of a buffer.
HIDEOUT = re.compile(r"[\w+/=-]{30,}|(?:\d{1,3}, ?){12,}")


def traces(leaf: Leaf) -> set[str]:
    """How a key could appear: PEM, DER and the bare numbers, plain and encoded."""
    numbers = leaf.key.private_numbers()
    ec = isinstance(numbers, EllipticCurvePrivateNumbers)
    secrets = [numbers.private_value] if ec else [numbers.d, numbers.p, numbers.q]
    found = {str(secret) for secret in secrets}
    buffers = [secret.to_bytes(-(-secret.bit_length() // 8), "big") for secret in secrets]
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pem = leaf.key.private_bytes(Encoding.PEM, form, NoEncryption())
        lines = [line for line in pem.splitlines() if len(line) > 30 and b"-----" not in line]
        found |= {line.decode() for line in lines}
        buffers += [leaf.key.private_bytes(Encoding.DER, form, NoEncryption()), *lines]
    for buffer in buffers:
        found |= {buffer.hex(), buffer.hex().upper(), "".join(f"{byte}, " for byte in buffer[:24])}
        for before in range(3):
            # Within longer data, the base64 of a buffer depends on its offset; the first and last characters also
            # encode the adjacent bytes.
            found.add(base64.b64encode(bytes(before) + buffer)[4 if before else 0 : -4].decode())
    return found


def objects(aws: LocalAws) -> Iterator[tuple[str, str]]:
    """The objects in the rotation bucket: key and text."""
    s3, bucket = aws.client("s3"), aws.outputs["RotationBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for key in (item["Key"] for item in page.get("Contents", [])):
            yield key, s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def left_behind(aws: LocalAws) -> Iterator[tuple[str, str]]:
    """Everything that rotations leave: place and text."""
    states, logs = (aws.client(service) for service in ("stepfunctions", "logs"))
    machine = aws.outputs["RotationStateMachineArn"]
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for arn in (execution["executionArn"] for execution in page["executions"]):
            yield f"execution {arn}", history(states, arn)
            for run in states.list_map_runs(executionArn=arn)["mapRuns"]:
                for children in states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
                    for child in children["executions"]:
                        yield f"child {child['executionArn']}", history(states, child["executionArn"])
    yield from ((f"object {key}", text) for key, text in objects(aws))
    for page in logs.get_paginator("describe_log_groups").paginate():
        for name in (group["logGroupName"] for group in page["logGroups"]):
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                yield f"log {name}", "\n".join(event["message"] for event in events["events"])
    for page in aws.client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            yield f"function {function['FunctionName']}", json.dumps(function)
    # The servers' logs, and anything a function would write to its disk.
    for path in (path for path in aws.directory.rglob("*") if path.is_file() and path.name != "bootstrap"):
        yield f"file {path.name}", path.read_text(errors="replace")


def history(states: object, arn: str) -> str:
    pages = [states.describe_execution(executionArn=arn)]
    pages += states.get_paginator("get_execution_history").paginate(executionArn=arn)
    return json.dumps(pages, default=str)


def search(texts: Iterator[tuple[str, str]], keys: list[Leaf]) -> tuple[set[str], dict[str, int]]:
    """The places where a key was found, and how many characters were searched in each kind of place."""
    searched: dict[str, int] = {}
    places: dict[str, set[str]] = {}
    for place, text in texts:
        kind = place.split()[0]
        searched[kind] = searched.get(kind, 0) + len(text)
        # An execution's history is JSON within JSON, so a line break may be \n, \\n or \\\\n.
        for word in HIDEOUT.findall(re.sub(r"\\+[nr]", " ", text)):
            places.setdefault(word, set()).add(place)
    everything = "\n".join(places)
    wanted = [trace for trace in set().union(*map(traces, keys)) if trace in everything]
    return {place for word in places if any(trace in word for trace in wanted) for place in places[word]}, searched


def has_rotated(aws: LocalAws) -> bool:
    """Has any rotation moved a target? Then there is something of every kind to search."""
    states, machine = aws.client("stepfunctions"), aws.outputs["RotationStateMachineArn"]
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="SUCCEEDED")
    arns = (execution["executionArn"] for page in pages for execution in page["executions"])
    outputs = (json.loads(states.describe_execution(executionArn=arn)["output"]) for arn in arns)
    return any(output["outcome"] == "rotated" and output["targets"]["updated"] for output in outputs)


def assert_no_key_is_left(aws: LocalAws) -> None:
    """Each local AWS on which rotations have run ends with this: every private key is only in its source.

    Every plan and report is as its schema says.
    """
    wrong = [f"{key}: {fault}" for key, text in objects(aws) for fault in faults_of_object(key, text)]
    assert not wrong, "\n".join(wrong)
    places, searched = search(left_behind(aws), KEYS)
    assert places == set()
    # One worker of several may have run no rotation.
    of_rotations = ("execution", "child", "object", "log") if has_rotated(aws) else ()
    for kind in ("function", "file", *of_rotations):
        assert searched.get(kind, 0) > 1_000, f"nothing was searched of the kind {kind}"
