"""The HTTP ports of nodes and of the operator, on aiohttp: how many connections may stand, how long one may be silent.

aiohttp bounds what a request may hold, and neither how many connections there are nor how long one takes for its head or its
answer. Here a connection on which no request is at work keeps its place only until somebody else needs it: whoever asks gets
through in a round trip, and whoever holds connections cannot lock a health check out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hermes_h2.serving.places import Places, charge_to

ANY_HOST: Final = "0.0.0.0"  # noqa: S104 - compared
"""Every address of the machine, those of IPv6 too: so gRPC takes it for the ports of apps and nodes."""

_OF_CLIENTS: Final = (HttpProcessingError, web.RequestPayloadError, ConnectionError)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedHttp(StrEnum):
    """Why a connection was ended.

    TOO_MANY: its place went to a newer one. SILENT: no whole request in time. TOO_LARGE: a head without an end. UNREAD: its
    answer was not read.
    """

    TOO_MANY = "too_many"
    SILENT = "silent"
    TOO_LARGE = "too_large"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """`an_address`: connections without a request at work of one IPv4 address, or one /64.

    `head_bytes`: what may come besides a body before a request is whole. `silent_s`: longer than the 15 s for which aiohttp's
    client keeps a connection, so that the operator's requests meet no connection that is about to end.
    """

    connections: int = 256
    an_address: int = 32
    head_bytes: int = 64 * 1024
    body_bytes: int = 64 * 1024
    silent_s: float = 20.0


OnHttpRefused = Callable[[RefusedHttp, str], None]
"""Why, and the address."""


class HttpServer:
    """Serves `routes` within `bounds`."""

    def __init__(
        self, routes: Iterable[web.RouteDef], bounds: HttpBounds | None = None, on_refused: OnHttpRefused = lambda *_: None
    ) -> None:
        self.bounds = bounds or HttpBounds()
        self._on_refused = on_refused
        most = self.bounds.connections
        self._places: Places[_Guest] = Places(total=most, strangers=most, an_address=self.bounds.an_address, patience_s=0.0)
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self._servers: list[asyncio.Server] = []
        app = web.Application(client_max_size=self.bounds.body_bytes, middlewares=[self._serve])
        app.add_routes(routes)
        keepalive_s = 2 * self.bounds.silent_s  # a guest's own clock is the one that counts
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=keepalive_s,
            logger=_build_logger(),
        )

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the bound address. OSError when that is not possible."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        every = _listen_everywhere(port) if host == ANY_HOST else None
        if every is not None:
            server = await loop.create_server(lambda: _Guest(self), sock=every)
        else:
            server = await loop.create_server(lambda: _Guest(self), host, port)
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return host if host == ANY_HOST else bound[0], bound[1]

    async def stop(self) -> None:
        """No new connections; requests at work have a second."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        guest = self._guests.get(request.transport) if request.transport is not None else None
        if guest is None:
            raise ConnectionResetError("gone before it was heard")
        self._places.prove(guest)
        guest.begin()
        try:
            return await handler(request)
        finally:
            guest.end()
            self._places.doubt(guest, _now())

    # What guests call.

    def admit(self, guest: _Guest, transport: asyncio.Transport) -> Any:
        """Aiohttp's protocol for it; None when there is no place, each of which has a request at work."""
        gives_way = self._places.admit(guest, charge_to(guest.address), _now())
        if gives_way is guest or self._runner.server is None:
            return None
        if gives_way is not None:
            gives_way.refuse(RefusedHttp.TOO_MANY)
        self._guests[transport] = guest
        return self._runner.server()

    def leave(self, guest: _Guest, transport: asyncio.Transport) -> None:
        self._places.leave(guest)
        self._guests.pop(transport, None)

    def refused(self, kind: RefusedHttp, address: str) -> None:
        self._on_refused(kind, address)


class _Guest(asyncio.Protocol):
    """One connection: what comes goes on to aiohttp's protocol, while it keeps to the bounds."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._bounds = server.bounds
        self._inner: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._answered = False
        self.address = ""

    # Whether a request is at work.

    def begin(self) -> None:
        self._stop_clock()
        self._received = 0

    def end(self) -> None:
        self._received = 0
        self._answered = True
        self._start_clock()

    def refuse(self, kind: RefusedHttp) -> None:
        """End it, whatever waits to be written."""
        self._stop_clock()
        self._server.refused(kind, self.address)
        self._transport.abort()

    def _start_clock(self) -> None:
        self._stop_clock()
        if not self._transport.is_closing():
            self._timer = asyncio.get_running_loop().call_later(self._bounds.silent_s, self._silent)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _silent(self) -> None:
        if self._transport.get_write_buffer_size():
            self.refuse(RefusedHttp.UNREAD)
        elif self._received or not self._answered:
            self.refuse(RefusedHttp.SILENT)
        else:  # kept for a next request that did not come
            self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a TCP server
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._inner = self._server.admit(self, transport)
        if self._inner is None:
            self.refuse(RefusedHttp.TOO_MANY)
            return
        self._start_clock()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:  # no request is at work
            self._received += len(data)
            if self._received > self._bounds.head_bytes + self._bounds.body_bytes:
                self.refuse(RefusedHttp.TOO_LARGE)
                return
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool:
        """Who asks and says that nothing more comes gets the answer, and then it ends."""
        asked = self._timer is None or self._received > 0
        if self._inner is None or not asked:
            return False
        self._inner.close()
        return True

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self._server.leave(self, self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)


def _build_logger() -> logging.Logger:
    """For aiohttp it is an error when somebody sends what is no HTTP, or goes; here that is all there is to it."""
    logger = logging.getLogger(__name__)
    if not logger.filters:
        logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _OF_CLIENTS))


def _listen_everywhere(port: int) -> socket.socket | None:
    """None where there is no IPv6: then the address is taken as it is."""
    with suppress(OSError, ValueError):
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
