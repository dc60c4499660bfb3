"""The keystore's worker thread: its jobs take virtual time, one after the other, and a killed process never hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.simulation.loop import CURRENT, Process

if TYPE_CHECKING:
    from tests.simulation.draws import Draws
    from tests.simulation.loop import VirtualLoop

HANG_CHECK_S: Final = 0.25
DELAYS_S: Final = (0.0001, 0.0005, 0.002, 0.02, 0.1)


class KilledInTheActError(BaseException):
    """The process died in the middle of a job; nothing of it is told to anybody."""


class Victim(Protocol):
    """Whose disk it is: a node's machine, or an app."""

    draws: Draws
    disk_hangs_until_s: float
    disk_slower_s: float

    def kill(self) -> None: ...


class Worker:
    """One process' thread. A job's effects happen some time after it was asked for, and are known some time after that."""

    def __init__(self, loop: VirtualLoop, machine: Victim, process: Process) -> None:
        self._loop = loop
        self._machine = machine
        self._process = process
        self._free_at_s = 0.0
        self._delays = machine.draws.of("disk", process.name)

    def submit(self, job: Callable[[], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        choices = self._delays
        start_s = max(self._loop.time(), self._free_at_s) + choices.choice(DELAYS_S)
        told_s = start_s + choices.choice(DELAYS_S) + self._machine.disk_slower_s
        self._free_at_s = told_s
        self._loop.deliver_at(start_s, self._do, job, future, told_s, context=self._process.context)
        return future

    def _do(self, job: Callable[[], Any], future: asyncio.Future[Any], told_s: float) -> None:
        if self._machine.disk_hangs_until_s > self._loop.time():
            self._loop.call_later(HANG_CHECK_S, self._do, job, future, told_s, context=self._process.context)
            return
        told_s = max(told_s, self._loop.time())
        try:
            result, error = job(), None
        except KilledInTheActError:
            self._machine.kill()
            return
        except Exception as raised:  # noqa: BLE001 - handed on, as an executor does
            result, error = None, raised
        self._loop.deliver_at(told_s, _tell, future, result, error, context=self._process.context)


def _tell(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Pool:
    """A process' threads for what waits for no disk. Only a node with fronts has them: of others it is the worker's."""

    def __init__(self, loop: VirtualLoop, draws: Draws, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._delays = draws.of("pool", process.name)

    def submit(self, job: Callable[[], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        told_s = self._loop.time() + self._delays.choice(DELAYS_S[:3])
        self._loop.deliver_at(told_s, _tell, future, job(), None, context=self._process.context)
        return future


def run_job(executor: object, job: Callable[[], Any]) -> asyncio.Future[Any]:
    """For `VirtualLoop`: the worker of the process that asks."""
    process = CURRENT.get()
    assert process is not None
    if executor is None and process.pool is not None:
        return process.pool.submit(job)  # type: ignore[no-any-return]
    worker: Worker = process.worker
    return worker.submit(job)
