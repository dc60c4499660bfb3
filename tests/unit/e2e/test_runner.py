"""The runner of the end-to-end phases: it stops at the first failure, and takes down what it began whatever happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.existing_cluster import ExistingCluster
from tests.e2e.harness.interruption import SIGNALS, handle_signals
from tests.e2e.harness.undo import collect
from tests.e2e.phases.context import Run
from tests.e2e.phases.runner import Phase, Result, SkipPhase, format_results, run_phases, write_junit


def _fail(_run: Run) -> Never:
    raise HarnessError("it broke", "mend it")


def _skip(_run: Run) -> Never:
    raise SkipPhase("not here")


def _crash(_run: Run) -> Never:
    raise KeyError("status")


def _interrupt(_run: Run) -> Never:
    raise KeyboardInterrupt


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _pass(_run: Run) -> str:
    return ""


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handle_signals()
    yield
    handle_signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(ExistingCluster(), tmp_path)


@pytest.mark.parametrize("bad", [_fail, _crash, _interrupt])
def test_after_a_failure_only_the_teardown_runs(run: Run, bad: object) -> None:
    assert callable(bad)
    phases = (Phase("one", _pass), Phase("two", bad), Phase("three", _pass), Phase("down", _pass, always=True))
    dumped: list[Run] = []
    results = run_phases(run, phases, dumped.append)
    assert [result.outcome for result in results] == ["passed", "FAILED", "not run", "passed"]
    assert dumped == [run]


def test_the_last_line_counts(run: Run, tmp_path: Path) -> None:
    results = run_phases(run, (Phase("one", _pass), Phase("two", _skip)), lambda _: None)
    assert format_results(results).splitlines()[-1] == "1 passed, 0 failed, 1 skipped"
    failed = run_phases(run, (Phase("one", _fail), Phase("two", _pass)), lambda _: None)
    assert format_results(failed).splitlines()[-1] == "0 passed, 1 failed, 1 not run"
    assert "it broke; mend it" in format_results(failed)
    write_junit(failed, tmp_path / "junit.xml")
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


def test_all_passed_is_the_line_alone() -> None:
    assert format_results([Result("one", "passed")]).splitlines()[-1] == "1 passed, 0 failed"


@pytest.mark.usefixtures("_handlers")
def test_a_signal_does_not_end_the_teardown(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    def take_down(_run: Run) -> str:
        _signal()
        return "all of it"

    results = run_phases(run, (Phase("one", _pass), Phase("down", take_down, always=True)), lambda _: None)
    assert [(result.outcome, result.detail) for result in results] == [("passed", ""), ("passed", "all of it")]
    assert "SIGTERM: taking it down" in capfd.readouterr().err


@pytest.mark.usefixtures("_handlers")
def test_a_second_signal_skips_the_diagnostics_and_takes_down(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[str] = []

    def interrupted(_run: Run) -> str:
        _signal()
        return "not reached"

    def diagnose() -> None:
        steps.append("diagnostics began")
        _signal()
        steps.append("and went on")

    def take_down(_run: Run) -> str:
        steps.append("down")
        return ""

    phases = (Phase("one", interrupted), Phase("down", take_down, always=True))
    results = run_phases(run, phases, lambda _: collect("diagnostics", diagnose))
    assert [(result.outcome, result.detail) for result in results] == [("FAILED", "interrupted"), ("passed", "")]
    assert steps == ["diagnostics began", "down"]
    assert "diagnostics: skipped" in capfd.readouterr().err
