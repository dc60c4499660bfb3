"""Health checks and reflection for a transport of raw bytes: the servicers that gRPC's library has as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, Protocol

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection, reflection_pb2

from hermes_node.streams.health import HealthServicer
from hermes_node.streams.reflected import ReflectionServicer

_messages: Any = health_pb2
_reflected: Any = reflection_pb2

UNARY: Final = "unary"
SERVER_STREAM: Final = "server_stream"
BIDI_STREAM: Final = "bidi_stream"


class Talk(Protocol):
    """The stream that a method is called on."""

    async def read(self) -> bytes | None: ...
    async def write(self, data: bytes) -> None: ...
    def peer_address(self) -> str: ...
    def abort(self, code: grpc.StatusCode, text: str) -> NoReturn: ...


WellKnownMethod = Callable[[Talk], Awaitable[None]]


class _Context:
    """What the servicers ask of gRPC's."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def peer(self) -> str:
        return self._talk.peer_address()

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        self._talk.abort(code, details)

    async def write(self, message: Any) -> None:
        await self._talk.write(message.SerializeToString())


def build_health(servicer: HealthServicer) -> dict[str, tuple[str, WellKnownMethod]]:
    """By path: the kind of method, and what serves it."""

    async def check(talk: Talk) -> None:
        answer: Any = await servicer.Check(await _read_request(talk), _Context(talk))
        await talk.write(answer.SerializeToString())

    async def watch(talk: Talk) -> None:
        await servicer.Watch(await _read_request(talk), _Context(talk))

    return {f"/{HEALTH_SERVICE}/Check": (UNARY, check), f"/{HEALTH_SERVICE}/Watch": (SERVER_STREAM, watch)}


def build_reflection(servicer: ReflectionServicer) -> dict[str, tuple[str, WellKnownMethod]]:
    """For people with grpcurl."""

    async def requests(talk: Talk) -> AsyncIterator[Any]:
        while (data := await talk.read()) is not None:
            yield _parse(talk, _reflected.ServerReflectionRequest, data)

    async def serve(talk: Talk) -> None:
        async for answer in servicer.ServerReflectionInfo(requests(talk), _Context(talk)):
            await talk.write(answer.SerializeToString())

    return {f"/{reflection.SERVICE_NAME}/ServerReflectionInfo": (BIDI_STREAM, serve)}


async def _read_request(talk: Talk) -> Any:
    data = await talk.read()
    if data is None:
        talk.abort(grpc.StatusCode.INTERNAL, "the request is missing")
    return _parse(talk, _messages.HealthCheckRequest, data)


def _parse(talk: Talk, kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except Exception:  # noqa: BLE001 - protobuf's implementations raise different things for bytes that are no message
        talk.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
