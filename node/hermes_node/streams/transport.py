"""What a node needs of the network: servers that hand it streams, and connections over which it opens its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, Protocol

from hermes_node.config.addresses import Address
from hermes_node.tls.files import ReloadingTls
from hermes_wire.byte_stream import ByteStream, Connection


class ServedStream(ByteStream, Protocol):
    """A stream that somebody opened to this node."""

    def peer_names(self) -> frozenset[str]:
        """The names in the certificate that the peer showed and the CA signed; none without one."""
        ...

    def peer_address(self) -> str:
        """Where the connection comes from, as the transport writes it."""
        ...

    def trust(self) -> None:
        """Its peer has proved who it is: a transport that holds strangers to less gives it the whole."""
        ...


StreamHandler = Callable[[ServedStream], Awaitable[None]]
"""Serves one stream; the stream ends when it returns."""


class StreamServer(Protocol):
    """Bound to its address when it is made; serves from `start` on."""

    @property
    def address(self) -> Address: ...

    async def start(self, handlers: Mapping[str, StreamHandler]) -> None:
        """`handlers`: by the name of the method of the server's one service."""
        ...

    async def follow(self, ready: bool) -> None:
        """Tell health checks when the node's readiness changed."""
        ...

    async def stop(self, grace_s: float) -> None:
        """No new streams; those that stand have `grace_s` to end by themselves, then they are ended."""
        ...


class Transport(Protocol):
    """Listens (ListenError when an address cannot be had) and dials: who cannot be reached shows when it is read from."""

    @property
    def fronts(self) -> int:
        """Processes of their own that take apps' connections."""
        ...

    def listen_for_apps(self, service: str, address: Address, tls: ReloadingTls | None) -> StreamServer: ...

    def listen_for_nodes(self, service: str, address: Address, tls: ReloadingTls) -> StreamServer: ...

    def connect(self, address: str, server_name: str | None, tls: ReloadingTls) -> Connection:
        """`server_name`: what the peer's certificate must carry; None: the address's host."""
        ...


def reset_stream() -> NoReturn:
    """Leave a stream that is being served without a status: one would wait for ever behind what the peer does not read.

    gRPC's Python server cannot reset one stream, as Hermes' own transport can. What is left of it (at most one write,
    `outbox.MAX_WRITE_BYTES`) goes when the client's connection ends; keepalive pings see to that when the client is not
    there any more.
    """
    raise asyncio.CancelledError
