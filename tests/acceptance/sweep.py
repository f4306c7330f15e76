"""`make acceptance-sweep`: removes what runs of the suite have left in an account and that is older than a day.

    python -m acceptance.sweep                   all runs that started more than a day ago
    python -m acceptance.sweep --run RUN         this one, whatever its age
    python -m acceptance.sweep --older-than 2    those that started more than two hours ago

It lists what it will remove, and asks. Name and tag decide which run a resource belongs to (`acceptance.removal`); the
time in the run's name decides its age. It can be stopped at any moment and resumed.

Exits with 0 if nothing of this is left, 1 if something is, 2 if refused, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import os
import sys
from collections.abc import Callable

from .account import Account
from .names import Run
from .preflight import Refused, caller, exit_code, open_session
from .removal import find, remove_all


def is_due(run: Run, now: dt.datetime, older_than: dt.timedelta) -> bool:
    """Whether the run started longer ago than this. A run in the future did not."""
    return now - run.started > older_than


def due(options: argparse.Namespace, now: dt.datetime) -> Callable[[Run], bool]:
    """Which runs are to be swept."""
    if options.run is None:
        return lambda run: is_due(run, now, dt.timedelta(hours=options.older_than))
    wanted = Run.parse(options.run)
    if wanted is None or wanted.name != options.run:
        raise Refused(f"{options.run} is not the name of a run: expected a name like certrot-acc-202611271200-abcd.")
    return lambda run: run == wanted


def hours(text: str) -> float:
    """An age in hours, finite and not negative."""
    value = float(text)
    if not (math.isfinite(value) and 0 <= value <= 24 * 365):
        raise ValueError(text)
    return value


def sweep(account: Account, wanted: Callable[[Run], bool], agree: Callable[[], bool]) -> int:
    """Lists, asks, removes; returns the exit code."""
    unseen: list[str] = []
    things = [thing for thing in find(account, unseen) if wanted(thing.run)]
    for thing in things:
        print(f"  {thing}, of {thing.run}")
    for sentence in unseen:
        print(f"NOT LISTED: {sentence}", file=sys.stderr)
    if not things:
        print("Nothing to remove among what could be listed." if unseen else "Nothing to remove.")
        return 1 if unseen else 0
    if not agree():
        raise Refused("Nothing was removed.")
    left = remove_all(account, wanted)
    for sentence in left:
        print(f"LEFT: {sentence}", file=sys.stderr)
    if not left:
        print(f"All {len(things)} are removed.")
    return 1 if left else 0


def asked() -> bool:
    """Whether the user has confirmed."""
    if not sys.stdin.isatty():
        raise Refused("There is no terminal to ask for confirmation: to proceed, pass YES=1. Nothing was removed.")
    return input("Remove these for good? [y/N] ").strip().lower() in ("y", "yes")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="acceptance.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", help="its name, certrot-acc-…")
    which.add_argument(
        "--older-than", type=hours, default=24, metavar="HOURS", help="since the run began; 24 if not given"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--poll-seconds", type=float, default=15, help="polling interval of long operations")
    options = parser.parse_args(arguments)

    def act() -> int:
        wanted = due(options, dt.datetime.now(dt.UTC))
        session = open_session(os.environ.get("AWS_REGION"))
        who = caller(session)
        print(f"Account {who['Account']}, {session.region_name}:")
        # The run is only for the names of new resources, and none are created here.
        account = Account(session, Run.new(dt.datetime.now(dt.UTC)), options.poll_seconds)
        return sweep(account, wanted, lambda: options.yes or asked())

    return exit_code(act, "Interrupted: sweep again to resume.")


if __name__ == "__main__":
    sys.exit(main())
