"""A Gossip stream is read on while marks that came on it wait for the disk."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.mesh.messages import HeldMark
from hermes_core.mesh.swim.messages import Ping
from hermes_node.mesh.links import MARKS_WAITING, GossipLink
from tests.unit.hermes_core.mesh.swim.bench import Other

DEADLINE_S = 10.0


class Stream:
    """What the other node sends; None ends it."""

    def __init__(self, *messages: object) -> None:
        self.coming: asyncio.Queue[object] = asyncio.Queue()
        for message in messages:
            self.coming.put_nowait(message)

    async def receive(self) -> object:
        return await self.coming.get()

    async def send(self, message: object) -> None:
        """Nobody listens."""


class Mesh:
    """Takes marks when the disk lets it."""

    def __init__(self) -> None:
        self.disk = asyncio.Event()
        self.told: list[object] = []
        self.probed = asyncio.Event()
        self.refuses = False

    def gossip_up(self, _link: GossipLink) -> None:
        self.told.append("up")

    def gossip_down(self, _link: GossipLink) -> None:
        self.told.append("down")

    async def receive_mark(self, _link: GossipLink, message: object) -> None:
        await self.disk.wait()
        if self.refuses:
            raise ProtocolError(ErrorCode.AUTH_FAILED, "no mark", scope=ErrorScope.STREAM)
        self.told.append(message)

    def receive_swim(self, _link: GossipLink, message: object) -> None:
        self.told.append(message)
        self.probed.set()


def run(stream: Stream, mesh: Mesh) -> asyncio.Task[None]:
    link = GossipLink(Other("other").descriptor)
    return asyncio.create_task(link.run(cast("Any", stream), cast("Any", mesh)))


async def test_a_probe_behind_a_mark_does_not_wait_for_the_disk() -> None:
    marks = [HeldMark(bytes([number])) for number in range(MARKS_WAITING)]
    mesh = Mesh()
    async with asyncio.timeout(DEADLINE_S):
        serving = run(Stream(*marks, Ping(1), None), mesh)
        await mesh.probed.wait()
        assert mesh.told == ["up", Ping(1)]
        mesh.disk.set()
        await serving
    assert mesh.told == ["up", Ping(1), *marks, "down"], "an end waits for the marks before it"


async def test_a_mark_that_is_none_ends_the_stream_though_nothing_comes_after_it() -> None:
    mesh = Mesh()
    mesh.refuses = True
    mesh.disk.set()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ProtocolError, match="no mark"):
            await run(Stream(HeldMark(b"?")), mesh)
    assert mesh.told == ["up", "down"]


async def test_more_marks_than_may_wait_are_read_as_the_disk_takes_them() -> None:
    mesh = Mesh()
    stream = Stream(*(HeldMark(bytes([number])) for number in range(4 * MARKS_WAITING)), None)
    async with asyncio.timeout(DEADLINE_S):
        serving = run(stream, mesh)
        for _ in range(20 * MARKS_WAITING):
            await asyncio.sleep(0)
        assert stream.coming.qsize() >= 3 * MARKS_WAITING - 1
        mesh.disk.set()
        await serving
    assert len(mesh.told) == 2 + 4 * MARKS_WAITING
