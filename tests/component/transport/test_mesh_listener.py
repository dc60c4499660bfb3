"""The mesh's port as nodes meet it, who dial with gRPC's library: names, long messages, ends, changed certificates, health."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hermes_client.scenario.certificates import LocalAuthority
from hermes_node.config.addresses import Address
from hermes_node.config.sections import AppSection, Config, LimitsSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.streams import SERVICE
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.hermes_limits import MESH_FIRST_MESSAGE_BYTES
from hermes_node.streams.hermes_transport import HermesServer, HermesTransport
from hermes_node.streams.origin import find_origin
from hermes_node.streams.transport import ServedStream
from hermes_node.tls.contexts import build_context
from hermes_node.tls.files import ReloadingTls, TlsFiles
from hermes_wire.app import MAX_BATCH_BYTES
from hermes_wire.byte_stream import DialledStream, StreamEndedError
from tests.component.transport.dialling import DEADLINE_S

PINGS_S = 1.5


class Meeting:
    """One node that listens, and whoever dials it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = LocalAuthority(folder)
        self.authority.issue_node("one")
        self._log = io.StringIO()
        self.metrics = NodeMetrics(version="1")
        self._transport = HermesTransport(
            Config(app=AppSection(fronts=0)), self.metrics, EventLog(node_id="one", stream=self._log)
        )
        self.tls = self.load("one")
        self.served: list[ServedStream] = []
        self.server: HermesServer
        self._opened: list[Any] = []

    def load(self, name: str, folder: Path | None = None) -> ReloadingTls:
        folder = folder or self._folder
        files = TlsFiles("mesh", str(folder / f"{name}.crt"), str(folder / f"{name}.key"), str(folder / "ca.crt"))
        return ReloadingTls(files, lambda _: None, build_context)

    async def start(self, host: str) -> None:
        self.server = self._transport.listen_for_nodes(SERVICE, Address(host, 0), self.tls)
        await self.server.start({"Join": self._echo, "Gossip": self._listen})

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._opened))
        await self.server.stop(0)

    def dial(self, tls: ReloadingTls, method: str = "Join") -> DialledStream:
        connection = GrpcTransport(LimitsSection(), ()).connect(str(self.server.address), "one", tls)
        self._opened.append(connection)
        return connection.open(f"/{SERVICE}/{method}")

    def options(self, *options: tuple[str, int]) -> grpc.aio.Channel:
        named = [("grpc.ssl_target_name_override", "one"), ("grpc.use_local_subchannel_pool", 1), *options]
        channel = grpc.aio.secure_channel(str(self.server.address), self.tls.channel_credentials(), options=named)
        self._opened.append(channel)
        return channel

    def refused(self) -> list[str]:
        return [json.loads(line)["kind"] for line in self._log.getvalue().splitlines()]

    async def _echo(self, stream: ServedStream) -> None:
        self.served.append(stream)
        stream.trust()
        await self._listen(stream)

    async def _listen(self, stream: ServedStream) -> None:
        while (message := await stream.read()) is not None:
            await stream.write(message)


@asynccontextmanager
async def meet(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[Meeting]:
    meeting = Meeting(folder)
    await meeting.start(host)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield meeting
    finally:
        await meeting.close()


async def echo(stream: DialledStream, message: bytes = b"hello") -> None:
    await stream.write(message)
    assert await stream.read() == message


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of both ends, within the caller's time
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_who_comes_is_known_by_certificate_and_address(host: str, tmp_path: Path) -> None:
    async with meet(tmp_path, host) as meeting:
        meeting.authority.issue_node("two")
        await echo(meeting.dial(meeting.load("two")))
        (stream,) = meeting.served
        assert {"two", "localhost"} <= stream.peer_names()
        assert "one" not in stream.peer_names()
        assert find_origin(stream.peer_address())[-1].startswith(host.removesuffix("1"))


async def test_messages_of_the_longest_size_pass_after_the_proof_and_not_before(tmp_path: Path) -> None:
    async with meet(tmp_path) as meeting:
        stream = meeting.dial(meeting.tls)
        for _ in range(2):
            await echo(stream, os.urandom(MAX_BATCH_BYTES))
        stranger = meeting.dial(meeting.tls, "Gossip")
        await echo(stranger, bytes(MESH_FIRST_MESSAGE_BYTES))
        await stranger.write(bytes(MESH_FIRST_MESSAGE_BYTES + 1))
        with pytest.raises(StreamEndedError, match="RESOURCE_EXHAUSTED"):
            await stranger.read()
        assert meeting.refused() == []


async def test_a_dialers_keepalive_is_no_flood(tmp_path: Path) -> None:
    async with meet(tmp_path) as meeting:
        often = (("grpc.keepalive_time_ms", 50), ("grpc.http2.max_pings_without_data", 0))
        call: Any = meeting.options(*often).stream_stream(f"/{SERVICE}/Join")()
        await call.write(b"hello")
        assert await call.read() == b"hello"
        await asyncio.sleep(PINGS_S)
        await call.write(b"still")
        assert await call.read() == b"still"
        assert meeting.refused() == []


async def test_a_stop_lets_streams_end_and_then_ends_them(tmp_path: Path) -> None:
    async with meet(tmp_path) as meeting:
        ending, staying = meeting.dial(meeting.tls), meeting.dial(meeting.tls)
        await echo(ending)
        await echo(staying)
        stopping = asyncio.create_task(meeting.server.stop(1.0))
        await asyncio.sleep(0.1)
        await echo(ending, b"within its time")
        await ending.done_writing()
        assert await ending.read() is None
        with pytest.raises(StreamEndedError, match=r"UNAVAILABLE"):
            await staying.read()
        await stopping


async def test_a_new_ca_holds_for_new_connections_both_ways(tmp_path: Path) -> None:
    """Who still shows a certificate of the former one is refused, and so is this node by who believes the former one alone."""
    (tmp_path / "former").mkdir()
    (tmp_path / "new").mkdir()
    async with meet(tmp_path) as meeting:
        meeting.authority.issue_node("two")
        for name in ("two.crt", "two.key", "ca.crt"):
            shutil.copy(tmp_path / name, tmp_path / "former" / name)
        former = meeting.load("two", tmp_path / "former")
        standing = meeting.dial(former)
        await echo(standing)
        new = LocalAuthority(tmp_path / "new")
        for name in ("one", "two"):
            new.issue_node(name)
        for name in ("one.crt", "one.key", "ca.crt"):
            shutil.copy(tmp_path / "new" / name, tmp_path / name)
        await echo(meeting.dial(meeting.load("two", tmp_path / "new")))
        with pytest.raises(StreamEndedError, match="UNAVAILABLE"):
            await meeting.dial(former).read()
        await until(lambda: meeting.refused() == ["tls_left"])
        shutil.copy(tmp_path / "new" / "ca.crt", tmp_path / "former" / "ca.crt")
        with pytest.raises(StreamEndedError, match="UNAVAILABLE"):
            await meeting.dial(meeting.load("two", tmp_path / "former")).read()
        await until(lambda: meeting.refused() == ["tls_left", "unknown_ca"])
        await echo(standing, b"still stands")


async def test_health_is_told_to_whoever_has_a_certificate(tmp_path: Path) -> None:
    health: Any = health_pb2
    async with meet(tmp_path) as meeting:
        await meeting.server.follow(True)
        stub: Any = health_pb2_grpc.HealthStub(meeting.options())
        for service in ("", SERVICE):
            answer = await stub.Check(health.HealthCheckRequest(service=service))
            assert answer.status == health.HealthCheckResponse.SERVING
        watch = stub.Watch(health.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == health.HealthCheckResponse.SERVING
        await meeting.server.follow(False)
        assert (await watch.read()).status == health.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_strangers_of_both_ports_share_the_same_turns(tmp_path: Path) -> None:
    """So that who proved something on one of them is not kept waiting by those of the other."""
    async with meet(tmp_path) as meeting:
        apps = meeting._transport.listen_for_apps("apps", Address("127.0.0.1", 0), None)
        await apps.start({})
        servers: list[Any] = [apps._server, meeting.server._server]
        assert servers[0].turns is servers[1].turns
        await apps.stop(0)
