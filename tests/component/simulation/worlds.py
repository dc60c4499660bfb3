"""The two worlds a case runs in: real grpc.aio over loopback, and the simulated network under a virtual clock."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Final

import grpc.aio

from hermes_client.host import connect_grpc
from hermes_client.tls import PLAIN
from hermes_node.config.addresses import Address
from hermes_node.streams.grpc_transport import stream_handler
from hermes_node.streams.transport import StreamHandler
from hermes_wire.byte_stream import Connection, GrpcConnection
from tests.component.simulation.apart import HANDLERS, SERVICE, dial, echo
from tests.component.simulation.contract import Notes, Script
from tests.simulation.draws import Draws
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Network, SimConnection, SimServer

CASE_S: Final = 20.0
PROGRAM: Final = "tests.component.simulation.apart"
SETTLE_ROUNDS: Final = 3
SETTLE_S: Final = 1.0
"""Of the virtual clock: beyond every delay of a link."""

EXPECTED_DEFECT: Final = "a defect of the script"
"""What a handler that fails on purpose says, which a simulation otherwise reports."""

ECHO_PATH: Final = f"/{SERVICE}/Echo"


class RealWorld:
    def __init__(self) -> None:
        self.notes = Notes()
        self._server: grpc.aio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._port = 1  # nobody listens there
        self._connections: list[GrpcConnection] = []

    async def serve(self, handlers: dict[str, StreamHandler]) -> None:
        self._server = grpc.aio.server()
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.add_generic_rpc_handlers((stream_handler(SERVICE, {"Echo": echo} | handlers),))
        await self._server.start()

    async def serve_apart(self) -> None:
        process = await self._start_apart()
        assert process.stdout is not None
        self._port = int(await process.stdout.readline())

    async def dial_apart(self) -> None:
        await self._start_apart(f"127.0.0.1:{self._port}")

    async def _start_apart(self, *arguments: str) -> asyncio.subprocess.Process:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, env=environment
        )
        return self._process

    def connect(self) -> GrpcConnection:
        connection = connect_grpc(f"127.0.0.1:{self._port}", PLAIN)
        self._connections.append(connection)
        return connection

    async def settle(self) -> None:
        """HTTP/2 frames of one connection arrive in order: what echoes through another stream of it came after them."""
        for connection in self._connections:
            stream = connection.open(ECHO_PATH)
            for _ in range(SETTLE_ROUNDS):
                await stream.write(b"settle")
                await stream.read()
            await stream.done_writing()
            await stream.read()

    async def stop(self, grace_s: float) -> None:
        assert self._server is not None
        await self._server.stop(grace_s)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        if self._server is not None:
            await self._server.stop(0)
        if self._process is not None and self._process.returncode is None:
            await self.kill()


class SimWorld:
    def __init__(self, seed: int) -> None:
        self.notes = Notes()
        self.loop = VirtualLoop()  # type: ignore[abstract]  # as much of one as is used
        self.client = Process("client#1")
        self._server_process = Process("server#1")
        self._network = Network(self.loop, Draws(seed))
        self._server: SimServer | None = None
        self._apart: Process | None = None

    async def serve(self, handlers: dict[str, StreamHandler]) -> None:
        self._server = self._server_process.context.run(self._listen)
        await self._server.start({"Echo": echo} | handlers)

    def _listen(self) -> SimServer:
        return SimServer(self._network, SERVICE, Address("server", 7000), frozenset())

    async def serve_apart(self) -> None:
        await self.serve(HANDLERS)
        self._apart = self._server_process

    async def dial_apart(self) -> None:
        self._apart = Process("other#1")
        self._apart.context.run(self.loop.create_task, dial(self.connect()))

    def connect(self) -> SimConnection:
        return SimConnection(self._network, "server:7000", frozenset(), None)

    async def settle(self) -> None:
        await asyncio.sleep(SETTLE_S)

    async def stop(self, grace_s: float) -> None:
        assert self._server is not None
        task = self.loop.create_task(self._server.stop(grace_s), context=self._server_process.context.copy())
        await task

    async def kill(self) -> None:
        assert self._apart is not None
        self.loop.kill(self._apart)
        self._network.died(self._apart)


Lines = dict[str, list[str]]


def run_real(script: Script) -> Lines:
    async def run() -> Lines:
        world = RealWorld()
        try:
            async with asyncio.timeout(CASE_S):
                await script(world)
        finally:
            await world.close()
        return world.notes.lines

    return asyncio.run(run())


def run_simulated(script: Script, seed: int) -> Lines:
    world = SimWorld(seed)

    async def run() -> None:
        async with asyncio.timeout(CASE_S):
            await script(world)

    async def run_in_client() -> None:
        await world.loop.create_task(run(), context=world.client.context.copy())

    world.loop.run(run_in_client())
    assert all(EXPECTED_DEFECT in defect for defect in world.loop.defects), world.loop.defects
    return world.notes.lines


def open_talk(connection: Connection, method: str = "Talk") -> Any:
    return connection.open(f"/{SERVICE}/{method}")
