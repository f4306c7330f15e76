"""Replays records on the local AWS: one made here, until there is one of AWS, and ones with differences."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptance.__main__ import main as acceptance
from acceptance.questions import QUESTIONS
from acceptance.replay import KNOWN, is_claimed, main, replay
from local_aws.platform import ROOT

EXAMPLE = ROOT / "tests" / "acceptance" / "records" / "example"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run on the local AWS, in place of one of AWS."""
    folder = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        # The run changes endpoints and credentials in the environment; this restores them.
        patch.setattr("os.environ", __import__("os").environ.copy())
        assert acceptance(["run", "--local", "--folder", str(folder)]) == 0
    [calls] = folder.glob("*/calls")
    return calls


def test_the_record_of_a_run_can_be_replayed(record: Path) -> None:
    played = replay(record)
    assert played.found == {}
    claimed = [path for path in record.glob("[0-9]*.json") if is_claimed(json.loads(path.read_text()))]
    assert played.calls == len(claimed) > 100


def _message(call: dict[str, Any]) -> None:
    call["answer"]["body"] = re.sub("does not exist", "was never made", call["answer"]["body"])


def _code(call: dict[str, Any]) -> None:
    call["answer"]["body"] = call["answer"]["body"].replace("NoSuchDistribution", "NoSuchThing")


def _status(call: dict[str, Any]) -> None:
    call["answer"]["status"] = 410


def _no_etag(call: dict[str, Any]) -> None:
    del call["answer"]["headers"]["etag"]


def _one_more(call: dict[str, Any]) -> None:
    call["answer"]["body"] = call["answer"]["body"].replace("<PriceClass>", "<News>1</News><PriceClass>", 1)


def _one_less(call: dict[str, Any]) -> None:
    call["answer"]["body"] = re.sub("<PriceClass>[^<]*</PriceClass>", "", call["answer"]["body"])


def _moved(call: dict[str, Any]) -> None:
    body = re.sub("<PriceClass>[^<]*</PriceClass>", "", call["answer"]["body"])
    call["answer"]["body"] = body.replace(
        "</DistributionConfig>", "<PriceClass>PriceClass_100</PriceClass></DistributionConfig>"
    )


def _value(call: dict[str, Any]) -> None:
    call["answer"]["body"] = call["answer"]["body"].replace("<HttpVersion>http2<", "<HttpVersion>HTTP2<")


def _type(call: dict[str, Any]) -> None:
    call["answer"]["headers"]["content-type"] = "text/plain"


CREATED, MISSING = "00002-cloudfront-CreateDistributionWithTags.json", "00003-cloudfront-GetDistribution.json"


@pytest.mark.parametrize(
    ("file", "change", "reported"),
    [
        (MISSING, _message, "Message is"),
        (MISSING, _code, "Code is 'NoSuchThing', here 'NoSuchDistribution'"),
        (MISSING, _status, "status 410, here 404"),
        (CREATED, _no_etag, "header etag is here only"),
        (CREATED, _one_more, "DistributionConfig/News is missing here"),
        (CREATED, _one_less, "DistributionConfig/PriceClass is here only"),
        (CREATED, _moved, "order: "),
        (CREATED, _value, "HttpVersion is 'HTTP2', here 'http2'"),
        (CREATED, _type, "content-type text/plain, here"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_every_kind_of_difference_is_reported(
    file: str,
    change: Callable[[dict[str, Any]], None],
    reported: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "calls")
    call = json.loads((folder / file).read_text())
    if file == MISSING:
        call["answer"]["body"] = re.sub(
            "A deliberate difference.*?<", "The specified distribution does not exist.<", call["answer"]["body"]
        )
        (folder / KNOWN).unlink()
    change(call)
    (folder / file).write_text(json.dumps(call))
    assert main([str(folder)]) == 1
    unknown = [line for line in capsys.readouterr().out.splitlines() if "NOT KNOWN" in line]
    assert len(unknown) == 1 and reported in unknown[0]


def test_every_difference_must_be_known_and_every_known_one_occur(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(EXAMPLE)]) == 0
    assert "wrong on purpose" in capsys.readouterr().out
    folder = shutil.copytree(EXAMPLE, tmp_path / "calls")
    known = json.loads((folder / KNOWN).read_text())
    (folder / KNOWN).write_text(json.dumps([*known, {"operation": "acm X", "what": "status", "why": "once"}]))
    assert main([str(folder)]) == 1
    assert "no longer present" in capsys.readouterr().out
    (folder / KNOWN).unlink()
    assert main([str(folder)]) == 1
    assert "NOT KNOWN" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "{", '{"service": "s3", "operation": "ListBuckets", "answer": {}}'])
def test_a_folder_without_a_record_is_refused(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "00001-x.json").write_text(content)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip()


def test_each_assumption_about_aws_has_a_question() -> None:
    """In docs/local-aws.md: Q and a number is a question of the run, R its record, `–` what no run can answer."""
    numbers = {f"Q{question.number}" for question in QUESTIONS}
    page = (ROOT / "docs" / "local-aws.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "assumed" in line]
    assert len(rows) > 15
    for row in rows:
        marks = re.findall(r"assumed \(([^)]*)\)", row)
        assert marks, f"nothing settles: {row}"
        for mark in marks:
            assert set(mark.split(", ")) <= numbers | {"R", "–"}, row
