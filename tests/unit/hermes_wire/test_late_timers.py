"""What had come in when a timer was due is handed over before the timer acts, also after a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hermes_wire.late_timers import CATCH_UP_S, InputsFirst, let_inputs_arrive
from tests.simulation.loop import Process, VirtualLoop


def run(work: Callable[[VirtualLoop, list[object]], Coroutine[Any, Any, None]]) -> list[object]:
    loop = VirtualLoop()  # type: ignore[abstract]
    seen: list[object] = []
    loop.run(work(loop, seen))
    return seen


def test_an_input_of_the_same_turn_comes_first() -> None:
    async def work(loop: VirtualLoop, seen: list[object]) -> None:
        arrived = loop.create_future()

        async def read() -> None:
            await arrived
            seen.append("input")

        reading = loop.create_task(read())
        timer = InputsFirst(loop.time, lambda: seen.append("timer"))
        await asyncio.sleep(0)
        timer.set(loop.time())
        loop.call_soon(arrived.set_result, None)  # the poller hands it over; the reading task gets it a turn later
        await asyncio.sleep(1.0)
        await reading

    assert run(work) == ["input", "timer"]


@pytest.mark.parametrize("as_coroutine", [False, True])
def test_after_a_pause_there_is_time_for_what_waits_in_sockets(*, as_coroutine: bool) -> None:
    async def work(loop: VirtualLoop, seen: list[object]) -> None:
        process = Process("node#1")

        async def serve() -> None:
            due = loop.time() + 1.0
            if as_coroutine:
                await asyncio.sleep(1.0)
                await let_inputs_arrive(loop.time() - due)
                seen.append("timer")
            else:
                InputsFirst(loop.time, lambda: seen.append("timer")).set(due)

        process.context.run(loop.create_task, serve())
        loop.deliver_at(loop.time() + 0.5, seen.append, "input", context=process.context)
        await asyncio.sleep(0.1)
        loop.pause(process)
        await asyncio.sleep(20.0)
        loop.resume(process)
        await asyncio.sleep(1.0)

    assert run(work) == ["input", "timer"]


def test_a_timer_that_is_on_its_way_is_not_put_off_by_more_inputs() -> None:
    async def work(loop: VirtualLoop, seen: list[object]) -> None:
        timer = InputsFirst(loop.time, lambda: seen.append(loop.time()))
        due = loop.time() + 1.0
        timer.set(due)
        await asyncio.sleep(0)
        loop._now_s += 6.0  # the process stood still
        began = loop.time()
        for _ in range(100):
            timer.set(due)
            await asyncio.sleep(CATCH_UP_S / 10)
        seen.append(began)

    fired = run(work)
    began = float(str(fired.pop()))
    assert float(str(fired[0])) == pytest.approx(began + CATCH_UP_S)
    assert len(fired) >= 8


def test_what_is_due_when_it_is_set_is_not_put_off() -> None:
    async def work(loop: VirtualLoop, seen: list[object]) -> None:
        InputsFirst(loop.time, lambda: seen.append(loop.time() - began)).set(loop.time() - 5.0)
        began = loop.time()
        await asyncio.sleep(1.0)

    assert run(work) == [0.0]


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    async def work(loop: VirtualLoop, seen: list[object]) -> None:
        timer = InputsFirst(loop.time, lambda: seen.append("timer"))
        timer.set(loop.time())
        await asyncio.sleep(0)  # it is on its way
        timer.cancel()
        timer.set(loop.time() + 1.0)
        timer.set(None)
        await asyncio.sleep(5.0)

    assert run(work) == []
