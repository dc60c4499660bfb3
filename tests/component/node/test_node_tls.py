"""TLS between nodes and towards apps: who is refused, and that changed files are taken over without dropping a stream."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from hermes_client.scenario.certificates import CertificateFiles, LocalAuthority
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import Hello, Proof
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.join import StreamKind
from hermes_node.mesh.handshake import NodeCredentials, dial_handshake
from hermes_node.mesh.streams import MeshStream, gossip_stream, join_stream
from hermes_wire.byte_stream import GrpcStream
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready, wait_shown
from tests.support.raw_app import RawApp


def dial(mesh: LocalMesh, files: CertificateFiles | None, *, ca: Path | None = None, name: str = "local-0") -> grpc.aio.Channel:
    """A channel to node 0's mesh port with these client certificates."""
    credentials = grpc.ssl_channel_credentials(
        (ca or mesh.ca_file).read_bytes(),
        None if files is None else files.key.read_bytes(),
        None if files is None else files.certificate.read_bytes(),
    )
    options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(mesh.nodes[0].mesh, credentials, options=options)


def open_stream(channel: grpc.aio.Channel, method: str = "Join") -> MeshStream[Any]:
    call: Any = channel.stream_stream(f"/hermes.v2.NodeMesh/{method}")
    return (join_stream if method == "Join" else gossip_stream)(GrpcStream(call()))


def node_files(mesh: LocalMesh, node_id: str) -> CertificateFiles:
    return CertificateFiles(mesh.folder / f"{node_id}.crt", mesh.folder / f"{node_id}.key")


def make_local(node_id: str, identity: Identity | None = None) -> NodeCredentials:
    identity = identity or Identity.generate()
    descriptor = sign_descriptor(identity, node_id=NodeId(node_id), address="127.0.0.1:1", incarnation=1, version="test")
    return NodeCredentials(identity, descriptor, SYSTEM_RANDOM)


async def expect_tls_refusal(channel: grpc.aio.Channel) -> None:
    async with channel:
        call: Any = channel.stream_stream("/hermes.v2.NodeMesh/Join")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call().read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_no_certificate_is_refused(mesh: LocalMesh) -> None:
    await expect_tls_refusal(dial(mesh, None))


async def test_a_certificate_of_another_ca_is_refused(mesh: LocalMesh, tmp_path: Path) -> None:
    await expect_tls_refusal(dial(mesh, LocalAuthority(tmp_path).issue_node("local-1")))


async def test_a_server_of_another_ca_is_not_believed(mesh: LocalMesh, tmp_path: Path) -> None:
    other = LocalAuthority(tmp_path)
    await expect_tls_refusal(dial(mesh, node_files(mesh, "local-1"), ca=other.ca_file))


async def test_a_server_of_another_name_is_not_believed(mesh: LocalMesh) -> None:
    await expect_tls_refusal(dial(mesh, node_files(mesh, "local-1"), name="local-9"))


@pytest.mark.parametrize("method", ["Join", "Gossip"])
async def test_a_node_may_only_claim_the_name_of_its_certificate(mesh: LocalMesh, method: str) -> None:
    async with dial(mesh, node_files(mesh, "local-1")) as channel:
        stream = open_stream(channel, method)
        with pytest.raises(ProtocolError, match="certificate") as caught:
            await dial_handshake(
                make_local("local-7"), StreamKind[method.upper()], NodeId("local-0"), stream.send, stream.receive
            )
        assert caught.value.code is ErrorCode.AUTH_FAILED


async def test_a_stranger_cannot_take_a_live_nodes_name(mesh: LocalMesh) -> None:
    """Its certificate names local-1, but the mesh knows local-1's identity key."""
    async with dial(mesh, node_files(mesh, "local-1")) as channel:
        stream = open_stream(channel, "Gossip")
        peer = await dial_handshake(make_local("local-1"), StreamKind.GOSSIP, NodeId("local-0"), stream.send, stream.receive)
        stream.secure(peer.keys)
        notice = await stream.receive()
        assert isinstance(notice, ErrorNotice)
        assert notice.code is ErrorCode.AUTH_FAILED
    await wait_logged(mesh.nodes[0], "peer_identity_conflict")
    _, answer = await ask_admin(mesh, 0, "GET", "/mesh/members")
    assert {member["state"] for member in answer["members"]} == {"alive"}


async def test_a_wrong_proof_is_refused(mesh: LocalMesh) -> None:
    local = make_local("local-1")
    async with dial(mesh, node_files(mesh, "local-1")) as channel:
        stream = open_stream(channel)
        await stream.send(local.build_hello()[0])
        assert isinstance(await stream.receive(), Hello)
        await stream.send(Proof(bytes(64)))
        notice = await stream.receive()
        assert isinstance(notice, ErrorNotice)
        assert notice.code is ErrorCode.AUTH_FAILED


async def test_garbage_on_the_mesh_port_ends_only_its_stream(mesh: LocalMesh) -> None:
    async with dial(mesh, node_files(mesh, "local-1")) as channel:
        for method in ("Join", "Gossip", "RouteChat"):
            call: Any = channel.stream_stream(f"/hermes.v2.NodeMesh/{method}")
            stream = GrpcStream(call())
            await stream.write(b"\xff\xff\xff")
            assert await stream.read() is not None  # the error
            assert await stream.read() is None
    await wait_ready(mesh)


@pytest.fixture
async def solo() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(1, settings=QUICK) as one:
        await wait_ready(one)
        yield one


def replace_certificates(mesh: LocalMesh, authority: LocalAuthority, folder: Path) -> None:
    """Put another CA's files in place of the node's, as a certificate rotation does."""
    files = authority.issue_node("local-0")
    shutil.copy(files.certificate, mesh.folder / "local-0.crt")
    shutil.copy(files.key, mesh.folder / "local-0.key")
    shutil.copy(folder / "ca.crt", mesh.folder / "ca.crt")


async def test_new_certificates_serve_new_streams_and_drop_no_old_one(solo: LocalMesh, tmp_path: Path) -> None:
    node = solo.nodes[0]
    (tmp_path / "old.crt").write_bytes(solo.ca_file.read_bytes())
    async with RawApp(node.app, solo.ca_file) as old:
        replace_certificates(solo, LocalAuthority(tmp_path), tmp_path)
        await wait_shown(node, solo.folder / "local-0.crt")
        async with RawApp(node.app, tmp_path / "ca.crt") as new:
            await new.wait_found(old)
        refused = RawApp(node.app, tmp_path / "old.crt")
        with pytest.raises(grpc.aio.AioRpcError):
            await refused.connect()
        await refused.close()
        assert (await old.find(old)).online  # the old stream still stands
    await wait_logged(node, "certificate_reloaded")


async def test_a_broken_certificate_leaves_the_former_one_in_use(solo: LocalMesh) -> None:
    node = solo.nodes[0]
    (solo.folder / "local-0.crt").write_text("no certificate")
    async with RawApp(node.app, solo.ca_file) as app:
        assert (await app.find(app)).online
    rejected = await wait_logged(node, "certificate_rejected")
    assert "app.tls_cert" in rejected["reason"] or "mesh.tls_cert" in rejected["reason"]


async def test_a_certificate_out_of_its_time_is_told_by_the_node_that_shows_it(solo: LocalMesh, tmp_path: Path) -> None:
    """The others say so too, but not to this node: a connection of its own ends, and that is all it hears."""
    expired = LocalAuthority(tmp_path).issue_node("local-0", valid_for=-dt.timedelta(minutes=1))
    shutil.copy(expired.key, solo.folder / "local-0.key")
    shutil.copy(expired.certificate, solo.folder / "local-0.crt")
    await wait_shown(solo.nodes[0], solo.folder / "local-0.crt")
    refused = RawApp(solo.nodes[0].app, solo.ca_file)
    with pytest.raises(grpc.aio.AioRpcError):
        await refused.connect()
    await refused.close()
    told = await wait_logged(solo.nodes[0], "certificate_out_of_time")
    assert told["kind"] in ("app", "mesh")
    assert told["since"] < told["until"]
