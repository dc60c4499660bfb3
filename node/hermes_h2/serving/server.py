"""A listener: accepts connections within its limits, and serves each call by the handler of its path."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from hermes_h2.events import Refusal
from hermes_h2.header_block import write_block
from hermes_h2.serving.acceptor import Acceptor
from hermes_h2.serving.call import Call
from hermes_h2.serving.doorway import Doorway
from hermes_h2.serving.handled import Status, end_calls, serve_call
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.link import STRANGERS_READ_BYTES, ClientLink
from hermes_h2.serving.places import NamedPlaces, Places, read_ip
from hermes_h2.serving.turns import StrangersTurns

LocalHandler = Callable[[Call], Awaitable[None]]
"""Whoever serves any `ServedCall` is one."""
OnRefused = Callable[[Refusal, str, str, frozenset[str]], None]
"""Which bound or rule, the address, the rule in words, and the names in the certificate that was shown."""
OnDefect = Callable[[Exception], None]
"""A handler failed."""

TRANSPORT_S: Final = 0.0001
"""Of work that asyncio's transport costs besides the turn in which it is made."""
SWEEP_S: Final = 0.5
BUFFER_BYTES: Final = 65_536

_NOT_GRPC: Final = write_block([(":status", "415")])
_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])\Z")
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class Server:
    """Serves on `sockets`, which listen and are its own, from `start` on. `tls`: the context for a new connection."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: Limits,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        on_refused: OnRefused = lambda *_: None,
        on_defect: OnDefect = lambda _: None,
        only_grpc: bool = True,
    ) -> None:
        self.limits = limits
        self._tls = tls
        self._on_refused = on_refused
        self._on_defect = on_defect
        self._only_grpc = only_grpc
        self._sockets = sockets
        self.port: int = self._sockets[0].getsockname()[1]
        self._places: Places[ClientLink] = Places(
            total=limits.connections,
            strangers=limits.strangers,
            an_address=limits.strangers_an_address,
            patience_s=limits.patience_s,
        )
        self._named: NamedPlaces[ClientLink] = NamedPlaces(a_name=limits.strangers_a_name, patience_s=limits.patience_s)
        self._handlers: Mapping[str, LocalHandler] = {}
        self.links: set[ClientLink] = set()
        self.calls: set[Call] = set()
        self._dirty: list[ClientLink] = []
        self._acceptors: list[Acceptor] = []
        self._opening: set[asyncio.Task[object]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self.strangers_buffer = self.buffer[:STRANGERS_READ_BYTES]

    async def start(self, handlers: Mapping[str, LocalHandler], turns: StrangersTurns | None = None) -> None:
        """`handlers`: by path, /service/method. `turns`: of other listeners of this event loop, to be shared with them."""
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()
        self.turns = StrangersTurns(self._loop) if turns is None else turns  # one that is empty is false
        self._acceptors = [Acceptor(self._loop, sock, self._accepted) for sock in self._sockets]
        self._sweeper = self._loop.create_task(self._sweep())

    async def stop(self, grace_s: float) -> None:
        """No new connections and calls; those that stand have `grace_s`, then they end as UNAVAILABLE."""
        while self._acceptors:
            self._acceptors.pop().close()
        for sock in self._sockets:
            sock.close()
        for link in list(self.links):
            link.announce_end()
        await self._wait_for_calls(grace_s)
        await end_calls(self.calls)
        for link in list(self.links):
            if link.closing:
                link.abort()
            else:
                link.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.sleep(0)

    async def _wait_for_calls(self, grace_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self.calls or any(link.may_call for link in self.links):
                    self._changed.clear()
                    await self._changed.wait()

    @property
    def connections(self) -> int:
        return len(self._places)

    @property
    def strangers(self) -> int:
        return self._places.strangers

    # What links call.

    def now(self) -> float:
        return self._loop.time()

    def open_transport(self, link: ClientLink, sock: socket.socket) -> None:
        self.turns.charge(TRANSPORT_S)
        opening: asyncio.Task[object] = self._loop.create_task(self._loop.connect_accepted_socket(lambda: link, sock))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def moved(self, link: ClientLink) -> bool:
        return self._give_place(link, self._places.move(link, link.payer, self.now()))

    def named(self, link: ClientLink) -> bool:
        """It has shown a certificate; whether that has room for one more."""
        if not self.limits.strangers_a_name:
            return True
        return self._give_place(link, self._named.admit(link, link.names, link.payer, self.now()))

    def left(self, link: ClientLink) -> None:
        self._places.leave(link)
        self._named.leave(link)
        self.links.discard(link)
        self.changed()

    def changed(self) -> None:
        """Something that a stop waits for may be over."""
        self._changed.set()

    def proven(self, link: ClientLink, proven: bool) -> None:
        for places in (self._places, self._named):
            if proven:
                places.prove(link)
            else:
                places.doubt(link, self.now())

    def dirty(self, link: ClientLink) -> None:
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(link)

    def refused(self, link: ClientLink, refusal: Refusal, detail: str) -> None:
        self._on_refused(refusal, link.peer_host, detail, link.names)

    def build_door(self, link: ClientLink) -> Doorway:
        return Doorway(expects_proxy=self._is_proxy(link.peer_host), tls=self._tls)

    def begin(self, call: Call) -> None:
        """A request; it is answered at once where there is nobody to serve it."""
        fields = call.fields
        if self._only_grpc and (fields[":method"] != "POST" or not _is_grpc(fields.get("content-type", ""))):
            call.answer(_NOT_GRPC)
            return
        handler = self._handlers.get(call.path)
        if handler is None:
            call.finish(Status.UNIMPLEMENTED, "Method not found!")
        elif len(self.calls) >= self.limits.streams:
            call.finish(Status.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        else:
            self.calls.add(call)
            timeout_s = _read_timeout(fields.get("grpc-timeout", ""))
            if timeout_s is not None:
                call.deadline = self._loop.call_later(timeout_s, _expire, call)
            call.task = self._loop.create_task(serve_call(handler, call, self._on_defect))
            call.task.add_done_callback(lambda _: self._served(call))

    def _served(self, call: Call) -> None:
        """Its task is over; one that was cancelled before its first step has run nothing of `_serve`."""
        call.end()
        call.task = None  # which, cancelled, holds its frames, and they hold the call
        self.calls.discard(call)
        self.changed()

    def _accepted(self, sock: socket.socket, host: str, port: int) -> None:
        link = ClientLink(self, sock, host, port)
        if self._give_place(link, self._places.admit(link, link.payer, self.now())):
            self.turns.add(link, link.enter)
        else:
            link.abort()

    def _is_proxy(self, host: str) -> bool:
        ip = read_ip(host) if self.limits.trusted_proxies else None
        return ip is not None and any(ip in network for network in self.limits.trusted_proxies)

    def _give_place(self, link: ClientLink, evicted: ClientLink | None) -> bool:
        if evicted is not None and not evicted.closing:
            self.refused(evicted, Refusal.CONNECTIONS, "too many connections on which nothing was proven")
        if evicted is link:
            self._places.leave(link)
            return False
        self.links.add(link)
        if evicted is not None:
            evicted.abort()
        return True

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            link.flush()

    async def _sweep(self) -> None:
        """One timer for all connections."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.now()
            for link in list(self.links):
                link.check(now)


def _is_grpc(content_type: str) -> bool:
    return content_type.startswith("application/grpc") and content_type[16:17] in {"", "+", ";"}


def _read_timeout(text: str) -> float | None:
    found = _TIMEOUT.match(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _expire(call: Call) -> None:
    call.finish(Status.DEADLINE_EXCEEDED, "Deadline Exceeded")
    if call.task is not None:
        call.task.cancel()
