"""What a client takes from the machine it runs on: random bytes and the network. A simulation hands in its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hermes_client.tls import ClientTls, PlainText, open_channel
from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource
from hermes_wire.byte_stream import DialledStream, GrpcStream

OPEN_METHOD = "/hermes.v1.AppRouter/Open"


class ClientConnection(Protocol):
    """To one node, for one stream."""

    def open(self, path: str) -> DialledStream:
        """`path`: /service/method."""
        ...

    async def close(self) -> None:
        """Ends the stream."""
        ...


@dataclass(frozen=True, slots=True)
class ClientHost:
    """`connect`: from an address ("host:port") and how it is secured; it costs nothing until the stream is opened."""

    random: RandomSource
    connect: Callable[[str, ClientTls | PlainText], ClientConnection]


class ClientChannel:
    """A channel of its own, with the certificates of now."""

    def __init__(self, address: str, tls: ClientTls | PlainText) -> None:
        self._channel = open_channel(address, tls)

    def open(self, path: str) -> GrpcStream:
        call: Any = self._channel.stream_stream(path)
        return GrpcStream(call())

    async def close(self) -> None:
        await self._channel.close()


SYSTEM_HOST = ClientHost(SYSTEM_RANDOM, ClientChannel)
"""The real one."""
