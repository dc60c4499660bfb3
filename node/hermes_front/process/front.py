"""A front: the server of its peers' connections, and the link over which their streams reach the owner."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Final, Protocol

from hermes_front.exits import ExitCode
from hermes_front.link.events import (
    CreditCame,
    Draining,
    Ended,
    FrontEvent,
    LinkBroken,
    MaterialCame,
    MessageCame,
    Pardoned,
    Proved,
    SettingsCame,
    StreamEvent,
)
from hermes_front.link.front_end import FrontEnd
from hermes_front.link.payloads import REFUSALS, FrontHello, FrontSettings, Stats, Told
from hermes_front.process.piped_call import Held, PipedCall
from hermes_front.socket_link import SocketLink
from hermes_h2.budget import Budget
from hermes_h2.events import Refusal
from hermes_h2.serving.call import Call
from hermes_h2.serving.server import LocalHandler, Server
from hermes_h2.serving.tls_context import PemMaterial, build_context

COUNT_S: Final = 1.0
"""Between two snapshots of its counters."""
MOST_HELD_BYTES: Final = 48 << 20
"""Of messages that peers do not take: beyond it the call that has most of them ends. What one call holds is little."""
TOLD: Final = 50
TOLD_PER_S: Final = 5.0
"""Refusals in words; all are counted."""
LEAVING_S: Final = 1.25
"""For connections to take the last bytes, once every call is over."""


class PeerServer(Protocol):
    """What a front needs of a server of its peers' connections."""

    @property
    def links(self) -> Collection[object]: ...
    @property
    def connections(self) -> int: ...
    @property
    def strangers(self) -> int: ...
    async def start(self, handlers: Mapping[str, LocalHandler]) -> None: ...
    async def stop(self, grace_s: float) -> None: ...


class Front:
    """One run. `sockets` listen, and are the owner's and other fronts' as well. `material_file`: of `build_context`.

    `build_server`: with `Server`'s arguments. `leave`: ends the process at once.
    """

    def __init__(
        self,
        hello: FrontHello,
        link: socket.socket,
        sockets: Sequence[socket.socket],
        material_file: int | None = None,
        *,
        build_server: Callable[..., PeerServer] = Server,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._hello = hello
        self._material_file = material_file
        self._link_socket = link
        self._sockets = sockets
        self._calls: dict[int, PipedCall] = {}
        self._context: ssl.SSLContext | None = None
        self._server: PeerServer | None = None
        self._build_server = build_server
        self._leave = leave
        self._refused: Counter[Refusal] = Counter()
        self._held = Held()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """The exit code."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self._tell_failure(context.get("exception")))
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._told = Budget(TOLD, TOLD_PER_S, self._loop.time())
        self._link = SocketLink(FrontEnd(self._hello), self._on_event, self._lose_owner)
        await self._loop.create_unix_connection(lambda: self._link, sock=self._link_socket)
        return await self._exit

    def _on_event(self, event: FrontEvent) -> None:
        if isinstance(event, LinkBroken):
            self._end(ExitCode.LINK)
        elif isinstance(event, MaterialCame):
            self._take_material(event.material)
        elif isinstance(event, SettingsCame):
            self._spawn(self._serve(event.settings))
        elif isinstance(event, Draining):
            self._spawn(self._drain(event.grace_s))
        elif call := self._calls.get(event.stream):
            _pass_on(call, event)
            if self._held.total > MOST_HELD_BYTES:
                max(self._calls.values(), key=lambda call: call.held).reset()

    def _take_material(self, material: PemMaterial) -> None:
        """The owner has judged it; what OpenSSL does not take all the same leaves the former in use."""
        try:
            self._context = build_context(material, file=self._material_file)
        except (OSError, ValueError) as error:  # OpenSSL's are among the former
            self._tell_failure(error)

    async def _serve(self, settings: FrontSettings) -> None:
        tls = None if self._context is None else self._get_context
        self._server = self._build_server(
            self._sockets, settings.limits, tls=tls, on_refused=self._on_refused, on_defect=self._tell_failure
        )
        await self._server.start(dict.fromkeys(settings.paths, self._pipe))
        while True:
            self._count(self._server)
            await asyncio.sleep(COUNT_S)

    def _get_context(self) -> ssl.SSLContext:
        assert self._context is not None  # noqa: S101 - it is only ever replaced
        return self._context

    async def _pipe(self, call: Call) -> None:
        if self._link.end.exhausted:  # after four billion streams
            self._end(ExitCode.DONE)
        piped = PipedCall(call, self._link, self._held)
        self._calls[piped.stream] = piped
        try:
            await piped.run()
        finally:
            del self._calls[piped.stream]

    async def _drain(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)
            deadline = self._loop.time() + LEAVING_S
            while self._server.links and self._loop.time() < deadline:  # noqa: ASYNC110 - it has no event for its last one
                await asyncio.sleep(0.01)
            self._count(self._server)
        self._link.close()

    def _count(self, server: PeerServer) -> None:
        refusals = tuple(self._refused[kind] for kind in REFUSALS)
        self._link.end.count(Stats(server.connections, server.strangers, self._held.total, refusals))
        self._link.flush_soon()

    def _on_refused(self, refusal: Refusal, host: str, detail: str, _names: frozenset[str]) -> None:
        self._refused[refusal] += 1
        if self._told.take(1, self._loop.time()):
            self._link.end.tell_refusal(Told(refusal, host, detail))
            self._link.flush_soon()

    def _tell_failure(self, error: Exception | None) -> None:
        """The name of what failed, and no more: its text may quote a peer."""
        if isinstance(error, MemoryError):
            self._leave(ExitCode.MEMORY)
        if not self._told.take(1, self._loop.time()):
            return
        if isinstance(error, OSError) and error.errno:
            self._link.end.tell_defect(os.strerror(error.errno), of_system=True)
        else:
            self._link.end.tell_defect(type(error).__name__)
        self._link.flush_soon()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._end(ExitCode.MEMORY if isinstance(task.exception(), MemoryError) else ExitCode.DEFECT)

    def _lose_owner(self) -> None:
        """It is gone, or has heard everything: nobody is left to serve for."""
        self._leave(ExitCode.DONE)

    def _end(self, code: ExitCode) -> None:
        if not self._exit.done():
            self._exit.set_result(code)


def _pass_on(call: PipedCall, event: StreamEvent) -> None:
    if isinstance(event, MessageCame):
        call.deliver(event.data)
    elif isinstance(event, CreditCame):
        call.wake_reader()
    elif isinstance(event, Proved):
        call.prove()
    elif isinstance(event, Pardoned):
        call.pardon()
    elif isinstance(event, Ended):
        call.finish(event.status, event.text)
    else:
        call.reset()
