"""A stream as bytes in and bytes out, the same for both ends; what stands behind it is gRPC, or a simulated network."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

import grpc
import grpc.aio

_ENDED: Final = (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError)


READ_TURNS: Final = 3
"""Turns of the loop in which gRPC hands over what it has read: its poller's, the future's, the reading task's."""


async def let_inputs_arrive() -> None:
    """What has come in by now reaches whoever reads it. Await this before acting on a timer.

    After a pause (a suspended machine, a stopped process) everything is late at once, and what waits to be read may be what the
    timer waits for.
    """
    for _ in range(READ_TURNS):
        await asyncio.sleep(0)


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


class GrpcStream:
    """Wraps a `ServicerContext` or a `StreamStreamCall` that has no (de)serialisers."""

    def __init__(self, end: Any) -> None:
        self._end = end

    async def read(self) -> bytes | None:
        try:
            data = await self._end.read()
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None
        return None if data is grpc.aio.EOF else bytes(data)

    async def write(self, data: bytes) -> None:
        try:
            await self._end.write(data)
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None

    async def done_writing(self) -> None:
        try:
            await self._end.done_writing()
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None

    def cancel(self) -> None:
        self._end.cancel()


def _describe(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return "the stream has ended" if isinstance(error, asyncio.InvalidStateError) else type(error).__name__
