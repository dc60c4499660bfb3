"""Runs the phases one by one: a live line, a line each when it is over, a table and JUnit XML at the end."""

from __future__ import annotations

import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.interruption import finishing, interruptible
from tests.e2e.harness.progress import live_line, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.e2e.phases.context import Run

PASSED, FAILED, SKIPPED, NOT_RUN = "passed", "FAILED", "skipped", "not run"


class SkipPhase(Exception):  # noqa: N818 - it is no error
    """Raised by a phase that this kind of cluster cannot run; the reason is shown."""


@dataclass(frozen=True)
class Phase:
    """A named step; `act` returns what is worth knowing of it.

    `always`: runs after a failure as well, to its end. `clears`: leaves nothing that --keep could keep.
    """

    name: str
    act: Callable[[Run], str]
    always: bool = False
    clears: bool = False


@dataclass
class Result:
    """What became of a phase."""

    name: str
    outcome: str = NOT_RUN
    seconds: float = 0.0
    detail: str = ""


def run_phases(run: Run, phases: Sequence[Phase], on_failure: Callable[[Run], None]) -> list[Result]:
    """Run them in order. After the first failure `on_failure` is called, and of the rest only those marked `always` run.

    A signal ends the phase at work, or what `on_failure` does; those marked `always` it does not end.
    """
    results = [Result(phase.name) for phase in phases]
    failed = False
    for number, (phase, result) in enumerate(zip(phases, results, strict=True), start=1):
        if failed and not phase.always:
            continue
        with finishing():
            _run_phase(run, phase, result, f"{number}/{len(phases)}")
            if result.outcome == FAILED and not failed:
                failed = True
                on_failure(run)
    return results


def _run_phase(run: Run, phase: Phase, result: Result, place: str) -> None:
    began = time.monotonic()
    run.note = ""
    say(f"[{place}] {phase.name} …")

    def describe() -> str:
        return f"[{place}] {phase.name} {time.monotonic() - began:.0f} s  {run.note}"

    try:
        with live_line(describe), nullcontext() if phase.always else interruptible():
            result.detail = phase.act(run)
        result.outcome = PASSED
    except SkipPhase as reason:
        result.outcome, result.detail = SKIPPED, str(reason)
    except HarnessError as error:
        result.outcome, result.detail = FAILED, str(error)
    except KeyboardInterrupt:
        result.outcome, result.detail = FAILED, "interrupted"
    except Exception as error:  # noqa: BLE001 - whatever it is, the cluster has to be taken down
        where = run.write("traceback.txt", traceback.format_exc())
        result.outcome, result.detail = FAILED, f"{type(error).__name__}: {error}; the test itself is wrong, read {where}"
    finally:
        result.seconds = time.monotonic() - began
    say(f"[{place}] {phase.name} {result.outcome} in {result.seconds:.1f} s  {result.detail}".rstrip())


def format_results(results: Sequence[Result]) -> str:
    """Return the table of phases and seconds, ending with the line `N passed, N failed`."""
    width = max(len(result.name) for result in results)
    lines = ["", f"{'phase':{width}}  {'seconds':>7}  outcome"]
    lines += [f"{r.name:{width}}  {r.seconds:7.1f}  {_describe(r)}" for r in results]
    lines.append(f"{'total':{width}}  {sum(result.seconds for result in results):7.1f}")
    count = {outcome: sum(r.outcome == outcome for r in results) for outcome in (PASSED, FAILED, SKIPPED, NOT_RUN)}
    rest = "".join(f", {count[outcome]} {outcome}" for outcome in (SKIPPED, NOT_RUN) if count[outcome])
    lines.append(f"{count[PASSED]} passed, {count[FAILED]} failed{rest}")
    return "\n".join(lines)


def _describe(result: Result) -> str:
    return f"{result.outcome}  {result.detail}".rstrip()


def write_junit(results: Sequence[Result], path: Path) -> None:
    """Write JUnit XML, one test case a phase."""
    suite = ET.Element(
        "testsuite",
        name="e2e",
        tests=str(len(results)),
        failures=str(sum(r.outcome == FAILED for r in results)),
        skipped=str(sum(r.outcome in (SKIPPED, NOT_RUN) for r in results)),
        errors="0",
        time=f"{sum(r.seconds for r in results):.3f}",
    )
    for result in results:
        case = ET.SubElement(suite, "testcase", classname="e2e", name=result.name, time=f"{result.seconds:.3f}")
        if result.outcome == FAILED:
            ET.SubElement(case, "failure", message=result.detail)
        elif result.outcome != PASSED:
            ET.SubElement(case, "skipped", message=result.detail or result.outcome)
        elif result.detail:
            ET.SubElement(case, "system-out").text = result.detail
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
