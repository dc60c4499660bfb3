"""A node that does what a test tells it: real gRPC on loopback, real challenge, no chats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import grpc
import grpc.aio

from hermes_core.crypto.signing import Identity
from hermes_core.ids import AppId, NodeId, derive_app_id
from hermes_core.mesh.messages import HomeFound
from hermes_core.protocol.session import Connect, Connected, SeekHome
from hermes_core.session.keys import SessionKeys
from hermes_proto.v2.app_router_pb2_grpc import AppRouterServicer, add_AppRouterServicer_to_server
from hermes_wire.app import ClientMessage, ServerMessage, build_server_batch, parse_client_batch
from tests.support.sessions import NodeEnd

Script = Callable[["Link"], Awaitable[None]]


class Link:
    """One app's stream as its node sees it, after the challenge was answered."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.app_id: AppId | None = None
        self.keys: SessionKeys | None = None

    async def read(self) -> list[ClientMessage]:
        """The app's next batch; an empty list when it has ended its half."""
        raw = await self._context.read()
        batch = [] if raw is grpc.aio.EOF else parse_client_batch(raw)
        return batch if self.keys is None else [self.keys.reader.open(item) for item in batch]

    async def write(self, *messages: ServerMessage) -> None:
        await self.write_raw(*(messages if self.keys is None else self.keys.writer.tag(messages)))

    async def write_raw(self, *items: ServerMessage) -> None:
        """As they are, without a tag."""
        await self._context.write(build_server_batch(items))

    async def hold(self) -> None:
        """Read and forget, until the app ends its half."""
        while await self.read():
            pass


async def hold(link: Link) -> None:
    await link.hold()


class ScriptedNode(AppRouterServicer):
    """Runs `script` for every app that connects (or `opening` instead of the challenge, for a node that misbehaves).

    `connects` counts the apps that proved themselves, `streams` every stream opened.
    """

    def __init__(
        self,
        node_id: str,
        script: Script = hold,
        *,
        opening: Script | None = None,
        with_connected: Sequence[ServerMessage] = (),
        heartbeat_ms: int = 60_000,
    ) -> None:
        self.node_id = NodeId(node_id)
        self.script = script
        self.opening = opening
        self._with_connected = with_connected
        self.connects = 0
        self.sought: list[SeekHome] = []
        self.home_found = HomeFound(None, linked=False)
        """What it says to apps that seek their home."""
        self.streams = 0
        self.failure: BaseException | None = None
        self.identity = Identity.generate()
        self.renewals = b""
        self._heartbeat_ms = heartbeat_ms
        self._server: grpc.aio.Server | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        if self.failure is not None:
            raise self.failure

    async def start(self) -> None:
        """Serve; the second time at the same address."""
        self._server = grpc.aio.server()
        add_AppRouterServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(self.address or "127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def Open(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # type: ignore[override]  # noqa: N802, ARG002
        self.streams += 1
        link = Link(context)
        try:
            if self.opening is not None:
                await self.opening(link)
            else:
                await self._serve(link)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure = error
            raise

    async def _serve(self, link: Link) -> None:
        end = NodeEnd(self.node_id, self.identity)
        await link.write(replace(end.challenge, renewals=self.renewals))
        batch = await link.read()
        if not batch:
            return  # the app did not want this node
        if isinstance(batch[0], SeekHome):
            self.sought.append(batch[0])
            await link.write(self.home_found)
            batch = await link.read()
            if not batch:
                return  # it goes elsewhere
        (connect,) = batch
        assert isinstance(connect, Connect)
        settings = Connected(derive_app_id(connect.app_key), self._heartbeat_ms, 1 << 20, 256)
        connected, link.keys = end.accept(connect, settings)
        link.app_id = connected.app_id
        self.connects += 1
        await link.write(connected, *self._with_connected)
        await self.script(link)
