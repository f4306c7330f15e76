"""Step Functions' own word on each state of the deployed machine: `TestState`, with inputs and results of this run.

Every state that an execution entered is asked about once for each way it left it: the same input, and for a task the
same result, must lead to the same next state. So the reading of the definition by the tests' interpreters is held
against that of the service. Tasks are never run again: their results are mocked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from .account import pages, words
from .scenes import Stage

# Nothing retries it, so it leads where the Catch says.
_ERROR: Final = "Refused"


@dataclass(frozen=True)
class Passage:
    """A state as one execution went through it. `next` is None at the end of a machine."""

    state: str
    input: str
    result: str | None
    next: str | None


@dataclass(frozen=True)
class StateAnswer:
    """What was asked about a state, what should have come, and what came. `agrees` is None when nothing was answered."""

    state: str
    asked: str
    expected: str
    said: str
    agrees: bool | None


def ask_states(stage: Stage) -> list[StateAnswer]:
    """Asks about each state of the definition."""
    client = stage.account.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=stage.outputs["RotationStateMachineArn"])
    passages: dict[tuple[str, str | None], Passage] = {}
    for execution in stage.executions.values():
        for events in _histories(client, execution.arn):
            for passage in passages_of(events):
                passages.setdefault((passage.state, passage.next), passage)
    states = dict(_states(json.loads(machine["definition"])))
    answers = []
    for name, state in states.items():
        entered = [passage for (one, _), passage in passages.items() if one == name]
        if not entered:
            answers.append(StateAnswer(name, "with an input of this run", "", "not asked: no execution entered it.", None))
        for passage in entered:
            expected = passage.next or "the end"
            mock = _mock(state, passage)
            said, came = _test(client, machine["roleArn"], name, state, passage.input, mock)
            answers.append(StateAnswer(name, "as it was entered", expected, said, came and came == expected))
        if state["Type"] == "Task":
            expected = next((one["Next"] for one in state.get("Catch", [])), f"fails with {_ERROR}")
            mock = {"errorOutput": {"error": _ERROR, "cause": "asked by the acceptance run"}}
            said, came = _test(client, machine["roleArn"], name, state, entered[0].input if entered else "{}", mock)
            answers.append(StateAnswer(name, f"with the error {_ERROR}", expected, said, came and came == expected))
    return answers


def _test(
    client: Any, role: str, name: str, state: Any, given: str, mock: dict[str, Any] | None
) -> tuple[str, str | None]:
    """What came, in words; and where it leads, None if there was no answer."""
    asked: dict[str, Any] = {"definition": json.dumps(_hurried(state)), "roleArn": role, "input": given}
    asked["inspectionLevel"] = "DEBUG"
    if mock:
        # A context may be given with a mock only.
        asked |= {"mock": mock, "context": json.dumps(_context(name, given))}
    try:
        answer = client.test_state(**asked)
    except ClientError as error:
        return f"not answered: {words(error)}", None
    leads = answer.get("nextState") or (
        "the end" if answer["status"] == "SUCCEEDED" else f"fails with {answer.get('error', '')}"
    )
    return f"{answer['status']}, {leads}", leads


def _mock(state: Any, passage: Passage) -> dict[str, Any] | None:
    if state["Type"] in ("Map", "Parallel"):
        return {"result": "[]"}
    return {"result": passage.result or "{}"} if state["Type"] == "Task" else None


def _hurried(state: Any) -> Any:
    """Nobody waits for a Wait."""
    return state | {"Seconds": 1} if "Seconds" in state else state


def _context(name: str, given: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00.000Z"
    arn = "arn:aws:states:us-east-1:111122223333"
    execution = {"Id": f"{arn}:execution:asked:once", "Name": "once", "StartTime": moment, "RoleArn": "", "RedriveCount": 0}
    return {
        "Execution": execution | {"Input": json.loads(given)},
        "State": {"Name": name, "EnteredTime": moment, "RetryCount": 0},
        "StateMachine": {"Id": f"{arn}:stateMachine:asked", "Name": "asked"},
    }


def _states(machine: Any) -> Iterator[tuple[str, Any]]:
    """All states, those inside of Maps too, each by its name, which is unique in this definition."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


def _histories(client: Any, execution: str) -> Iterator[list[Any]]:
    """The events of an execution, then of all children of its Maps."""
    yield list(pages(client, "get_execution_history", "events", executionArn=execution))
    try:
        for run in pages(client, "list_map_runs", "mapRuns", executionArn=execution):
            for child in pages(client, "list_executions", "executions", mapRunArn=run["mapRunArn"]):
                yield list(pages(client, "get_execution_history", "events", executionArn=child["executionArn"]))
    except ClientError:
        # Then there is nothing to be asked about the states of children, and the page says so of each.
        return


def passages_of(events: list[Any]) -> Iterator[Passage]:
    """Follows each state from its entrance to its exit and on to the next one."""
    by_id = {event["id"]: event for event in events}
    entrances = [event for event in events if "stateEnteredEventDetails" in event]
    after = {event.get("previousEventId"): event["stateEnteredEventDetails"]["name"] for event in entrances}
    for event in events:
        if "stateExitedEventDetails" not in event:
            continue
        name, result, before = event["stateExitedEventDetails"]["name"], None, event
        while True:
            before = by_id.get(before.get("previousEventId"))
            if before is None:
                break
            succeeded = before.get("lambdaFunctionSucceededEventDetails") or before.get("taskSucceededEventDetails")
            result = result or (succeeded or {}).get("output")
            entered = before.get("stateEnteredEventDetails")
            if entered and entered["name"] == name:
                yield Passage(name, entered.get("input", "{}"), result, after.get(event["id"]))
                break
