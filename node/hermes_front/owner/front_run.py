"""One run of a front, from its start to the end of its process: what it says reaches its calls, and it is watched."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol

from hermes_front.exits import ExitCode
from hermes_front.link.events import (
    Counted,
    CreditCame,
    DefectTold,
    Greeted,
    LinkBroken,
    MessageCame,
    OwnerEvent,
    PeerEnded,
    PeerGone,
    RefusalTold,
    StreamOpened,
)
from hermes_front.link.owner_end import OwnerEnd
from hermes_front.link.payloads import REFUSALS, FrontHello, FrontSettings, Stats
from hermes_front.owner.call import FrontCall
from hermes_front.owner.reports import EndReason, FrontObserver
from hermes_front.owner.spawning import FrontProcess, read_resident_bytes
from hermes_front.socket_link import SocketLink
from hermes_h2.serving.tls_context import PemMaterial

TICK_S: Final = 1.0
MISSED_TICKS: Final = 3
"""A front that has not answered by the third tick after a PING is killed. Ticks, not seconds: an owner that was
stopped itself reads the answer before its next one."""
START_TICKS: Final = 20
"""For its process to come up, on a machine that is busy."""


class RunOwner(Protocol):
    """What a run needs of who started it."""

    observer: FrontObserver

    def begin(self, call: FrontCall) -> None: ...
    def refund(self, call: FrontCall) -> None: ...
    def fetch_material(self) -> PemMaterial | None: ...


class FrontRun:
    """`number`: of all runs of this owner's fronts. `on_serving`: it takes connections, or will at once."""

    def __init__(
        self,
        owner: RunOwner,
        number: int,
        process: FrontProcess,
        settings: FrontSettings,
        memory_bytes: int,
        on_serving: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._process = process
        self._settings = settings
        self._memory_bytes = memory_bytes
        self.hello = FrontHello(number)
        """What it said of itself."""
        self.calls: dict[int, FrontCall] = {}
        self.link: SocketLink[OwnerEnd] = SocketLink(
            OwnerEnd(number, settings.paths, settings.link), self._on_event, self._lost_link
        )
        self.stats = Stats()
        self.resident_bytes = 0
        self._on_serving = on_serving
        self._serves = False
        self.lost = asyncio.Event()
        """Nothing comes from it any more."""
        self._reason: EndReason | None = None
        self._detail = ""
        self._missed = 0
        self._material: PemMaterial | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def connect(self, sock: socket.socket) -> None:
        self._say_material()
        self.link.end.say_settings(self._settings)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.link, sock=sock)

    async def watch(self) -> None:
        """Until nothing comes from it any more."""
        while not self.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.lost.wait()
                    return
            self._tick()

    def drain(self, grace_s: float) -> None:
        self._reason = self._reason or EndReason.STOPPED
        self.link.end.drain(grace_s)
        self.link.flush_soon()

    def kill(self, reason: EndReason, detail: str = "") -> None:
        """At once; its streams are its owner's to end."""
        if self._reason in {None, EndReason.STOPPED}:
            self._reason, self._detail = reason, detail
        self._process.kill()
        self.link.abort()

    async def reap(self) -> tuple[EndReason, str]:
        """Why it ended, once nothing of the process is left."""
        self._process.kill()  # one that only closed its link
        code = await asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        self.resident_bytes = 0
        self.stats = Stats(refusals=self.stats.refusals)
        if self._reason is not None:
            return self._reason, self._detail
        if code == ExitCode.MEMORY:
            return EndReason.MEMORY, "it could have no more"
        if code in set(ExitCode):
            return EndReason.EXITED, ExitCode(code).name.lower()
        return EndReason.EXITED, f"signal {-code}" if code < 0 else f"exit code {code}"

    # What calls ask.

    def forget(self, call: FrontCall) -> None:
        self.calls.pop(call.stream, None)

    def proved(self, call: FrontCall) -> None:
        self._owner.refund(call)

    # What the front says.

    def _on_event(self, event: OwnerEvent) -> None:
        if isinstance(event, MessageCame):
            if call := self.calls.get(event.stream):
                call.feed(event.data)
        elif isinstance(event, CreditCame):
            if call := self.calls.get(event.stream):
                call.wake_writer()
        elif isinstance(event, StreamOpened):
            call = self.calls[event.stream] = FrontCall(self, event.stream, event.opening)
            self._owner.begin(call)
        elif isinstance(event, PeerEnded):
            if call := self.calls.get(event.stream):
                call.end_peer()
        elif isinstance(event, PeerGone):
            if call := self.calls.pop(event.stream, None):
                call.lose()
        else:
            self._on_news(event)

    def _on_news(self, event: OwnerEvent) -> None:
        if isinstance(event, Greeted):
            self.hello = event.hello
        elif isinstance(event, LinkBroken):
            self.kill(EndReason.RULE, event.fault.value)
        elif isinstance(event, Counted):
            before, self.stats = self.stats, event.stats
            for refusal, now, then in zip(REFUSALS, event.stats.refusals, before.refusals, strict=True):
                if now > then:
                    self._owner.observer.count_refused(refusal, now - then)
            if not self._serves:
                self._serves = True
                self._on_serving()
        elif isinstance(event, RefusalTold):
            self._owner.observer.told(event.told)
        elif isinstance(event, DefectTold):
            self._owner.observer.failed(event.what, of_system=event.of_system)

    def _lost_link(self) -> None:
        self.lost.set()

    # What time brings.

    def _tick(self) -> None:
        self._say_material()
        if self.link.end.waits_for_answer:
            self._missed += 1
            if self._missed >= (MISSED_TICKS if self._serves else START_TICKS):
                self.kill(EndReason.UNANSWERED)
                return
        else:
            self._missed = 0
            self.link.end.ping()
        self.link.flush_soon()
        self.resident_bytes = read_resident_bytes(self.pid) or 0
        if self.resident_bytes > self._memory_bytes:
            self.kill(EndReason.MEMORY, f"{self.resident_bytes >> 20} MiB are resident")

    def _say_material(self) -> None:
        material = self._owner.fetch_material()
        if material is not None and material is not self._material:
            self._material = material
            self.link.end.say_material(material)
