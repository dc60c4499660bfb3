"""One front after the other: each is started again when it ended, at once and then ever more slowly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from hermes_front.owner.call import FrontCall
from hermes_front.owner.front_run import FrontRun
from hermes_front.owner.reports import EndReason, FrontEnded, FrontObserver

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
PROVEN_S: Final = 30.0
"""Who served so long is started again at once."""
LOST_AT_ONCE: Final = 16
"""Streams of a dead front that end in one pass of the event loop: each has a handler, and an app of which others hear."""


class SlotOwner(Protocol):
    """What a slot needs of the server."""

    observer: FrontObserver
    stopping: asyncio.Event

    async def start_run(self, on_serving: Callable[[], None]) -> FrontRun:
        """OSError when there can be no process."""
        ...

    def count_ended(self, run: FrontRun) -> None: ...


class Slot:
    """`number`: of the front, from 0."""

    def __init__(self, owner: SlotOwner, number: int) -> None:
        self._owner = owner
        self._number = number
        self.run: FrontRun | None = None
        """That is up now."""
        self.serves = asyncio.Event()
        """The first one does, or `ended` says why not."""
        self.ended: FrontEnded | None = None
        """The last end of one."""
        self._short_lives = 0
        self._pause_s = 0.0
        self._losing: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Until the owner stops, and the last process is gone."""
        while not self._owner.stopping.is_set():
            await self._run_once()
            self.serves.set()
            if self._pause_s:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await self._owner.stopping.wait()
        if self._losing:
            await asyncio.wait(self._losing)

    async def _run_once(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        streams = 0
        try:
            run = self.run = await self._owner.start_run(self._tell_start)
        except OSError as error:
            reason, detail = EndReason.EXITED, f"not started: {error.strerror}"
        else:
            if self._owner.stopping.is_set():  # it was not among those that were told
                run.drain(0)
            await run.watch()
            streams = len(run.calls)
            self._lose(run)
            reason, detail = await run.reap()
            self.run = None
            self._owner.count_ended(run)
        self._choose_pause(loop.time() - began)
        self.ended = FrontEnded(self._number, reason, detail, streams, self._pause_s)
        self._owner.observer.ended(self.ended)

    def _tell_start(self) -> None:
        if self.run is not None:
            self._owner.observer.started(self._number, self.run.pid, self.run.hello)
        self.serves.set()

    def _choose_pause(self, lived_s: float) -> None:
        self._short_lives = 0 if lived_s >= PROVEN_S else self._short_lives + 1
        again = self._short_lives - 2
        self._pause_s = 0.0 if again < 0 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(again, 8))

    def _lose(self, run: FrontRun) -> None:
        calls = list(run.calls.values())
        run.calls.clear()
        task = asyncio.get_running_loop().create_task(_lose_in_slices(calls))
        self._losing.add(task)
        task.add_done_callback(self._losing.discard)


async def _lose_in_slices(calls: Sequence[FrontCall]) -> None:
    for at in range(0, len(calls), LOST_AT_ONCE):
        for call in calls[at : at + LOST_AT_ONCE]:
            call.lose()
        await asyncio.sleep(0)
