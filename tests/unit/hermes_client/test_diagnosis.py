"""What no waiting helps against is told at once, with the cure: files, authorities, names, TLS or none."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest

from hermes_client import PLAIN, ClientTls, ConnectSetupError, HermesClient, PlainText
from hermes_client.diagnosis import _explain, diagnose
from hermes_client.scenario.certificates import LocalAuthority
from hermes_proto.v2.app_router_pb2_grpc import add_AppRouterServicer_to_server
from tests.unit.hermes_client.scripted_node import ScriptedNode

DEADLINE_S = 10.0
"""Far below the client's own 30 s."""


@dataclass
class Files:
    """Of the mesh, and of another one that has nothing to do with it."""

    ca: Path
    certificate: Path
    key: Path
    other_ca: Path
    other_certificate: Path
    other_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = []
    for name in ("mesh", "other"):
        folder = tmp_path_factory.mktemp(name)
        authority = LocalAuthority(folder)
        issued = authority.issue_node("node-0")
        made += [authority.ca_file, issued.certificate, issued.key]
    return Files(*made)


@asynccontextmanager
async def serving(files: Files, *, asks: bool = False) -> AsyncIterator[str]:
    """A node that speaks TLS, and asks for a certificate if it is told to."""
    credentials = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())],
        root_certificates=files.ca.read_bytes() if asks else None,
        require_client_auth=asks,
    )
    node = ScriptedNode("node-0")
    async with node:
        assert node._server is not None
        server = grpc.aio.server()
        add_AppRouterServicer_to_server(node, server)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


async def told(address: str, tls: ClientTls | PlainText) -> str:
    """What a client that cannot connect says, well before its own time is over."""
    with pytest.raises(ConnectSetupError) as raised:
        async with asyncio.timeout(DEADLINE_S), HermesClient(address, tls=tls):
            pass
    return str(raised.value)


async def test_a_client_with_the_right_files_connects(files: Files) -> None:
    async with serving(files, asks=True) as address:
        tls = ClientTls(files.ca, cert_file=files.certificate, key_file=files.key)
        async with HermesClient(address, tls=tls) as client:
            assert client.connected
        assert await diagnose(address, tls) is None


async def test_an_authority_that_signed_nothing_there(files: Files) -> None:
    async with serving(files) as address:
        text = await told(address, ClientTls(files.other_ca))
    assert "is signed by none of" in text
    assert str(files.other_ca) in text
    assert "give the ca_file of the mesh" in text


async def test_public_authorities_where_the_mesh_has_its_own(files: Files) -> None:
    async with serving(files) as address:
        assert "signed by none of the public authorities" in await told(address, ClientTls())


async def test_another_name(files: Files) -> None:
    async with serving(files) as address:
        text = await told(address, ClientTls(files.ca, server_name="somebody.else"))
    assert "is not for 'somebody.else'; correct the address, or give the server_name" in text


def test_a_certificate_for_another_purpose() -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = 26, "unsuitable certificate purpose"
    assert "is not for servers (unsuitable certificate purpose)" in _explain("node:1", "node", ClientTls(), error)


async def test_plain_against_tls(files: Files) -> None:
    async with serving(files) as address:
        assert "the node speaks TLS, and the client was told not to; give tls=ClientTls" in await told(address, PLAIN)


async def test_plain_against_tls_that_asks_for_certificates(files: Files) -> None:
    async with serving(files, asks=True) as address:
        assert "the node speaks TLS" in await told(address, PLAIN)


async def test_tls_against_plain(files: Files) -> None:
    async with ScriptedNode("node-0") as node:
        text = await told(node.address, ClientTls(files.ca))
    assert "nobody speaks TLS there; correct the address, or give tls=PLAIN" in text


async def test_a_certificate_that_is_asked_for(files: Files) -> None:
    async with serving(files, asks=True) as address:
        text = await told(address, ClientTls(files.ca))
    assert "asks for a certificate of the client" in text
    assert "give a cert_file and key_file" in text


async def test_a_certificate_that_is_refused(files: Files) -> None:
    async with serving(files, asks=True) as address:
        tls = ClientTls(files.ca, cert_file=files.other_certificate, key_file=files.other_key)
        assert f"refused the certificate in {files.other_certificate}" in await told(address, tls)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "No such file or directory; give a readable PEM file"),
        (lambda path: path.write_text("no certificate"), "not usable"),
        (lambda path: path.write_text(""), "not usable"),
    ],
    ids=["missing", "no PEM", "empty"],
)
async def test_files_that_cannot_be_used(files: Files, tmp_path: Path, spoil: Callable[[Path], object], says: str) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(files.ca, ca)
    spoil(ca)
    async with serving(files) as address:
        text = await told(address, ClientTls(ca))
    assert says in text
    assert str(ca) in text


async def test_a_key_of_another_certificate(files: Files) -> None:
    async with serving(files) as address:
        tls = ClientTls(files.ca, cert_file=files.certificate, key_file=files.other_key)
        assert "a key that belongs to its certificate" in await told(address, tls)


@pytest.mark.parametrize("plain", [False, True])
async def test_a_name_that_does_not_exist(plain: bool, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's resolver makes of it; one that cannot answer now may do so later."""

    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(error, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    tls: ClientTls | PlainText = PLAIN if plain else ClientTls(files.ca)
    error = socket.EAI_NONAME
    text = await told("no-such-host.invalid:8443", tls)
    assert "there is no host 'no-such-host.invalid'; correct the address" in text
    error = socket.EAI_AGAIN
    assert await diagnose("no-such-host.invalid:8443", tls) is None


@pytest.mark.parametrize("plain", [False, True])
async def test_nobody_there_may_still_come(plain: bool, files: Files) -> None:
    tls: ClientTls | PlainText = PLAIN if plain else ClientTls(files.ca)
    assert await diagnose("127.0.0.1:1", tls) is None


async def test_plain_where_there_is_none_is_no_problem() -> None:
    async with ScriptedNode("node-0") as node:
        assert await diagnose(node.address, PLAIN) is None


@pytest.mark.parametrize("plain", [False, True])
async def test_somebody_who_says_nothing_is_not_judged(plain: bool, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_client.diagnosis.TIMEOUT_S", 0.2)
    held = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await diagnose(f"127.0.0.1:{port}", PLAIN if plain else ClientTls(files.ca)) is None
    finally:
        held.set()
        server.close()
        await server.wait_closed()
