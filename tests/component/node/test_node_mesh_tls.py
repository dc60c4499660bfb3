"""Whom TLS refuses at the mesh's port is told: counted by kind, with cause and address in the log, and a flood has one line."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from hermes_client.scenario.certificates import CertificateFiles, LocalAuthority
from hermes_client.scenario.local_mesh import LocalMesh
from tests.support.nodes import QUICK, ask_admin, read_log, wait_logged, wait_ready, wait_until

DEADLINE_S = 10.0
PAST = dt.timedelta(minutes=-1)
MANY = 20


@pytest.fixture(autouse=True)
def _own_transport(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--app-transport") == "grpc":
        pytest.skip("gRPC's library tells of no handshake")


class Knock:
    """What comes to the mesh's port, with a certificate or without."""

    def __init__(self, mesh: LocalMesh, folder: Path) -> None:
        self._mesh = mesh
        self._folder = folder
        self.context = ssl.create_default_context(cafile=str(mesh.ca_file))
        self.context.check_hostname = False
        self.context.set_alpn_protocols(["h2"])

    def show(self, files: CertificateFiles) -> None:
        self.context.load_cert_chain(files.certificate, files.key)

    def issue(self, *, valid_for: dt.timedelta = dt.timedelta(days=1)) -> CertificateFiles:
        """Of the mesh's CA."""
        assert self._mesh._authority is not None
        return self._mesh._authority.issue_node("local-7", valid_for=valid_for)

    def issue_by_another(self) -> CertificateFiles:
        return LocalAuthority(self._folder).issue_node("local-7")

    async def dial(self) -> None:
        host, _, port = self._mesh.nodes[0].mesh.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port), ssl=self.context, ssl_handshake_timeout=DEADLINE_S)
        except (OSError, ssl.SSLError):
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                await reader.read()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    async def say(self, data: bytes) -> None:
        host, _, port = self._mesh.nodes[0].mesh.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            await reader.read()
        writer.transport.abort()


def old(knock: Knock) -> None:
    knock.show(knock.issue())
    knock.context.maximum_version = ssl.TLSVersion.TLSv1_2


WHO: dict[str, tuple[Callable[[Knock], None], str]] = {
    "no_certificate": (lambda _: None, "showed no certificate"),
    "unknown_ca": (lambda knock: knock.show(knock.issue_by_another()), "issuer"),
    "certificate_expired": (lambda knock: knock.show(knock.issue(valid_for=PAST)), "has expired"),
    "tls_version": (old, "no version of TLS"),
}


async def read_count(mesh: LocalMesh, kind: str) -> int:
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    found = re.search(rf'^hermes_mesh_connections_refused_total\{{kind="{kind}"\}} (\d+)', metrics["text"], re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("kind", WHO)
async def test_why_a_certificate_is_refused_is_in_the_log_of_the_node_that_refuses(
    kind: str, mesh: LocalMesh, tmp_path: Path
) -> None:
    prepare, told = WHO[kind]
    before = await read_count(mesh, kind)
    knock = Knock(mesh, tmp_path)
    prepare(knock)
    await knock.dial()
    line = await wait_logged(mesh.nodes[0], "mesh_connection_refused", kind=kind)
    assert (line["level"], line["address"], told in line["detail"]) == ("warning", "127.0.0.1", True)
    await wait_until(lambda: reached(mesh, kind, before + 1))
    for _ in range(MANY):
        await knock.dial()
    await wait_until(lambda: reached(mesh, kind, before + 1 + MANY))
    assert await read_count(mesh, kind) == before + 1 + MANY
    lines = [record for record in read_log(mesh.nodes[0]) if record["event"] == "mesh_connection_refused"]
    assert sum(record["kind"] == kind for record in lines) == 1


async def reached(mesh: LocalMesh, kind: str, count: int) -> bool:
    return await read_count(mesh, kind) >= count


async def test_what_is_no_tls_is_told_and_who_only_looks_is_not(mesh: LocalMesh, tmp_path: Path) -> None:
    """As a probe of TCP does."""
    before = await read_count(mesh, "tls")
    knock = Knock(mesh, tmp_path)
    host, _, port = mesh.nodes[0].mesh.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await knock.say(b"GET / HTTP/1.1\r\n\r\n")
    assert (await wait_logged(mesh.nodes[0], "mesh_connection_refused", kind="tls"))["detail"] == "what came is no TLS"
    await wait_until(lambda: reached(mesh, "tls", before + 1))
    await wait_ready(mesh)
    assert await read_count(mesh, "tls") == before + 1


async def test_the_node_that_refuses_one_whose_certificate_ran_out_says_so() -> None:
    """Whoever dials."""
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        assert two._authority is not None
        await two.stop(1)
        two._authority.issue_node("local-1", valid_for=PAST)
        await two.start(1)
        line = await wait_logged(two.nodes[0], "mesh_connection_refused", kind="certificate_expired")
        assert "expired" in line["detail"]
        failed = await wait_logged(two.nodes[1], "mesh_seed_failed")
        assert "refuses this one's certificate" in failed["cure"]


@pytest.mark.parametrize("ca", ["other", "mesh"], ids=["of_another_ca", "of_another_name"])
async def test_who_does_not_believe_this_nodes_certificate_is_told_by_its_leaving(
    ca: str, mesh: LocalMesh, tmp_path: Path
) -> None:
    """gRPC's library, with which nodes dial, just leaves."""
    before = await read_count(mesh, "tls_left")
    files = Knock(mesh, tmp_path).issue()
    authority = LocalAuthority(tmp_path).ca_file if ca == "other" else mesh.ca_file
    credentials = grpc.ssl_channel_credentials(authority.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes())
    options = [("grpc.ssl_target_name_override", "local-9"), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(mesh.nodes[0].mesh, credentials, options=options) as channel:
        call: Any = channel.stream_stream("/hermes.v2.NodeMesh/Join")
        assert await call().code() is grpc.StatusCode.UNAVAILABLE
        await wait_until(lambda: reached(mesh, "tls_left", before + 1))
    await wait_logged(mesh.nodes[0], "mesh_connection_refused", kind="tls_left")
