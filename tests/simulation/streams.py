"""A simulated stream with its two ends, which behave as gRPC's do (tests/component/simulation holds them to it)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hermes_wire.byte_stream import StreamEndedError
from tests.simulation.pipes import READ_TURNS, Pipe, Way

if TYPE_CHECKING:
    from tests.simulation.links import Link
    from tests.simulation.loop import Process, VirtualLoop
    from tests.simulation.network import Network, SimServer

CANCEL_TURNS: Final = (0, READ_TURNS + 1, READ_TURNS + 1, READ_TURNS + 1)
"""Turns of the loop until the handler of a reset stream is cancelled; a pending read returns after READ_TURNS."""

TAKEN_OF_CANCELLED: Final = (True, False, False, False)
"""Whether a write that waits under an own cancel counts as taken; mostly it says that the stream has ended."""

UNAVAILABLE: Final = "UNAVAILABLE: connection lost"
CANCELLED: Final = "CANCELLED: by this end"
INTERNAL: Final = "INTERNAL: Internal error from Core"
STOPPED: Final = "UNAVAILABLE: Cancelling all calls"


class SimStream:
    """What both ends share. `number` counts the world's streams; `path` is /service/method."""

    def __init__(self, network: Network, number: int, path: str, link: Link, dialler: Process, names: frozenset[str]) -> None:
        self.network = network
        self.number = number
        self.path = path
        self.link = link
        self.dialler = dialler
        self.down = Pipe(network.loop, link, dialler, Way(path, True, self.number), self._end_arrived)
        self.served = ServedEnd(self, names)
        self.dialled = DialledEnd(self)
        self.connected = asyncio.Event()
        self.served_by: SimServer | None = None
        self.handler: asyncio.Task[None] | None = None
        self.dialler_over = False
        self._server_over = False

    def connect(self, server: Process) -> None:
        """Who is at the other end; said once, before anything is written."""
        self.server = server
        self.up = Pipe(self.loop, self.link, server, Way(self.path, False, self.number), lambda: None)

    def give_to(self, server: Process) -> None:
        """It waited in a queue, and this process takes it from there."""
        self.server = server
        self.up.give_to(server)

    def give_up(self) -> None:
        """The connection did not come about in time; harmless once it has."""
        if not self.connected.is_set():
            self.fail_dialler("UNAVAILABLE: connection timed out")
            self.link.signal(self.server, self.reset_server)

    @property
    def loop(self) -> VirtualLoop:
        return self.network.loop

    @property
    def carries_chats(self) -> bool:
        return self.path.endswith(("/Open", "/RouteChat", "/Carry"))

    @property
    def server_over(self) -> bool:
        """For the serving end: it ended the stream, or heard of its end."""
        return self._server_over

    def __repr__(self) -> str:
        return f"stream {self.number} ({self.dialler.name} to {self.server.name}, {self.path.rpartition('/')[2]})"

    def peer_of(self, process: Process) -> Process:
        return self.server if process is self.dialler else self.dialler

    # how it ends; each word travels to the other side

    def reset_by_dialler(self) -> None:
        """A cancelled call, or a dialler that died: the handler is cancelled, as gRPC does."""
        taken = self.network.draw("write", TAKEN_OF_CANCELLED)
        self._end_dialler(CANCELLED, None if taken else StreamEndedError(CANCELLED))
        self.link.signal(self.server, self.reset_server)

    def reset_by_server(self) -> None:
        """A server that died: nothing that it still had to say leaves."""
        self.down.release()
        self.link.signal(self.dialler, self.fail_dialler, UNAVAILABLE)

    def break_both(self) -> None:
        """The connection between them is gone: each side finds out by itself."""
        self.link.signal(self.server, self.reset_server)
        self.link.signal(self.dialler, self.fail_dialler, UNAVAILABLE)

    def break_locally(self) -> None:
        """The server's keepalive found nobody; the dialler hears of it when it is there again."""
        self.reset_server()
        self.reset_by_server()

    def half_open(self, for_s: float) -> None:
        """The dialler's end is gone; the server hears of it `for_s` later."""
        self.fail_dialler(UNAVAILABLE)
        self.loop.call_later(for_s, self.link.signal, self.server, self.reset_server)

    def fail_dialler(self, reason: str) -> None:
        """Its connection is gone, or never was. An end that had arrived stays one."""
        if not self.down.said_everything:
            self._end_dialler(reason, StreamEndedError(INTERNAL))

    def reset_server(self) -> None:
        """The dialler is gone, for the server: calls that wait return, and the handler is cancelled, mostly afterwards."""
        if self._server_over:
            return
        self.up.break_off("reset")
        self.down.release(StreamEndedError("ExecuteBatchError"))
        self._after_turns(self.network.draw("cancel", CANCEL_TURNS), self._cancel_handler)
        self.end_server()

    def stop_server(self) -> None:
        """The server ends it by force; what it had written stays readable, unlike after a lost connection."""
        if not self._server_over:
            self.reset_server()
            self.down.end(STOPPED)

    def end_server(self) -> None:
        self._server_over = True
        if self.served_by is not None:
            self.served_by.ended(self)
        self._leave_network()

    def accepted(self) -> None:
        """Both ends stand; the dialler hears of it. Nothing it writes leaves before."""
        self.link.signal(self.dialler, self.connected.set)

    def _end_dialler(self, reason: str, error: StreamEndedError | None) -> None:
        self.down.break_off(reason)
        self.up.release(error)
        self._dialler_heard()

    def _end_arrived(self) -> None:
        """The handler has ended: a write that waited counts as sent, and goes nowhere."""
        self.up.release()
        self._dialler_heard()

    def _dialler_heard(self) -> None:
        self.connected.set()
        self.dialler_over = True
        self._leave_network()

    def _leave_network(self) -> None:
        if self.dialler_over and self._server_over:
            self.network.ended(self)

    def _cancel_handler(self) -> None:
        if self.handler is not None and not self.served.finished:
            self.handler.cancel()

    def _after_turns(self, turns: int, callback: Callable[[], None]) -> None:
        """Runs in the server's process."""
        if turns:
            self.loop.call_soon(self._after_turns, turns - 1, callback, context=self.server.context)
        else:
            callback()


class ServedEnd:
    """What a handler reads and writes (`hermes_node.streams.transport.ServedStream`)."""

    def __init__(self, stream: SimStream, names: frozenset[str]) -> None:
        self._stream = stream
        self._names = names
        self.finished = False

    def peer_address(self) -> str:
        """Each party has one."""
        kind, _, number = self._stream.dialler.name.rpartition("-")
        return f"ipv4:10.0.{len(kind)}.{number}:1"

    def peer_names(self) -> frozenset[str]:
        return self._names

    def trust(self) -> None:
        """The simulated network bounds nobody."""

    async def read(self) -> bytes | None:
        """None as well when the dialler is gone: only the handler is told the difference, by its cancellation."""
        self._check()
        data = await self._stream.up.read()
        self._check()
        return data

    async def write(self, data: bytes) -> None:
        stream = self._stream
        self._check()
        if stream.server_over or stream.down.busy:
            raise StreamEndedError("ExecuteBatchError")
        stream.network.written(stream, stream.server, data)
        await stream.down.write(data)
        await asyncio.sleep(0)

    def finish(self, status: str | None = None) -> None:
        """The handler returned, or failed: everything was said."""
        self.finished = True
        if not self._stream.server_over:
            self._stream.down.end(status)
            self._stream.up.break_off("served")
            self._stream.end_server()

    def _check(self) -> None:
        server = self._stream.served_by
        if self.finished:
            raise StreamEndedError("UsageError")
        if server is not None and server.stopped:
            raise StreamEndedError("_ServerStoppedError")


class DialledEnd:
    """What the end that opened the stream holds (`hermes_wire.byte_stream.DialledStream`)."""

    def __init__(self, stream: SimStream) -> None:
        self._stream = stream
        self._done_writing = False

    async def read(self) -> bytes | None:
        down = self._stream.down
        try:
            data = await down.read()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if data is None and (reason := down.broken or down.status) is not None:
            raise StreamEndedError(reason)
        return data

    async def write(self, data: bytes) -> None:
        if self._over or self._done_writing:
            raise StreamEndedError("the stream has ended")
        await self._wait_connected()
        stream = self._stream
        if stream.down.said_everything:
            # gRPC's Python takes the refused write for the call's end, and forgets the real one and what was not read yet.
            stream.down.break_off(INTERNAL)
            raise StreamEndedError(INTERNAL)
        stream.network.written(stream, stream.dialler, data)
        try:
            await stream.up.write(data)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def done_writing(self) -> None:
        if not self._over and not self._done_writing:
            self._done_writing = True
            self._stream.up.end()

    def cancel(self) -> None:
        if not self._over:
            self._stream.reset_by_dialler()

    @property
    def _over(self) -> bool:
        """How it ended is known, which it is not before all messages are read."""
        return self._stream.down.broken is not None or self._stream.down.at_end

    async def _wait_connected(self) -> None:
        """A task that is cancelled here leaves the stream as it is."""
        await self._stream.connected.wait()
        if (reason := self._stream.down.broken) is not None:
            raise StreamEndedError(reason)
