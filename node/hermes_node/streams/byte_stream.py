"""One gRPC stream as bytes in and bytes out, the same for the serving and the dialling end."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

_ENDED: Final = (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError)


class StreamEndedError(Exception):
    """The stream broke or was ended by the other side."""


class ByteStream:
    """Wraps a `ServicerContext` or a `StreamStreamCall` that has no (de)serialisers.

    Raw bytes, so that what is malformed can be answered: gRPC itself would end the call with INTERNAL.
    """

    def __init__(self, end: Any) -> None:
        self._end = end

    async def read(self) -> bytes | None:
        """The next message; None when the other side has said everything."""
        try:
            data = await self._end.read()
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None
        return None if data is grpc.aio.EOF else bytes(data)

    async def write(self, data: bytes) -> None:
        """Returns when gRPC took the message: its flow control is the backpressure."""
        try:
            await self._end.write(data)
        except _ENDED as error:
            raise StreamEndedError(_describe(error)) from None


def reset_stream() -> NoReturn:
    """Leave an RPC that is being served without a status: one would wait for ever behind what the peer does not read.

    gRPC's Python server cannot reset one stream. What is left of it (at most one write, `outbox.MAX_WRITE_BYTES`) goes when
    the client's connection ends; keepalive pings see to that when the client is not there any more.
    """
    raise asyncio.CancelledError


def stream_handler(service: str, methods: dict[str, Any]) -> grpc.GenericRpcHandler:
    """A handler of bidirectional streams of raw bytes: method name to `async def method(requests, context)`."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.stream_stream_rpc_method_handler(method) for name, method in methods.items()
    }
    return grpc.method_handlers_generic_handler(service, handlers)


def _describe(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return type(error).__name__
