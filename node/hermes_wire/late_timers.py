"""Timers of nodes and clients come after what had come in when they were due.

After a pause (a suspended machine, a stopped process, a loop that was held up) everything is late at once: timers, and what
waits in sockets to be read. A timer that went first would end a session as silent whose heartbeats wait there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

READ_TURNS: Final = 3
"""Turns of the loop in which gRPC hands over what it has read: its poller's, the future's, the reading task's."""

LATE_S: Final = 0.1
"""A timer that is later than this says that the process stood still."""

CATCH_UP_S: Final = 0.2
"""Then gRPC's threads have the sockets still to read, which no number of turns waits for; they took up to 50 ms."""


async def let_inputs_arrive(late_s: float) -> None:
    """Await this before acting on a timer that fires `late_s` late: what has come in reaches whoever reads it."""
    if late_s > LATE_S:
        await asyncio.sleep(CATCH_UP_S)
    for _ in range(READ_TURNS):
        await asyncio.sleep(0)


class InputsFirst:
    """One timer. `act` is called when it has come, and what had come in by then has been handed over; then it is unset.

    `now` is the clock that times are given in, in seconds.
    """

    def __init__(self, now: Callable[[], float], act: Callable[[], None]) -> None:
        self._now = now
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._due: float | None = None
        self._letting_in = False

    def set(self, due: float | None) -> None:
        """Instead of what was set before; None: not at all. Once inputs are let in `act` comes in any case, and soon."""
        if self._letting_in or (self._handle is not None and due == self._due):
            return
        self.cancel()
        self._due = due
        if due is not None:
            now = self._now()
            # What is due already when it is set is not late by that: its owner was busy, not the process held up.
            self._handle = self._loop.call_later(max(0.0, due - now), self._come, max(due, now))

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._letting_in = False

    def _come(self, due: float) -> None:
        self._letting_in = True
        late_s = self._now() - due
        if late_s > LATE_S:
            self._handle = self._loop.call_later(CATCH_UP_S, self._let_in, READ_TURNS)
        else:
            self._let_in(READ_TURNS)

    def _let_in(self, turns: int) -> None:
        if turns:
            self._handle = self._loop.call_soon(self._let_in, turns - 1)
            return
        self._handle = None
        self._letting_in = False
        self._act()
