"""The client's driver: what has arrived is handled before a timer that is due."""

from __future__ import annotations

import asyncio

import pytest

from hermes_client.driver import AppDriver
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.params import AppParams


async def test_inputs_that_wait_come_before_a_timer_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = AppDriver(Identity.generate(), AppParams(), SYSTEM_RANDOM)
    order: list[str] = []
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read() -> None:
        await arrived
        order.append("input")

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    fired = asyncio.Event()

    def handle_timer(_now: float) -> None:
        order.append("timer")
        fired.set()

    monkeypatch.setattr(driver._machine, "handle_timer", handle_timer)
    monkeypatch.setattr(driver._machine, "next_timer", lambda: None if fired.is_set() else 0.0)
    driver._set_timer()
    # In the turn in which the timer is due, the poller hands something over; the reading task gets it a turn later.
    asyncio.get_running_loop().call_soon(arrived.set_result, None)
    await asyncio.wait_for(fired.wait(), 5)
    await reading
    assert order == ["input", "timer"]


async def test_a_timer_that_was_replaced_does_not_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = AppDriver(Identity.generate(), AppParams(), SYSTEM_RANDOM)
    fired: list[float] = []
    monkeypatch.setattr(driver._machine, "handle_timer", fired.append)
    monkeypatch.setattr(driver._machine, "next_timer", lambda: 0.0)
    driver._set_timer()
    await asyncio.sleep(0)  # it is on its way
    driver.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not fired
