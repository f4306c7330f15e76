"""`make browser-rules`: renews the roots that Chrome no longer trusts for new certificates, in browsers.json.

Chrome's root store names them with a date (`sct_not_after_sec`). The other rules change with announcements that no
machine reads: the script prints their sources, to be read by a person. It writes today's date as that of the rules, so
run it only when you have read them.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[2] / "crates/core/src/certificate/fitness/browsers.json"
STORE = "https://chromium.googlesource.com/chromium/src/+/main/net/data/ssl/chrome_root_store/root_store.textproto"
# An anchor: its subject as a comment, then its fields.
ANCHOR = re.compile(r"^# (?P<subject>[^\n]+)\ntrust_anchors \{(?P<fields>.*?)^\}", re.MULTILINE | re.DOTALL)
LAST = re.compile(r"\bsct_not_after_sec: (\d+)")


def distrusted(store: str) -> list[dict[str, str]]:
    """The roots with a date, of Chrome's root store in its text form."""
    found = []
    for anchor in ANCHOR.finditer(store):
        dates = [int(seconds) for seconds in LAST.findall(anchor["fields"])]
        if dates:
            after = dt.datetime.fromtimestamp(max(dates), dt.UTC)
            found.append(
                {
                    "root": name(anchor["subject"]),
                    "browser": "Chrome",
                    "after": after.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "source": STORE,
                }
            )
    return found


def name(subject: str) -> str:
    """The part of a subject that names the root: the common name, or else the organizational unit."""
    parts = re.split(r", (?=[A-Za-z]+=)", subject)
    for kind in ("CN=", "OU=", "O="):
        for part in parts:
            if part.startswith(kind):
                return part
    return subject


def renewed(rules: dict[str, Any], store: str, today: dt.date) -> dict[str, Any]:
    """The rules with what Chrome's store says. What is there stays."""
    new = distrusted(store)
    if not new:
        raise ValueError("no root has a date: the form of the store has changed")
    known = {(one["root"], one["browser"], one["after"]) for one in rules["distrust"]}
    added = [one for one in new if (one["root"], one["browser"], one["after"]) not in known]
    return {**rules, "asOf": f"{today}T00:00:00Z", "distrust": rules["distrust"] + added}


def written(rules: dict[str, Any]) -> str:
    return json.dumps(rules, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--store", type=Path, help="Chrome's root_store.textproto as a file, instead of from the network"
    )
    arguments = parser.parse_args()
    if arguments.store:
        store = arguments.store.read_text()
    else:
        with urllib.request.urlopen(f"{STORE}?format=TEXT", timeout=60) as answer:
            store = base64.b64decode(answer.read()).decode()
    rules = json.loads(RULES.read_text())
    new = renewed(rules, store, dt.datetime.now(dt.UTC).date())
    RULES.write_text(written(new))
    print(
        f"{len(new['distrust']) - len(rules['distrust'])} new roots with a date. Have the other rules changed?",
        *sources(rules),
        sep="\n",
    )


def sources(rules: dict[str, Any]) -> list[str]:
    return [*rules["transparency"]["sources"], *rules["lifetimes"]["sources"]]


if __name__ == "__main__":
    sys.exit(main())
