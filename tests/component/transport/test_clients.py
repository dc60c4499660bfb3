"""The official client in Python against the shell: sizes, many streams, who stops reading, statuses, deadlines, cancels."""

from __future__ import annotations

import asyncio
import contextlib
import os

import grpc
import grpc.aio
import pytest

from hermes_h2.serving.limits import Limits
from tests.component.transport.dialling import connect, echo, open_call, until
from tests.component.transport.serving import serving


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_536, 4 << 20])
async def test_messages_of_any_size_come_back(size: int) -> None:
    async with serving() as watched, connect(watched) as channel:
        call = open_call(channel)
        await echo(call, b"hello")
        for _ in range(3):
            await echo(call, os.urandom(size))
    assert watched.refused == []


async def test_eighty_streams_at_once_on_one_connection() -> None:
    async with serving() as watched, connect(watched) as channel:
        calls = [open_call(channel) for _ in range(80)]
        for number in range(5):
            await asyncio.gather(*(echo(call, b"%d" % number) for call in calls))
    assert watched.refused == []


async def test_a_reader_that_stopped_holds_its_writer_back_and_nobody_else() -> None:
    async with serving() as watched, connect(watched) as channel:
        stuck, taken = open_call(channel, "Ignore"), 0
        with contextlib.suppress(TimeoutError):
            while taken < 1024:
                await asyncio.wait_for(stuck.write(bytes(65_536)), 0.5)
                taken += 1
        assert 0 < taken < 64
        await echo(open_call(channel), b"goes on")
        stuck.cancel()


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("Refuse", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("Fail", grpc.StatusCode.UNKNOWN),
        ("Nobody", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_a_status_reaches_the_client(method: str, code: grpc.StatusCode) -> None:
    async with serving() as watched, connect(watched) as channel:
        assert await open_call(channel, method).code() is code


async def test_a_deadline_ends_the_call_at_this_end_as_well() -> None:
    async with serving() as watched, connect(watched) as channel:
        assert await open_call(channel, "Ignore", timeout=0.2).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not watched.server.calls)


async def test_what_is_compressed_is_refused_in_words() -> None:
    async with serving() as watched, grpc.aio.insecure_channel(watched.address, compression=grpc.Compression.Gzip) as channel:
        call = open_call(channel)
        await call.write(b"a" * 1000)
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_cancelled_call_leaves_nothing() -> None:
    async with serving() as watched, connect(watched) as channel:
        calls = [open_call(channel) for _ in range(10)]
        for call in calls:
            await echo(call, b"x")
            call.cancel()
        await until(lambda: not watched.server.calls)


async def test_too_many_streams_over_all_connections_end_as_exhausted() -> None:
    async with serving(Limits(streams=2)) as watched:
        channels = [connect(watched) for _ in range(3)]
        calls = [open_call(channel) for channel in channels[:2]]
        for call in calls:
            await echo(call, b"x")
        assert await open_call(channels[2]).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for channel in channels:
            await channel.close()
