"""A simulated stream with its two ends, which behave as gRPC's do (tests/component/simulation holds them to it)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hermes_wire.byte_stream import StreamEndedError
from tests.simulation.pipes import Pipe

if TYPE_CHECKING:
    from tests.simulation.links import Link
    from tests.simulation.loop import Process, VirtualLoop
    from tests.simulation.network import Network

UNAVAILABLE: Final = "UNAVAILABLE: connection lost"


class SimStream:
    """What both ends share. `number` counts the world's streams; `path` is /service/method."""

    def __init__(self, network: Network, number: int, path: str, link: Link, dialler: Process, names: frozenset[str]) -> None:
        self.network = network
        self.number = number
        self.path = path
        self.link = link
        self.dialler = dialler
        self.down = Pipe(network.loop, link, dialler)
        self.served = ServedEnd(self, names)
        self.dialled = DialledEnd(self)
        self.accepted = False
        self.handler: asyncio.Task[None] | None = None

    def connect(self, server: Process) -> None:
        """Who is at the other end; said once, before anything is written."""
        self.server = server
        self.up = Pipe(self.loop, self.link, server)

    def give_up(self) -> None:
        """The connection did not come about in time; harmless once it has."""
        if not self.accepted:
            self.down.break_off("UNAVAILABLE: connection timed out", lose=False)

    @property
    def loop(self) -> VirtualLoop:
        return self.network.loop

    def peer_of(self, process: Process) -> Process:
        return self.server if process is self.dialler else self.dialler

    @property
    def carries_chats(self) -> bool:
        return self.path.endswith(("/Open", "/RouteChat"))

    def __repr__(self) -> str:
        return f"stream {self.number} ({self.dialler.name} to {self.server.name}, {self.path.rpartition('/')[2]})"

    # how it ends; each word travels to the other side

    def reset_by_dialler(self) -> None:
        """A cancelled call, or a dialler that died: the handler is cancelled, as gRPC does."""
        self.down.break_off("CANCELLED: locally", lose=True)
        self.link.signal(self.server, self._reset_server)
        self.network.ended(self)

    def reset_by_server(self, reason: str = UNAVAILABLE) -> None:
        """A server that died, or that ends a stream by force."""
        self.link.signal(self.dialler, self.down.break_off, reason)

    def break_both(self) -> None:
        """The connection between them is gone: each side finds out by itself."""
        self.link.signal(self.server, self._reset_server)
        self.link.signal(self.dialler, self._break_dialler)

    def break_locally(self) -> None:
        """The server's keepalive found nobody; the dialler hears of it when it is there again."""
        self._reset_server()
        self.reset_by_server()

    def half_open(self, for_s: float) -> None:
        """The dialler's end is gone; the server hears of it `for_s` later."""
        self._break_dialler()
        self.loop.call_later(for_s, self.link.signal, self.server, self._reset_server)

    def _break_dialler(self) -> None:
        self.down.break_off(UNAVAILABLE, lose=False)

    def _reset_server(self) -> None:
        self.up.break_off("reset", lose=True)
        if self.handler is not None:
            self.handler.cancel()


class ServedEnd:
    """What a handler reads and writes (`hermes_node.streams.transport.ServedStream`)."""

    def __init__(self, stream: SimStream, names: frozenset[str]) -> None:
        self._stream = stream
        self._names = names
        self.finished = False

    def peer_names(self) -> frozenset[str]:
        return self._names

    async def read(self) -> bytes | None:
        if self.finished:
            raise StreamEndedError("UsageError")
        return await self._stream.up.read()

    async def write(self, data: bytes) -> None:
        stream = self._stream
        if self.finished or stream.up.broken is not None:
            raise StreamEndedError("UsageError")
        stream.network.written(stream, stream.server, data)
        await stream.down.write(data)
        await asyncio.sleep(0)

    def finish(self) -> None:
        """The handler returned: everything was said."""
        if not self.finished:
            self.finished = True
            if self._stream.up.broken is None:
                self._stream.down.put(None)
            self._stream.up.break_off("served", lose=True)


class DialledEnd:
    """What the end that opened the stream holds (`hermes_wire.byte_stream.DialledStream`)."""

    def __init__(self, stream: SimStream) -> None:
        self._stream = stream
        self._done_writing = False
        self._cancelled = False

    async def read(self) -> bytes | None:
        try:
            data = await self._stream.down.read()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if data is None and self._stream.down.broken is not None:
            if self._cancelled:
                raise asyncio.CancelledError
            raise StreamEndedError(self._stream.down.broken)
        return data

    async def write(self, data: bytes) -> None:
        self._check_open()
        stream = self._stream
        stream.network.written(stream, stream.dialler, data)
        try:
            await stream.up.write(data)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def done_writing(self) -> None:
        self._check_open()
        if not self._done_writing:
            self._done_writing = True
            self._stream.up.put(None)

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._stream.reset_by_dialler()

    def _check_open(self) -> None:
        down = self._stream.down
        if self._cancelled or self._done_writing or down.broken is not None or down.said_everything:
            raise StreamEndedError("the stream has ended")
