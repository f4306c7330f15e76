"""The schemas in docs/schemas describe what the code reads and writes, no more and no less."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contract.schemas import CONDITIONS, PUBLISHED, SCHEMAS, faults, faults_of_object

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "crates/core/src"
INPUTS = json.loads((ROOT / "crates/core/tests/fixtures/inputs.json").read_text())
PAYLOADS = (ROOT / "crates/steps/tests/it/rotations/payloads.txt").read_text()


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema that has fields."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for key, one in schema.items():
            if key not in CONDITIONS:
                yield from objects(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from objects(one)


@pytest.mark.parametrize("file", SCHEMAS)
def test_schemas_are_valid_and_describe_every_field(file: str):
    Draft202012Validator.check_schema(SCHEMAS[file])
    for one in objects(SCHEMAS[file]):
        assert [field for field, about in one["properties"].items() if about and not about.get("description")] == []


def test_the_reference_names_every_schema():
    page = (ROOT / "docs/reference.md").read_text()
    assert [file for file in SCHEMAS if f"(schemas/{file})" not in page] == []


# --- Documents


@pytest.mark.parametrize("verdict", ["accepted", "refused"])
def test_inputs_are_accepted_and_refused_as_by_the_code(verdict: str):
    """The Rust tests of requests parse the same inputs."""
    wrong = [one for one in INPUTS[verdict] if PUBLISHED["input"].is_valid(one) != (verdict == "accepted")]
    assert len(INPUTS[verdict]) > 10 and wrong == []


def documents() -> list[tuple[str, Any]]:
    """Every document with a schema in payloads.txt. There, digests are numbers and sentences are dots."""
    text = re.sub(r"sha256:<\d+>", "sha256:" + "0" * 64, PAYLOADS)
    found = []
    for scene in text.split("\n## "):
        lines, *files = scene.split("\n# ")
        for file in files:
            key, _, content = file.partition("\n")
            name = key.rpartition("/")[2].removesuffix(".json")
            if name in ("plan", "report"):
                found.append((name, json.loads(content)))
        for line in (line for line in lines.splitlines() if line.startswith("{")):
            payload = json.loads(line)
            if "kind" in payload:
                found.append(("notice", payload))
            if "output" in payload:
                found.append(("output", payload["output"]))
            if "Input" in payload.get("execution", {}):
                found.append(("input", payload["execution"]["Input"]))
    return found


DOCUMENTS = documents()


def test_documents_of_rotations_are_valid():
    wrong = [(name, faults(name, document)) for name, document in DOCUMENTS]
    assert [one for one in wrong if one[1]] == []
    assert {name for name, _ in DOCUMENTS} == {"input", "output", "plan", "report", "notice"}
    outcomes = {document["outcome"] for name, document in DOCUMENTS if name == "output"}
    assert outcomes == set(SCHEMAS["output.schema.json"]["properties"]["outcome"]["enum"])
    # Both kinds of notices: about a certificate, and about an execution.
    assert {"RotationFailed", "ReplacementMissing"} <= {one["kind"] for name, one in DOCUMENTS if name == "notice"}
    # Readers of an earlier version get fields that they do not know.
    assert all(PUBLISHED[name].is_valid(document | {"later": 1}) for name, document in DOCUMENTS if name != "input")


# Fields that a document may lack.
OPTIONAL = {
    "input": set(SCHEMAS["input.schema.json"]["properties"]) - {"newCertificate"},
    "output": {"reason"},
    "plan": {"idleNames", "request"},
    "report": {"update", "deployment", "verification", "failure", "notes", "request", "reason"},
    "notice": set(),
}
# Fields whose values are not documented: the input, valid or not.
OPEN = {"request", "retries"}
ENUMS = {"ending", "kind", "level", "outcome", "planned", "schemaVersion", "serves", "status", "store", "way"}
TIMES = {"at", "endedAt", "madeAt", "notAfter", "since", "startedAt"}


def changed(document: Any, where: tuple[Any, ...], change: Callable[[dict[str, Any]], Any]) -> Any:
    document = copy.deepcopy(document)
    place = document
    for key in where:
        place = place[key]
    change(place)
    return document


def mutants(name: str, document: Any) -> Iterator[tuple[str, Any]]:
    """The document with a field too few, a field too many, or a wrong value, at each place."""

    def walk(value: Any, where: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from walk(one, (*where, number))
        if not isinstance(value, dict):
            return
        yield f"{where} and a further field", changed(document, where, lambda place: place.update(further=1))
        for field, one in value.items():
            at = (*where, field)
            if field not in OPTIONAL[name]:
                yield f"without {at}", changed(document, where, lambda place, field=field: place.pop(field))
            if field in ENUMS:
                yield f"another {at}", changed(document, where, lambda place, field=field: place.update({field: "x"}))
            if field in TIMES and one is not None:
                yield f"no time {at}", changed(document, where, lambda place, field=field: place.update({field: "now"}))
            if field not in OPEN:
                yield from walk(one, at)

    yield from walk(document, ())


def test_changed_documents_are_refused():
    seen = 0
    for name, document in DOCUMENTS:
        for what, mutant in mutants(name, document):
            assert faults(name, mutant), f"{name}: {what}"
            seen += 1
    assert seen > 1_000


def test_an_object_is_validated_by_its_name():
    [plan, *_] = [document for name, document in DOCUMENTS if name == "plan"]
    assert faults_of_object("rotations/a/1/plan.json", json.dumps(plan)) == []
    assert faults_of_object("rotations/a/1/report.json", json.dumps(plan)) != []
    assert faults_of_object("rotations/a/1/review.json", "{}") == []
    # What an interrupted plan has read so far.
    assert faults_of_object("rotations/a/1/reading/plan.json", "{}") == []


# --- Names in the code


def item(kind: str, path: str, name: str) -> tuple[str, str]:
    """The attributes and the body of a Rust enum or struct."""
    found = re.search(
        rf"((?:^#\[[^\n]*\]\n)*)^pub {kind} {name}(?:<'a>)? \{{\n(.*?)^\}}", (CORE / path).read_text(), re.M | re.S
    )
    assert found, f"{path} has no {name}"
    return found[1], found[2]


def renamed(attributes: str, name: str) -> str:
    words = re.findall(r"[A-Z]?[a-z0-9]+", name)
    camel = words[0].lower() + "".join(word.capitalize() for word in words[1:])
    [rule] = re.findall(r'rename_all = "(\w+)"', attributes) or [""]
    return {"camelCase": camel, "lowercase": name.lower(), "": name}[rule]


def names(kind: str, path: str, name: str) -> dict[str, bool]:
    """The serialized names of variants or fields, and whether each is always there; not of flattened fields."""
    attributes, body = item(kind, path, name)
    found = {}
    pattern = r"((?:^    #\[.*\]\n)*)^    " + (r"(\w+),$" if kind == "enum" else r"pub (\w+):")
    for own, one in re.findall(pattern, body, re.M):
        [given] = re.findall(r'rename = "(\w+)"', own) or [renamed(attributes, one)]
        if "flatten" not in own:
            found[given] = "skip_serializing_if" not in own
    return found


def at(file: str, *path: str) -> Any:
    """A part of a schema: fields by name, through lists, alternatives to null and references."""
    place: Any = SCHEMAS[f"{file}.schema.json"]
    for step in path:
        place = place["$defs"][step[1:]] if step.startswith("#") else place["properties"][step]
        place = place.get("items", place)
        place = place.get("anyOf", [place])[0]
    return place


def test_the_input_has_the_fields_of_the_code():
    fields = (CORE / "request.rs").read_text().partition("const FIELDS")[2].partition("];")[0]
    assert list(at("input")["properties"]) == re.findall(r'"(\w+)"', fields)


@pytest.mark.parametrize(
    ("path", "name", "place"),
    [
        ("failure.rs", "Ending", ["common", "#ending"]),
        ("automation/notice.rs", "Kind", ["notice", "kind"]),
        ("ids.rs", "Serves", ["common", "#serves"]),
        ("ids.rs", "Store", ["input", "store"]),
        ("ids.rs", "Store", ["plan", "plan", "store"]),
        ("ids.rs", "TargetKind", ["common", "#target", "kind"]),
        ("plan.rs", "Outcome", ["plan", "plan", "outcome"]),
        ("plan/rights.rs", "Association", ["plan", "targets", "associations"]),
        ("report/risk.rs", "Level", ["report", "risk", "level"]),
        ("request.rs", "OnFailure", ["input", "onFailure"]),
        ("target/record.rs", "Direction", ["report", "#record", "way"]),
        ("target/record.rs", "UpdateStatus", ["report", "#record", "update", "status"]),
        ("target/record.rs", "DeploymentStatus", ["report", "#record", "deployment", "status"]),
        ("target/record.rs", "VerificationStatus", ["report", "#record", "verification", "status"]),
    ],
)
def test_values_are_those_of_the_code(path: str, name: str, place: list[str]):
    assert at(*place)["enum"] == list(names("enum", path, name))


def test_outcomes_are_those_of_the_code():
    outcomes = re.findall(r'=> \("(\w+)",', (CORE / "ending/conclude.rs").read_text())
    assert set(at("output", "outcome")["enum"]) == set(outcomes)


FAILURE = {"error", "cause"}
CERTIFICATE = {"id", "fingerprint", "notAfter"}


@pytest.mark.parametrize(
    ("path", "name", "place", "flattened"),
    [
        ("ending/output.rs", "Output", ["output"], set()),
        ("ending/output.rs", "OldCertificate", ["output", "oldCertificate"], CERTIFICATE),
        ("ending/output.rs", "NewCertificate", ["output", "newCertificate"], CERTIFICATE),
        ("ending/output.rs", "Counts", ["output", "targets"], set()),
        ("ending/output.rs", "CertificateSummary", ["report", "#certificate"], set()),
        ("ending/deletion.rs", "Evidence", ["report", "#evidence"], set()),
        ("failure.rs", "Failure", ["common", "#failure"], set()),
        ("finding.rs", "Finding", ["common", "#finding"], set()),
        ("ids.rs", "TargetId", ["common", "#target"], set()),
        ("plan/state.rs", "PlanRecord", ["plan"], set()),
        ("plan/state.rs", "Plan", ["plan", "plan"], set()),
        ("plan/state.rs", "Folder", ["plan", "plan", "folder"], set()),
        ("plan/state.rs", "OldCertificate", ["plan", "plan", "oldCertificate"], set()),
        ("plan/state.rs", "NewCertificate", ["plan", "plan", "newCertificate"], set()),
        ("plan/state.rs", "TargetList", ["plan", "plan", "targets"], set()),
        ("plan.rs", "Member", ["plan", "targets"], set()),
        ("report.rs", "Report", ["report"], FAILURE),
        ("report.rs", "Rotation", ["report", "rotation"], set()),
        ("report.rs", "Certificates", ["report", "certificates"], set()),
        ("report.rs", "Planned", ["report", "plan"], set()),
        ("report.rs", "TargetReport", ["report", "targets"], set()),
        ("report/risk.rs", "Risk", ["report", "risk"], set()),
        ("target/record.rs", "Record", ["report", "#record"], set()),
        ("target/record.rs", "Update", ["report", "#record", "update"], set()),
        ("target/record.rs", "Deployment", ["report", "#record", "deployment"], set()),
        ("target/record.rs", "Verification", ["report", "#record", "verification"], set()),
    ],
)
def test_fields_are_those_of_the_code(path: str, name: str, place: list[str], flattened: set[str]):
    schema, fields = at(*place), names("struct", path, name)
    assert set(schema["properties"]) == set(fields) | flattened
    optional = {field for field, is_always in fields.items() if not is_always}
    optional |= FAILURE if name == "Report" else set()
    assert set(schema["required"]) == set(schema["properties"]) - optional


def test_the_version_is_that_of_the_code():
    [version] = re.findall(r"SCHEMA_VERSION: u8 = (\d+);", (CORE / "lib.rs").read_text())
    assert {at(name, "schemaVersion")["const"] for name in ("report", "plan", "notice")} == {int(version)}
