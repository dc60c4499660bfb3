"""The gRPC interceptor on a real server over loopback: what it counts for each way a call can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from hermes_node.metrics.grpc_calls import GrpcServerMetrics
from hermes_wire.byte_stream import GrpcStream

SERVICE = "hermes.test.Echo"
DEADLINE_S = 10.0


async def echo(_requests: Any, context: Any) -> None:
    stream = GrpcStream(context)
    while (data := await stream.read()) is not None:
        await stream.write(data)


async def refuse(_requests: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")


async def wait(_requests: Any, context: Any) -> None:
    await context.write(b"ready")
    await asyncio.Event().wait()


async def crash(_requests: Any, _context: Any) -> None:
    raise RuntimeError("a defect")


async def generate(requests: Any, _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request
        yield request


async def unary(request: bytes, context: Any) -> bytes:
    if request == b"missing":
        await context.abort(grpc.StatusCode.NOT_FOUND)
    return request


@asynccontextmanager
async def serving(metrics: GrpcServerMetrics) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=[metrics])
    streams = {"Echo": echo, "Refuse": refuse, "Wait": wait, "Crash": crash, "Generate": generate}
    one = grpc.method_handlers_generic_handler("hermes.test.One", {"Ask": grpc.unary_unary_rpc_method_handler(unary)})
    methods: dict[str, Any] = {name: grpc.stream_stream_rpc_method_handler(handler) for name, handler in streams.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods), one))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> GrpcServerMetrics:
    return GrpcServerMetrics(registry)


async def until(condition: Callable[[], bool]) -> None:
    """The server ends a call a moment after its client saw the end."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nothing tells when the server has counted
            await asyncio.sleep(0.01)


def handled(registry: CollectorRegistry, method: str, service: str = SERVICE, kind: str = "bidi_stream") -> dict[str, float]:
    return {
        sample.labels["grpc_code"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "grpc_server_handled_total"
        and (sample.labels["grpc_service"], sample.labels["grpc_method"]) == (service, method)
        and sample.labels["grpc_type"] == kind
        and sample.value
    }


def count(registry: CollectorRegistry, name: str, method: str) -> float | None:
    labels = {"grpc_type": "bidi_stream", "grpc_service": SERVICE, "grpc_method": method}
    return registry.get_sample_value(f"grpc_server_{name}", labels)


async def call(channel: grpc.aio.Channel, method: str, *messages: bytes) -> list[bytes]:
    stream: Any = channel.stream_stream(f"/{SERVICE}/{method}")(iter(messages))  # type: ignore[arg-type]
    return [message async for message in stream]


async def test_a_stream_that_ends_well(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    async with serving(metrics) as channel:
        assert await call(channel, "Echo", b"a", b"b") == [b"a", b"b"]
        await until(lambda: handled(registry, "Echo") == {"OK": 1})
    assert count(registry, "started_total", "Echo") == 1
    assert count(registry, "msg_received_total", "Echo") == 2
    assert count(registry, "msg_sent_total", "Echo") == 2
    assert count(registry, "handling_seconds_count", "Echo") == 1


async def test_a_generator(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    async with serving(metrics) as channel:
        assert await call(channel, "Generate", b"a") == [b"a", b"a"]
        await until(lambda: handled(registry, "Generate") == {"OK": 1})
    assert count(registry, "msg_received_total", "Generate") == 1
    assert count(registry, "msg_sent_total", "Generate") == 2


@pytest.mark.parametrize(("method", "code"), [("Refuse", "ResourceExhausted"), ("Crash", "Unknown")])
async def test_a_stream_that_fails(registry: CollectorRegistry, metrics: GrpcServerMetrics, method: str, code: str) -> None:
    async with serving(metrics) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await call(channel, method, b"a")
        await until(lambda: handled(registry, method) == {code: 1})


async def test_a_cancelled_stream_is_no_fault(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    async with serving(metrics) as channel:
        # A handler that reads when it happens ends by itself, unless the loop was too busy for it to read again.
        for method, codes in (("Echo", {"OK", "Canceled"}), ("Wait", {"Canceled"})):
            stream: Any = channel.stream_stream(f"/{SERVICE}/{method}")()
            await stream.write(b"a")
            assert await stream.read() in {b"a", b"ready"}
            stream.cancel()
            await until(lambda method=method: sum(handled(registry, method).values()) == 1)  # type: ignore[misc]
            assert set(handled(registry, method)) <= codes


async def test_unary_calls(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    async with serving(metrics) as channel:
        ask: Any = channel.unary_unary("/hermes.test.One/Ask")
        assert await ask(b"a") == b"a"
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(b"missing")
        await until(lambda: handled(registry, "Ask", "hermes.test.One", "unary") == {"OK": 1, "NotFound": 1})


async def test_an_unknown_method_makes_no_series(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    async with serving(metrics) as channel:
        for n in range(3):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(channel, f"Invented{n}")
        assert await call(channel, "Echo") == []
        await until(lambda: handled(registry, "Echo") == {"OK": 1})
    methods = {s.labels.get("grpc_method") for f in registry.collect() for s in f.samples}
    assert methods == {"Echo"}


def test_streams_are_known_before_their_first_call(registry: CollectorRegistry, metrics: GrpcServerMetrics) -> None:
    metrics.add_streams(SERVICE, ["Echo"])
    assert count(registry, "started_total", "Echo") == 0
    assert (
        registry.get_sample_value(
            "grpc_server_handled_total",
            {"grpc_type": "bidi_stream", "grpc_service": SERVICE, "grpc_method": "Echo", "grpc_code": "DeadlineExceeded"},
        )
        == 0
    )
