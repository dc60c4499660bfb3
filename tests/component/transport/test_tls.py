"""The shell's TLS: apps with and without certificates, changed files, and what is no TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import grpc
import grpc.aio
import pytest

from hermes_client.scenario.certificates import CertificateFiles, LocalAuthority
from hermes_h2.events import Refusal
from hermes_h2.frames import PREFACE, build_settings
from hermes_node.tls.files import ReloadingTls, TlsFiles
from tests.component.transport.dialling import DEADLINE_S, OPTIONS, echo, open_call, until
from tests.component.transport.serving import FRONTS, Watched, in_one_process, serving


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path)


def load(authority: LocalAuthority, folder: Path, *, client_ca: bool = False) -> ReloadingTls:
    files = authority.issue_node("local-0")
    ca = str(folder / "ca.crt") if client_ca else ""
    return ReloadingTls(TlsFiles("app", str(files.certificate), str(files.key), ca), lambda _: None)


def dial_tls(watched: Watched, folder: Path, name: str | None = None) -> grpc.aio.Channel:
    read = [(folder / f"{name}.{end}").read_bytes() if name else None for end in ("key", "crt")]
    credentials = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes(), *read)
    return grpc.aio.secure_channel(watched.address, credentials, options=OPTIONS)


async def test_over_tls_as_well(authority: LocalAuthority, tmp_path: Path) -> None:
    async with serving(tls=load(authority, tmp_path)) as watched, dial_tls(watched, tmp_path) as channel:
        call = open_call(channel)
        await echo(call, b"hello")
        await echo(call, os.urandom(4 << 20))
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    assert watched.refused == []


async def test_apps_without_a_certificate_are_refused_where_one_is_wanted(authority: LocalAuthority, tmp_path: Path) -> None:
    tls = load(authority, tmp_path, client_ca=True)
    authority.issue_node("app-1")
    async with serving(tls=tls) as watched:
        async with dial_tls(watched, tmp_path) as channel:
            assert await open_call(channel).code() is grpc.StatusCode.UNAVAILABLE
        await until(lambda: watched.kinds() == {Refusal.NO_CERTIFICATE})
        async with dial_tls(watched, tmp_path, "app-1") as channel:
            await echo(open_call(channel), b"known")


async def test_a_changed_certificate_is_shown_to_new_connections(authority: LocalAuthority, tmp_path: Path) -> None:
    tls = load(authority, tmp_path)
    async with serving(tls=tls) as watched, dial_tls(watched, tmp_path) as old:
        standing = open_call(old)
        await echo(standing, b"before")
        (tmp_path / "new").mkdir()
        other = LocalAuthority(tmp_path / "new").issue_node("local-0")
        for name, source in (("crt", other.certificate), ("key", other.key)):
            (tmp_path / f"local-0.{name}").write_bytes(source.read_bytes())
        if FRONTS:
            await asyncio.sleep(2.5)  # fronts hear of it within a tick of their owner's
        async with dial_tls(watched, tmp_path / "new") as channel:
            await echo(open_call(channel), b"new")
        await echo(standing, b"still stands")


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\n\r\n", PREFACE, b"\x16\x03\x01\x00\x05hello"])
async def test_what_is_no_tls_is_refused(hello: bytes, authority: LocalAuthority, tmp_path: Path) -> None:
    async with serving(tls=load(authority, tmp_path)) as watched:
        reader, writer = await asyncio.open_connection("127.0.0.1", watched.server.port)
        writer.write(hello)
        async with asyncio.timeout(DEADLINE_S):
            await reader.read()
        assert watched.kinds() == {Refusal.TLS}
        writer.close()


async def ask(watched: Watched, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", watched.server.port, ssl=context, server_hostname="local-0")
    watched.dialled.append(writer)
    if not await reader.read():
        raise ConnectionResetError("reset")


async def test_a_client_that_speaks_no_http2_is_refused(authority: LocalAuthority, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.set_alpn_protocols(["http/1.1"])
    async with serving(tls=load(authority, tmp_path)) as watched:
        with pytest.raises(OSError, match=r"ALPN|alert|reset"):
            await ask(watched, context)
        assert watched.kinds() == {Refusal.TLS}


def build_client(folder: Path, files: CertificateFiles, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = version
    return context


@in_one_process
async def test_a_certificate_is_shown_in_each_handshake(authority: LocalAuthority, tmp_path: Path) -> None:
    """No session is taken up again, with whatever certificate it began."""
    tls = load(authority, tmp_path, client_ca=True)
    context = build_client(tmp_path, authority.issue_node("app-1"), ssl.TLSVersion.TLSv1_3)
    async with serving(tls=tls, lowest=ssl.TLSVersion.TLSv1_3) as watched:
        reader, writer = await asyncio.open_connection("127.0.0.1", watched.server.port, ssl=context, server_hostname="local-0")
        watched.dialled.append(writer)
        writer.write(PREFACE + build_settings({}))
        assert await reader.read(9)
        session = writer.get_extra_info("ssl_object").session
        assert session is None or not session.has_ticket


@in_one_process
async def test_an_older_version_of_tls_than_the_lowest_is_refused(authority: LocalAuthority, tmp_path: Path) -> None:
    tls = load(authority, tmp_path, client_ca=True)
    context = build_client(tmp_path, authority.issue_node("app-1"), ssl.TLSVersion.TLSv1_2)
    async with serving(tls=tls, lowest=ssl.TLSVersion.TLSv1_3) as watched:
        with pytest.raises(OSError, match=r"version|alert|reset"):
            await ask(watched, context)
        assert watched.kinds() == {Refusal.TLS_VERSION}


async def test_the_bundle_is_what_is_trusted(tmp_path: Path) -> None:
    """An authority in it need not have signed itself, as gRPC's library has it."""
    (tmp_path / "root").mkdir()
    between = LocalAuthority(tmp_path, "between", above=LocalAuthority(tmp_path / "root"))
    tls = load(between, tmp_path, client_ca=True)
    between.issue_node("app-1")
    async with serving(tls=tls) as watched, dial_tls(watched, tmp_path, "app-1") as channel:
        await echo(open_call(channel), b"known")
