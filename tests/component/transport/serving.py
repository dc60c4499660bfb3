"""A server of streams for tests of the transport alone: in the test's own process, or behind `--fronts`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from hermes_client.scenario.local_mesh import FAST_SETTINGS
from hermes_front.link.payloads import FrontHello, Told
from hermes_front.owner.reports import FrontEnded
from hermes_front.owner.server import FrontServer
from hermes_front.owner.spawning import MODULE
from hermes_h2.events import Refusal
from hermes_h2.serving.call import ServedCall
from hermes_h2.serving.handled import Status, StatusError
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.link import ClientLink
from hermes_h2.serving.server import Server
from hermes_h2.serving.sockets import listen_on
from hermes_node.tls.contexts import follow_material, follow_pem
from hermes_node.tls.files import ReloadingTls

SERVICE = "test.Service"
FRONTS: Final = int(str(FAST_SETTINGS.get("app", {}).get("fronts", 0)))
in_one_process = pytest.mark.skipif(FRONTS > 0, reason="it looks at what is another process's with fronts")


async def talk(call: ServedCall) -> None:
    """Echo; who says something has proved something."""
    call.prove()
    while (message := await call.read()) is not None:
        await call.write(message)


async def ignore(call: ServedCall) -> None:
    call.prove()
    await asyncio.Event().wait()


async def refuse(_call: ServedCall) -> None:
    raise StatusError(Status.RESOURCE_EXHAUSTED, "full")


async def fail(_call: ServedCall) -> None:
    raise ValueError("a defect")


async def listen(call: ServedCall) -> None:
    """As `talk`, of a stranger."""
    while (message := await call.read()) is not None:
        await call.write(message)


HANDLERS = {
    f"/{SERVICE}/{name}": handler
    for name, handler in (("Talk", talk), ("Ignore", ignore), ("Refuse", refuse), ("Fail", fail), ("Listen", listen))
}


class Watched:
    """A server, what it refused, and of fronts which were started and ended. `module`: what a front runs."""

    def __init__(
        self,
        limits: Limits,
        tls: ReloadingTls | None,
        lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        fronts: int = FRONTS,
        module: str = MODULE,
    ) -> None:
        self.refused: list[tuple[Refusal, str]] = []
        self.dialled: list[asyncio.StreamWriter] = []
        self.hellos: list[FrontHello] = []
        self.pids: list[int] = []
        self.ends: list[FrontEnded] = []
        self.defects: list[str] = []
        sockets = listen_on("127.0.0.1", 0)
        self.server: Server | FrontServer
        if fronts:
            pem = None if tls is None else follow_pem(tls)
            self.server = FrontServer(sockets, limits, fronts, self, tls=pem, module=module)
        else:
            context = None if tls is None else follow_material(tls, lowest)
            self.server = Server(sockets, limits, tls=context, on_refused=self._refuse, on_defect=self.defect)

    def _refuse(self, refusal: Refusal, host: str, *_: object) -> None:
        self.refused.append((refusal, host))

    # What fronts report.

    def started(self, _front: int, pid: int, hello: FrontHello) -> None:
        self.pids.append(pid)
        self.hellos.append(hello)

    def ended(self, report: FrontEnded) -> None:
        self.ends.append(report)

    def told(self, told: Told) -> None:
        self.refused.append((told.refusal, told.host))

    def count_refused(self, refusal: Refusal, count: int) -> None:
        """Counted; `told` has them in words."""

    def failed(self, what: str, *, of_system: bool) -> None:  # noqa: ARG002 - all are alike here
        self.defects.append(what)

    def defect(self, error: Exception) -> None:
        self.defects.append(type(error).__name__)

    @property
    def calls(self) -> set[Any]:
        """That are served now."""
        return set(self.server.calls)

    @property
    def links(self) -> set[ClientLink]:
        """Of one process."""
        assert isinstance(self.server, Server)
        return self.server.links

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def kinds(self) -> set[Refusal]:
        return {refusal for refusal, _ in self.refused}


@asynccontextmanager
async def serving(
    limits: Limits | None = None,
    tls: ReloadingTls | None = None,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    fronts: int = FRONTS,
    module: str = MODULE,
) -> AsyncIterator[Watched]:
    watched = Watched(limits or Limits(), tls, lowest, fronts, module)
    await watched.server.start(HANDLERS)
    try:
        yield watched
    finally:
        for writer in watched.dialled:
            writer.transport.abort()
        await watched.server.stop(0)
