"""Somebody between an app and its node who ends TLS: real gRPC on both sides, and every message passes through its hands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from hermes_core.crypto.signing import Identity
from hermes_core.ids import NodeId
from hermes_core.protocol.session import Connect
from hermes_proto.v2.app_router_pb2 import ClientBatch
from hermes_wire.app import build_server_batch, parse_client_batch
from tests.simulation.adversary import ABILITIES, Middle
from tests.simulation.pipes import Way
from tests.support.raw_app import METHOD
from tests.support.sessions import NodeEnd

UP, DOWN = Way(METHOD, to_dialler=False), Way(METHOD, to_dialler=True)
_ENDED = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)


class TlsEndingMiddle:
    """`address` is what apps dial, in plain text: where TLS ends, what is behind it could as well be anybody's.

    `attack` names an ability of the simulation's adversary, or nothing; `poses_as`: it answers itself, as a node of this name
    with a key of its own.
    """

    def __init__(self, node: str, ca_file: Path) -> None:
        self._node = node
        self._ca_file = ca_file
        self._server = grpc.aio.server()
        self._cut = asyncio.Event()
        self._middle: Middle | None = None
        self._identity = Identity.generate()
        self.poses_as: NodeId | None = None
        self.posed = 0
        self.connects_heard = 0
        self.changed = 0
        self.address = ""

    async def __aenter__(self) -> Self:
        handler = grpc.method_handlers_generic_handler(
            "hermes.v2.AppRouter", {"Open": grpc.stream_stream_rpc_method_handler(self._serve)}
        )
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(None)

    def attack(self, ability: str, seed: int) -> None:
        self._middle = ABILITIES[ability](random.Random(seed))

    def stop(self) -> None:
        """Be honest from now on, on new streams."""
        self._middle = self.poses_as = None
        self.cut()

    def cut(self) -> None:
        self._cut.set()
        self._cut = asyncio.Event()

    async def _serve(self, _: Any, context: Any) -> None:
        if self.poses_as is not None:
            await self._pose(context, self.poses_as)
            return
        credentials = grpc.ssl_channel_credentials(self._ca_file.read_bytes())
        async with grpc.aio.secure_channel(self._node, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            method: Any = channel.stream_stream(METHOD)
            call = method()
            ways = [
                asyncio.create_task(self._carry(UP, context.read, call.write)),
                asyncio.create_task(self._carry(DOWN, call.read, context.write)),
                asyncio.create_task(self._cut.wait()),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                call.cancel()

    async def _carry(self, way: Way, read: Callable[[], Awaitable[Any]], write: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            while (data := await read()) is not grpc.aio.EOF:
                passed = [data] if self._middle is None else self._middle(way, data)
                self.changed += passed != [data]
                for item in passed:
                    await write(item)
        except _ENDED:
            return

    async def _pose(self, context: Any, name: NodeId) -> None:
        """A whole node, as far as the handshake goes, under a key that is nobody's."""
        end = NodeEnd(name, self._identity)
        self.posed += 1
        try:
            await context.write(build_server_batch([end.challenge]).SerializeToString())
            while (raw := await context.read()) is not grpc.aio.EOF:
                for message in parse_client_batch(ClientBatch.FromString(raw)):
                    if isinstance(message, Connect):
                        self.connects_heard += 1
                        await context.write(build_server_batch([end.accept(message)[0]]).SerializeToString())
        except _ENDED:
            return
