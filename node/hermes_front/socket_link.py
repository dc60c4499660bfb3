"""A link's end on asyncio's transport: what one pass of the event loop produced leaves as one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from hermes_front.link.end import LinkEnd

READ_BYTES: Final = 262_144
"""At once: others of the loop have their turn in between."""
FULL_BYTES: Final = 262_144
"""Of what was said and not taken."""

L = TypeVar("L", bound=LinkEnd[Any])

_buffer = memoryview(bytearray(READ_BYTES))
"""Of all links of a process: what is read is copied out at once."""


class SocketLink(asyncio.BufferedProtocol, Generic[L]):
    """`on_event` is told what `end` understood, `on_lost` once that nothing comes any more."""

    def __init__(self, end: L, on_event: Callable[[Any], None], on_lost: Callable[[], None]) -> None:
        self.end = end
        self._on_event = on_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._dirty = False
        self.full = False
        """The other end does not take what it was told: no message is added before it does."""
        self._waiting: list[asyncio.Future[None]] = []
        self.bytes_in = self.bytes_out = 0

    @property
    def unsent(self) -> int:
        """Bytes that the other end has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def wait_for_room(self) -> None:
        """Until the other end takes what it was told, or is gone."""
        while self.full:
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def flush_soon(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        self._dirty = False
        if self._transport is None or self._transport.is_closing() or not self.end.has_output:
            return
        data = b"".join(self.end.take_output())
        self.bytes_out += len(data)
        self._transport.write(data)

    def close(self) -> None:
        """Once what was said is on its way."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=FULL_BYTES)
        self.flush_soon()

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_in += nbytes
        self._tell(self.end.receive(bytes(_buffer[:nbytes])))

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._tell(self.end.go_on())

    def _tell(self, events: list[Any]) -> None:
        """And what more was read, once others had their turn."""
        for event in events:
            self._on_event(event)
        if self.end.has_output:
            self.flush_soon()
        if self._transport is None or self._transport.is_closing():
            return
        if self.end.has_input:
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)
        else:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._wake()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.full = False
        self._wake()
        self._on_lost()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
