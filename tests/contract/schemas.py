"""The schemas in docs/schemas, and whether a document is valid.

faults("report", json.loads(text)) == []
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).resolve().parents[2] / "docs/schemas"
SCHEMAS: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
# The objects of a schema are not in these: they repeat fields of the object around them.
CONDITIONS = ("if", "then", "else", "not")


def closed(schema: Any) -> Any:
    """The schema that also refuses fields it does not know, so that none is written that is not documented."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: one if key in CONDITIONS else closed(one) for key, one in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found["additionalProperties"] = False
    return found


def validator(name: str, schemas: dict[str, Any]) -> Draft202012Validator:
    resources = ((file, Resource(one, DRAFT202012)) for file, one in schemas.items())
    registry = Registry().with_resources(resources)
    return Draft202012Validator({"$ref": f"{name}.schema.json"}, registry=registry, format_checker=FormatChecker())


NAMES = [file.removesuffix(".schema.json") for file in SCHEMAS]
PUBLISHED = {name: validator(name, SCHEMAS) for name in NAMES}
CLOSED = {name: validator(name, {file: closed(one) for file, one in SCHEMAS.items()}) for name in NAMES}


def faults(name: str, document: Any) -> list[str]:
    """What is wrong with a document of this system, by place: fields that the schema does not know too."""
    return [f"{error.json_path}: {error.message}" for error in CLOSED[name].iter_errors(document)]


def faults_of_object(key: str, text: str) -> list[str]:
    """The same of an object in the rotation bucket; none if it has no schema.

    What a step has read so far, in reading/plan.json, has none.
    """
    document = re.fullmatch(r"rotations/[^/]+/[^/]+/(plan|report)\.json", key)
    return faults(document[1], json.loads(text)) if document else []
