"""The socket between a node and one of its fronts: one end of a pair, as asyncio's transport of it behaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

    from tests.simulation.loop import Process, VirtualLoop

DELAYS_S: Final = (0.00002, 0.00005, 0.0002, 0.002)
"""Until the other process reads what was written: it has to be scheduled."""
KERNEL_BYTES: Final = 212_992
"""What a socket holds; what more was written waits at the writer's."""
EPSILON_S: Final = 1e-7
PARTS: Final = (False, False, False, True)
"""Whether a read ends in the middle of what there is."""


class LinkSocket:
    """One end, of `process`, which may die or stand still. A pair is made by `pair`."""

    def __init__(self, loop: VirtualLoop, process: Process, choices: random.Random) -> None:
        self.process = process
        self._loop = loop
        self._choices = choices
        self._peer = self
        self._protocol: Any = None
        self._arrived = bytearray()
        self._unread = 0
        """Of what this end wrote."""
        self._high = 65_536
        self._full = False
        self._reading = True
        self._reads_soon = False
        self._closing = False
        self._eof = False
        self._lost = False
        self._last_at_s = 0.0

    @classmethod
    def pair(cls, loop: VirtualLoop, one: Process, other: Process, choices: random.Random) -> tuple[LinkSocket, LinkSocket]:
        ends = cls(loop, one, choices), cls(loop, other, choices)
        ends[0]._peer, ends[1]._peer = ends[1], ends[0]
        return ends

    def attach(self, protocol: asyncio.BufferedProtocol) -> None:
        """`VirtualLoop.create_unix_connection`."""
        self._protocol = protocol
        protocol.connection_made(self)  # type: ignore[arg-type]
        self._read_soon()

    def died(self, *, lose: bool = False) -> None:
        """Its process is dead: the kernel closes it, behind what was written. With `lose` the other end has none of that."""
        self._closing = True
        if lose:
            self._peer._lost = True
        self._say_end()

    # What a protocol calls.

    def write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        self._unread += len(data)
        self._send(self._peer._arrive, data)
        if not self._full and self.get_write_buffer_size() > self._high:
            self._full = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return max(0, self._unread - KERNEL_BYTES)

    def set_write_buffer_limits(self, high: int) -> None:
        self._high = high

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._read_soon()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._say_end()
            self._loop.call_soon(self._protocol.connection_lost, None, context=self.process.context)

    abort = close

    # What comes from the other end.

    def _send(self, what: Any, *args: Any) -> None:
        at_s = max(self._last_at_s + EPSILON_S, self._loop.time() + self._choices.choice(DELAYS_S))
        self._last_at_s = at_s
        self._loop.deliver_at(at_s, what, *args, context=self._peer.process.context)

    def _say_end(self) -> None:
        self._send(self._peer._end)

    def _arrive(self, data: bytes) -> None:
        if not self._lost:
            self._arrived += data
            self._read_soon()

    def _end(self) -> None:
        self._eof = True
        self._read_soon()

    def _read_soon(self) -> None:
        if self._protocol is not None and not self._reads_soon:
            self._reads_soon = True
            self._loop.call_soon(self._read, context=self.process.context)

    def _read(self) -> None:
        self._reads_soon = False
        if not self._reading or self._closing:
            return
        if self._arrived:
            buffer = self._protocol.get_buffer(-1)
            size = min(len(self._arrived), len(buffer))
            if self._choices.choice(PARTS):
                size = self._choices.randint(1, size)
            buffer[:size] = self._arrived[:size]
            del self._arrived[:size]
            self._peer._taken(size)
            self._protocol.buffer_updated(size)
            self._read_soon()
        elif self._eof and not self._protocol.eof_received():
            self._closing = True
            self._protocol.connection_lost(None)

    def _taken(self, size: int) -> None:
        self._unread -= size
        if self._full and self.get_write_buffer_size() <= self._high // 4:
            self._full = False
            self._loop.call_soon(self._protocol.resume_writing, context=self.process.context)
