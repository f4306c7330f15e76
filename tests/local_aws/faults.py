"""Controls the fault proxies of a local AWS, which are processes of `fault_proxy`: sets rules, reads fired faults."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

# The path of microburst's control API, on the proxy's own port.
CONTROL = "/_microburst"
# How many fired faults the proxy keeps: more than the calls of any rotation here.
KEPT = 100_000


@dataclass(frozen=True)
class Fired:
    """A fault that replaced or delayed a response."""

    time: float
    service: str
    operation: str
    resource: str
    # The name of its rule, or else the action that microburst reports.
    kind: str


class Proxy:
    """Controls the proxies of both halves as one."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self._names: dict[tuple[str, int], str] = {}

    def rules(self, rules: list[dict[str, Any]], seed: object = 0) -> None:
        """Replaces the rules (microburst's, plus an optional "name"); resets the counts and the fired faults."""
        self.clear()
        for url in self.urls:
            call("PUT", f"{url}{CONTROL}/seed", str(seed).encode())
            made = call("POST", f"{url}{CONTROL}/rules", json.dumps(rules).encode())
            for rule, given in zip(made, rules, strict=True):
                self._names[url, rule["id"]] = given.get("name", "")

    def clear(self) -> None:
        """Removes all rules and all fired faults."""
        self._names.clear()
        for url in self.urls:
            call("POST", f"{url}{CONTROL}/rules", b"[]")
            call("DELETE", f"{url}{CONTROL}/fired")

    def fired(self) -> list[Fired]:
        """The faults fired since the rules were set, in order."""
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
        """How many calls have passed since the start, with or without a fault."""
        return sum(call("GET", f"{url}{CONTROL}/health")["requests_seen"] for url in self.urls)


def call(method: str, url: str, body: bytes | None = None) -> Any:
    """Calls the control API of a proxy."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body), timeout=10) as answer:
        return json.loads(answer.read())
