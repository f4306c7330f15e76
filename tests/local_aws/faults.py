"""Steers the fault proxies of a local AWS, which are processes of `fault_proxy`: rules in, what was fired out."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

# Where microburst's control API is, on the proxy's own port.
CONTROL = "/_microburst"
# How many fired faults are kept: more than any rotation here makes calls.
KEPT = 100_000


@dataclass(frozen=True)
class Fired:
    """A fault that took the place of an answer, or delayed it."""

    time: float
    service: str
    operation: str
    resource: str
    # The name of its rule, or else what microburst says it did.
    kind: str


class Proxy:
    """The control of the proxies in front of both halves, as one."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self._names: dict[tuple[str, int], str] = {}

    def rules(self, rules: list[dict[str, Any]], seed: object = 0) -> None:
        """Replaces the rules, which are microburst's and may have a "name"; counts afresh, forgets what was fired."""
        self.clear()
        for url in self.urls:
            call("PUT", f"{url}{CONTROL}/seed", str(seed).encode())
            made = call("POST", f"{url}{CONTROL}/rules", json.dumps(rules).encode())
            for rule, given in zip(made, rules, strict=True):
                self._names[url, rule["id"]] = given.get("name", "")

    def clear(self) -> None:
        """No rules any more, and nothing that was fired."""
        self._names.clear()
        for url in self.urls:
            call("POST", f"{url}{CONTROL}/rules", b"[]")
            call("DELETE", f"{url}{CONTROL}/fired")

    def fired(self) -> list[Fired]:
        """What was fired since the rules were set, in order."""
        found = [
            Fired(
                *(event["ts"], str(event["service"]), str(event["operation"]), event["resource"]),
                self._names.get((url, event["rule_id"])) or event["action"],
            )
            for url in self.urls
            for event in call("GET", f"{url}{CONTROL}/fired?limit={KEPT}")
        ]
        return sorted(found, key=lambda one: one.time)

    def seen(self) -> int:
        """How many calls have come through since the start, faulty or not."""
        return sum(call("GET", f"{url}{CONTROL}/health")["requests_seen"] for url in self.urls)


def call(method: str, url: str, body: bytes | None = None) -> Any:
    """A call to the control API of a proxy."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body), timeout=10) as answer:
        return json.loads(answer.read())
