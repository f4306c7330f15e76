"""State that the services share: settings, faults, the log of calls, and which resource uses which certificate."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

# The account of ministack, the platform half of the local AWS: ARNs of both halves must match.
ACCOUNT = "000000000000"


@dataclass
class Settings:
    propagation_seconds: float = 0.0
    in_use_lag_seconds: float = 0.0
    # ARN -> tags that the index of the tagging API has in place of the resource's, or of one that was deleted
    outdated_tags: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Fault:
    """A response or a delay that replaces the responses of the next matching calls."""

    service: str
    operation: str
    code: str | None = None
    status: int = 400
    message: str = "injected fault"
    resource: str | None = None
    times: int = 1
    skip: int = 0
    every: int = 1
    probability: float = 1.0
    # A token bucket of `burst` tokens, refilled at this rate a second; the fault applies to calls that find it empty.
    rate: float | None = None
    burst: float = 1
    after_effect: bool = False
    latency_seconds: float = 0.0
    fired: int = 0
    met: int = 0
    _taken: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def fires(self, service: str, operation: str, resource: str | None) -> bool:
        if self.service != service or not fnmatchcase(operation, self.operation) or self.fired >= self.times:
            return False
        if self.resource not in (None, resource):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.met += 1
        if self.met % self.every:
            return False
        if random.random() >= self.probability or self._has_room():
            return False
        self.fired += 1
        return True

    def _has_room(self) -> bool:
        if self.rate is None:
            return False
        now = time.monotonic()
        self._taken = max(0.0, self._taken - (now - self._since) * self.rate)
        self._since = now
        if self._taken + 1 > self.burst:
            return False
        self._taken += 1
        return True


@dataclass(frozen=True)
class Denial:
    """A policy statement with the effect Deny: one action, one resource."""

    action: str
    resource: str

    def meets(self, service: str, operation: str, resource: str | None) -> bool:
        if not fnmatchcase(f"{service}:{operation}".lower(), self.action.lower()):
            return False
        return fnmatchcase(resource or "", self.resource) or (resource or "*") == self.resource.rpartition("/")[2]


@dataclass
class Call:
    service: str
    operation: str
    resource: str | None
    region: str
    status: int
    error: str | None
    time: float


@dataclass
class World:
    """One per server. `lock` makes each API call and each control call atomic."""

    initial: Settings = field(default_factory=Settings)
    lock: threading.RLock = field(default_factory=threading.RLock)
    settings: Settings = field(default_factory=Settings)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    # (server name, fingerprint served) -> count; None for no name and for no certificate
    handshakes: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    # (role, name of an inline policy) -> what it denies; the role of a call is not known here
    denials: dict[tuple[str, str], list[Denial]] = field(default_factory=dict)
    # certificate (ACM ARN or IAM id) -> ARN of its user -> when the user stopped using it, None while it uses it
    _users: dict[str, dict[str, float | None]] = field(default_factory=dict)
    # the same for users outside this system: API Gateway, Cognito, a distribution of another account
    other_users: dict[str, list[str]] = field(default_factory=dict)

    def start_with(self, settings: Settings) -> None:
        self.initial = settings
        self.reset()

    def reset(self) -> None:
        self.settings = Settings(**vars(self.initial))
        self.faults.clear()
        self.calls.clear()
        self.handshakes.clear()
        self.denials.clear()
        self._users.clear()
        self.other_users.clear()

    def take_fault(self, service: str, operation: str, resource: str | None) -> Fault | None:
        with self.lock:
            return next((fault for fault in self.faults if fault.fires(service, operation, resource)), None)

    def denied(self, service: str, operation: str, resource: str | None) -> str | None:
        """The resource of a matching denial, if a policy of any role denies the action."""
        denials = [one for policy in self.denials.values() for one in policy]
        return next((one.resource for one in denials if one.meets(service, operation, resource)), None)

    def hold(self, certificate: str, user: str) -> None:
        self._users.setdefault(certificate, {})[user] = None

    def release(self, certificate: str, user: str) -> None:
        self._users[certificate][user] = time.time()

    def users_of(self, certificate: str) -> list[str]:
        """ACM and IAM report a user for a while after it has stopped using the certificate."""
        now, lag = time.time(), self.settings.in_use_lag_seconds
        users = self._users.get(certificate, {})
        named = [user for user, released in users.items() if released is None or now < released + lag]
        return named + self.other_users.get(certificate, [])


world = World()


def as_json(record: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if not name.startswith("_")}
