"""The page that a run writes: promises kept, questions answered, where each state led, what is left."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from .names import Run
from .questions import Answer
from .scenes import SCENES, Scene
from .states import StateAnswer


@dataclass(frozen=True)
class Played:
    """A scene, why it failed ("" if it did not), and how long it took."""

    scene: Scene
    came: str
    seconds: float


@dataclass
class Record:
    """All results of a run."""

    run: Run
    began: dt.datetime
    endpoint: str
    scenes: list[Played] = field(default_factory=list)
    states: list[StateAnswer] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    # names of scenes that cannot run with certificates of a private authority
    left_out: list[str] = field(default_factory=list)
    # why it ended early, and the exit code for that
    stopped: str = ""
    code: int = 1
    ended: dt.datetime | None = None

    def kept(self, scene: str) -> bool:
        """Whether the scene ran and its promise was kept."""
        return any(one.scene.name == scene and not one.came for one in self.scenes)

    def disagreeing(self) -> list[StateAnswer]:
        """States that lead to another state than in the executions."""
        return [one for one in self.states if one.agrees is False]

    def passed(self) -> bool:
        """Whether everything was kept and nothing is left."""
        played = all(self.kept(scene.name) or scene.name in self.left_out for scene in SCENES)
        asked = any(one.agrees for one in self.states) and not self.disagreeing()
        return played and asked and not (self.stopped or self.left)

    def on_aws(self) -> bool:
        """Whether the run was on AWS, not on a replacement."""
        return self.endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))

    def verdict(self) -> str:
        """The result in one sentence."""
        kept = sum(not one.came for one in self.scenes)
        answered = sum(bool(one.said) for one in self.answers)
        agree = sum(bool(one.agrees) for one in self.states)
        return (
            f"{'Passed' if self.passed() else 'NOT passed'}: {kept} of {len(SCENES)} promises kept, "
            f"{answered} questions answered, {agree} answers of TestState agree and {len(self.disagreeing())} do not."
        )


def written(record: Record) -> str:
    """The page in Markdown."""
    where = "AWS" if record.on_aws() else "the local AWS, **so nothing here says anything about AWS**"
    ended = f"{record.ended:%H:%M} UTC" if record.ended else "never"
    lines = [
        f"# Acceptance run {record.run}",
        "",
        f"Run on {where}, from {record.began:%Y-%m-%d %H:%M} to {ended}.",
        record.verdict(),
        *([f"It ended early: {record.stopped}"] if record.stopped else []),
        "",
        "The calls are in `calls`, one scrubbed file each; the numbers below refer to these files.",
        "Read both before you send them to anyone.",
        "",
        "## Promises",
        "",
        "| promise | result | seconds |",
        "| --- | --- | --- |",
        *(f"| {one.scene.promise} | {cell(one.came) or 'kept'} | {one.seconds:.0f} |" for one in record.scenes),
        "",
        "## Questions",
        "",
    ]
    for answer in sorted(record.answers, key=lambda one: one.question.number):
        lines += [f"### {answer.question.number}. {answer.question.text}", ""]
        lines += [f"- {sentence}" for sentence in answer.said]
        lines += [f"- Not tested: {sentence}" for sentence in answer.not_asked]
        if answer.evidence:
            lines += ["", f"Calls {numbers(answer.evidence)}."]
        lines += [""]
    lines += [
        "## States, according to Step Functions",
        "",
        "| state | case | must lead to | TestState | |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {one.state} | {one.asked} | {one.expected} | {cell(one.said)} | {_MARKS[one.agrees]} |"
            for one in record.states
        ),
        "",
        "## Left",
        "",
        *([f"- {sentence}" for sentence in record.left] or ["Nothing: everything that was created has been removed."]),
        "",
    ]
    return "\n".join(lines)


_MARKS = {True: "agrees", False: "**differs**", None: ""}


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("\n", " ").replace("|", "\\|")


def numbers(files: tuple[str, ...]) -> str:
    """The numbers at the beginning of file names, as ranges."""
    found = sorted(int(name.partition("-")[0]) for name in files)
    ranges: list[list[int]] = []
    for number in found:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in ranges)
