"""A listener whose connections are other processes': the same to its handlers as `hermes_h2.serving.server.Server`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import Final

from hermes_front.link.bounds import LinkBounds
from hermes_front.link.payloads import FrontSettings
from hermes_front.owner.call import FrontCall
from hermes_front.owner.front_run import FrontRun
from hermes_front.owner.reports import EndReason, Figures, FrontEnded, FrontObserver
from hermes_front.owner.slot import Slot
from hermes_front.owner.spawning import MODULE, SpawnFront, spawn_front
from hermes_h2.serving.call import CallHandler
from hermes_h2.serving.handled import Status, end_calls, serve_call
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.link import CALL_S
from hermes_h2.serving.tls_context import PemMaterial
from hermes_h2.serving.turns import StrangersTurns

MEMORY_BYTES: Final = 192 << 20
BASE_BYTES: Final = 80 << 20
"""Of a front's memory: what it has without connections, and messages that peers do not take (48 MiB)."""
CONNECTION_BYTES: Final = 40 << 10
"""What one takes of a front, with TLS and a call; 36 KiB were measured."""
FEWEST_CONNECTIONS: Final = 64
LEAVING_S: Final = 4.0
"""For a front whose calls are over to see its connections off."""


class FrontStartError(Exception):
    """A front ended before it served."""

    def __init__(self, ended: FrontEnded) -> None:
        super().__init__(f"front {ended.front} ended as it started: {ended.detail or ended.reason.value}")


def share(limits: Limits, fronts: int, memory_bytes: int) -> Limits:
    """Of one front: of connections what all of them shall bear together, rounded up, as far as its memory has room for them.

    Streams are counted by the owner, who has them all: one front may have as many.
    """
    names = ("connections", "strangers", "strangers_an_address")
    parts = {name: -(-getattr(limits, name) // fronts) for name in names}
    parts["connections"] = min(parts["connections"], max(FEWEST_CONNECTIONS, (memory_bytes - BASE_BYTES) // CONNECTION_BYTES))
    return dataclasses.replace(limits, **parts)


class FrontServer:
    """Serves from `start` on, on `sockets`, which listen and are its own; its fronts have them too.

    All of them take from one queue of connections, in which who comes waits while a front is started again. `tls`: the material
    for new connections, asked for every second. `memory_bytes`: of each front.
    """

    def __init__(
        self,
        sockets: Sequence[socket],
        limits: Limits,
        fronts: int,
        observer: FrontObserver,
        *,
        tls: Callable[[], PemMaterial] | None = None,
        memory_bytes: int = MEMORY_BYTES,
        module: str = MODULE,
        spawn: SpawnFront = spawn_front,
    ) -> None:
        self.observer = observer
        self.stopping = asyncio.Event()
        self.port: int = sockets[0].getsockname()[1]
        self.calls: dict[FrontCall, None] = {}
        """In the order in which they began."""
        self._sockets = sockets
        self._limits = limits
        self._fronts = fronts
        self._tls = tls
        self._memory_bytes = memory_bytes
        self._module = module
        self._spawn = spawn
        self._handlers: Mapping[str, CallHandler] = {}
        self._slots: list[Slot] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._runs = 0
        self._former = Figures()

    async def start(self, handlers: Mapping[str, CallHandler], turns: StrangersTurns | None = None) -> None:
        """`handlers`: by path. Returns once every front serves; FrontStartError when one does not.

        `turns`: of other listeners of this event loop, to be shared with them.
        """
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()
        self._turns = StrangersTurns(self._loop) if turns is None else turns  # one that is empty is false
        self._slots = [Slot(self, number) for number in range(self._fronts)]
        self._keeping = [self._loop.create_task(slot.keep()) for slot in self._slots]
        for slot in self._slots:
            await slot.serves.wait()
            if slot.ended is not None:
                raise FrontStartError(slot.ended)

    async def stop(self, grace_s: float) -> None:
        """No new connections and calls; those that stand have `grace_s`, then they end as UNAVAILABLE."""
        self.stopping.set()
        for sock in self._sockets:
            sock.close()
        for run in self._running():
            run.drain(grace_s)
        await self._wait_for_fronts(grace_s)
        await end_calls(self.calls)
        await self._wait_for_fronts(LEAVING_S)
        for run in self._running():
            run.kill(EndReason.UNANSWERED)
        if self._keeping:
            await asyncio.wait(self._keeping)

    def figures(self) -> Figures:
        runs = self._running()
        total = self._former
        for run in runs:
            total = _add(total, run)
        return dataclasses.replace(
            total,
            running=len(runs),
            resident_bytes=sum(run.resident_bytes for run in runs),
            connections=sum(run.stats.connections for run in runs),
            strangers=sum(run.stats.strangers for run in runs),
        )

    # What slots and runs call.

    async def start_run(self, on_serving: Callable[[], None]) -> FrontRun:
        self._runs += 1
        paths = tuple(self._handlers)
        limits = share(self._limits, self._fronts, self._memory_bytes)
        settings = FrontSettings(limits, paths, self.bound_link(limits))
        process, sock = self._spawn(self._runs, self._sockets, self._memory_bytes, self._module)
        run = FrontRun(self, self._runs, process, settings, self._memory_bytes, on_serving)
        await run.connect(sock)
        return run

    def bound_link(self, limits: Limits) -> LinkBounds:
        return LinkBounds(limits.bounds.message_bytes, limits.bounds.first_message_bytes, limits.streams)

    def count_ended(self, run: FrontRun) -> None:
        self._former = _add(self._former, run)

    def fetch_material(self) -> PemMaterial | None:
        return None if self._tls is None else self._tls()

    def begin(self, call: FrontCall) -> None:
        """In turns of its address, as the beginning of a stranger's call is in its front."""
        self._turns.add(call, partial(self._begin, call))

    def refund(self, call: FrontCall) -> None:
        self._turns.refund(call)

    def _begin(self, call: FrontCall) -> None:
        if call.gone or call.ended:
            return
        if len(self.calls) >= self._limits.streams:
            call.finish(Status.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
            return
        self._turns.charge(CALL_S)
        self._turns.yielded = True
        self.calls[call] = None
        call.task = self._loop.create_task(serve_call(self._handlers[call.path], call, self.observer.defect))
        call.task.add_done_callback(lambda _: self._served(call))

    def _served(self, call: FrontCall) -> None:
        """Its task is over; one that was cancelled before its first step has run nothing of `_serve`."""
        call.end()
        call.task = None
        self.calls.pop(call, None)

    def _running(self) -> list[FrontRun]:
        return [slot.run for slot in self._slots if slot.run is not None]

    async def _wait_for_fronts(self, longest_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                while runs := self._running():
                    await runs[0].lost.wait()
                    await asyncio.sleep(0.005)


def _add(total: Figures, run: FrontRun) -> Figures:
    link, end = run.link, run.link.end
    return dataclasses.replace(
        total,
        bytes_in=total.bytes_in + link.bytes_in,
        bytes_out=total.bytes_out + link.bytes_out,
        frames_in=total.frames_in + end.frames_in,
        frames_out=total.frames_out + end.frames_out,
        waits=total.waits + end.waits,
    )
