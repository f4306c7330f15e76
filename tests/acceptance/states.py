"""Compares each state of the deployed machine with Step Functions' `TestState`, with inputs and results of this run.

For every state that an execution entered and every way it left it, `TestState` gets the same input, and for a task the
same result; it must lead to the same next state. This compares the tests' interpreters of the definition with the
service. Tasks are never run again: their results are mocked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from .account import pages, words
from .scenes import Stage

# It is not retried, so the state continues as its Catch says.
_ERROR: Final = "Refused"


@dataclass(frozen=True)
class Passage:
    """How one execution went through a state. `next` is None at the end of a machine."""

    state: str
    input: str
    result: str | None
    error: dict[str, str] | None
    next: str | None


@dataclass(frozen=True)
class StateAnswer:
    """A test of a state, the expected and the actual result. `agrees` is None if there is no result."""

    state: str
    asked: str
    expected: str
    said: str
    agrees: bool | None


def ask_states(stage: Stage) -> list[StateAnswer]:
    """Tests each state of the definition."""
    client = stage.account.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=stage.outputs["RotationStateMachineArn"])
    passages: dict[tuple[str, str | None], Passage] = {}
    for execution in stage.executions.values():
        for events in _histories(client, execution.arn):
            for passage in passages_of(events):
                passages.setdefault((passage.state, passage.next), passage)
    asked = Asked(client, machine["roleArn"])
    answers = []
    for name, state in _states(json.loads(machine["definition"])):
        entered = [passage for (one, _), passage in passages.items() if one == name]
        for passage in entered:
            expected = passage.next or _end(state)
            answers.append(
                asked.about(name, state, "as it was entered", expected, passage.input, _mock(state, passage))
            )
        if not entered and _leads_anywhere(state):
            expected = state.get("Next") or _end(state)
            mock = {"result": "{}"} if state["Type"] == "Task" else None
            answers.append(asked.about(name, state, "with an empty input", expected, "{}", mock))
        elif not entered:
            answers.append(StateAnswer(name, "as it was entered", "", "not asked: no execution entered it.", None))
        if state["Type"] == "Task":
            expected = _caught(state) or f"fails with {_ERROR}"
            mock = {"errorOutput": {"error": _ERROR, "cause": "asked by the acceptance run"}}
            given = entered[0].input if entered else "{}"
            answers.append(asked.about(name, state, f"with the error {_ERROR}", expected, given, mock))
            for retrier in state.get("Retry", []):
                answers.append(asked.about_retry(name, state, retrier["ErrorEquals"][0], given))
    return answers


def _end(state: Any) -> str:
    return f"fails with {state['Error']}" if state["Type"] == "Fail" and "Error" in state else "the end"


def _caught(state: Any) -> str | None:
    """The state after a failure that is not retried: that of the first Catch that matches."""
    takes = {_ERROR, "States.ALL", "States.TaskFailed"}
    return next((one["Next"] for one in state.get("Catch", []) if takes & set(one["ErrorEquals"])), None)


def _leads_anywhere(state: Any) -> bool:
    """Whether the state has only one next state, whatever its input."""
    return state["Type"] in ("Task", "Succeed", "Fail") or (state["Type"] == "Wait" and "Seconds" in state)


@dataclass(frozen=True)
class Asked:
    """Calls `TestState` with the role of the state machine."""

    client: Any
    role: str

    def about(
        self, name: str, state: Any, asked: str, expected: str, given: str, mock: dict[str, Any] | None
    ) -> StateAnswer:
        """Tests one state with one input; `mock` is the result of a task."""
        try:
            answer = self._test(name, state, given, mock)
        except ClientError as error:
            return StateAnswer(name, asked, expected, f"not answered: {words(error)}", None)
        leads = answer.get("nextState") or (
            "the end" if answer["status"] == "SUCCEEDED" else f"fails with {answer.get('error', '')}"
        )
        return StateAnswer(name, asked, expected, f"{answer['status']}, {leads}", leads == expected)

    def about_retry(self, name: str, state: Any, error: str, given: str) -> StateAnswer:
        """Whether the first failure with this error is retried, and when."""
        asked = f"with the error {error}, once"
        try:
            answer = self._test(name, state, given, {"errorOutput": {"error": error, "cause": "asked"}})
        except ClientError as refusal:
            return StateAnswer(name, asked, "a retry", f"not answered: {words(refusal)}", None)
        details = answer.get("inspectionData", {}).get("errorDetails", {})
        said = ", ".join([answer["status"], *(f"{key} {value}" for key, value in sorted(details.items()))])
        # Without `catchIndex` the service has not evaluated Retry.
        agrees = answer["status"] == "RETRIABLE" or (False if "catchIndex" in details else None)
        return StateAnswer(name, asked, "a retry", said, agrees)

    def _test(self, name: str, state: Any, given: str, mock: dict[str, Any] | None) -> Any:
        request: dict[str, Any] = {
            "definition": json.dumps(_hurried(state)),
            "roleArn": self.role,
            "input": given,
            "inspectionLevel": "DEBUG",
        }
        if mock:
            # A context is allowed only with a mock.
            request |= {"mock": mock, "context": json.dumps(_context(name, given))}
        return self.client.test_state(**request)


def _mock(state: Any, passage: Passage) -> dict[str, Any] | None:
    if state["Type"] in ("Map", "Parallel"):
        return {"result": "[]"}
    if state["Type"] != "Task":
        return None
    return {"errorOutput": passage.error} if passage.error else {"result": passage.result or "{}"}


def _hurried(state: Any) -> Any:
    """Shortens a Wait to one second."""
    return state | {"Seconds": 1} if "Seconds" in state else state


def _context(name: str, given: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00.000Z"
    arn = "arn:aws:states:us-east-1:111122223333"
    execution = {
        "Id": f"{arn}:execution:asked:once",
        "Name": "once",
        "StartTime": moment,
        "RoleArn": "",
        "RedriveCount": 0,
    }
    return {
        "Execution": execution | {"Input": json.loads(given)},
        "State": {"Name": name, "EnteredTime": moment, "RetryCount": 0},
        "StateMachine": {"Id": f"{arn}:stateMachine:asked", "Name": "asked"},
    }


def _states(machine: Any) -> Iterator[tuple[str, Any]]:
    """All states, including those inside Maps, by name, which is unique in this definition."""
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
        # The states of children cannot be tested then; the page says so for each.
        return


def linked(events: list[Any]) -> list[Any]:
    """On AWS each event has the id of the previous one. Elsewhere they are in order, without those inside Maps."""
    if any(event.get("previousEventId") for event in events):
        return events
    chain: list[Any] = []
    depth = 0
    for event in events:
        depth -= event["type"] == "MapStateExited"
        if not depth:
            chain.append(event | {"previousEventId": chain[-1]["id"] if chain else 0})
        depth += event["type"] == "MapStateEntered"
    return chain


def passages_of(events: list[Any]) -> Iterator[Passage]:
    """Follows each state from entry to exit to the next state."""
    events = linked(events)
    by_id = {event["id"]: event for event in events}
    entrances = [event for event in events if "stateEnteredEventDetails" in event]
    after = {event.get("previousEventId"): event["stateEnteredEventDetails"]["name"] for event in entrances}
    for event in events:
        if "stateExitedEventDetails" not in event:
            continue
        name, ended, before = event["stateExitedEventDetails"]["name"], None, event
        while before := by_id.get(before.get("previousEventId")):
            # The last attempt: those before it were retried.
            ended = ended or _ended(before)
            entered = before.get("stateEnteredEventDetails")
            if entered and entered["name"] == name:
                result, error = ended or (None, None)
                yield Passage(name, entered.get("input", "{}"), result, error, after.get(event["id"]))
                break


def _ended(event: Any) -> tuple[str | None, dict[str, str] | None] | None:
    """The result or the error of a task's attempt, if this event has it."""
    for kind in ("lambdaFunctionSucceeded", "taskSucceeded"):
        if details := event.get(f"{kind}EventDetails"):
            return details.get("output", "{}"), None
    for kind in ("lambdaFunctionFailed", "taskFailed", "lambdaFunctionTimedOut", "taskTimedOut"):
        if f"{kind}EventDetails" in event:
            details = event[f"{kind}EventDetails"]
            return None, {"error": details.get("error", "States.Timeout"), "cause": details.get("cause", "")}
    return None
