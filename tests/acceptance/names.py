"""The names of a run's resources: the sweeper recognizes them by name and tag only."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass
from typing import Final

# The tag on everything that supports tags; its value is the name of the run.
TAG: Final = "certrot-acceptance"
PREFIX: Final = "certrot-acc-"
# The policy that a scene puts on a role of the stack, and that a killed run leaves there.
BROKEN_TARGET_POLICY: Final = "certrot-acceptance-broken-target"
# Lower-case base32 (RFC 4648): without 0, 1, 8 and 9, so that it cannot be misread.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_NAME: Final = re.compile(rf"({PREFIX}([0-9]{{12}})-[{_LETTERS}]{{4}})(?:[-/].*)?", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """A run of the suite: `certrot-acc-YYYYMMDDhhmm-xxxx`, with the UTC minute in which it started."""

    name: str
    started: dt.datetime

    @classmethod
    def new(cls, now: dt.datetime) -> Run:
        """A run with a unique name; `now` needs a time zone."""
        started = now.astimezone(dt.UTC).replace(second=0, microsecond=0)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(4))
        return cls(f"{PREFIX}{started:%Y%m%d%H%M}-{letters}", started)

    @classmethod
    def parse(cls, text: str) -> Run | None:
        """The run whose name is `text` or its beginning before a `-` or a `/`; None for anything else."""
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
