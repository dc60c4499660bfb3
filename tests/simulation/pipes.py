"""One direction of a simulated stream: what is written arrives later, in order, and waits until it is read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tests.simulation.links import Link
    from tests.simulation.loop import Process, VirtualLoop

WINDOW_BYTES: Final = 256 * 1024
"""Written and not read: beyond, a writer waits, as under HTTP/2's flow control."""

READ_TURNS: Final = 2
"""Turns of the loop between a message's arrival and the reading task's: gRPC's poller and its future."""

END: Final = None
"""What a reader gets when everything was said."""


class Arrival(NamedTuple):
    """One message, or the end; `at_s` when it reached the receiver's machine."""

    data: bytes | None
    at_s: float


class Way(NamedTuple):
    """What kind of stream it is, whether this direction leads to who dialled, and which of the streams of this kind it is."""

    path: str
    to_dialler: bool
    stream: int = 0

    @property
    def kind(self) -> tuple[str, bool]:
        """The same for every stream of this kind."""
        return self.path, self.to_dialler

    @property
    def back(self) -> tuple[str, bool]:
        """The kind of the other direction."""
        return self.path, not self.to_dialler


class Held(NamedTuple):
    """The write that waits for room, and who waits for it; nobody, once that task was cancelled."""

    data: bytes
    left: asyncio.Future[None]


class Pipe:
    """`broken`: why nothing more can be read; `status`: how the writer ended, None in order. `on_end`: when the end arrives."""

    def __init__(self, loop: VirtualLoop, link: Link, receiver: Process, way: Way, on_end: Callable[[], None]) -> None:
        self._loop = loop
        self._link = link
        self._receiver = receiver
        self._way = way
        self._on_end = on_end
        self._arrived: deque[Arrival] = deque()
        self._unread_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._lost_read = False
        self._held: Held | None = None
        self._end_waits = False
        self._waking = False
        self.last_at_s = 0.0
        self.broken: str | None = None
        self.status: str | None = None

    @property
    def oldest_arrival_s(self) -> float | None:
        """When the first message that is not read yet arrived."""
        return self._arrived[0].at_s if self._arrived else None

    @property
    def said_everything(self) -> bool:
        """The end has arrived, whatever is still to be read before it."""
        return bool(self._arrived) and self._arrived[-1].data is END

    @property
    def at_end(self) -> bool:
        """Everything was read but the end."""
        return bool(self._arrived) and self._arrived[0].data is END

    # the writing end

    @property
    def busy(self) -> bool:
        """A write waits for room, perhaps one whose task was cancelled."""
        return self._held is not None

    async def write(self, data: bytes) -> None:
        """Returns when there was room. Once begun it is not taken back, even when the task is cancelled: gRPC's core has it."""
        left = self.hand_over(data)
        if left is not None:
            await left

    def hand_over(self, data: bytes) -> asyncio.Future[None] | None:
        """As `write`; what to wait for, where there was no room."""
        assert self._held is None, "two writes at once"
        if self._has_room(data):
            self.put(data)
            return None
        self._held = Held(data, self._loop.create_future())
        return self._held.left

    def end(self, status: str | None = None) -> None:
        """Everything was said, behind a write that waits."""
        self.status = status
        if self._held is not None:
            self._end_waits = True
        else:
            self.put(END)

    def release(self, error: Exception | None = None) -> None:
        """The write that waits waits no longer: its message is lost, and `error` (or nothing) is what it gets."""
        held, self._held = self._held, None
        if held is None or held.left.done():
            return
        if error is None:
            held.left.set_result(None)
        else:
            held.left.set_exception(error)

    def put(self, data: bytes | None) -> None:
        for passed in [END] if data is END else self._link.pass_on(self._way, data):
            self._unread_bytes += len(passed or b"")
            self._link.carry(self, passed)

    def _has_room(self, data: bytes) -> bool:
        return not self._unread_bytes or self._unread_bytes + len(data) <= WINDOW_BYTES

    # the link's

    def arrive(self, data: bytes | None, at_s: float) -> None:
        """Runs in the receiver's process."""
        if self.broken is not None:
            return
        self._arrived.append(Arrival(data, at_s))
        self._feed_lost_read()
        self._wake_reader()
        if data is END:
            self._on_end()

    def give_to(self, receiver: Process) -> None:
        """Who accepted the stream, before anything was written to it."""
        self._receiver = receiver

    def receiver_context(self) -> Process:
        return self._receiver

    # the reading end

    async def read(self) -> bytes | None:
        """The next message; END at the end, and when it broke (the caller looks at `broken`).

        A read whose task was cancelled still takes the next message, which is lost, and END until it has: gRPC's core has it.
        """
        if self._lost_read:
            return END
        at_hand = bool(self._arrived)
        while not self._arrived:
            if self.broken is not None:
                return END
            self._reader = self._loop.create_future()
            try:
                await self._reader
            except asyncio.CancelledError:
                self._lost_read = self.broken is None
                self._feed_lost_read()
                raise
            finally:
                self._reader = None
        data = self._take()
        if at_hand:
            await asyncio.sleep(0)
        return data

    def break_off(self, reason: str) -> None:
        """Nothing more comes, and what was not read yet is lost."""
        if self.broken is not None:
            return
        self.broken = reason
        self._lost_read = False
        self._arrived.clear()
        self._wake_reader()

    def _take(self) -> bytes | None:
        data = self._arrived[0].data
        if data is not END:
            self._arrived.popleft()
            self._unread_bytes -= len(data)
            self._let_held_leave()
        return data

    def _feed_lost_read(self) -> None:
        if self._lost_read and self._arrived:
            self._lost_read = False
            self._take()

    def _let_held_leave(self) -> None:
        held = self._held
        if held is None or not self._has_room(held.data):
            return
        self._held = None
        self.put(held.data)
        if self._end_waits:
            self.put(END)
        if not held.left.done():
            held.left.set_result(None)

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
