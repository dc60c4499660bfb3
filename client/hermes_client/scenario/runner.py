"""Runs the steps of a scenario one by one, stops at the first that fails, and writes down what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hermes_client.scenario.progress import Progress
from hermes_client.scenario.report import FAILED, PASSED, UNPROVEN, ScenarioReport, StepResult
from hermes_core.errors import HermesError


class UnprovenError(HermesError):
    """What was to put the promises to the test was not seen to happen. None is broken: the steps go on."""


Watch = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """`run` returns a detail worth showing; `timeout_s` bounds it."""

    name: str
    run: Callable[[], Awaitable[str]]
    timeout_s: float


async def run_steps(
    name: str,
    title: str,
    steps: list[ScenarioStep],
    progress: Progress,
    *,
    watch: Watch,
    backlog: Callable[[], str],
) -> ScenarioReport:
    """Run all steps. `watch` raises as soon as a promise is broken, in whatever step; `backlog` explains a timeout."""
    report = ScenarioReport(name, [StepResult(step.name) for step in steps])
    began = time.monotonic()
    progress.open(title, report.steps)
    try:
        for index, step in enumerate(steps):
            progress.begin(index)
            result = report.steps[index]
            await _run_step(step, result, watch, backlog)
            progress.end(index)
            if result.outcome == FAILED:
                break
    finally:
        report.seconds = time.monotonic() - began
    return report


async def _run_step(step: ScenarioStep, result: StepResult, watch: Watch, backlog: Callable[[], str]) -> None:
    began = time.monotonic()
    work, watching = asyncio.ensure_future(step.run()), asyncio.ensure_future(watch())
    try:
        done, _ = await asyncio.wait({work, watching}, timeout=step.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if watching in done:
            watching.result()
        if work in done:
            result.detail = work.result()
            result.outcome = PASSED
        else:
            result.detail = "; ".join(filter(None, (f"not done after {step.timeout_s:.0f} s", backlog())))
            result.outcome = FAILED
    except UnprovenError as error:
        result.detail = str(error)
        result.outcome = UNPROVEN
    except (HermesError, OSError) as error:
        result.detail = str(error) or type(error).__name__
        result.outcome = FAILED
    finally:
        result.seconds = time.monotonic() - began
        for task in (work, watching):
            task.cancel()
        await asyncio.gather(work, watching, return_exceptions=True)
