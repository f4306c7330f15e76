"""The evaluator decides as AWS documents it: Policy evaluation logic, and IAM JSON policy elements, IAM User Guide."""

from __future__ import annotations

from typing import Any

import pytest

from contract.policies import Document, Question, decided

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/role"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
OBJECT = "arn:aws:s3:::bucket/folder/object"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/key"
RULES = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/"


def policy(effect: str, action: str, resource: str, condition: Any = None, principal: Any = None) -> Document:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    statement |= {"Condition": condition} if condition else {}
    statement |= {"Principal": principal} if principal else {}
    return {"Version": "2012-10-17", "Statement": [statement]}


ALLOWED, NO, DENIED = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
GET = policy("Allow", "s3:GetObject", "arn:aws:s3:::bucket/*")
PLAINTEXT = policy("Deny", "s3:*", "arn:aws:s3:::bucket/*", {"Bool": {"aws:SecureTransport": "false"}}, "*")
IN_FOLDER = {"StringLike": {"s3:prefix": ["folder/*", "other/*"]}}
LIST = policy("Allow", "s3:ListBucket", "arn:aws:s3:::bucket", IN_FOLDER)
EVENTS = {"Service": "events.amazonaws.com"}
TO_QUEUE = policy("Allow", "sqs:SendMessage", QUEUE, {"ArnLike": {"aws:SourceArn": f"{RULES}a-*"}}, EVENTS)
DECRYPT = policy("Allow", "kms:Decrypt", KEY)


def get(**given: Any) -> dict[str, Any]:
    return {"principal": ROLE, "action": "s3:GetObject", "resource": OBJECT} | given


def lists(**given: Any) -> dict[str, Any]:
    return {"principal": ROLE, "action": "s3:ListBucket", "resource": "arn:aws:s3:::bucket", "identity": [LIST]} | given


def sends(**given: Any) -> dict[str, Any]:
    asked = {"principal": "events.amazonaws.com", "action": "sqs:SendMessage", "resource": QUEUE}
    return asked | {"resource_policy": TO_QUEUE} | given


def decrypts(**given: Any) -> dict[str, Any]:
    return {"principal": ROLE, "action": "kms:Decrypt", "resource": KEY, "identity": [DECRYPT]} | given


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("nothing is allowed by itself", get(), NO),
    ("an identity policy allows", get(identity=[GET]), ALLOWED),
    ("any of several", get(identity=[LIST, GET]), ALLOWED),
    ("a deny overrides", get(identity=[GET, policy("Deny", "s3:*", OBJECT)]), DENIED),
    ("actions know no case", get(identity=[policy("Allow", "S3:getobject", OBJECT)]), ALLOWED),
    ("resources do", get(identity=[policy("Allow", "s3:GetObject", OBJECT.upper())]), NO),
    ("? is one character", get(identity=[policy("Allow", "s3:Get*", f"{OBJECT[:-1]}?")]), ALLOWED),
    ("and not two", get(identity=[policy("Allow", "s3:Get*", f"{OBJECT}??")]), NO),
    ("* spans slashes", get(identity=[policy("Allow", "s3:*", "arn:aws:s3:::bucket*ject")]), ALLOWED),
    ("a boundary alone allows nothing", get(boundary=GET), NO),
    ("and takes away what it has not", get(identity=[GET], boundary=LIST), NO),
    ("one that has it does not", get(identity=[GET], boundary=GET), ALLOWED),
    (
        "a resource's policy denies",
        get(identity=[GET], resource_policy=PLAINTEXT, context={"aws:SecureTransport": "false"}),
        DENIED,
    ),
    (
        "under its condition",
        get(identity=[GET], resource_policy=PLAINTEXT, context={"aws:SecureTransport": "true"}),
        ALLOWED,
    ),
    ("any of a condition's values", lists(context={"s3:prefix": "other/x"}), ALLOWED),
    ("no other", lists(context={"s3:prefix": "elsewhere/x"}), NO),
    ("values know case", lists(context={"s3:prefix": "FOLDER/x"}), NO),
    ("a key that is not there", lists(), NO),
    (
        "IfExists",
        lists(identity=[policy("Allow", "s3:ListBucket", "*", {"StringLikeIfExists": {"s3:prefix": "folder/*"}})]),
        ALLOWED,
    ),
    (
        "all of several keys",
        lists(
            identity=[policy("Allow", "s3:*", "*", {"StringLike": {"s3:prefix": "folder/*", "s3:delimiter": "/"}})],
            context={"s3:prefix": "folder/x"},
        ),
        NO,
    ),
    ("a service by a resource's policy", sends(context={"aws:SourceArn": f"{RULES}a-1"}), ALLOWED),
    ("not for another", sends(context={"aws:SourceArn": f"{RULES}b-1"}), NO),
    ("no other service", sends(principal="s3.amazonaws.com", context={"aws:SourceArn": f"{RULES}a-1"}), NO),
    (
        "a key's policy that leaves it to IAM",
        decrypts(resource_policy=policy("Allow", "kms:*", "*", None, {"AWS": ROOT})),
        ALLOWED,
    ),
    (
        "which then has to allow it",
        decrypts(identity=[], resource_policy=policy("Allow", "kms:*", "*", None, {"AWS": ROOT})),
        NO,
    ),
    ("and one that does not", decrypts(resource_policy=policy("Allow", "kms:*", "*", None, EVENTS)), NO),
]


def test_the_evaluator_decides_as_aws_documents_it() -> None:
    asked = [Question(**{**given, "context": tuple(given.get("context", {}).items())}) for _, given, _ in CASES]
    answers = decided(ACCOUNT, asked)
    found = [(what, answer) for (what, _, _), answer in zip(CASES, answers, strict=True)]
    assert found == [(what, expected) for what, _, expected in CASES]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (get(action="s3:GetObjekt"), "GetObjekt"),
        (get(resource="arn:aws:s3:::bucket"), "resource"),
        (get(context={"s3:prefix": "x"}), "no such keys: s3:prefix"),
        (
            get(identity=[policy("Allow", "s3:GetObject", OBJECT, {"StringResembles": {"aws:username": "x"}})]),
            "StringResembles",
        ),
    ],
)
def test_unknown_actions_resources_and_keys_are_rejected(given: dict[str, Any], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        decided(ACCOUNT, [Question(**{**given, "context": tuple(given.get("context", {}).items())})])
