"""The shell against peers that say any frame: proxies, addresses, timers, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import weakref
from ipaddress import ip_network
from typing import Any

import grpc
import grpc.aio
import pytest

from hermes_h2.bounds import Bounds
from hermes_h2.events import Refusal
from hermes_h2.frames import ACK, MAX_STREAM, Code, FrameKind, build_frame, build_number
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.proxy_header import SIGNATURE
from tests.component.transport.dialling import DEADLINE_S, RawPeer, connect, echo, open_call, until
from tests.component.transport.serving import in_one_process, serving
from tests.support.h2_peer import prefix

V4 = SIGNATURE + b"\x21\x11" + struct.pack(">H", 12) + bytes((192, 0, 2, 7)) + bytes(4) + struct.pack(">HH", 4711, 443)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
PROXIES = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),))


@pytest.mark.parametrize(("header", "host"), [(V4, "192.0.2.7"), (LOCAL, "127.0.0.1")])
async def test_a_trusted_proxy_says_for_whom_it_connects(header: bytes, host: str) -> None:
    async with serving(PROXIES) as watched:
        raw = await RawPeer.dial(watched, header)
        raw.open()
        raw.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"hello")))
        assert await raw.wait(FrameKind.DATA) == prefix(b"hello")
        (call,) = watched.server.calls
        assert call.peer()[0] == host
        raw.writer.close()


@pytest.mark.parametrize(
    "first", [b"", SIGNATURE + b"\x31\x11\x00\x00", SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x21\x11\x00\x04"]
)
async def test_a_trusted_proxy_that_does_not_say_it_is_refused(first: bytes) -> None:
    async with serving(PROXIES) as watched:
        raw = await RawPeer.dial(watched, first + bytes(4))
        await raw.wait_end()
        assert watched.kinds() == {Refusal.PROXY_HEADER}


async def test_nobody_else_may_say_it() -> None:
    async with serving(Limits(trusted_proxies=(ip_network("192.0.2.0/24"),))) as watched:
        raw = await RawPeer.dial(watched, V4)
        await raw.wait_end()
        assert watched.kinds() == {Refusal.PREFACE}


@in_one_process
async def test_strangers_have_places_and_the_oldest_gives_way() -> None:
    async with serving(Limits(strangers=4, strangers_an_address=3, patience_s=0)) as watched:
        proven = await RawPeer.dial(watched)
        proven.open()
        proven.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"hello")))
        await proven.wait(FrameKind.DATA)
        idle = [await RawPeer.dial(watched) for _ in range(3)]
        for raw in idle:
            await raw.wait(FrameKind.SETTINGS)
        late = await RawPeer.dial(watched)
        await late.wait(FrameKind.SETTINGS)
        await idle[0].wait_end()
        assert watched.kinds() == {Refusal.CONNECTIONS}
        proven.writer.write(build_frame(FrameKind.PING, 0, 0, bytes(8)))
        await proven.wait(FrameKind.PING)
        for raw in (*idle, late, proven):
            raw.writer.close()


@in_one_process
async def test_who_gives_way_before_anything_was_made_of_it_leaves_nothing() -> None:
    """They come faster than their turns."""
    async with serving(Limits(strangers=4, strangers_an_address=3, patience_s=0)) as watched:
        sockets = [socket.create_connection(("127.0.0.1", watched.server.port)) for _ in range(100)]
        await until(lambda: len(watched.refused) == 97)
        late = await RawPeer.dial(watched)
        await late.wait(FrameKind.SETTINGS)
        assert len(watched.links) == 3
        assert watched.kinds() == {Refusal.CONNECTIONS}
        for sock in sockets:
            sock.close()
        await until(lambda: len(watched.links) == 1)
        late.writer.close()


async def test_who_asks_for_nothing_is_let_go() -> None:
    async with serving(Limits(setup_s=0.3)) as watched:
        silent = await asyncio.open_connection("127.0.0.1", watched.server.port)
        watched.dialled.append(silent[1])
        greeted = await RawPeer.dial(watched)
        torn = await RawPeer.dial(watched)
        torn.writer.write(build_frame(FrameKind.HEADERS, 0, 1, torn.peer.block()))
        async with asyncio.timeout(DEADLINE_S):
            await silent[0].read()
        await greeted.wait(FrameKind.GOAWAY)
        await torn.wait(FrameKind.GOAWAY)
        assert watched.kinds() == {Refusal.SETUP_TIME}


async def test_who_is_silent_is_asked_and_who_does_not_answer_is_let_go() -> None:
    async with serving(Limits(keepalive_s=0.3, keepalive_timeout_s=0.3)) as watched, connect(watched) as channel:
        call = open_call(channel, "Ignore")
        frozen = await RawPeer.dial(watched)
        frozen.open(method="Ignore")
        await frozen.wait(FrameKind.PING)
        await frozen.wait_end()
        assert watched.kinds() == {Refusal.SILENCE}
        await echo(open_call(channel), b"answers by itself")
        assert not call.done()


@in_one_process  # it heeds no window, and a proof that comes from the owner widens it later
async def test_a_peer_that_reads_nothing_is_not_read_and_then_let_go() -> None:
    limits = Limits(bounds=Bounds(output_bytes=65_536), keepalive_s=0.5, keepalive_timeout_s=0.5)
    async with serving(limits) as watched:
        raw = await RawPeer.dial(watched)
        raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # what the stream has is one for reading as well
        raw.open()
        raw.writer.write(build_number(FrameKind.WINDOW_UPDATE, 0, 1 << 30) + build_number(FrameKind.WINDOW_UPDATE, 1, 1 << 30))
        chunk = build_frame(FrameKind.DATA, 0, 1, prefix(bytes(16_379)))
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < 4096:
                raw.writer.write(chunk)
                await asyncio.wait_for(raw.writer.drain(), 3)
                sent += 1
        assert sent < 2048
        await until(lambda: Refusal.SILENCE in watched.kinds())
        raw.writer.transport.abort()


@in_one_process
async def test_calls_that_are_reset_before_they_begin_leave_nothing() -> None:
    async with serving() as watched:
        raw = await RawPeer.dial(watched)
        for stream in range(1, 21, 2):
            raw.open(stream)
            raw.writer.write(build_number(FrameKind.RST_STREAM, stream, Code.CANCEL))
        raw.writer.write(build_frame(FrameKind.PING, 0, 0, bytes(8)))
        await raw.wait(FrameKind.PING)
        (link,) = watched.links
        await until(lambda: not watched.server.calls and not link.calls)


@in_one_process
async def test_a_connection_that_is_over_is_freed_without_a_garbage_collection() -> None:
    """A thousand a second, of a flood, would be as much memory as comes together between two of them."""
    gc.collect()
    gc.disable()
    try:
        async with serving(Limits(hear_s=0.01)) as watched:
            raw = await RawPeer.dial(watched)
            raw.open()
            raw.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"hello")))
            await raw.wait(FrameKind.DATA)
            (link,) = watched.links
            held: list[weakref.ref[Any]] = [weakref.ref(link), weakref.ref(link.connection), weakref.ref(link.calls[1])]
            del link
            raw.writer.write(build_frame(FrameKind.CONTINUATION, 0, 1))
            await raw.wait(FrameKind.GOAWAY)
            await until(lambda: not watched.links)
            await until(lambda: not any(ref() for ref in held))
    finally:
        gc.enable()


async def test_a_stopping_server_says_so_and_waits() -> None:
    async with serving() as watched:
        raw = await RawPeer.dial(watched)
        raw.open()
        raw.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"hello")))
        await raw.wait(FrameKind.DATA)
        stopping = asyncio.create_task(watched.server.stop(10))
        assert await raw.wait(FrameKind.GOAWAY) == MAX_STREAM.to_bytes(4, "big") + bytes(4)
        farewell = await raw.wait(FrameKind.PING)
        raw.frames.clear()
        raw.open(3)
        raw.writer.write(build_frame(FrameKind.DATA, 0, 3, prefix(b"was on its way")))
        assert await raw.wait(FrameKind.DATA) == prefix(b"was on its way")
        raw.writer.write(build_frame(FrameKind.PING, ACK, 0, farewell))
        assert await raw.wait(FrameKind.GOAWAY) == (3).to_bytes(4, "big") + bytes(4)
        raw.frames.clear()
        raw.writer.write(build_frame(FrameKind.DATA, 0, 1, prefix(b"goes on")))
        assert await raw.wait(FrameKind.DATA) == prefix(b"goes on")
        raw.open(5)
        assert int.from_bytes(await raw.wait(FrameKind.RST_STREAM), "big") == Code.REFUSED_STREAM
        assert not stopping.done()
        for stream in (1, 3):
            raw.writer.write(build_frame(FrameKind.DATA, 1, stream))
        await asyncio.wait_for(stopping, DEADLINE_S)


async def test_who_does_not_say_that_it_heard_of_the_end_has_a_second() -> None:
    async with serving(Limits(farewell_s=0.1)) as watched:
        raw = await RawPeer.dial(watched)
        raw.open()
        raw.writer.write(build_frame(FrameKind.DATA, 1, 1, prefix(b"hello")))
        await raw.wait(FrameKind.DATA)
        stopping = asyncio.create_task(watched.server.stop(10))
        await raw.wait(FrameKind.GOAWAY)
        raw.frames.clear()
        assert await raw.wait(FrameKind.GOAWAY) == (1).to_bytes(4, "big") + bytes(4)
        await asyncio.wait_for(stopping, DEADLINE_S)


@in_one_process
async def test_who_is_refused_hears_why_whatever_it_still_sends() -> None:
    async with serving() as watched:
        raw = await RawPeer.dial(watched)
        raw.writer.write(build_frame(FrameKind.HEADERS, 0, 1, raw.peer.block()))
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                raw.writer.write(build_frame(FrameKind.CONTINUATION, 0, 1, bytes(16_384)))
                await asyncio.sleep(0)
        assert (await raw.wait(FrameKind.GOAWAY))[4:8] == Code.ENHANCE_YOUR_CALM.to_bytes(4, "big")
        assert watched.kinds() == {Refusal.HEADER_BLOCK}
        assert not any(link.transport.is_reading() for link in watched.links)


async def test_a_stop_ends_what_does_not_end_by_itself_as_unavailable() -> None:
    async with serving() as watched, connect(watched) as channel:
        call = open_call(channel)
        await echo(call, b"x")
        await watched.server.stop(0.1)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert not watched.server.calls


@in_one_process
async def test_nagle_is_off_on_what_is_accepted() -> None:
    async with serving() as watched:
        raw = await RawPeer.dial(watched)
        await raw.wait(FrameKind.SETTINGS)
        (link,) = watched.links
        assert link.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        raw.writer.close()
