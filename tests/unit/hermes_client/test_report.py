"""The report: its closing line is a contract, its files can be read by machines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console

from hermes_client.scenario.progress import LiveProgress, PlainProgress, Progress, choose_progress
from hermes_client.scenario.report import FAILED, PASSED, UNPROVEN, ScenarioReport, StepResult, write_json, write_junit


def _report(*outcomes: str, **fields: object) -> ScenarioReport:
    steps = [StepResult(f"step {index}", outcome, 0.5, f"detail {index}") for index, outcome in enumerate(outcomes, 1)]
    return ScenarioReport("restart-resume", steps, **fields)  # type: ignore[arg-type]


def test_the_closing_line_of_a_pass() -> None:
    report = _report(*[PASSED] * 9, messages=400)
    assert report.closing_line() == "PASS restart-resume: 9/9 steps, 400 messages, 0 lost, 0 duplicated, 0 reordered"


def test_the_closing_line_of_a_failure_names_the_step_and_why() -> None:
    report = _report(PASSED, FAILED, "not run")
    assert report.closing_line() == "FAIL restart-resume: step 2 step 2: detail 2"
    assert not report.passed


def test_a_run_that_was_broken_off_is_no_pass() -> None:
    assert _report(PASSED, "not run").closing_line() == "FAIL restart-resume: interrupted"
    assert not _report().passed


def test_pauses_are_told_where_they_were_measured() -> None:
    line = _report(PASSED, longest_pause_s={"a": 1.23, "b": 0.5}).closing_line()
    assert line.endswith("longest pause of a 1.2 s, longest pause of b 0.5 s")


def test_json_and_junit(tmp_path: Path) -> None:
    report = _report(PASSED, FAILED, "not run", violations=["message a→b #37 was lost"])
    write_json(report, tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["passed"] is False
    assert data["summary"] == report.closing_line()
    assert [step["outcome"] for step in data["steps"]] == ["passed", "failed", "not run"]

    write_junit(report, tmp_path / "r.xml")
    suite = ET.parse(tmp_path / "r.xml").getroot()  # noqa: S314 - we wrote it
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = suite.findall("testcase")
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("message") == "detail 2"
    assert "message a→b #37 was lost" in (suite.findtext("system-out") or "")


def test_what_proved_nothing_is_neither_a_pass_nor_a_failure(tmp_path: Path) -> None:
    report = _report(PASSED, UNPROVEN, PASSED, messages=400)
    assert report.closing_line() == (
        "UNPROVEN restart-resume: detail 2; nothing is proven, though every promise was kept: "
        "2/3 steps, 400 messages, 0 lost, 0 duplicated, 0 reordered"
    )
    write_json(report, tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert (data["passed"], data["unproven"]) == (False, True)
    write_junit(report, tmp_path / "r.xml")
    suite = ET.parse(tmp_path / "r.xml").getroot()  # noqa: S314 - we wrote it
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "1", "0")
    error = suite.findall("testcase")[1].find("error")
    assert error is not None
    assert error.get("message") == "detail 2"
    for progress in (PlainProgress(stream := io.StringIO()), LiveProgress(Console(file=stream, force_terminal=True))):
        _show(progress, report)
    assert " 2/3 ?    step 2" in stream.getvalue()
    assert "✘" not in stream.getvalue()


def _show(progress: Progress, report: ScenarioReport) -> None:
    progress.open("title", report.steps)
    for index, step in enumerate(report.steps):
        progress.begin(index)
        progress.note("a note")
        if step.outcome == FAILED:
            progress.announce("READY")
        progress.end(index)
    progress.close(report.closing_line())


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    progress = choose_progress(stream)
    assert isinstance(progress, PlainProgress)
    report = _report(PASSED, FAILED)
    _show(progress, report)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "title"
    assert " 1/2 ok   step 1" in lines[1]
    assert lines[2] == "READY"
    assert "FAIL step 2" in lines[3]
    assert lines[-1] == report.closing_line()
    assert "\x1b" not in stream.getvalue()


def test_the_live_table_ends_with_the_closing_line_whole_however_narrow_the_terminal() -> None:
    stream = io.StringIO()
    report = _report(*[PASSED] * 9, messages=400)
    _show(LiveProgress(Console(file=stream, force_terminal=True, width=40, color_system=None)), report)
    assert report.closing_line() in stream.getvalue()
