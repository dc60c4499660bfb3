"""One `AppRouter.Open` stream: batches in and out, nothing about chats."""

from __future__ import annotations

from collections import deque
from typing import Final, Self

from google.protobuf.message import DecodeError

from hermes_client.errors import StreamClosedError, StreamLostError
from hermes_client.host import OPEN_METHOD, ClientHost
from hermes_client.tls import ClientTls, PlainText
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_proto.v2.app_router_pb2 import ServerBatch
from hermes_wire.app import MAX_BATCH_FRAMES, ClientMessage, ServerMessage, build_client_batch, parse_server_batch
from hermes_wire.byte_stream import Connection, StreamEndedError
from hermes_wire.sizes import estimate_bytes

MAX_BATCH_BYTES: Final = 3 * 1024 * 1024  # below the protocol's 4 MiB, with room for the message that passes it


class AppStream:
    """A stream that stands. `write` returns when the transport took the batch, which is the client's backpressure."""

    def __init__(self, address: str, connection: Connection) -> None:
        self.address = address
        self._connection = connection
        self._stream = connection.open(OPEN_METHOD)

    @classmethod
    def open(cls, address: str, tls: ClientTls | PlainText, host: ClientHost) -> Self:
        return cls(address, host.connect(address, tls))

    async def read(self) -> list[ServerMessage]:
        """The next batch, validated; raise StreamLostError at the end, ProtocolError for what is not the protocol."""
        try:
            raw = await self._stream.read()
        except StreamEndedError as error:
            raise self._lost(error) from None
        if raw is None:
            raise StreamClosedError(f"{self.address}: the node closed the stream")
        try:
            batch = ServerBatch.FromString(raw)
        except DecodeError:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "not a ServerBatch", scope=ErrorScope.STREAM) from None
        return parse_server_batch(batch)

    async def write(self, messages: list[ClientMessage]) -> None:
        try:
            await self._stream.write(build_client_batch(messages).SerializeToString())
        except StreamEndedError as error:
            raise self._lost(error) from None

    async def done_writing(self) -> None:
        """Say that nothing more comes; the node then ends the stream in its turn."""
        try:
            await self._stream.done_writing()
        except StreamEndedError as error:
            raise self._lost(error) from None

    async def close(self) -> None:
        self._stream.cancel()
        await self._connection.close()

    def _lost(self, error: StreamEndedError) -> StreamLostError:
        return StreamLostError(f"{self.address}: {error}")


def take_batch(outbound: deque[ClientMessage]) -> list[ClientMessage]:
    """Take everything that is ready off the queue's front, up to the bounds of one batch."""
    batch: list[ClientMessage] = []
    size = 0
    while outbound and len(batch) < MAX_BATCH_FRAMES and size < MAX_BATCH_BYTES:
        message = outbound.popleft()
        size += estimate_bytes(message)
        batch.append(message)
    return batch
