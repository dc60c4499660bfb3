"""The runner of steps: first failure ends it, time runs out with a reason, a broken promise ends any step at once."""

from __future__ import annotations

import asyncio
import io

from hermes_client.scenario.pair import BrokenPromiseError
from hermes_client.scenario.progress import PlainProgress
from hermes_client.scenario.report import EXIT_BROKEN_PROMISE, EXIT_KEPT, EXIT_UNPROVEN, ScenarioReport
from hermes_client.scenario.runner import ScenarioStep, UnprovenError, Watch, run_steps


async def _fine() -> str:
    return "fine"


async def _for_ever() -> str:
    await asyncio.Event().wait()
    return ""


async def _broken() -> str:
    raise BrokenPromiseError("message a→b #3 was lost")


async def _nothing_seen() -> str:
    raise UnprovenError("nothing was noticed")


async def _quiet() -> None:
    await asyncio.Event().wait()


async def _run(*steps: ScenarioStep, watch: Watch = _quiet) -> ScenarioReport:
    return await run_steps("name", "title", list(steps), PlainProgress(io.StringIO()), watch=watch, backlog=lambda: "3 hang")


async def test_all_steps_in_order() -> None:
    report = await _run(ScenarioStep("one", _fine, 5), ScenarioStep("two", _fine, 5))
    assert report.passed
    assert [(step.name, step.detail) for step in report.steps] == [("one", "fine"), ("two", "fine")]


async def test_the_first_failure_ends_it() -> None:
    report = await _run(ScenarioStep("one", _fine, 5), ScenarioStep("two", _broken, 5), ScenarioStep("three", _fine, 5))
    assert [step.outcome for step in report.steps] == ["passed", "failed", "not run"]
    assert report.closing_line() == "FAIL name: step 2 two: message a→b #3 was lost"


async def test_a_step_that_takes_too_long_says_what_hangs() -> None:
    report = await _run(ScenarioStep("one", _for_ever, 0.05))
    assert report.steps[0].detail == "not done after 0 s; 3 hang"


async def test_a_broken_promise_ends_a_step_that_has_not_noticed() -> None:
    async def watch() -> None:
        await asyncio.sleep(0)
        raise BrokenPromiseError("message b→a #9 was duplicated")

    report = await _run(ScenarioStep("one", _for_ever, 5), watch=watch)
    assert report.steps[0].detail == "message b→a #9 was duplicated"


async def test_a_step_that_proves_nothing_lets_the_others_judge() -> None:
    report = await _run(ScenarioStep("one", _nothing_seen, 5), ScenarioStep("two", _fine, 5))
    assert [step.outcome for step in report.steps] == ["unproven", "passed"]
    assert (report.passed, report.unproven, report.exit_code) == (False, True, EXIT_UNPROVEN)
    assert (EXIT_KEPT, EXIT_BROKEN_PROMISE, EXIT_UNPROVEN) == (0, 1, 2)  # as the help of every program says
    report = await _run(ScenarioStep("one", _nothing_seen, 5), ScenarioStep("two", _broken, 5))
    assert (report.passed, report.unproven, report.exit_code) == (False, False, EXIT_BROKEN_PROMISE)
    assert report.closing_line() == "FAIL name: step 2 two: message a→b #3 was lost"
