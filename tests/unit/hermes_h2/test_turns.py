"""Turns of strangers: what one of them sets off keeps nobody else from having theirs."""

from __future__ import annotations

import asyncio

from hermes_h2.serving.turns import StrangersTurns


async def test_work_that_fails_keeps_no_other_work_waiting() -> None:
    loop, told, done = asyncio.get_running_loop(), [], asyncio.Event()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    turns = StrangersTurns(loop)
    defect = RuntimeError("a defect")

    def fail() -> None:
        raise defect

    turns.add(fail)
    turns.add(done.set)
    await asyncio.wait_for(done.wait(), 5)
    done.clear()
    turns.add(done.set)
    await asyncio.wait_for(done.wait(), 5)
    assert told == [defect]
    assert len(turns) == 0
