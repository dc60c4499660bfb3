"""Signal: every waiter looks again, nobody is left behind."""

from __future__ import annotations

import asyncio

import pytest

from hermes_client.signal import Signal


async def test_returns_at_once_when_the_condition_holds() -> None:
    await asyncio.wait_for(Signal().wait_for(lambda: True), 1)


async def test_every_waiter_is_woken_and_looks_at_its_own_condition() -> None:
    signal, reached = Signal(), [0]
    low = asyncio.create_task(signal.wait_for(lambda: reached[0] >= 1))
    high = asyncio.create_task(signal.wait_for(lambda: reached[0] >= 2))
    await asyncio.sleep(0)
    reached[0] = 1
    signal.notify()
    await asyncio.wait_for(low, 1)
    assert not high.done()
    reached[0] = 2
    signal.notify()
    await asyncio.wait_for(high, 1)


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    signal = Signal()
    waiter = asyncio.create_task(signal.wait_for(lambda: False))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not signal._waiters
