"""One address in front of many nodes, as a Kubernetes Service is: each connection goes to the next node that answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 65_536


class Balancer:
    """`backends`: whom to ask now ("host:port"). Those that refuse are passed over, as a Service does with who is not ready.

    `address` is its own. Bytes are passed on as they are, so that TLS ends at the node.
    """

    def __init__(self, backends: Callable[[], Sequence[str]]) -> None:
        self._backends = backends
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"localhost:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        backend = await self._dial()
        if backend is None:
            writer.transport.abort()
            return
        self._writers |= {writer, backend[1]}
        try:
            await asyncio.gather(_pump(reader, backend[1]), _pump(backend[0], writer))
        finally:
            self._writers -= {writer, backend[1]}

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        backends = self._backends()
        self._turn += 1
        for step in range(len(backends)):
            host, _, port = backends[(self._turn + step) % len(backends)].rpartition(":")
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends it, which ends the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
