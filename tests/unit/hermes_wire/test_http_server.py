"""The HTTP ports' bounds: nobody who holds connections locks a health check out, and none is held for ever."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from hermes_wire.http_server import HttpBounds, HttpServer, RefusedHttp

HOST = "127.0.0.1"
DEADLINE_S = 10.0
BOUNDS = HttpBounds(connections=24, an_address=8, head_bytes=8192, body_bytes=4096, silent_s=0.4)
LARGE = b"x" * (32 << 20)
"""More than the sockets of both ends hold."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A server with a health check, a request that takes until `go_on`, and a large answer."""

    def __init__(self, bounds: HttpBounds) -> None:
        self.refused: list[tuple[RefusedHttp, str]] = []
        self.go_on = asyncio.Event()
        self.at_work = asyncio.Event()
        routes = [web.get("/healthz", self._health), web.get("/slow", self._slow), web.get("/large", self._large)]
        routes.append(web.post("/body", self._body))
        self.server = HttpServer(routes, bounds, lambda kind, address: self.refused.append((kind, address)))
        self.port = 0

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _slow(self, _: web.Request) -> web.Response:
        self.at_work.set()
        await self.go_on.wait()
        return web.Response(text="done\n")

    async def _large(self, _: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    async def _body(self, request: web.Request) -> web.Response:
        self.at_work.set()
        return web.Response(body=await request.read())

    async def connect(self, address: str = HOST) -> Streams:
        return await asyncio.open_connection(HOST, self.port, local_addr=(address, 0))

    async def ask(self, path: str, address: str = HOST) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await self.connect(address)
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
            answer = await reader.read()
            writer.close()
            return answer

    async def wait_refused(self, kind: RefusedHttp, count: int = 1) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while sum(found is kind for found, _ in self.refused) < count:  # noqa: ASYNC110 - the server's own state
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(bounds: HttpBounds = BOUNDS) -> AsyncIterator[Served]:
    served = Served(bounds)
    _, served.port = await served.server.start(HOST, 0)
    try:
        yield served
    finally:
        served.go_on.set()
        await served.server.stop()


def close(held: list[Streams]) -> None:
    for _, writer in held:
        writer.transport.abort()


@pytest.mark.parametrize("head", [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "], ids=["idle", "half a head"])
async def test_who_holds_connections_locks_no_health_check_out(head: bytes) -> None:
    """Not with the address of the one who asks, and not with many."""
    async with serving(HttpBounds(connections=24, an_address=8, silent_s=DEADLINE_S)) as served:
        held = []
        for address in [HOST] * 20 + [f"127.0.1.{number}" for number in range(1, 40)]:
            stream = await served.connect(address)
            stream[1].write(head)
            held.append(stream)
        for address in (HOST, "127.0.2.1", "127.0.1.1"):
            assert (await served.ask("/healthz", address)).startswith(b"HTTP/1.1 200")
        assert {kind for kind, _ in served.refused} == {RefusedHttp.TOO_MANY}
        assert len(served.refused) >= 20 - 8
        close(held)


async def test_a_connection_without_a_whole_request_ends_after_a_time() -> None:
    """However slowly its head goes on to come."""
    async with serving() as served:
        reader, writer = await served.connect()
        began = asyncio.get_running_loop().time()
        with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012 - it ends while it is written to
            async with asyncio.timeout(DEADLINE_S):
                writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
        assert asyncio.get_running_loop().time() - began < DEADLINE_S / 2
        assert served.refused == [(RefusedHttp.SILENT, HOST)]
        assert reader.exception() is not None or reader.at_eof()
        writer.close()


async def test_a_connection_that_was_used_is_kept_for_a_time_and_ends_in_order() -> None:
    async with serving() as served, asyncio.timeout(DEADLINE_S):
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readuntil(b"ok\n")
        assert await reader.read() == b""
        assert served.refused == []
        writer.close()


async def test_what_is_no_http_is_answered_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served, asyncio.timeout(DEADLINE_S):
        for sent in (b"GET /healthz HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"GET " + b"x" * 9000):
            reader, writer = await served.connect()
            writer.write(sent)
            assert (await reader.read()).startswith(b"HTTP/1.0 400")
            writer.close()
    assert caplog.records == []


BODY = b"POST /body HTTP/1.1\r\nHost: x\r\n"


async def test_who_goes_in_the_middle_of_a_body_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served, asyncio.timeout(DEADLINE_S):
        with socket.create_connection((HOST, served.port)) as client:
            client.sendall(BODY + b"Content-Length: 50\r\n\r\nhalf")
            await served.at_work.wait()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends with a reset
        assert (await served.ask("/healthz")).endswith(b"ok\n")
    assert caplog.records == []


async def test_nothing_is_done_for_who_is_gone() -> None:
    """Its connection ended between its request and the turn of that; aiohttp would fail with RuntimeError at its body."""
    async with serving() as served:
        request = make_mocked_request("POST", "/body", protocol=Mock(transport=None))
        with pytest.raises(ConnectionResetError):
            await served.server._serve(request, served._body)
        assert not served.at_work.is_set()


@pytest.mark.parametrize(
    "sent",
    [
        BODY + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        BODY + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        BODY.replace(b"/body", b"/nowhere") + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nabcde",
    ],
    ids=["chunks", "compressed", "compressed, for nobody"],
)
async def test_a_body_that_is_not_what_its_head_says_is_no_error(caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    async with serving() as served, asyncio.timeout(DEADLINE_S):
        reader, writer = await served.connect()
        writer.write(sent)
        await reader.read()
        writer.close()
    assert caplog.records == []


async def test_who_says_that_nothing_more_comes_still_gets_the_answer() -> None:
    """As `nc -N` and some health checks do."""
    async with serving(HttpBounds(silent_s=DEADLINE_S)) as served, asyncio.timeout(DEADLINE_S / 2):
        for path in ("/healthz", "/slow"):
            reader, writer = await served.connect()
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            writer.write_eof()
            if path == "/slow":
                await served.at_work.wait()
                served.go_on.set()
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        reader, writer = await served.connect()
        writer.write_eof()
        assert await reader.read() == b""  # nothing was asked
        writer.close()


async def test_a_body_that_nobody_wants_is_cut_off() -> None:
    async with serving() as served:
        reader, writer = await served.connect()
        writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012 - it ends while it is written to
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    writer.write(b"x" * 4096)
                    await writer.drain()
                    await asyncio.sleep(0.001)
        assert (RefusedHttp.TOO_LARGE, HOST) in served.refused
        del reader
        writer.close()


async def test_an_answer_that_is_not_read_is_not_held_for_ever() -> None:
    async with serving() as served:
        _, writer = await served.connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.wait_refused(RefusedHttp.UNREAD)
        writer.transport.abort()


async def test_a_request_at_work_keeps_its_place() -> None:
    async with serving() as served:
        asking = asyncio.create_task(served.ask("/slow"))
        await asyncio.wait_for(served.at_work.wait(), DEADLINE_S)
        held = [await served.connect() for _ in range(30)]
        await served.wait_refused(RefusedHttp.TOO_MANY, 30 - BOUNDS.an_address)
        served.go_on.set()
        assert (await asking).endswith(b"done\n")
        close(held)
