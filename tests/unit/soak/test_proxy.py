"""The soak's proxy: a pair that is cut off, one that talks into a hole, and who knocks at a node's door."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Self

import pytest

from tests.soak.proxy import Proxy, _find_inode

PAIR = frozenset(("node", "app"))


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


class Line:
    """A connection to a door of the proxy."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def say(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.hear(len(data))

    async def hear(self, count: int, within_s: float = 5.0) -> bytes:
        async with asyncio.timeout(within_s):
            return await self.reader.readexactly(count)

    async def is_reset(self) -> None:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await self.say(b"x")


async def test_a_pair_that_is_cut_off_is_reset_and_refused_until_it_is_healed(echo: str) -> None:
    proxy = Proxy(dict)
    door = await proxy.listen("node", lambda: echo, "app")
    async with Line(door) as line:
        assert await line.say(b"before") == b"before"
        gate = proxy.cut(PAIR)
        await line.is_reset()
    async with Line(door) as line:
        await line.is_reset()
    assert gate.touched >= 2
    proxy.heal(PAIR)
    async with Line(door) as line:
        assert await line.say(b"after") == b"after"
    await proxy.close()


async def test_what_is_said_into_a_hole_comes_late_and_another_pair_notices_nothing(echo: str) -> None:
    proxy = Proxy(dict)
    doors = [await proxy.listen("node", lambda: echo, app) for app in ("app", "other")]
    async with Line(doors[0]) as line, Line(doors[1]) as other:
        assert await line.say(b"before") == b"before"
        gate = proxy.swallow(PAIR)
        line.writer.write(b"into the hole")
        assert await other.say(b"meanwhile") == b"meanwhile"
        with pytest.raises(TimeoutError):
            await line.hear(1, 0.2)
        assert gate.touched
        proxy.heal(PAIR)
        assert await line.hear(13) == b"into the hole"
    await proxy.close()


async def test_a_node_is_known_by_its_socket_and_a_stranger_is_not(echo: str) -> None:
    proxy = Proxy(lambda: {"peer": os.getpid()})
    async with Line(await proxy.listen("node", lambda: echo)) as line:
        assert await line.say(b"x") == b"x"
        gate = proxy.cut(frozenset(("node", "peer")))
        await line.is_reset()
    assert gate.touched
    await proxy.close()


async def test_who_is_nobody_that_is_known_gets_nowhere(echo: str) -> None:
    """Or a node whose socket was not found would get past what it is cut off from."""
    proxy = Proxy(dict)
    async with Line(await proxy.listen("node", lambda: echo)) as line:
        await line.is_reset()
    await proxy.close()


def test_two_sockets_with_one_local_port_are_told_apart_by_where_they_lead() -> None:
    with ExitStack() as held:
        doors = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        knocking, port = [], 0
        for door in doors:
            one = held.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("127.0.0.1", port))
            port = one.getsockname()[1]
            one.connect(door.getsockname())
            knocking.append(one)
        found = [_find_inode(port, door.getsockname()[1]) for door in doors]
        assert found == [str(os.fstat(one.fileno()).st_ino) for one in knocking]
