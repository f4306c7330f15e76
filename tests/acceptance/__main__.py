"""`make acceptance`: runs the whole system on a real AWS account, answers open questions about AWS, removes everything.

    python -m acceptance run --domain cdn.example.com --old OLD.pem OLD.key --new NEW.pem NEW.key
    python -m acceptance run --local          the same on the local AWS, with throwaway certificates
    python -m acceptance check --domain ...   only the checks before a run: files, credentials, account

Exits with 0 if every promise was kept, 1 if one was not or something is left, 2 if refused, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from . import page, questions, states
from .account import ROOT, TEMPLATE, Account, Failed, words
from .names import Run
from .page import Played, Record
from .preflight import Pair, Refused, caller, exit_code, faults, is_public, open_session, read_pair
from .recorder import Recorder
from .removal import find, remove_all
from .scenes import SCENES, LeftOut, Stage, deploy, make, names_for
from .scrub import Scrubber

FOLDER = ROOT / ".local" / "acceptance"
PLAN = """\
Run {run} in account {account}, {region}, for {domain}.

  it creates                                           which costs, in USD
  a stack of the template, with eleven functions       KMS key 1.00, four alarms 0.10, dashboard 3.00 a month
  three distributions, a multi-tenant one, a tenant    nothing: they serve no request
  a web ACL without rules, a CloudFront function       web ACL 5.00 a month
  two secrets, three buckets                           secrets 0.40 a month each
  two certificates in ACM and IAM, several times       nothing
  five rotations of one to five targets                0.02 for state transitions

All prices are prorated by the hour; nothing is kept. A run costs less than 0.20 in total and takes an hour or two.
{remarks}Existing resources are not changed. Each resource has a name that begins with {run}, and is removed at the end.
"""
PRIVATE = """\
The authority is private: the functions are packaged with its root, no distribution gets an alias, there is no
tenant, and verifyViewers is off. Whether CloudFront accepts such a certificate has not been tested.
"""


class Teller:
    """Prints progress with the time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        # The terminal may be closed; what was created must be removed nevertheless.
        with contextlib.suppress(OSError):
            print(f"{dt.datetime.now():%H:%M:%S}  {minutes:3}:{seconds:02}  {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="acceptance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--domain", default="", help="the name that both certificates cover")
    for which in ("old", "new"):
        common.add_argument(f"--{which}", nargs=2, type=Path, metavar=("FULLCHAIN", "KEY"), help="two PEM files")
    common.add_argument("--roots", type=Path, help="roots of a private authority, PEM; see docs/acceptance.md")
    common.add_argument(
        "--log-rights", action="store_true", help="deploy with LogBuckets, if a run has shown that it is required"
    )
    common.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    common.add_argument(
        "--beside", action="store_true", help="even if an earlier run has left resources, or is running"
    )
    common.add_argument("--local", action="store_true", help="on the local AWS, with throwaway certificates")
    common.add_argument("--folder", type=Path, default=FOLDER, help="parent of the run's folder")
    common.add_argument("--settle-seconds", type=float, default=20, help="until an IAM policy is effective everywhere")
    common.add_argument("--poll-seconds", type=float, default=15, help="polling interval of long operations")
    common.add_argument("--template", type=Path, default=TEMPLATE, help="template whose packages are deployed")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", parents=[common], help="check the arguments, the files and the account, then stop")
    commands.add_parser("run", parents=[common], help="run everything")
    options = parser.parse_args(arguments)
    # On SIGTERM, or when its terminal closes, it removes what it has created, as after Ctrl-C.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)

    def act() -> int:
        with local() if options.local else contextlib.nullcontext() as given:
            for name, value in (given or {}).items():
                setattr(options, name, value)
            return play(options, Teller())

    return exit_code(act, "Interrupted.")


@contextlib.contextmanager
def local() -> Iterator[dict[str, object]]:
    """The local AWS instead of AWS: the same calls to other endpoints."""
    from local_aws.platform import LocalAws

    with LocalAws(propagation_seconds=1, wait_scale=0.01) as aws, tempfile.TemporaryDirectory() as directory:
        files = throwaway(aws, Path(directory), "cdn.example.com")
        os.environ.update(aws.environment)
        yield {
            "domain": "cdn.example.com",
            "poll_seconds": 0.1,
            "yes": True,
            "settle_seconds": 0,
            "template": aws.template,
            **files,
        }


def throwaway(aws: object, folder: Path, *names: str) -> dict[str, list[Path]]:
    """Two pairs of files, signed by the local AWS's authority, which the functions trust."""
    found = {}
    for which, days in (("old", 30), ("new", 90)):
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        leaf = aws.intermediate.leaf(*names, *(f"*.{name}" for name in names), not_after=ends)  # type: ignore[attr-defined]
        certificate, key = folder / f"{which}.pem", folder / f"{which}.key"
        certificate.write_text(leaf.certificate_pem + leaf.chain_pem)
        key.write_text(leaf.key_pem)
        found[which] = [certificate, key]
    return found


@dataclass(frozen=True)
class Ready:
    """The results of the checks before a run, all passed."""

    began: dt.datetime
    run: Run
    old: Pair
    new: Pair
    roots: Path | None
    session: boto3.Session
    account: str


def examine(options: argparse.Namespace) -> Ready:
    """Checks the arguments, the files, the credentials and the account."""
    if not (options.domain and options.old and options.new):
        raise Refused(
            "Give a name and two certificates for it, each with its chain: "
            "DOMAIN=cdn.example.com OLD='fullchain.pem key.pem' NEW='next.pem next.key'."
        )
    now = dt.datetime.now(dt.UTC)
    old, new = read_pair("OLD", *options.old), read_pair("NEW", *options.new)
    if wrong := faults(options.domain, old, new, now):
        raise Refused("\n".join(wrong))
    roots = trusted(options, old, new, now)
    session = open_session(os.environ.get("AWS_REGION"))
    account = caller(session)["Account"]
    run = Run.new(now)
    refuse_leftovers(options, Account(session, run))
    return Ready(now, run, old, new, roots, session, account)


def play(options: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """A whole run, from the checks to the page."""
    ready = examine(options)
    if options.command == "check":
        print("Files, credentials and account are fit for a run.")
        return 0
    run, old, new, roots, session = ready.run, ready.old, ready.new, ready.roots, ready.session
    remarks = PRIVATE if roots else ""
    print(
        PLAN.format(run=run, account=ready.account, region=session.region_name, domain=options.domain, remarks=remarks)
    )
    agree(options)

    folder = options.folder / run.name
    folder.mkdir(parents=True)
    recorded = open_session(os.environ.get("AWS_REGION"))
    scrubber = Scrubber(options.domain, ready.account)
    Recorder(folder / "calls", scrubber).attach(recorded)
    stage = Stage(
        Account(recorded, run, options.poll_seconds, tell),
        old,
        new,
        {} if roots else names_for(options.domain, old, new, run.name),
        folder,
        tell,
        options.settle_seconds,
        roots,
        options.log_rights,
        options.template,
    )
    record = Record(run, ready.began, recorded.client("sts").meta.endpoint_url)
    try:
        perform(stage, record)
    except KeyboardInterrupt:
        record.stopped, record.code = "Interrupted.", 130
    except Refused as error:
        record.stopped, record.code = str(error), 2
    except Failed as error:
        record.stopped = str(error)
    except ClientError as error:
        record.stopped = f"AWS refused {error.operation_name}: {words(error)}"
    except BotoCoreError as error:
        record.stopped = f"A call failed: {error}"
    finally:
        # This also finds resources whose creation got no response. These calls are not recorded, because they also
        # list other resources of the account.
        tell(f"Removing the resources of {run}; distributions take some minutes")
        record.left = clean(Account(session, run, options.poll_seconds, tell), record)
        record.ended = dt.datetime.now(dt.UTC)
        (folder / "answers.md").write_text(scrubber.text(page.written(record)))
    return conclude(record, folder)


def trusted(options: argparse.Namespace, old: Pair, new: Pair, now: dt.datetime) -> Path | None:
    """The roots to trust in addition to those of public authorities, if a certificate needs them."""
    private = [which for which, pair in (("OLD", old), ("NEW", new)) if not is_public(pair, options.domain, now)]
    if not private:
        return None
    if options.roots is None:
        raise Refused(
            f"{' and '.join(private)}: no public authority issued it, as far as its chain shows. "
            "Give the whole chain; for a private authority, also its root with ROOTS=root.pem."
        )
    for which, pair in (("OLD", old), ("NEW", new)):
        if not is_public(pair, options.domain, now, options.roots):
            raise Refused(f"{which} does not lead to a root in {options.roots} either: give its chain, and the root.")
    return Path(options.roots)


def refuse_leftovers(options: argparse.Namespace, account: Account) -> None:
    """An incomplete earlier run would cost money unnoticed; what cannot be listed could not be removed."""
    left: dict[str, list[str]] = {}
    unseen: list[str] = []
    for thing in find(account, unseen):
        left.setdefault(thing.run.name, []).append(str(thing))
    if unseen:
        raise Refused("The resources of a run could not be listed, and so not removed:\n" + "\n".join(unseen))
    if options.beside:
        return
    if left:
        listed = "\n".join(f"  {name}: {', '.join(things)}" for name, things in left.items())
        raise Refused(
            f"An earlier run has left resources, or is still running:\n{listed}\n"
            f"Remove it with make acceptance-sweep RUN={min(left)}, or run beside it with BESIDE=1."
        )


def agree(options: argparse.Namespace) -> None:
    """Asks for confirmation before anything is created."""
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise Refused("There is no terminal to ask for confirmation: to proceed, pass YES=1. Nothing was created.")
    if input("Continue? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was made.")


def perform(stage: Stage, record: Record) -> None:
    """Creates the resources, plays the scenes, asks the questions."""
    tell = stage.tell
    tell("Certificates, a web ACL, a function, buckets, distributions")
    make(stage)
    tell("The stack, while CloudFront deploys the distributions")
    deploy(stage)
    for scene in SCENES:
        began = time.monotonic()
        missing = [name for name in scene.needs if not record.kept(name)]
        came = f"skipped, since it needs {', '.join(missing)}." if missing else ""
        if not missing:
            tell(f"{scene.name}: {scene.promise}")
            try:
                scene.play(stage)
            except LeftOut as error:
                record.left_out.append(scene.name)
                came = f"left out: {error}"
            except Failed as error:
                came = str(error)
            except ClientError as error:
                came = f"AWS refused {error.operation_name}: {words(error)}"
        record.scenes.append(Played(scene, came, time.monotonic() - began))
        tell(f"{scene.name}: {came if scene.name in record.left_out else 'NOT KEPT: ' + came if came else 'kept'}")
    tell("Testing each state with TestState")
    try:
        record.states = states.ask_states(stage)
    except ClientError as error:
        tell(f"  AWS refused {error.operation_name}: {words(error)}")
    for question in questions.QUESTIONS:
        tell(f"Question {question.number}: {question.text}")
        answer = questions.ask(stage, question)
        record.answers.append(answer)
        for sentence in answer.said:
            tell(f"  {sentence}")
        for sentence in answer.not_asked:
            tell(f"  not tested: {sentence}")


def clean(account: Account, record: Record) -> list[str]:
    """Removes everything of the run; returns what is left."""
    name = account.run.name
    try:
        return remove_all(account, lambda run: run.name == name)
    except KeyboardInterrupt:
        record.stopped, record.code = "Interrupted.", 130
        return [f"Interrupted during removal: make acceptance-sweep RUN={name} continues it."]
    except (ClientError, BotoCoreError) as error:
        return [f"{error}: make acceptance-sweep RUN={name} continues it."]


def conclude(record: Record, folder: Path) -> int:
    """Prints the result; returns the exit code."""
    print()
    if record.stopped:
        print(f"{record.stopped}", file=sys.stderr)
    for sentence in record.left:
        print(f"LEFT: {sentence}", file=sys.stderr)
    if not record.left:
        print("Everything that was created has been removed.")
    print(f"{record.verdict()}\nThe page: {folder / 'answers.md'}\nThe calls: {folder / 'calls'}")
    return 0 if record.passed() else record.code


if __name__ == "__main__":
    sys.exit(main())
