"""A stream as bytes in and bytes out, the same for both ends; what stands behind it is gRPC, or a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, Protocol

import grpc
import grpc.aio

_ENDED: Final = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""BaseError: what gRPC's own layer refuses, and, on the serving side, that the server has stopped."""


class StreamEndedError(Exception):
    """The stream broke or was ended by the other side; the text says how, for logs."""


class ByteStream(Protocol):
    """One end of a stream. Raw bytes: what is malformed is answered, where gRPC itself would end the call with INTERNAL."""

    async def read(self) -> bytes | None:
        """The next message; None when the other side has said everything. StreamEndedError when it broke."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when the transport took the message, which is the backpressure. StreamEndedError once it is over."""
        ...


class DialledStream(ByteStream, Protocol):
    """The end that opened the stream."""

    async def done_writing(self) -> None:
        """Say that nothing more comes; the other side then ends the stream in its turn."""
        ...

    def cancel(self) -> None:
        """End the stream at once, for both directions; harmless when it has ended."""
        ...


class Connection(Protocol):
    """To one node; it costs nothing until the first stream is opened over it."""

    def open(self, path: str) -> DialledStream:
        """`path`: /service/method."""
        ...

    async def close(self) -> None:
        """Ends every stream on it."""
        ...


class GrpcStream:
    """Wraps grpc.aio's servicer context, or its call that has no (de)serialisers."""

    def __init__(self, end: Any) -> None:
        self._end = end

    async def read(self) -> bytes | None:
        data = await self._call(self._end.read())
        return None if data is grpc.aio.EOF else bytes(data)

    async def write(self, data: bytes) -> None:
        await self._call(self._end.write(data))

    async def done_writing(self) -> None:
        await self._call(self._end.done_writing())

    def cancel(self) -> None:
        self._end.cancel()

    async def release(self) -> None:
        """Ends it if it is not over; from then on it says how it ended without holding gRPC's end of it."""
        self._end.cancel()
        code, details = await self._end.code(), await self._end.details()
        self._end = _Released(None if code is grpc.StatusCode.OK else f"{code.name}: {details}")

    async def _call(self, operation: Awaitable[Any]) -> Any:
        try:
            return await operation
        except _ENDED as error:
            why = _describe(error)
        except asyncio.CancelledError:
            # Of a stream that this end cancelled, gRPC says it like that, as if somebody had cancelled the task.
            if _is_asked_to_end():
                raise
            why = "CANCELLED: by this end"
        # Not while gRPC's error is handled: as the context of ours it would hold the call, and that the channel.
        raise StreamEndedError(why)


class GrpcConnection:
    """A channel of its own, so that each attempt shows the certificates of now."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel: grpc.aio.Channel | None = channel
        self._streams: list[GrpcStream] = []

    def open(self, path: str) -> GrpcStream:
        """StreamEndedError when the connection was closed."""
        if self._channel is None:
            raise StreamEndedError("the connection was closed")
        call: Any = self._channel.stream_stream(path)
        try:
            stream = GrpcStream(call())
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        """While anybody has it or a call of it, a channel that was closed goes on to dial, and holds what it reaches."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        while self._streams:
            await self._streams.pop().release()


class _Released:
    """In the place of a call that is over; `failure`: what is read of it for ever, None for its end."""

    def __init__(self, failure: str | None) -> None:
        self._failure = failure

    async def read(self) -> Any:
        if self._failure is not None:
            raise StreamEndedError(self._failure)
        return grpc.aio.EOF

    async def write(self, _data: bytes) -> None:
        raise asyncio.InvalidStateError

    async def done_writing(self) -> None:
        raise asyncio.InvalidStateError

    def cancel(self) -> None:
        pass


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _describe(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return "the stream has ended" if isinstance(error, asyncio.InvalidStateError) else type(error).__name__


def dial_target(address: str) -> str:
    """What gRPC takes for "host:port" and nothing else: `unix:8443` would be a socket's path to it."""
    return address if address.startswith("[") else f"dns:///{address}"
