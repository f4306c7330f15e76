"""What the things that a run makes are called: by this name the sweeper knows them, and by nothing else."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass
from typing import Final

# The tag on everything that takes tags; its value is the name of the run.
TAG: Final = "certrot-acceptance"
PREFIX: Final = "certrot-acc-"
# What a scene puts on a role of the stack, and a killed run leaves there.
BROKEN_TARGET_POLICY: Final = "certrot-acceptance-broken-target"
# Lower-case base32 (RFC 4648): no 0, 1, 8 and 9, so that nobody misreads it.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_NAME: Final = re.compile(rf"({PREFIX}([0-9]{{12}})-[{_LETTERS}]{{4}})(?:[-/].*)?", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """One run of the suite: `certrot-acc-YYYYMMDDhhmm-xxxx`, with the UTC minute in which it began."""

    name: str
    started: dt.datetime

    @classmethod
    def new(cls, now: dt.datetime) -> Run:
        """A name that no other run has; `now` needs a time zone."""
        started = now.astimezone(dt.UTC).replace(second=0, microsecond=0)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(4))
        return cls(f"{PREFIX}{started:%Y%m%d%H%M}-{letters}", started)

    @classmethod
    def parse(cls, text: str) -> Run | None:
        """The run whose name `text` is, or begins with before a `-` or a `/`; None for all else."""
        found = _NAME.fullmatch(text)
        if not found:
            return None
        name, minute = found.groups()
        try:
            return cls(name, dt.datetime.strptime(minute, "%Y%m%d%H%M").replace(tzinfo=dt.UTC))
        except ValueError:  # the 31st of February
            return None

    def __str__(self) -> str:
        return self.name
