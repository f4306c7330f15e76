"""Evaluates policies as AWS does, with `@cloud-copilot/iam-simulate`: identity and resource policies, boundaries,
conditions, service principals and the special rules of KMS and of roles. It rejects actions, resources and condition
keys that do not exist.

It is under the AGPL and runs as a separate program, in tests only; nothing of it is deployed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent

Document = dict[str, Any]

# Multivalued keys of which a request here has one value: AWS documents conditions on them without ForAnyValue
# (EventBridge User Guide, Permissions for event buses), and the evaluator requires it.
OF_ONE_VALUE = {"events:source"}


@dataclass(frozen=True)
class Question:
    # The ARN of a role, or the name of a service.
    principal: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()
    identity: Sequence[Document] = ()
    resource_policy: Document | None = None
    boundary: Document | None = None


# IAM User Guide, IAM JSON policy elements: Condition operators. The evaluator treats a condition with an unknown
# operator as one that does not hold.
OPERATOR = re.compile(
    "(ForAnyValue:|ForAllValues:)?"
    "(String(Not)?(Equals(IgnoreCase)?|Like)|Arn(Not)?(Equals|Like)|(Numeric|Date)((Not)?Equals|(Less|Greater)Than(Equals)?)"
    "|Bool|BinaryEquals|(Not)?IpAddress)(IfExists)?|Null"
)


def _known(key: str) -> str:
    """The name of a condition key as in the Service Authorization Reference, by which the evaluator knows it."""
    return re.sub(r"^kms:EncryptionContext:.*", "kms:EncryptionContext:${EncryptionContextKey}", key)


def _as_evaluated(document: Document) -> Document:
    statements = []
    for statement in document["Statement"]:
        conditions: dict[str, dict[str, Any]] = {}
        for operator, keys in statement.get("Condition", {}).items():
            assert OPERATOR.fullmatch(operator), f"no operator {operator}: {statement}"
            for key, value in keys.items():
                single = key in OF_ONE_VALUE and ":" not in operator
                conditions.setdefault(f"ForAnyValue:{operator}" if single else operator, {})[_known(key)] = value
        statements.append({**statement, "Condition": conditions} if conditions else statement)
    return {**document, "Statement": statements}


def decided(account: str, questions: Sequence[Question]) -> list[str]:
    """`Allowed`, `ExplicitlyDenied` or `ImplicitlyDenied` for each question."""
    documents: dict[str, int] = {}

    def number(document: Document | None) -> int | None:
        if document is None:
            return None
        return documents.setdefault(json.dumps(_as_evaluated(document)), len(documents))

    requests = [
        {
            "principal": one.principal,
            "action": one.action,
            "resource": one.resource,
            "context": {_known(key): value for key, value in one.context},
            "identity": [number(document) for document in one.identity],
            "resourcePolicy": number(one.resource_policy),
            "boundary": number(one.boundary),
        }
        for one in questions
    ]
    given = {"account": account, "documents": [json.loads(document) for document in documents], "requests": requests}
    run = subprocess.run(
        ["node", str(TESTS / "decide.mjs")], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    results: list[str] = json.loads(run.stdout)
    assert len(results) == len(questions)
    return results
