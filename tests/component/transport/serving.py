"""A server of streams for tests of the transport alone, in the test's own process."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hermes_h2.events import Refusal
from hermes_h2.serving.call import Call, Status, StatusError
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.server import Server
from hermes_h2.serving.sockets import listen_on

SERVICE = "test.Service"


async def talk(call: Call) -> None:
    """Echo; who says something has proved something."""
    call.prove()
    while (message := await call.read()) is not None:
        await call.write(message)


async def ignore(call: Call) -> None:
    call.prove()
    await asyncio.Event().wait()


async def refuse(_call: Call) -> None:
    raise StatusError(Status.RESOURCE_EXHAUSTED, "full")


async def fail(_call: Call) -> None:
    raise ValueError("a defect")


async def listen(call: Call) -> None:
    """As `talk`, of a stranger."""
    while (message := await call.read()) is not None:
        await call.write(message)


HANDLERS = {
    f"/{SERVICE}/{name}": handler
    for name, handler in (("Talk", talk), ("Ignore", ignore), ("Refuse", refuse), ("Fail", fail), ("Listen", listen))
}


class Watched:
    """A server, and what it refused."""

    def __init__(self, limits: Limits, tls: Callable[[], ssl.SSLContext] | None) -> None:
        self.refused: list[tuple[Refusal, str]] = []
        self.dialled: list[asyncio.StreamWriter] = []
        self.server = Server(
            listen_on("127.0.0.1", 0),
            limits,
            tls=tls,
            on_refused=lambda refusal, host, *_: self.refused.append((refusal, host)),
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def kinds(self) -> set[Refusal]:
        return {refusal for refusal, _ in self.refused}


@asynccontextmanager
async def serving(limits: Limits | None = None, tls: Callable[[], ssl.SSLContext] | None = None) -> AsyncIterator[Watched]:
    watched = Watched(limits or Limits(), tls)
    await watched.server.start(HANDLERS)
    try:
        yield watched
    finally:
        for writer in watched.dialled:
            writer.transport.abort()
        await watched.server.stop(0)
