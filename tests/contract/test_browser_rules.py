"""The rules of browsers: how `make browser-rules` renews them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from scripts.browser_rules import RULES, accepted, distrusted, renewed, sources, written

TODAY = dt.date(2027, 1, 2)
STORE = """
# A comment about the store.
version_major: 99

# CN=Good Root, O=Good, Inc., C=US
trust_anchors {
  sha256_hex: "aa"
}

# CN=Late Root - G1, O=Late Telecom Co., Ltd., C=TW
# https://valid.late.example/
trust_anchors {
  sha256_hex: "bb"
  constraints: {
    sct_not_after_sec: 1754006399
  }
}

# OU=Unit Root, O=Unit, C=DE
trust_anchors {
  sha256_hex: "cc"
  constraints: {
    sct_not_after_sec: 1719791999
    min_version: "124"
  }
  constraints: {
    sct_not_after_sec: 1719705599
    max_version_exclusive: "124"
  }
}
"""


def log(name: str, state: str | None, end: str = "2027-07-01T00:00:00Z") -> dict[str, Any]:
    interval = {"start_inclusive": "2027-01-01T00:00:00Z", "end_exclusive": end}
    states = {"state": {state: {"timestamp": "2026-05-06T07:08:09Z"}}} if state else {"log_type": "test"}
    return {"description": name, "log_id": name, "mmd": 60, "temporal_interval": interval, **states}


LOGS = {
    "operators": [
        {
            "name": "One",
            "logs": [
                log("a", "usable"),
                log("b", "retired"),
                log("c", "rejected"),
                log("d", None),
                log("e", "usable", "2027-01-02T00:00:00Z"),
            ],
            "tiled_logs": [log("f", "pending")],
        },
        {"name": "Two", "logs": [log("g", "readonly")]},
    ]
}


def test_logs_are_read_with_what_counts_of_them() -> None:
    assert accepted(LOGS, dt.date(2027, 1, 1)) == [
        {"id": "a", "operator": "One"},
        {"id": "b", "operator": "One", "until": "2026-05-06T07:08:09Z"},
        {"id": "c", "operator": "One", "until": "1970-01-01T00:00:00Z"},
        {"id": "e", "operator": "One"},
        {"id": "f", "operator": "One", "tiled": True},
        {"id": "g", "operator": "Two"},
    ]
    assert [one["id"] for one in accepted(LOGS, dt.date(2027, 1, 2))] == ["a", "b", "c", "f", "g"]


def test_roots_with_a_date_are_read() -> None:
    found = [(one["root"], one["after"], one["browser"]) for one in distrusted(STORE)]
    assert found == [
        ("CN=Late Root - G1", "2025-07-31T23:59:59Z", "Chrome"),
        ("OU=Unit Root", "2024-06-30T23:59:59Z", "Chrome"),
    ]


def test_new_ones_are_added_once_and_the_date_is_todays() -> None:
    rules = json.loads(RULES.read_text())
    new = renewed(rules, STORE, LOGS, TODAY)
    assert new["asOf"] == "2027-01-02T00:00:00Z"
    assert new["distrust"] == rules["distrust"] + distrusted(STORE)
    assert renewed(new, STORE, LOGS, TODAY) == new
    assert new["logs"]["asOf"] == new["asOf"] and new["logs"]["accepted"] == accepted(LOGS, TODAY)
    assert {**new, "asOf": rules["asOf"], "distrust": rules["distrust"], "logs": rules["logs"]} == rules


def test_a_store_of_another_form_changes_nothing() -> None:
    with pytest.raises(ValueError, match="form of the store"):
        renewed(json.loads(RULES.read_text()), "<html></html>", LOGS, TODAY)
    with pytest.raises(ValueError, match="form of the store"):
        renewed(json.loads(RULES.read_text()), STORE.replace("# OU=Unit Root", "# Unit Root"), LOGS, TODAY)
    with pytest.raises(ValueError, match="form of the list"):
        renewed(json.loads(RULES.read_text()), STORE, {"operators": []}, TODAY)


def test_the_file_is_written_as_it_is() -> None:
    rules = json.loads(RULES.read_text())
    assert RULES.read_text() == written(rules)
    assert all(source.startswith("https://") for source in sources(rules))
