"""One `AppRouter.Open` stream: batches in and out, nothing about chats."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Self

import grpc
import grpc.aio

from hermes_client.errors import StreamLostError
from hermes_client.tls import ClientTls, PlainText, open_channel
from hermes_core.protocol.messages import Sealed
from hermes_proto.v1.app_router_pb2 import ClientBatch, ServerBatch
from hermes_proto.v1.app_router_pb2_grpc import AppRouterStub
from hermes_wire.app import MAX_BATCH_FRAMES, ClientMessage, ServerMessage, build_client_batch, parse_server_batch

MAX_BATCH_BYTES: Final = 3 * 1024 * 1024  # below the protocol's 4 MiB, with room for protobuf and control frames
CONTROL_FRAME_BYTES: Final = 1024  # no control frame is larger


class AppStream:
    """A stream that stands. `write` returns when gRPC took the batch, which is the client's backpressure."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self._channel = channel
        self._call: grpc.aio.StreamStreamCall[ClientBatch, ServerBatch] = AppRouterStub(channel).Open()

    @classmethod
    def open(cls, address: str, tls: ClientTls | PlainText) -> Self:
        return cls(address, open_channel(address, tls))

    async def read(self) -> list[ServerMessage]:
        """The next batch, validated; raise StreamLostError at the end, ProtocolError for what is not the protocol."""
        try:
            batch = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise _lost(self.address, error) from None
        if not isinstance(batch, ServerBatch):  # grpc.aio.EOF
            raise StreamLostError(f"{self.address}: the node closed the stream")
        return parse_server_batch(batch)

    async def write(self, messages: list[ClientMessage]) -> None:
        try:
            await self._call.write(build_client_batch(messages))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise _lost(self.address, error) from None

    async def done_writing(self) -> None:
        """Say that nothing more comes; the node then ends the stream in its turn."""
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise _lost(self.address, error) from None

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()


def take_batch(outbound: deque[ClientMessage]) -> list[ClientMessage]:
    """Take everything that is ready off the queue's front, up to the bounds of one batch."""
    batch: list[ClientMessage] = []
    size = 0
    while outbound and len(batch) < MAX_BATCH_FRAMES and size < MAX_BATCH_BYTES:
        message = outbound.popleft()
        size += len(message.frame) if isinstance(message, Sealed) else CONTROL_FRAME_BYTES
        batch.append(message)
    return batch


def _lost(address: str, error: Exception) -> StreamLostError:
    if isinstance(error, grpc.aio.AioRpcError):
        return StreamLostError(f"{address}: {error.code().name}: {error.details()}")
    return StreamLostError(f"{address}: the stream ended")
