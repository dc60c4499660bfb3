"""One direction of a simulated stream: what is written arrives later, in order, and waits until it is read."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.simulation.links import Link
    from tests.simulation.loop import Process, VirtualLoop

WINDOW_BYTES: Final = 256 * 1024
"""Written and not read: beyond, a writer waits, as under HTTP/2's flow control."""

READ_TURNS: Final = 2
"""Turns of the loop between a message's arrival and the reading task's: gRPC's poller and its future."""

END: Final = None
"""What a reader gets when everything was said."""


class Arrival:
    """One message, or the end; `at_s` when it reached the receiver's machine."""

    __slots__ = ("at_s", "data")

    def __init__(self, data: bytes | None, at_s: float) -> None:
        self.data = data
        self.at_s = at_s


class Pipe:
    """`broken` says why nothing more comes; `ended` that the writer said everything."""

    def __init__(self, loop: VirtualLoop, link: Link, receiver: Process) -> None:
        self._loop = loop
        self._link = link
        self._receiver = receiver
        self._arrived: deque[Arrival] = deque()
        self._unread_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()
        self._waking = False
        self.last_at_s = 0.0
        self.broken: str | None = None

    @property
    def oldest_arrival_s(self) -> float | None:
        """When the first message that is not read yet arrived."""
        return self._arrived[0].at_s if self._arrived else None

    @property
    def said_everything(self) -> bool:
        """The end has arrived, whatever is still to be read before it."""
        return bool(self._arrived) and self._arrived[-1].data is END

    # the writing end

    async def write(self, data: bytes) -> None:
        """Returns when there is room. The caller looks whether the stream still stands."""
        while self._unread_bytes and self._unread_bytes + len(data) > WINDOW_BYTES and self.broken is None:
            room: asyncio.Future[None] = self._loop.create_future()
            self._writers.append(room)
            await room
        self.put(data)

    def put(self, data: bytes | None) -> None:
        self._unread_bytes += len(data or b"")
        self._link.carry(self, data)

    # the link's

    def arrive(self, data: bytes | None, at_s: float) -> None:
        """Runs in the receiver's process."""
        if self.broken is None:
            self._arrived.append(Arrival(data, at_s))
            self._wake_reader()

    def receiver_context(self) -> Process:
        return self._receiver

    # the reading end

    async def read(self) -> bytes | None:
        """The next message; END at the end, and when it broke (the caller looks at `broken`)."""
        while not self._arrived:
            if self.broken is not None:
                return END
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        arrival = self._arrived[0]
        if arrival.data is not END:
            self._arrived.popleft()
            self._unread_bytes -= len(arrival.data)
            self._wake_writers()
        return arrival.data

    def break_off(self, reason: str, *, lose: bool = False) -> None:
        """Nothing more comes; with `lose` what was not read yet is lost as well."""
        if self.broken is not None:
            return
        self.broken = reason
        if lose:
            self._arrived.clear()
        self._wake_reader()
        self._wake_writers()

    def _wake_reader(self, turns: int = READ_TURNS) -> None:
        if turns and self._reader is not None:
            if turns == READ_TURNS and self._waking:
                return
            self._waking = True
            self._loop.call_soon(self._wake_reader, turns - 1, context=self._receiver.context)
            return
        self._waking = False
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writers(self) -> None:
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
