"""Health watches and reflection: how many may be held, and that nobody who holds one is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from hermes_h2.bounds import Bounds
from hermes_node.apps.router import SERVICE
from hermes_node.config.addresses import Address
from hermes_node.config.sections import AppSection, Config
from hermes_node.logs.event_log import EventLog
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.health import Health, HealthServicer
from hermes_node.streams.hermes_transport import HermesTransport
from hermes_node.streams.side_calls import MAX_CALLS, MAX_CALLS_AN_ADDRESS, SideCalls

DEADLINE_S = 10.0
_health: Any = health_pb2


def test_places_are_bounded_in_all_and_by_address() -> None:
    calls = SideCalls()
    with ExitStack() as held:
        for _ in range(MAX_CALLS_AN_ADDRESS):
            assert held.enter_context(calls.place("ipv4:192.0.2.1:1"))
        with calls.place("ipv4:192.0.2.1:2") as placed:
            assert not placed
        for number in range(MAX_CALLS - MAX_CALLS_AN_ADDRESS):
            assert held.enter_context(calls.place(f"ipv4:198.51.100.{number % 200}:1"))
        with calls.place("ipv4:203.0.113.1:1") as placed:
            assert not placed
    with calls.place("ipv4:192.0.2.1:1") as placed:
        assert placed
    assert not calls._held


class Watcher:
    """A call of somebody; `stuck`: it does not read."""

    def __init__(self, *, stuck: bool) -> None:
        self.stuck = stuck
        self.told: asyncio.Queue[Any] = asyncio.Queue()

    def peer(self) -> str:
        return "ipv4:192.0.2.1:1"

    async def write(self, message: Any) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.told.put_nowait(message.status)


async def test_who_does_not_read_keeps_no_status_from_anybody() -> None:
    """gRPC's servicer wrote under a lock: readiness, and whatever else the node's housekeeping does, stood still."""
    health = Health(SERVICE, SideCalls())
    request, statuses = _health.HealthCheckRequest(service=SERVICE), _health.HealthCheckResponse
    stuck, other = Watcher(stuck=True), Watcher(stuck=False)
    tasks = [asyncio.create_task(health.servicer.Watch(request, watcher)) for watcher in (stuck, other)]
    for ready, status in ((True, statuses.SERVING), (False, statuses.NOT_SERVING)):
        await asyncio.sleep(0)
        health.follow(ready)
        while await asyncio.wait_for(other.told.get(), DEADLINE_S) != status:
            pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[grpc.aio.Channel]:
    config, metrics = Config(app=AppSection(listen="127.0.0.1:0")), NodeMetrics(version="1")
    transport = (
        GrpcTransport(config.limits, (metrics.grpc,))
        if kind == "grpc"
        else HermesTransport(config, metrics, EventLog(node_id="n"))
    )
    server = transport.listen_for_apps(SERVICE, Address("127.0.0.1", 0), None)
    await server.start({})
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.address.port}") as channel:
            yield channel
    finally:
        await server.stop(0)


async def first_answer(call: Any) -> Any:
    try:
        return await asyncio.wait_for(call.read(), DEADLINE_S)
    except grpc.aio.AioRpcError as error:
        return error.code()


@pytest.mark.parametrize("kind", ["grpc", "hermes"])
async def test_as_many_are_served_as_there_are_places(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("hermes_node.streams.side_calls.MAX_CALLS_AN_ADDRESS", 6)
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    async with serving(kind) as channel:
        health, reflected = health_pb2_grpc.HealthStub(channel), reflection_pb2_grpc.ServerReflectionStub(channel)
        held = [health.Watch(_health.HealthCheckRequest()) for _ in range(8)]
        assert [await first_answer(call) for call in held].count(full) == 2
        asking: Any = reflected.ServerReflectionInfo()
        assert await first_answer(asking) is full
        assert (await health.Check(_health.HealthCheckRequest())).status == _health.HealthCheckResponse.SERVING
        for call in held:
            call.cancel()
        async with asyncio.timeout(DEADLINE_S):
            while await first_answer(health.Watch(_health.HealthCheckRequest())) is full:  # noqa: ASYNC110 - the server's own state
                await asyncio.sleep(0.01)


async def test_a_service_that_is_not_there_is_told_so() -> None:
    servicer, watcher = HealthServicer(SideCalls()), Watcher(stuck=False)
    watching = asyncio.create_task(servicer.Watch(_health.HealthCheckRequest(service="nobody"), watcher))
    assert await asyncio.wait_for(watcher.told.get(), DEADLINE_S) == _health.HealthCheckResponse.SERVICE_UNKNOWN
    watching.cancel()


@pytest.mark.parametrize("kind", ["grpc", "hermes"])
async def test_who_keeps_its_connection_may_ask_again_and_again(kind: str) -> None:
    """As balancers do: more often than a stranger may open streams before a proof."""
    async with serving(kind) as channel, asyncio.timeout(DEADLINE_S):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for _ in range(4 * Bounds().first_streams):
            await stub.Check(_health.HealthCheckRequest(service=""))
