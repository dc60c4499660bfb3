"""Apps that are killed with SIGKILL under traffic go on with their chats: nothing lost, doubled or reordered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from tests.component.client.store_child import read_heard
from tests.support.nodes import QUICK, restart, wait_ready, wait_until

CHILD = Path(__file__).with_name("store_child.py")
COUNT = 300
KILLS = 5


class AppProcess:
    """One app, through all its processes. `peer`: the app that it starts the chat with, once."""

    def __init__(self, name: str, folder: Path, mesh: LocalMesh, node: int, peer: str = "") -> None:
        self.name = name
        self.folder = folder
        self._arguments = [name, str(folder), mesh.nodes[node].app, str(mesh.ca_file), str(COUNT), *([peer] if peer else [])]
        self.process: asyncio.subprocess.Process | None = None

    @property
    def heard(self) -> list[bytes]:
        return read_heard(self.folder / f"{self.name}.heard")

    async def start(self, until: bytes = b"") -> None:
        """`until`: the line that it says."""
        import sys

        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(CHILD), *self._arguments, stdout=asyncio.subprocess.PIPE
        )
        if until:
            await self.wait_said(until)

    async def wait_said(self, line: bytes) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(90):
            while True:
                said = await self.process.stdout.readline()
                assert said, f"{self.name} ended with {await self.process.wait()}"
                if said.strip() == line:
                    return
                assert said.strip() in (b"open", b"done"), said

    async def kill(self) -> None:
        if self.process is not None:
            assert self.process.returncode is None, f"{self.name} ended by itself"
            self.process.kill()
            await self.process.wait()
            self.process = None

    async def read_id(self) -> str:
        path = self.folder / f"{self.name}.id"

        async def look() -> str:
            return path.read_text() if path.exists() else ""

        found: str = await wait_until(look)
        return found


@asynccontextmanager
async def two_apps(folder: Path, mesh: LocalMesh) -> AsyncIterator[tuple[AppProcess, AppProcess]]:
    """Two apps at different nodes, whose chat is open."""
    listener = AppProcess("b", folder, mesh, 1)
    await listener.start()
    starter = AppProcess("a", folder, mesh, 0, await listener.read_id())
    try:
        await asyncio.gather(starter.start(b"open"), listener.wait_said(b"open"))
        yield starter, listener
    finally:
        for app in (starter, listener):
            if app.process is not None and app.process.returncode is None:
                await app.kill()


async def wait_heard(starter: AppProcess, listener: AppProcess, floor: int) -> None:
    """Until so many messages were heard at both, or all."""
    async with asyncio.timeout(90):
        while len(starter.heard) + len(listener.heard) < min(floor, 2 * COUNT):  # noqa: ASYNC110 - files of other processes
            await asyncio.sleep(0.03)


def check_all_heard(starter: AppProcess, listener: AppProcess) -> None:
    assert listener.heard == [f"a {number}".encode() for number in range(1, COUNT + 1)]
    assert starter.heard == [f"b {number}".encode() for number in range(1, COUNT + 1)]


@pytest.fixture
async def mesh() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        yield two


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victims", ["one", "both", "app-and-node"])
async def test_chats_go_on_after_sigkill_with_nothing_lost_doubled_or_reordered(
    mesh: LocalMesh, tmp_path: Path, victims: str
) -> None:
    draws = random.Random(victims)
    async with two_apps(tmp_path, mesh) as (starter, listener):
        for kill in range(KILLS):
            floor = len(starter.heard) + len(listener.heard) + draws.randrange(40)
            if kill == KILLS - 1:
                floor = 2 * COUNT  # between the last message and its acknowledgement as well
            await wait_heard(starter, listener, floor)
            harmed = [starter, listener] if victims == "both" else [starter]
            await asyncio.gather(*(app.kill() for app in harmed))
            if victims == "app-and-node":
                await restart(mesh, 0)
            await asyncio.gather(*(app.start(b"open") for app in harmed))
        await asyncio.gather(*(app.wait_said(b"done") for app in (starter, listener)))
        check_all_heard(starter, listener)
