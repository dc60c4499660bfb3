"""Where apps' streams come in at a node with fronts: one queue that its fronts take from, and what each has of a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import grpc

from hermes_h2.serving.call import CallEndedError
from hermes_wire.byte_stream import StreamEndedError
from tests.simulation.loop import CURRENT, Process
from tests.simulation.network import REFUSED, SimServer
from tests.simulation.streams import UNAVAILABLE

if TYPE_CHECKING:
    import random

    from hermes_h2.serving.call import Call
    from hermes_node.config.addresses import Address
    from hermes_node.streams.transport import ServedStream
    from tests.simulation.network import Network
    from tests.simulation.streams import SimStream

STATUS: Final = {int(code.value[0]): code.name for code in grpc.StatusCode}
RESET: Final = "CANCELLED: Received RST_STREAM with error code 8"


class SharedSocket:
    """The listening socket, which the node binds and its fronts inherit: who comes waits in it until one of them is there."""

    def __init__(self, network: Network, address: Address, choices: random.Random) -> None:
        process = CURRENT.get()
        assert process is not None
        self.process = process
        self.receiver = Process(f"{process.name}.kernel")
        """It never stands still."""
        self.address = address
        self.names: frozenset[str] = frozenset()
        self.taken: dict[int, SimStream] = {}
        """Every stream that a front has taken, by its number."""
        self.doors: list[FrontDoor] = []
        self._network = network
        self._choices = choices
        self._waiting: deque[SimStream] = deque()
        self._closed = False
        network.listen(self)

    # What an owner has of it.

    def getsockname(self) -> tuple[str, int]:
        return self.address.host, self.address.port

    def close(self) -> None:
        self._closed = True
        self._close_unheld()

    # What the kernel does.

    def accept(self, stream: SimStream) -> None:
        self._waiting.append(stream)
        if self._network.listens(self):
            doors = self._choices.sample(self.doors, len(self.doors))
            for door in doors:
                self._network.loop.deliver_at(self._network.loop.time(), door.take_waiting, context=door.process.context)
        else:
            self._refuse(REFUSED)

    def owner_died(self) -> None:
        """Its fronts are about to: who waits hears that the connection is lost."""
        self._closed = True
        self._refuse(UNAVAILABLE)

    def close_door(self, door: FrontDoor) -> None:
        """A front does not listen any more, or is dead."""
        if door in self.doors:
            self.doors.remove(door)
        self._close_unheld()

    def take(self) -> SimStream | None:
        return self._waiting.popleft() if self._waiting else None

    def _close_unheld(self) -> None:
        if self._closed and not self.doors:
            self._network.unlisten(self)
            self._refuse(REFUSED)

    def _refuse(self, why: str) -> None:
        while stream := self.take():
            stream.link.signal(stream.dialler, stream.fail_dialler, why)
            if not stream.server_over:
                stream.end_server()


class FrontDoor(SimServer):
    """`hermes_h2.serving.server.Server` of one front: takes from the shared socket, and has a `DoorCall` for each stream."""

    def __init__(self, network: Network, socket: SharedSocket) -> None:
        self._socket = socket
        super().__init__(network, "", socket.address, frozenset())

    @property
    def links(self) -> tuple[object, ...]:
        """Connections have nothing left to take, once their streams are over."""
        return ()

    @property
    def connections(self) -> int:
        return len(self._streams)

    @property
    def strangers(self) -> int:
        return 0

    async def start(self, handlers: Mapping[str, Callable[[Any], Awaitable[None]]]) -> None:
        """`handlers`: by path."""
        self._handlers = {path.rpartition("/")[2]: _adapt(handler) for path, handler in handlers.items()}
        self._socket.doors.append(self)
        self.take_waiting()

    def take_waiting(self) -> None:
        """Runs in the front's process: all that nobody else was quicker to take."""
        while self._listens() and (stream := self._socket.take()):
            if not stream.server_over:
                stream.give_to(self.process)
                self._socket.taken[stream.number] = stream
            self.accept(stream)

    def _claim(self) -> None:
        """The socket is listened on already."""

    def _release(self) -> None:
        self._socket.close_door(self)

    def _listens(self) -> bool:
        return self in self._socket.doors


def _adapt(handler: Callable[[Any], Awaitable[None]]) -> Callable[[ServedStream], Awaitable[None]]:
    async def serve(served: Any) -> None:
        await handler(cast("Call", DoorCall(served._stream)))

    return serve


class DoorCall:
    """`hermes_h2.serving.call.Call` of a simulated stream, as far as a front needs it. Its port is the stream's number."""

    def __init__(self, stream: SimStream) -> None:
        self.path = stream.path
        self._stream = stream
        self._left: asyncio.Future[None] | None = None

    def peer(self) -> tuple[str, int]:
        kind, _, number = self._stream.dialler.machine.rpartition("-")
        return f"10.0.{len(kind)}.{number}", self._stream.number

    def peer_names(self) -> frozenset[str]:
        return self._stream.served.peer_names()

    async def read(self) -> bytes | None:
        try:
            return await self._stream.served.read()
        except StreamEndedError:
            raise CallEndedError from None

    def hand_over(self, message: bytes) -> bool:
        if self._over or self._stream.down.busy:
            raise CallEndedError
        self._left = self._stream.down.hand_over(message)
        return self._left is None

    async def drained(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            try:
                await left
            except StreamEndedError:
                raise CallEndedError from None
        if self._over:
            raise CallEndedError

    def finish(self, status: int, text: str) -> None:
        if not self._over:
            self._stream.served.finish(f"{STATUS[status]}: {text}" if status else None)

    def reset(self) -> None:
        """Nothing that waits leaves."""
        stream = self._stream
        if self._over:
            return
        stream.served.finished = True
        stream.up.break_off("reset")
        stream.down.release()
        stream.link.signal(stream.dialler, stream.fail_dialler, RESET)
        stream.end_server()

    def prove(self) -> None:
        """The simulated network bounds nobody."""

    def pardon(self) -> None:
        """As `prove`."""

    @property
    def _over(self) -> bool:
        return self._stream.served.finished or self._stream.server_over
