"""What a member may hold of the mesh listener: by certificate until it is proved, by its name then; connections in all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hermes_client.scenario.certificates import CertificateFiles, LocalAuthority
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_node.config.addresses import Address
from hermes_node.config.sections import Config, LimitsSection, NodeSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.guests import (
    MAX_CONNECTIONS_A_NODE,
    MAX_HANDSHAKES,
    MAX_HANDSHAKES_A_CERTIFICATE,
    MAX_STREAMS_A_NODE,
    MeshGuests,
)
from hermes_node.mesh.streams import SERVICE
from hermes_node.metrics.registry import NodeMetrics
from hermes_node.streams import grpc_options
from hermes_node.streams.grpc_transport import GrpcTransport
from hermes_node.streams.hermes_transport import HermesTransport
from hermes_node.streams.transport import StreamServer, Transport
from hermes_node.tls.files import ReloadingTls, TlsFiles

DEADLINE_S = 10.0
ONE, OTHER = frozenset({"one"}), frozenset({"other"})
SPARE = 6
LIMITS = LimitsSection(max_peers=1)


def test_handshakes_are_bounded_by_certificate_and_in_all() -> None:
    guests = MeshGuests()
    with ExitStack() as held:
        for _ in range(MAX_HANDSHAKES_A_CERTIFICATE):
            held.enter_context(guests.unproven(ONE))
        with pytest.raises(ProtocolError) as refused, guests.unproven(ONE):
            pass
        assert (refused.value.code, refused.value.retry_after_ms) == (ErrorCode.LIMIT_EXCEEDED, 1000)
        for number in range(MAX_HANDSHAKES - MAX_HANDSHAKES_A_CERTIFICATE):
            held.enter_context(guests.unproven(frozenset({str(number)})))
        with pytest.raises(ProtocolError), guests.unproven(OTHER):
            pass
    with guests.unproven(ONE):
        assert guests._unfinished == len(guests._handshakes) == 1
    assert not guests._handshakes


def test_streams_and_connections_are_bounded_by_node() -> None:
    guests, node = MeshGuests(), NodeId("one")
    with ExitStack() as held:
        for number in range(MAX_CONNECTIONS_A_NODE):
            held.enter_context(guests.proven(node, str(number)))
        with pytest.raises(ProtocolError, match="connections"), guests.proven(node, "another"):
            pass
        for _ in range(MAX_STREAMS_A_NODE - MAX_CONNECTIONS_A_NODE):
            held.enter_context(guests.proven(node, "0"))
        with pytest.raises(ProtocolError, match="streams"), guests.proven(node, "0"):
            pass
        with guests.proven(NodeId("other"), "0"):
            pass
    assert not guests._streams
    assert not guests._connections


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return LocalAuthority(tmp_path).issue_node("one")


def build_transport(kind: str) -> Transport:
    if kind == "grpc":
        return GrpcTransport(LIMITS, ())
    config = Config(node=NodeSection(id="one"), limits=LIMITS)
    return HermesTransport(config, NodeMetrics(version="1"), EventLog(node_id="one"))


@pytest.fixture(params=["hermes", "grpc"])
async def server(
    request: pytest.FixtureRequest, files: CertificateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StreamServer]:
    monkeypatch.setattr(grpc_options, "SPARE_MESH_CONNECTIONS", SPARE)
    monkeypatch.setattr(grpc_options, "IDLE_MESH_CONNECTION_MS", 1000)
    monkeypatch.setattr(grpc_options, "MESH_HANDSHAKE_MS", 1000)
    tls = ReloadingTls(TlsFiles("mesh", str(files.certificate), str(files.key), str(tmp_path / "ca.crt")), lambda _: None)
    made = build_transport(request.param).listen_for_nodes(SERVICE, Address("127.0.0.1", 0), tls)
    await made.start({})
    yield made
    await made.stop(0)


class Member:
    """A connection of somebody with a certificate, who opens no stream on it."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        self._port = port

    async def hold(self) -> bool:
        """Whether it was taken; returns when it has ended."""
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, server_hostname="one", ssl_handshake_timeout=DEADLINE_S
            )
        except (OSError, ssl.SSLError):
            return False
        try:
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            return bool(await reader.read())
        except OSError:
            return False
        finally:
            writer.transport.abort()


async def test_connections_without_a_stream_are_bounded_and_do_not_stay(
    server: StreamServer, files: CertificateFiles, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    async with asyncio.timeout(DEADLINE_S):
        members = [Member(context, server.address.port) for _ in range(40)]
        taken = await asyncio.gather(*(member.hold() for member in members))
        assert 0 < sum(taken) <= 2 * LIMITS.max_peers + SPARE
        assert await Member(context, server.address.port).hold(), "there is room again"
