"""The rules of browsers: how `make browser-rules` renews them."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from scripts.browser_rules import RULES, distrusted, renewed, sources, written

TODAY = dt.date(2027, 1, 2)
STORE = """
# A comment about the store.
version_major: 99

# CN=Good Root, O=Good, Inc., C=US
trust_anchors {
  sha256_hex: "aa"
}

# CN=Late Root - G1, O=Late Telecom Co., Ltd., C=TW
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


def test_roots_with_a_date_are_read() -> None:
    found = [(one["root"], one["after"], one["browser"]) for one in distrusted(STORE)]
    assert found == [
        ("CN=Late Root - G1", "2025-07-31T23:59:59Z", "Chrome"),
        ("OU=Unit Root", "2024-06-30T23:59:59Z", "Chrome"),
    ]


def test_new_ones_are_added_once_and_the_date_is_todays() -> None:
    rules = json.loads(RULES.read_text())
    new = renewed(rules, STORE, TODAY)
    assert new["asOf"] == "2027-01-02T00:00:00Z"
    assert new["distrust"] == rules["distrust"] + distrusted(STORE)
    assert renewed(new, STORE, TODAY) == new
    assert {**new, "asOf": rules["asOf"], "distrust": rules["distrust"]} == rules


def test_a_store_of_another_form_changes_nothing() -> None:
    with pytest.raises(ValueError, match="form of the store"):
        renewed(json.loads(RULES.read_text()), "<html></html>", TODAY)


def test_the_file_is_written_as_it_is() -> None:
    rules = json.loads(RULES.read_text())
    assert RULES.read_text() == written(rules)
    assert all(source.startswith("https://") for source in sources(rules))
