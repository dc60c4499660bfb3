"""gRPC server metrics under the names of go-grpc-prometheus, so that dashboards made for those work.

A client that goes away is no fault: gRPC shows it to a reading handler as the end of the stream (OK), to any other as a
cancellation (Canceled).
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, Self

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry, Counter, Histogram

HANDLING_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0)

CODES: Final = {
    code: "OK" if code is grpc.StatusCode.OK else "".join(word.capitalize() for word in code.name.split("_"))
    for code in grpc.StatusCode
} | {grpc.StatusCode.CANCELLED: "Canceled"}
"""The spelling of Go's codes package."""

_KINDS: Final = {
    (False, False): ("unary", "unary_unary"),
    (True, False): ("client_stream", "stream_unary"),
    (False, True): ("server_stream", "unary_stream"),
    (True, True): ("bidi_stream", "stream_stream"),
}


class CountedMethod:
    """The series of one method."""

    def __init__(self, metrics: GrpcServerMetrics, grpc_type: str, service: str, method: str) -> None:
        labels = (grpc_type, service, method)
        self.started = metrics.started.labels(*labels)
        self.received = metrics.received.labels(*labels)
        self.sent = metrics.sent.labels(*labels)
        self.seconds = metrics.seconds.labels(*labels)
        self.handled = {code: metrics.handled.labels(*labels, name) for code, name in CODES.items()}


class _CountingContext:
    """A servicer context that counts what passes; everything else is the real one's."""

    def __init__(self, context: Any, method: CountedMethod) -> None:
        self._context = context
        self._method = method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        message = await self._context.read()
        if message is not grpc.aio.EOF:
            self._method.received.inc()
        return message

    async def write(self, message: Any) -> None:
        await self._context.write(message)
        self._method.sent.inc()


class GrpcServerMetrics(grpc.aio.ServerInterceptor):
    """Add it to the interceptors of every gRPC server of the node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        base = ("grpc_type", "grpc_service", "grpc_method")
        self.started = Counter("grpc_server_started_total", "RPCs started on the server.", base, registry=registry)
        self.handled = Counter(
            "grpc_server_handled_total", "RPCs completed on the server, by code.", (*base, "grpc_code"), registry=registry
        )
        self.received = Counter("grpc_server_msg_received_total", "Messages received on the server.", base, registry=registry)
        self.sent = Counter("grpc_server_msg_sent_total", "Messages sent by the server.", base, registry=registry)
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from start to end of RPCs; a stream's whole life.",
            base,
            buckets=HANDLING_BUCKETS,
            registry=registry,
        )
        self._methods: dict[str, CountedMethod] = {}

    def add_streams(self, service: str, methods: Iterable[str]) -> None:
        """Make the series of bidirectional streams exist before their first call."""
        for method in methods:
            self._method(f"/{service}/{method}", "bidi_stream")

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: Any = await continuation(details)
        if handler is None:
            return None  # an unknown name is the caller's invention and must not become a label
        grpc_type, attribute = _KINDS[handler.request_streaming, handler.response_streaming]
        method = self._method(str(details.method), grpc_type)
        behaviour = _instrument(getattr(handler, attribute), method, request_streaming=handler.request_streaming)
        return _rebuild(handler, attribute, behaviour)

    def follow(self, path: str, grpc_type: str, outcome: Outcome) -> CountedCall:
        """A call that another transport than gRPC's library serves, to be entered while its handler runs."""
        return CountedCall(self._method(path, grpc_type), outcome)

    def _method(self, path: str, grpc_type: str) -> CountedMethod:
        method = self._methods.get(path)
        if method is None:
            service, _, name = path.lstrip("/").rpartition("/")
            method = self._methods[path] = CountedMethod(self, grpc_type, service, name)
        return method


def _rebuild(handler: Any, attribute: str, behaviour: Any) -> grpc.RpcMethodHandler[Any, Any]:
    make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = getattr(grpc, f"{attribute}_rpc_method_handler")
    return make(behaviour, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer)


def _instrument(behaviour: Any, method: CountedMethod, *, request_streaming: bool) -> Any:
    """The same kind of function as `behaviour`: gRPC tells coroutines and generators apart."""
    if inspect.isasyncgenfunction(behaviour):

        async def generate(request: Any, context: Any) -> AsyncIterator[Any]:
            with CountedCall(method, context) as call:
                async for response in behaviour(
                    call.requests(request, streaming=request_streaming), _CountingContext(context, method)
                ):
                    method.sent.inc()
                    yield response

        return generate

    async def run(request: Any, context: Any) -> Any:
        with CountedCall(method, context) as call:
            response = await behaviour(call.requests(request, streaming=request_streaming), _CountingContext(context, method))
            if response is not None:
                method.sent.inc()
            return response

    return run


class Outcome(Protocol):
    """How a call ended, as gRPC's servicer context tells it."""

    def cancelled(self) -> bool: ...
    def code(self) -> Any: ...


class CountedCall:
    """One RPC from start to end. `method` has what is counted for each message."""

    def __init__(self, method: CountedMethod, outcome: Outcome) -> None:
        self.method = method
        self._outcome = outcome
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        self.method.started.inc()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.method.seconds.observe(time.perf_counter() - self._started)
        self.method.handled[self._code(error)].inc()

    def requests(self, request: Any, *, streaming: bool) -> Any:
        if streaming:
            return self._count(request)
        self.method.received.inc()
        return request

    def _code(self, error: BaseException | None) -> grpc.StatusCode:
        if isinstance(error, asyncio.CancelledError | GeneratorExit) or self._outcome.cancelled():
            return grpc.StatusCode.CANCELLED
        code = _status(self._outcome.code())
        if error is not None and code is grpc.StatusCode.OK:
            return grpc.StatusCode.UNKNOWN  # what gRPC answers for an exception nobody caught
        return code

    async def _count(self, requests: Any) -> AsyncIterator[Any]:
        async for request in requests:
            self.method.received.inc()
            yield request


_BY_NUMBER: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}


def _status(code: Any) -> grpc.StatusCode:
    """A context holds a number, a StatusCode or nothing (OK)."""
    if isinstance(code, grpc.StatusCode):
        return code
    return _BY_NUMBER.get(int(code or 0), grpc.StatusCode.UNKNOWN)
