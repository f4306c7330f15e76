"""`make browser-rules`: renews browsers.json, by what Chrome publishes for machines.

Chrome's root store names the roots that it no longer trusts for new certificates, with a date (`sct_not_after_sec`),
and its list of logs the operator and the state of each. The other rules change with announcements that no machine
reads: the script prints their sources, to be read by a person. It writes today's date as that of the rules, so run it
only when you have read them.
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
# Also those that Chrome does not accept, by operator: its schema is beside it as log_list_schema.json.
LOGS = "https://www.gstatic.com/ct/log_list/v3/all_logs_list.json"
# An anchor: comments, of which one is its subject and others are pages for tests, then its fields.
ANCHOR = re.compile(r"(?P<comments>(?:^#[^\n]*\n)+)trust_anchors \{(?P<fields>.*?)^\}", re.MULTILINE | re.DOTALL)
SUBJECT = re.compile(r"^# ([A-Za-z]+=[^\n]+)$", re.MULTILINE)
LAST = re.compile(r"\bsct_not_after_sec: (\d+)")


def distrusted(store: str) -> list[dict[str, str]]:
    """The roots with a date, of Chrome's root store in its text form."""
    found = []
    for anchor in ANCHOR.finditer(store):
        dates = [int(seconds) for seconds in LAST.findall(anchor["fields"])]
        if dates:
            subject = SUBJECT.search(anchor["comments"])
            if not subject:
                raise ValueError(f"an anchor without its subject: the form of the store has changed: {anchor[0]}")
            after = dt.datetime.fromtimestamp(max(dates), dt.UTC)
            found.append(
                {
                    "root": name(subject[1]),
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


def accepted(logs: dict[str, Any], today: dt.date) -> list[dict[str, Any]]:
    """The logs for certificates that have not ended yet, of Chrome's list.

    A log that is pending is taken as accepted: no authority uses it before it is. Of one that Chrome has retired, the
    timestamps before count; of one that it has rejected, none. Logs for tests and for monitoring have no state.
    """
    found = []
    for operator in logs["operators"]:
        for log in operator["logs"] + operator.get("tiled_logs", []):
            end = log.get("temporal_interval", {}).get("end_exclusive", "9999")
            for state, since in log.get("state", {}).items():
                if end <= f"{today}T00:00:00Z":
                    continue
                one = {"id": log["log_id"], "operator": operator["name"]}
                if log in operator.get("tiled_logs", []):
                    one["tiled"] = True
                if state == "retired":
                    one["until"] = since["timestamp"]
                if state == "rejected":
                    one["until"] = "1970-01-01T00:00:00Z"
                found.append(one)
    return found


def renewed(rules: dict[str, Any], store: str, logs: dict[str, Any], today: dt.date) -> dict[str, Any]:
    """The rules with what Chrome says now. Roots that are there stay."""
    new = distrusted(store)
    if not new:
        raise ValueError("no root has a date: the form of the store has changed")
    known = {(one["root"], one["browser"], one["after"]) for one in rules["distrust"]}
    added = [one for one in new if (one["root"], one["browser"], one["after"]) not in known]
    as_of = f"{today}T00:00:00Z"
    logs = {"asOf": as_of, "source": LOGS, "accepted": accepted(logs, today)}
    if not logs["accepted"]:
        raise ValueError("no log is accepted: the form of the list has changed")
    return {**rules, "asOf": as_of, "logs": logs, "distrust": rules["distrust"] + added}


def written(rules: dict[str, Any]) -> str:
    return json.dumps(rules, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--store", type=Path, help="Chrome's root_store.textproto as a file, instead of from the network"
    )
    parser.add_argument("--logs", type=Path, help="Chrome's all_logs_list.json as a file, instead of from the network")
    arguments = parser.parse_args()
    store = (
        arguments.store.read_text() if arguments.store else base64.b64decode(fetched(f"{STORE}?format=TEXT")).decode()
    )
    logs = json.loads(arguments.logs.read_text() if arguments.logs else fetched(LOGS))
    rules = json.loads(RULES.read_text())
    new = renewed(rules, store, logs, dt.datetime.now(dt.UTC).date())
    RULES.write_text(written(new))
    print(
        f"{len(new['distrust']) - len(rules['distrust'])} new roots with a date, "
        f"{len(new['logs']['accepted'])} logs. Have the other rules changed?",
        *sources(rules),
        sep="\n",
    )


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def sources(rules: dict[str, Any]) -> list[str]:
    return [*rules["transparency"]["sources"], *rules["lifetimes"]["sources"]]


if __name__ == "__main__":
    sys.exit(main())
