"""The script of streams that gRPC's library and the simulation are held to, over Hermes' own transport."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from hermes_h2.serving.limits import Limits
from hermes_h2.serving.server import Server
from hermes_h2.serving.sockets import listen_on
from hermes_node.config.addresses import Address
from hermes_node.metrics.grpc_calls import GrpcServerMetrics
from hermes_node.streams.hermes_transport import HermesServer
from hermes_node.streams.transport import ServedStream, StreamHandler
from hermes_wire.byte_stream import GrpcConnection
from tests.component.simulation import cases_cancel, cases_ends, cases_flow, cases_loss
from tests.component.simulation.apart import SERVICE, echo
from tests.component.simulation.contract import CASES, Case
from tests.component.simulation.worlds import CASE_S, RealWorld

MODULES = (cases_ends, cases_cancel, cases_flow, cases_loss)
OTHERWISE = {
    "a_cancelled_read_of_the_server": "it takes nothing with it here",
    "a_task_that_outlives_a_cancelled_handler": "the end of a call is an error for whoever outlives it",
    "calls_let_other_tasks_run": "what need not wait does not, but for every sixteenth read",
    "client_killed": "what had come can still be read",
    "handler_leaves_without_a_status": "the stream is reset, which gRPC's library cannot",
    "server_stops_under_writes_that_are_held_back": "what a client has not read goes with the connection",
    "server_stops_with_a_stream_that_does_not_end": "as a task that outlives its handler",
    "server_stops_with_a_stream_whose_handler_left_without_a_status": "it was reset at once",
}
"""What differs, and why; what `AppRouter` makes of it is the same."""


class HermesWorld(RealWorld):
    async def serve(self, handlers: dict[str, StreamHandler]) -> None:
        server = Server(listen_on("127.0.0.1", 0), Limits())
        self._port = server.port
        metrics = GrpcServerMetrics(CollectorRegistry())
        self._served = HermesServer(server, SERVICE, Address("127.0.0.1", server.port), metrics, lambda: None, reflects=False)
        await self._served.start({name: trusting(handler) for name, handler in ({"Echo": echo} | handlers).items()})

    def connect(self) -> GrpcConnection:
        """Without the estimate of the bandwidth, which on a busy machine widens its window beyond what a script fills."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
        connection = GrpcConnection(grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", options=options))
        self._connections.append(connection)
        return connection

    async def stop(self, grace_s: float) -> None:
        await self._served.stop(grace_s)

    async def close(self) -> None:
        await super().close()
        if hasattr(self, "_served"):
            await self._served.stop(0)


def trusting(handler: StreamHandler) -> StreamHandler:
    async def serve(stream: ServedStream) -> None:
        stream.trust()
        await handler(stream)

    return serve


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in OTHERWISE], ids=lambda case: case.name)
async def test_streams_behave_as_those_of_grpc(case: Case) -> None:
    world = HermesWorld()
    try:
        async with asyncio.timeout(CASE_S):
            await case.script(world)
    finally:
        await world.close()
    assert world.notes.lines == case.expected


def test_what_differs_is_a_case() -> None:
    assert OTHERWISE.keys() <= {case.name for case in CASES}
