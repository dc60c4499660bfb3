"""The simulated network: machines with addresses, links between each two, streams that are dialled and served."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from hermes_node.config.addresses import Address
from hermes_node.errors import ListenError
from hermes_node.streams.transport import StreamHandler
from tests.simulation.links import Link
from tests.simulation.loop import CURRENT, Process, VirtualLoop
from tests.simulation.pipes import READ_TURNS
from tests.simulation.streams import DialledEnd, SimStream

if TYPE_CHECKING:
    from tests.simulation.draws import Draws

CONNECT_TIMEOUT_S: Final = 20.0
"""How long a connection may take to come about, as gRPC's default."""

REFUSED: Final = "UNAVAILABLE: connection refused"

STOP_TURNS: Final = range(READ_TURNS + 2, READ_TURNS + 8)
"""Turns of the loop between the end of a server's last stream and its stop's return: handlers are then at their end, or not."""

KEEPALIVE_S: Final = 80.0
"""After this long without a word the server's keepalive ends a connection."""

SERVED: Final[contextvars.ContextVar[SimStream]] = contextvars.ContextVar("served stream")
"""The stream that a handler serves, or that a dialler opened last: for who looks from inside."""


class Network:
    """`on_write` hears of every message that leaves a process, with the stream it leaves on."""

    def __init__(self, loop: VirtualLoop, draws: Draws) -> None:
        self.loop = loop
        self.messages = 0
        self.on_write: list[Callable[[SimStream, Process, bytes], None]] = []
        self._draws = draws
        self._links: dict[frozenset[str], Link] = {}
        self._servers: dict[str, Listener] = {}
        self._streams: dict[int, SimStream] = {}
        self._numbers = itertools.count(1)

    # machines and links

    def link(self, one: str, other: str) -> Link:
        key = frozenset((one, other))
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = Link(self.loop, self._draws.of("delay", "-".join(sorted(key))))
        return link

    def streams_of(self, machine: str) -> list[SimStream]:
        """Those that stand, by age."""
        return [stream for stream in self._streams.values() if machine in (stream.dialler.machine, stream.server.machine)]

    def streams_between(self, one: str, other: str) -> list[SimStream]:
        return [s for s in self._streams.values() if {s.dialler.machine, s.server.machine} == {one, other}]

    def died(self, process: Process, *, lose: bool = False) -> None:
        """The kernel closes what a dead process had open: its peers hear of it."""
        for address, server in list(self._servers.items()):
            if server.process is process:
                del self._servers[address]
                server.owner_died()
        for stream in list(self._streams.values()):
            if process is stream.dialler:
                unsent = stream.up
                stream.reset_by_dialler()
            elif process is stream.server:
                unsent = stream.down
                stream.reset_by_server()
            else:
                continue
            if lose:
                stream.link.forget(unsent)
            self._streams.pop(stream.number, None)

    def expire(self, link_ends: tuple[str, str]) -> None:
        """A cut that lasts: keepalive ends the serving side of every stream across it."""
        for stream in self.streams_between(*link_ends):
            stream.break_locally()

    def heal(self) -> None:
        """Every link carries again, at its usual pace."""
        for link in self._links.values():
            link.loss = link.extra_delay_s = 0.0
            link.middle = None
            if link.blocked:
                link.heal()

    # what streams report

    def written(self, stream: SimStream, process: Process, data: bytes) -> None:
        self.messages += 1
        for hear in self.on_write:
            hear(stream, process, data)

    def ended(self, stream: SimStream) -> None:
        self._streams.pop(stream.number, None)

    # listening and dialling

    def listen(self, server: Listener) -> None:
        address = str(server.address)
        if address in self._servers:
            raise ListenError(f"cannot listen on {address}")
        self._servers[address] = server

    def unlisten(self, server: Listener) -> None:
        if self.listens(server):
            del self._servers[str(server.address)]

    def listens(self, server: Listener) -> bool:
        return self._servers.get(str(server.address)) is server

    def draw(self, purpose: str, choices: Sequence[int]) -> int:
        """Where gRPC's threads run a race with the process's loop."""
        return self._draws.of("race", purpose).choice(choices)

    def dial(self, dialler: Process, address: str, path: str, names: frozenset[str], expected: str | None) -> SimStream:
        """A stream whose other end comes about when the first packet arrives; until then writes wait on the way."""
        machine = address.rpartition(":")[0]
        link = self.link(dialler.machine, machine)
        server = self._servers.get(address)
        stream = SimStream(self, next(self._numbers), path, link, dialler, names)
        if server is None:
            stream.connect(Process("nobody"))
            link.signal(dialler, stream.fail_dialler, REFUSED)
            self.loop.call_later(CONNECT_TIMEOUT_S, stream.give_up, context=dialler.context)
            return stream
        stream.connect(server.receiver)
        if expected is not None and expected not in server.names:
            link.signal(dialler, stream.fail_dialler, "UNAVAILABLE: the certificate has another name")
            return stream
        self._streams[stream.number] = stream
        link.open(server.receiver, server.accept, stream)
        self.loop.call_later(CONNECT_TIMEOUT_S, stream.give_up, context=dialler.context)
        return stream


class Listener(Protocol):
    """Who has an address: `process`, whose end gives it up; `receiver` hears of what is dialled."""

    process: Process
    receiver: Process
    address: Address
    names: frozenset[str]

    def accept(self, stream: SimStream) -> None: ...
    def owner_died(self) -> None: ...


class SimServer:
    """`hermes_node.streams.transport.StreamServer` of the process that makes it."""

    def __init__(self, network: Network, service: str, address: Address, names: frozenset[str]) -> None:
        process = CURRENT.get()
        assert process is not None
        self.process = self.receiver = process
        self.address = address
        self.names = names
        self._network = network
        self._service = service
        self._handlers: Mapping[str, StreamHandler] = {}
        self._streams: dict[int, SimStream] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopped = False
        self._claim()

    def _claim(self) -> None:
        self._network.listen(self)

    def _release(self) -> None:
        self._network.unlisten(self)

    def _listens(self) -> bool:
        return self._network.listens(self)

    def owner_died(self) -> None:
        """Its streams end as all of its process do."""

    async def start(self, handlers: Mapping[str, StreamHandler]) -> None:
        self._handlers = handlers

    async def follow(self, ready: bool) -> None:
        pass

    async def stop(self, grace_s: float) -> None:
        """Waits for streams, not for handlers: one that left without a status holds it up, one that cleans up does not."""
        self._release()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)
        for stream in list(self._streams.values()):
            stream.stop_server()
        for _ in range(self._network.draw("stop", STOP_TURNS)):
            await asyncio.sleep(0)
        self.stopped = True

    def accept(self, stream: SimStream) -> None:
        """Runs in the server's process."""
        if stream.server_over:
            return  # the dialler's reset overtook it
        if stream.dialler_over:
            stream.end_server()  # cancelled before there was a connection: nothing but the connection came
            return
        if not self._listens():
            stream.link.signal(stream.dialler, stream.fail_dialler, REFUSED)
            stream.end_server()
            return
        stream.accepted()
        handler = self._handlers.get(stream.path.rpartition("/")[2])
        if handler is None:
            stream.served.finish("UNIMPLEMENTED: Method not found!")
            return
        stream.served_by = self
        self._streams[stream.number] = stream
        self._idle.clear()
        token = SERVED.set(stream)
        stream.handler = self._network.loop.create_task(self._serve(handler, stream))
        SERVED.reset(token)

    def ended(self, stream: SimStream) -> None:
        """One of its streams; the handler may still run."""
        self._streams.pop(stream.number, None)
        if not self._streams:
            self._idle.set()

    async def _serve(self, handler: StreamHandler, stream: SimStream) -> None:
        try:
            await handler(stream.served)
        except asyncio.CancelledError:
            pass  # gRPC sends no status then: a dialler that did not cancel goes on waiting
        except Exception as error:  # noqa: BLE001 - as gRPC does; it is a defect all the same
            self._network.loop.call_exception_handler({"message": f"handler of {stream}", "exception": error})
            stream.served.finish(f"UNKNOWN: Unexpected {type(error)}: {error}")
        else:
            stream.served.finish()


class SimConnection:
    """A connection of a node or a client."""

    def __init__(self, network: Network, address: str, names: frozenset[str], expected: str | None) -> None:
        self._network = network
        self._address = address
        self._names = names
        self._expected = expected
        self._opened: list[DialledEnd] = []

    def open(self, path: str) -> DialledEnd:
        process = CURRENT.get()
        assert process is not None
        stream = self._network.dial(process, self._address, path, self._names, self._expected)
        SERVED.set(stream)
        self._opened.append(stream.dialled)
        return stream.dialled

    async def close(self) -> None:
        for stream in self._opened:
            stream.cancel()
